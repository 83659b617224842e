"""JSON lines on stderr that may be kept and passed on: no texts, no codes, no secrets, no full numbers.

Of an exception they hold its kind and where it rose, never its message: a driver's message quotes the row.
"""

import json
import logging
import re
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from traceback import walk_tb
from types import TracebackType
from typing import Any, Final

WITHHELD: Final = "[withheld]"
_LONGEST: Final = 500
_FRAMES: Final = 20

# With a plus (or its URL form) it is a number; without one, whatever long run of digits stands alone may be.
_NUMBER: Final = re.compile(r"(?:\+|%2[Bb])\d{7,15}|(?<![\w.-])\d{9,15}(?![\w-]|\.\d)")
_SECRET: Final = frozenset(
    {
        "authorization",
        "body",
        "code",
        "content",
        "credentials",
        "exchange",
        "key",
        "otp",
        "password",
        "payload",
        "raw",
        "secret",
        "secrets",
        "text",
        "texts",
        "token",
        "url",
        "variables",
    }
)
_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}
_ROOT: Final = Path(__file__).parents[1]


def configure(process: str, *, level: int = logging.INFO) -> None:
    """Send everything that is logged in this process to stderr, as JSON lines."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines(process))
    logging.basicConfig(handlers=[handler], level=level, force=True)
    logging.captureWarnings(capture=True)
    for chatty in ("arq", "asyncio", "httpx", "httpcore"):
        logging.getLogger(chatty).setLevel(max(level, logging.WARNING))
    sys.excepthook = _log_the_end


def mask(text: str) -> str:
    """The same words with every telephone number cut down to its country and its end."""
    return _NUMBER.sub(lambda number: _masked(number[0]), text)


class JsonLines(logging.Formatter):
    """One line per record; what was given as `extra` becomes its fields."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "process": self._process,
            "logger": record.name,
            "event": _tidy(record.getMessage()),
        }
        for name, value in vars(record).items():
            if name not in _STANDARD:
                line[name] = WITHHELD if name.lower() in _SECRET else _clean(value)
        if record.exc_info and record.exc_info[1] is not None:
            line["error"] = describe(record.exc_info[1])
        return json.dumps(line, ensure_ascii=False, separators=(",", ":"), default=str)


def describe(error: BaseException) -> dict[str, Any]:
    """The kinds of an exception and of its causes, and where it rose; nothing of what it says."""
    kinds: list[str] = []
    cause = error
    while len(kinds) < 5:
        state = getattr(cause, "sqlstate", None)
        kinds.append(type(cause).__qualname__ + (f" {state}" if state else ""))
        following = cause.__cause__ or cause.__context__
        if following is None:
            break
        cause = following
    return {"kinds": kinds, "where": _frames(error.__traceback__)}


def _frames(traceback: TracebackType | None) -> list[str]:
    frames = [f"{_short(frame.f_code.co_filename)}:{line} {frame.f_code.co_name}" for frame, line in walk_tb(traceback)]
    return frames[-_FRAMES:]


def _short(name: str) -> str:
    path = Path(name)
    if path.is_relative_to(_ROOT) and "site-packages" not in path.parts:
        return str(path.relative_to(_ROOT))
    return "/".join(path.parts[-3:])


def _clean(value: object) -> Any:
    if isinstance(value, Mapping):
        return {str(name): WITHHELD if str(name).lower() in _SECRET else _clean(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_clean(inner) for inner in value]
    if isinstance(value, bool | int | float) or value is None:
        return value
    if isinstance(value, bytes):
        return WITHHELD
    return _tidy(str(value))


def _tidy(text: str) -> str:
    short = text if len(text) <= _LONGEST else text[:_LONGEST] + "…"
    return mask(short)


def _masked(number: str) -> str:
    number = re.sub("^%2[Bb]", "+", number)
    return f"{number[:5]}*****{number[-2:]}"


def _log_the_end(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        return
    logging.getLogger("lapwing").critical("process ends", exc_info=(kind, error, traceback))
