"""Cards: whose a token is, by the word of the source that made it."""
