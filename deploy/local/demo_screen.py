"""What the demo shows: steps, a bar that is drawn over itself on a terminal and line by line into a pipe, a table."""

import shutil
import textwrap
import time
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Final, TextIO

# What a status means for the bar: settled for good, or with the gateway and not heard of yet.
SETTLED: Final = frozenset({"delivered", "undelivered", "failed", "expired", "skipped", "cancelled"})
UNDER_WAY: Final = frozenset({"sending", "submitted", "sent", "unconfirmed"})

MEANINGS: Final[Mapping[str, str]] = {
    "queued": "waiting",
    "sending": "being handed over",
    "submitted": "the gateway took it",
    "sent": "the carrier took it",
    "delivered": "the handset has it",
    "undelivered": "the carrier gave up",
    "failed": "no gateway would take it",
    "unconfirmed": "the gateway may have it",
    "expired": "too late to be sent",
    "skipped": "not sent on purpose",
    "cancelled": "called back in time",
}
_PIPE_SECONDS: Final = 1.0
_PIPE_COLUMNS: Final = 120
_LABEL: Final = 10
_WIDTH: Final = 96


class Screen:
    """Writes to one stream, and knows whether that is a terminal."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._live = out.isatty()
        self._told_at = 0.0
        self._blocks = ("█", "▒", "░", "·") if _can_show(out, "█▒░·") else ("#", "=", ".", ",")

    def say(self, text: str = "") -> None:
        self._write(f"{text}\n")

    def step(self, label: str, *lines: str) -> None:
        """A step of the story, its lines one below the other."""
        for line in chain.from_iterable(map(_wrapped, lines)):
            self.say(f"{label:<{_LABEL}}{line}")
            label = ""

    def legend(self) -> str:
        """What the bar is made of."""
        settled, under_way, waiting, _ = self._blocks
        return f"{settled} settled  {under_way} with the gateway  {waiting} waiting"

    def progress(self, counts: Mapping[str, int], *, last: bool = False) -> None:
        """Where the campaign is; `last` leaves it standing."""
        if not self._live and not last and time.monotonic() - self._told_at < _PIPE_SECONDS:
            return
        self._told_at = time.monotonic()
        columns = shutil.get_terminal_size().columns if self._live else _PIPE_COLUMNS
        words = f" {self._blocks[-1]} ".join(_words_of(counts))
        line = f"{self._bar(counts, width=max(8, min(40, columns - len(words) - 3)))}  {words}"
        if self._live:
            self._write(f"\r{line[: columns - 1]}\x1b[K" + ("\n" if last else ""))
        else:
            self.say(line)

    def _bar(self, counts: Mapping[str, int], *, width: int) -> str:
        full, half, empty, _ = self._blocks
        whole = sum(counts.values()) or 1
        settled = width * sum(counts.get(status, 0) for status in SETTLED) // whole
        reached = width * sum(counts.get(status, 0) for status in SETTLED | UNDER_WAY) // whole
        return full * settled + half * (reached - settled) + empty * (width - reached)

    def _write(self, text: str) -> None:
        encoding = self._out.encoding or "ascii"
        self._out.write(text.encode(encoding, "replace").decode(encoding))
        self._out.flush()


def table(counts: Mapping[str, int]) -> Sequence[str]:
    """The report's counts, a line for each status that holds something, and their sum."""
    rows = [f"{count:>7,}  {status:<12} {MEANINGS[status]}" for status, count in counts.items() if count]
    return [*rows, f"{sum(counts.values()):>7,}  in all"]


def _wrapped(line: str) -> list[str]:
    """A long line as several, the later ones further in."""
    indent = len(line) - len(line.lstrip())
    return textwrap.wrap(line, _WIDTH, subsequent_indent=" " * (indent + 4), drop_whitespace=True)


def _words_of(counts: Mapping[str, int]) -> Sequence[str]:
    under_way = sum(counts.get(status, 0) for status in UNDER_WAY - {"unconfirmed"})
    said = {
        "waiting": counts.get("queued", 0),
        "on the way": under_way,
        "in doubt": counts.get("unconfirmed", 0),
        "delivered": counts.get("delivered", 0),
    }
    return [f"{count:>5,} {words}" for words, count in said.items()]


def _can_show(out: TextIO, text: str) -> bool:
    try:
        text.encode(out.encoding or "ascii")
    except UnicodeEncodeError:
        return False
    return True
