"""Erasures: people whom the owner wants forgotten, and how far that is."""
