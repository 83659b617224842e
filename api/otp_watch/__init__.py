"""What keeps abuse of passwords down, and what it shows: limits, blocks, conversion."""
