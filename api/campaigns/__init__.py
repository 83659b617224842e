"""Campaigns over HTTP: made, changed, started, stopped, previewed and reported."""
