"""Who is calling, what they may, and what a route asks of them."""
