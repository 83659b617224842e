"""The one door: how a call reaches a gateway, and what may be kept of it."""
