"""Pace: how fast a gateway is given messages, by all dispatchers together."""
