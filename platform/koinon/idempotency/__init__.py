"""Writes that are done once: the request row of a caller's key, its content's hash, and the answer it got."""
