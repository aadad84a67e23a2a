"""The core that every context of Koinon stands on."""
