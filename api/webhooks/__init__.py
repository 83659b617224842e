"""Webhooks: where owners' systems are told what happened, with their secrets and the log of what was sent."""
