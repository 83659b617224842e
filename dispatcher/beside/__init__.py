"""Beside the path: what keeps it true, and what follows from it."""
