"""Contacts: stored people, and what we may know of them."""
