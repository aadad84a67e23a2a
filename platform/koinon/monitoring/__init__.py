"""What a person who looks after an installation sees of it."""
