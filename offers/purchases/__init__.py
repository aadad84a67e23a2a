"""Purchases: seen at tills and by card, rewarded once, taken back, and told to members."""
