"""The path: the five stages, and what they are made of."""
