"""Fields of the owner's own: which there are, and of which type."""
