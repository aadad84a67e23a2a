"""The verifier of bundles, which stands alone: it shares no calculator with the platform."""
