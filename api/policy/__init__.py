"""The operator's sending rules, to read and to set."""
