"""The catalogue: what brands promise, and who switched it on."""
