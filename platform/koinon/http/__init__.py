"""The HTTP edge: bodies, errors, idempotent writes, and the description of the interface."""
