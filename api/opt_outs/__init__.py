"""People who said no, as their owner sees and keeps them."""
