"""What api and dispatcher agree on; imports nothing of theirs."""
