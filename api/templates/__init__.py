"""Templates: texts with tags that are kept to be used again."""
