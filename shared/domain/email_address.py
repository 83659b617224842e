"""E-mail addresses that we write to: plain ones, as a mail server's command line takes them."""

import re
from typing import Final

LONGEST: Final = 254  # RFC 5321, 4.5.3.1.3 less the brackets
_ATOM: Final = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL: Final = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_ADDRESS: Final = re.compile(rf"(?=[^@]{{1,64}}@){_ATOM}(?:\.{_ATOM})*@{_LABEL}(?:\.{_LABEL})*")


def is_address(text: str) -> bool:
    """Whether the text is one address, and nothing a mail server could take for more."""
    return len(text) <= LONGEST and _ADDRESS.fullmatch(text) is not None
