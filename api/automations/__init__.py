"""Automations and the events that they wait for."""
