"""Offers: cards, feeds, purchases, offers, matching and rewards."""
