"""Imports: CSV files become contacts or opt-outs, read in a process of their own."""
