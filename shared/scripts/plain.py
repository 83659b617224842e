"""What a child's answer is worth: plain data or a failure. The child is not believed: it may run another's code."""

import json
from typing import Any, NoReturn

from shared.children.frames import Frame
from shared.children.parent import ChildDied
from shared.scripts.explained import explain
from shared.scripts.failures import Reason, ScriptFailed
from shared.scripts.words import DEEPEST, FAILED, VALUE


def value_of(frame: Frame, script: str) -> Any:
    """A string, a list, an object or None, of JSON's types only; raises ScriptFailed, or ChildDied for broken words."""
    kind, payload = frame
    if kind == FAILED:
        raise _failure(payload, script)
    if kind != VALUE or b"\\ud" in payload.lower():  # our encoder writes no surrogates, and half a pair is no text
        raise ChildDied
    try:
        value = json.loads(payload, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise ChildDied from error
    if not isinstance(value, str | list | dict | None) or not _is_shallow(value, DEEPEST):
        raise ChildDied
    return value


def _failure(payload: bytes, script: str) -> ScriptFailed:
    slug, _, message = payload.decode("utf-8", "replace").partition("\n")
    try:
        reason = Reason(slug)
    except ValueError as error:
        raise ChildDied from error
    detail, line = explain(reason, message, script)
    return ScriptFailed(reason, detail, line=line)


def _is_shallow(value: Any, most: int) -> bool:
    if not isinstance(value, list | dict):
        return True
    inner = value.values() if isinstance(value, dict) else value
    return most > 0 and all(_is_shallow(one, most - 1) for one in inner)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)
