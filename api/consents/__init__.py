"""Consent: what contacts agreed to, when and where, and the evidence of it."""
