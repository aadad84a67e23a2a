"""Who may: keys, tokens, sessions, roles and grants."""
