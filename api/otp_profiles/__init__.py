"""How passwords look and behave, a profile for each splash page."""
