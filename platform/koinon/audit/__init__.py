"""The log: leaves, tiles, checkpoints, proofs and bundles (C2SP tlog over an RFC 6962 tree)."""
