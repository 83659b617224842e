"""Everything on one machine with nothing installed: real servers, and the processes on them."""
