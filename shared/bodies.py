"""The bodies of requests and answers, as text and as JSON."""

import codecs
import json
import re
from collections.abc import Mapping
from typing import Any, Final

_MARKS: Final = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_CHARSET: Final = re.compile(r""";\s*charset\s*=\s*["']?([0-9A-Za-z_.:-]{1,40})""", re.IGNORECASE)
# Of Python's codecs those that are charsets of texts, by the names that it gives them.
_KNOWN: Final = re.compile(r"ascii|utf-8|utf-16(-[lb]e)?|iso8859-[0-9]{1,2}|cp125[0-8]|koi8-[ru]")


def text_of(body: bytes, content_type: str = "") -> str:
    """The text of a body, without the mark that some put before it.

    It is UTF-8 where it can be, whatever it is called; else what its content type says; else what of it is UTF-8.
    """
    for mark, charset in _MARKS:
        if body.startswith(mark):
            return body[len(mark) :].decode(charset, "replace")
    declared = _declared(content_type)
    if declared is not None and declared.startswith("utf-16"):
        return body.decode(declared, "replace")
    try:
        return body.decode()
    except UnicodeDecodeError:
        return body.decode(declared or "utf-8", "replace")


def _declared(content_type: str) -> str | None:
    found = _CHARSET.search(content_type)
    if found is None:
        return None
    try:
        name = codecs.lookup(found[1]).name
    except LookupError:
        return None
    return name if _KNOWN.fullmatch(name) else None


def json_object(body: bytes) -> Mapping[str, Any] | None:
    """The JSON object a body holds; None if it holds anything else."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def is_json(body: bytes) -> bool:
    """Whether a body is a JSON document, whatever it is called."""
    try:
        json.loads(body)
    except (ValueError, RecursionError):
        return False
    return True
