"""Single messages over HTTP: one person, one text, now or later; and the log of every message there is."""
