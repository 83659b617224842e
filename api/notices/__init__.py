"""What operators are told without asking, to read and to tick off."""
