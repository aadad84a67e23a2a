"""Places where cards are taken, known by their network identities."""
