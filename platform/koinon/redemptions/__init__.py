"""Redemptions: points are reserved at a till on proof, then captured or released."""
