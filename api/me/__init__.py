"""Who calls: what a key may do, told to whoever holds it."""
