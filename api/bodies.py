"""A JSON body as it is read: each name once in its object, in the charset that the Content-Type names.

The parser takes the last of two fields of one name and says nothing: whoever checked the request by the first one would
be told another. So the fields that are kept are counted beside the names of the text. Only where these differ, for a
name that is given twice or a text that looks like one, is the body read again, pair by pair.
"""

import json
from collections import Counter
from collections.abc import Iterator
from email.message import Message
from itertools import islice
from typing import Any, Final

from starlette.requests import Request

from api.problems import UnsupportedMediaType
from api.sentences import describe
from shared.errors import FieldError, Invalid

_UTF_8: Final = frozenset({"utf-8", "utf8", "us-ascii", "ascii"})
_BLANKS: Final = b" \t\r\n"
_TWICE: Final = "The field is given more than once; give it once, for nobody can tell which is meant."
_MOST_TOLD: Final = 10
_LONGEST_TOLD: Final = 100


class JsonRequest(Request):
    """A request whose JSON is refused where a parser would have guessed."""

    async def json(self) -> Any:
        """The body, read once; raises Invalid, UnsupportedMediaType, or what the parser raises."""
        if not hasattr(self, "_json"):
            _check_charset(self.headers.get("content-type", ""))
            self._json = read_json(await self.body())
        return self._json


def read_json(body: bytes) -> Any:
    """What a body holds; raises Invalid, by their pointers, for names that are given twice in one object."""
    fields = 0

    def count(made: dict[str, Any]) -> dict[str, Any]:
        nonlocal fields
        fields += len(made)
        return made

    found = json.loads(body, object_hook=count)
    if _count_names(body) != fields:
        errors = list(islice(_twice_in(json.loads(body, object_pairs_hook=_pairs)), _MOST_TOLD))
        if errors:
            raise Invalid(describe(errors), errors=errors)
    return found


def _count_names(body: bytes) -> int:
    """So many names are in the text at the most: a quotation mark and a colon stand in a text as well.

    Unless it is UTF-16 or UTF-32, which the parser reads, and whose bytes say nothing: the answer is -1 then.
    """
    return body.translate(None, _BLANKS).count(b'":') if json.detect_encoding(body).startswith("utf-8") else -1


class _Spoilt(dict[str, Any]):
    """An object, some of whose names were given more than once."""

    twice: tuple[str, ...]


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) == len(pairs):
        return made
    spoilt = _Spoilt(made)
    spoilt.twice = tuple(name for name, times in Counter(name for name, _ in pairs).items() if times > 1)
    return spoilt


def _twice_in(body: Any) -> Iterator[FieldError]:
    """What is to be said of names that were given twice, in the order of the body."""
    waiting: list[tuple[str, Any]] = [("", body)]
    while waiting:
        pointer, node = waiting.pop()
        if isinstance(node, _Spoilt):
            yield from (FieldError(step(pointer, name), _TWICE) for name in node.twice)
        if isinstance(node, dict):
            waiting += reversed([(step(pointer, name), each) for name, each in node.items()])
        elif isinstance(node, list):
            waiting += reversed([(step(pointer, place), each) for place, each in enumerate(node)])


def step(pointer: str, name: str | int) -> str:
    """The pointer of what is behind a name; half a character in it as JSON writes it, for nothing else can."""
    shown = str(name).encode(errors="backslashreplace").decode()
    return f"{pointer}/{shown.replace('~', '~0').replace('/', '~1')}"


def _check_charset(content_type: str) -> None:
    header = Message()
    header["content-type"] = content_type
    charset = header.get_content_charset("")
    if charset and charset not in _UTF_8:
        raise UnsupportedMediaType(
            f"The Content-Type says that the JSON is in `{charset[:_LONGEST_TOLD]}`; send it in UTF-8, and make "
            "`charset` `utf-8` or leave it out."
        )
