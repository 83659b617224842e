"""Whether a text is a document: told before it is sent, by the engines that gateways read with."""

import re
from typing import Final
from xml.parsers import expat

# A document type can name files and grow without end; no gateway wants one.
_DECLARED: Final = re.compile(r"<!(?!\[CDATA\[|--)")
_ENCODED: Final = re.compile(r"""<\?xml\s[^>]*encoding\s*=\s*["']([^"']*)""")


def why_no_xml(text: str) -> str | None:
    """Why this is no well-formed document; None if it is one."""
    if _DECLARED.search(text):
        return "it declares a document type, which is not sent"
    encoding = _ENCODED.match(text)
    if encoding and encoding[1].lower() != "utf-8":
        return f"it says that it is in {encoding[1][:40]}, and it is sent in UTF-8"
    try:
        expat.ParserCreate().Parse(text.encode("utf-8", "replace"), True)  # noqa: FBT003 - the engine's own
    except expat.ExpatError as error:
        return str(error)
    return None
