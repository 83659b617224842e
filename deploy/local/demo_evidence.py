"""Holds the service's word against the simulator's own ledger. Pure: rows and entries in, sentences out."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from deploy.simulator.ledger import ACCEPTED, Entry

# What the service says about a message that the gateway took, and about one that the gateway may have taken.
TAKEN: Final = frozenset({"submitted", "sent", "delivered", "undelivered"})
IN_DOUBT: Final = "unconfirmed"


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the comparison came to. `accepted` is what the gateway took of this campaign."""

    accepted: int
    lost: int  # said to be taken, and the gateway never had it
    duplicated: int  # taken more than once
    denied: int  # taken, and the service says that it was not sent
    broken: Sequence[str]


def compare(report: Mapping[str, Any], rows: Iterable[Mapping[str, Any]], ledger: Iterable[Entry]) -> Evidence:
    """`rows` are the campaign's messages as the api lists them; `ledger` is all that the simulator wrote."""
    statuses = {row["id"]: row["status"] for row in rows}
    entries = [entry for entry in ledger if entry.kind == ACCEPTED]
    by_id = Counter(entry.m for entry in entries)
    rung = Counter((entry.to, entry.body_sha256) for entry in entries)
    taken = {id_ for id_, status in statuses.items() if status in TAKEN}
    lost = sum(1 for id_ in taken if not by_id[id_])
    duplicated = max(sum(1 for times in counts.values() if times > 1) for counts in (by_id, rung))
    denied = sum(1 for id_ in by_id if statuses.get(id_ or "") not in TAKEN | {IN_DOUBT})
    listed = Counter(statuses.values())
    expected = report["recipients"] * len(report["messages"])
    added = sum(report["counts"].values())
    broken = [
        (lost, f"{lost} messages are said to be taken, but the gateway never had them."),
        (duplicated, f"{duplicated} messages reached the gateway more than once."),
        (denied, f"{denied} messages reached the gateway, but the service says that they were not sent."),
        (added != expected, f"The report's counts add up to {added:,}, not to {expected:,}."),
        (
            any(listed[status] != count for status, count in report["counts"].items()),
            f"The report says {_told(report['counts'])}, and the list of messages {_told(listed)}.",
        ),
    ]
    return Evidence(
        accepted=len(entries),
        lost=lost,
        duplicated=duplicated,
        denied=denied,
        broken=[sentence for wrong, sentence in broken if wrong],
    )


def _told(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {status}" for status, count in sorted(counts.items()) if count)
