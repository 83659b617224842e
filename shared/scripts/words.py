"""What parent and child of the scripts say to each other. The parent believes the child no more than it must."""

from typing import Final

# To the child: a script with the function that is meant (up to the first line end), and calls of it.
SCRIPT, CALL, CHECK = b"S", b"A", b"C"
# From the child: that it is there, and one of these for each call: JSON, or a reason and Lua's message.
READY, VALUE, FAILED = b"R", b"V", b"X"

MOST_SCRIPT_BYTES: Final = 64 * 1024
MOST_ARGUMENT_BYTES: Final = 512 * 1024
MOST_ANSWER_BYTES: Final = 64 * 1024
DEEPEST: Final = 16
