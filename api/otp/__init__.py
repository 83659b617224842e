"""One-time passwords over HTTP: start one, check what was typed, send it again, call it off."""
