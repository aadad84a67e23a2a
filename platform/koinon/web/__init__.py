"""The HTTP edge: problems, requests, pages."""
