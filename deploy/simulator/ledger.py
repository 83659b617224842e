"""The append-only ledger: what the gateway accepted, as evidence that outlives it.

Lines reach the file (the kernel's page cache) before the answer leaves, so `kill -9` loses no
acceptance that anybody was told of. `read_ledger` is for the judges.
"""

import hashlib
import json
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from json.encoder import encode_basestring_ascii as quoted
from pathlib import Path
from typing import Any

ACCEPTED = "accepted"
REFUSED = "refused"
REPEATED = "repeated"  # known by its id, and not taken once more: no phone rings for it
CALLBACK = "callback"
INBOUND = "inbound"
MEDIA = "media"
STARTED = "started"
STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Entry:
    """One line. Which fields are set depends on `kind`."""

    kind: str
    time: float
    sid: str | None = None
    to: str | None = None
    sender: str | None = None
    body_sha256: str | None = None
    body: str | None = None
    m: str | None = None
    a: str | None = None
    dialect: str | None = None
    fault: str | None = None
    status: str | None = None
    result: str | None = None
    reason: str | None = None
    media: list[str] | None = None
    url: str | None = None

    @property
    def at(self) -> datetime:
        return datetime.fromtimestamp(self.time, UTC)


class UnreadableLedger(ValueError):
    """A line in the middle of the ledger is no entry, and no kill explains it."""


class Ledger:
    """The writing end. `add` collects, `flush` writes: one write for a loop iteration."""

    def __init__(
        self, path: Path, *, bodies: bool, only_accepted: bool, soon: Callable[[Callable[[], None]], object]
    ) -> None:
        """`soon` runs a function later in the loop: lines nobody waits for are flushed then."""
        self.path = path
        self._soon = soon
        self._bodies = bodies
        self._only_accepted = only_accepted
        self._lines: list[str] = []
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        self._close_torn_line()

    def accepted(
        self,
        names: tuple[str, str, str, str | None, str | None],
        *,
        at: float,
        text: str,
        dialect: str,
        fault: str | None,
        media: tuple[str, ...] = (),
    ) -> None:
        """`names` are (sid, to, from, m, a). The caller flushes before it answers."""
        sid, to, sender, m, a = names
        digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
        body = f',"body":{quoted(text)}' if self._bodies else ""
        if media:
            body += f',"media":{json.dumps(media)}'
        self._add(
            f'{{"kind":"accepted","time":{at:.6f},"sid":{quoted(sid)},"to":{quoted(to)},'
            f'"from":{quoted(sender)},"body_sha256":"{digest}"{body},"m":{_json(m)},'
            f'"a":{_json(a)},"dialect":"{dialect}","fault":{_json(fault)}}}\n'
        )

    def callback(self, names: tuple[str, str | None, str | None], *, at: float, status: str, told: str) -> None:
        """One receipt that was told: the line for it is written as often as the one above."""
        if not self._only_accepted:
            sid, m, a = names
            self._add(
                f'{{"kind":"callback","time":{at:.6f},"sid":{quoted(sid)},"status":"{status}",'
                f'"result":"{told}","reason":null,"m":{_json(m)},"a":{_json(a)}}}\n'
            )

    def note(self, kind: str, *, at: float, **fields: str | int | None) -> None:
        """Any other kind of line; dropped when only acceptances are wanted."""
        if self._only_accepted and kind not in {STARTED, STOPPED}:
            return
        line = {"kind": kind, "time": round(at, 6)} | fields
        self._add(json.dumps(line, separators=(",", ":")) + "\n")

    def _add(self, line: str) -> None:
        if not self._lines:
            self._soon(self.flush)
        self._lines.append(line)

    def flush(self) -> None:
        """Write every line. A ledger that cannot be written is no evidence: end at once."""
        if not self._lines:
            return
        data = "".join(self._lines).encode("ascii")
        self._lines.clear()
        try:
            while data:
                data = data[os.write(self._file, data) :]
        except OSError as error:
            sys.stderr.write(f"the ledger {self.path} cannot be written: {error}\n")
            sys.stderr.flush()
            os._exit(os.EX_IOERR)

    def close(self) -> None:
        self.flush()
        os.close(self._file)

    def _close_torn_line(self) -> None:
        size = os.fstat(self._file).st_size
        if size and os.pread(self._file, 1, size - 1) != b"\n":
            os.write(self._file, b"\n")


def read_ledger(path: Path | str) -> list[Entry]:
    """Every entry, oldest first. A line torn by a kill is left out: nobody was told of it."""
    entries: list[Entry] = []
    torn: int | None = None
    with Path(path).open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            entry = _entry(line)
            if torn is not None and (entry is None or entry.kind != STARTED):
                raise UnreadableLedger(f"{path}, line {torn} is not an entry of the ledger")
            torn = number if entry is None else None
            if entry is not None:
                entries.append(entry)
    return entries


def accepted(entries: Iterable[Entry]) -> list[Entry]:
    """The entries that would have made a phone ring."""
    return [entry for entry in entries if entry.kind == ACCEPTED]


def duplicates(entries: Iterable[Entry]) -> dict[str, int]:
    """How often each sender's id (`m`) was accepted, for those accepted more than once."""
    counts = Counter(entry.m for entry in accepted(entries) if entry.m is not None)
    return {m: count for m, count in counts.items() if count > 1}


def _json(value: str | None) -> str:
    return "null" if value is None else quoted(value)


def _entry(line: bytes) -> Entry | None:
    try:
        fields: Any = json.loads(line)
    except ValueError:
        return None
    if not line.endswith(b"\n") or not isinstance(fields, dict) or "kind" not in fields:
        return None
    known: dict[str, Any] = {name: fields.get(name) for name in Entry.__dataclass_fields__}
    known["sender"] = fields.get("from")
    return Entry(**known)
