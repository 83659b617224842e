"""The headers that no call to a gateway may say for itself, whoever writes it: settings, a script, an adapter."""

from typing import Final

# These would send the request elsewhere than its URL, or end it elsewhere than its body.
_TAKEN: Final = frozenset({"expect", "host", "te", "trailer", "transfer-encoding", "upgrade"})


def is_taken(name: str) -> bool:
    """Whether a header, in any case, is written by the door alone; a call that says it is not made."""
    lowered = name.lower()
    return lowered in _TAKEN or lowered.startswith("proxy-")
