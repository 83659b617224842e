"""Texts measured before they are sent anywhere."""
