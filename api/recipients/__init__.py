"""Whom a campaign reaches and whom it leaves out, before its audience is frozen and afterwards."""
