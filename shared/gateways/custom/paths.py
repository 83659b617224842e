"""Ways into a JSON document, as owners write them: `messages[0].message-id`, `[0].id`, `data["odd.key"]`."""

import json
import re
from functools import lru_cache
from math import isfinite
from typing import Any, Final

from shared.bodies import text_of

Path = tuple[str | int, ...]


class BadPath(ValueError):
    """No way into a document; says what is wrong with it."""


class _Missing:
    """Nothing is there; null would be something."""


MISSING: Final = _Missing()

LONGEST: Final = 200
_STEP = re.compile(r"""\.?([^.\[\]"']+)|\[([0-9]{1,4})\]|\[(?:"([^"]*)"|'([^']*)')\]""")


@lru_cache(maxsize=1024)
def parse(text: str) -> Path:
    """The steps of a way; a leading `$` is the document itself, as in JSONPath."""
    if len(text) > LONGEST:
        raise BadPath(f"must have at most {LONGEST} characters")
    rest = text.strip()
    from_root, rest = rest.startswith("$"), rest.removeprefix("$")
    steps: list[str | int] = []
    at = 0
    while at < len(rest):
        found = _STEP.match(rest, at)
        dotted = rest[at] == "."
        if found is None or (found[1] is not None and dotted != bool(steps or from_root)):
            raise BadPath('must be a path such as messages[0].id, or ["odd.key"] for names with dots')
        steps.append(int(found[2]) if found[2] else next(name for name in found.groups() if name is not None))
        at = found.end()
    return tuple(steps)


def find(document: Any, path: Path) -> Any:
    """What is there, or MISSING."""
    for step in path:
        if isinstance(step, str):
            document = document.get(step, MISSING) if isinstance(document, dict) else MISSING
        else:
            document = document[step] if isinstance(document, list) and step < len(document) else MISSING
    return document


def read_json(body: bytes, content_type: str = "") -> Any:
    """The document a body holds, whatever its root; MISSING if it holds none."""
    try:
        return json.loads(body)
    except UnicodeDecodeError:  # what is no UTF-8 may be what it is called
        return _read_text(text_of(body, content_type))
    except (ValueError, RecursionError):
        return MISSING


def _read_text(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return MISSING


def as_text(value: Any) -> str | None:
    """A scalar as JSON writes it, a text without its quotes; None for everything else."""
    if isinstance(value, str):
        return value
    if value is None or isinstance(value, bool | int | float):
        return json.dumps(value)
    return None


def as_id(value: Any) -> str | None:
    """A text or a number as an id; None for what names nothing, such as true, null or a number without an end."""
    if isinstance(value, bool) or value is None or (isinstance(value, float) and not isfinite(value)):
        return None
    return as_text(value)
