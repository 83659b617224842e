"""Messages from handsets, to be read."""
