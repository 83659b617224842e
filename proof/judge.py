"""The judge: compares what was acknowledged, what Postgres says, and what the gateway's ledger swears to.

Pure: three lists in, a verdict out. It believes the gateway's ledger about what arrived, the client about what was
promised, and nobody about anything else. The words are defined in README.md.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from deploy.simulator.ledger import ACCEPTED, REFUSED, REPEATED, Entry
from proof.promises import Key

# Spelled out here on purpose: a judge that borrowed the law of the accused would bend with it.
TAKEN: Final = frozenset({"submitted", "sent", "delivered", "undelivered"})
IN_DOUBT: Final = "unconfirmed"
NOT_SENT: Final = frozenset({"failed", "cancelled", "expired", "skipped"})
EXPLAINED: Final = NOT_SENT | {IN_DOUBT}

# Which messages may end in a status that is not sending them, for a scenario stops, forbids or refuses some
Endings = Mapping[str, Collection[Key]]
NONE_NAMED: Final[Endings] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Row:
    """A message as Postgres has it. `step` is its campaign message, empty for a single one."""

    id: str
    step: str
    msisdn: str
    status: str
    attempt: int = 1

    @property
    def key(self) -> Key:
        return (self.step, self.msisdn) if self.step else ("", self.id)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the three ledgers come to. Everything in `laws` has to be empty."""

    promised: int
    arrived: int
    lost: tuple[Key, ...]  # acknowledged, not at the gateway, and no status that says so
    duplicated: tuple[Key, ...]  # taken by the gateway more often than the class allows
    unaccounted: tuple[str, ...]  # at the gateway, but Postgres says neither so nor that it may be
    phantom: tuple[Key, ...]  # Postgres says that the gateway took it, and it did not
    unpromised: tuple[Key, ...]  # rows nobody asked for, or asked for once and made twice
    unfounded: tuple[Key, ...]  # not sent, says Postgres, and nobody gave cause for that
    doubted: tuple[Key, ...]  # unconfirmed, but the gateway has it: a receipt settles these
    never_arrived: tuple[Key, ...]  # unconfirmed, and the gateway never took it: stated, not hidden
    never_asked: Mapping[str, Key]  # of these, by id, what the gateway did not even refuse: a kill took it unsent
    repeated: int = 0  # requests that a gateway knew by their id: it took nothing, and no phone rang
    statuses: Mapping[str, int] = field(default_factory=dict)

    @property
    def laws(self) -> dict[str, int]:
        return {
            "lost": len(self.lost),
            "duplicated": len(self.duplicated),
            "unaccounted": len(self.unaccounted),
            "phantom": len(self.phantom),
            "unpromised": len(self.unpromised),
            "unfounded": len(self.unfounded),
        }

    def broken(self, *, doubted: int = 0, held: Collection[str] = (), in_flight: int = 0) -> list[str]:
        """A sentence for each law that does not hold; so many may stay in doubt.

        `held` are the ids that the dead had in hand at the kills: nothing else may be in doubt and never asked for.
        `in_flight` is how many more there may have been where nobody could look.
        """
        found = [f"{count} {law}, such as {getattr(self, law)[0]}" for law, count in self.laws.items() if count]
        if len(self.doubted) > doubted:
            found.append(
                f"{len(self.doubted)} unconfirmed after all receipts (at most {doubted}), such as {self.doubted[0]}"
            )
        dropped = [key for id_, key in self.never_asked.items() if id_ not in held]
        if len(dropped) > in_flight:
            found.append(
                f"{len(dropped)} unconfirmed that the gateway was never asked for, and that none of the dead held "
                f"(at most {in_flight}), such as {dropped[0]}"
            )
        return found


def judge(
    promised: Collection[Key],
    rows: Sequence[Row],
    ledger: Iterable[Entry],
    *,
    allowed: int = 1,
    rings: int | None = None,
    endings: Endings = NONE_NAMED,
) -> Verdict:
    """`allowed` is how often a gateway may take one message: once, and twice for passwords.

    `rings` is how often the same words may come to one number: as often, unless a client has them sent again.
    """
    everything = list(ledger)
    entries = [entry for entry in everything if entry.kind == ACCEPTED]
    refused = {entry.m for entry in everything if entry.kind == REFUSED}
    by_id = {row.id: row for row in rows}
    arrivals = Counter(entry.m for entry in entries if entry.m is not None and entry.m in by_id)
    by_key: defaultdict[Key, list[Row]] = defaultdict(list)
    for row in rows:
        by_key[row.key].append(row)
    taken = {key: sum(arrivals[row.id] for row in found) for key, found in by_key.items()}
    wanted = set(promised)
    return Verdict(
        promised=len(wanted),
        arrived=sum(1 for key in wanted if taken.get(key)),
        lost=tuple(sorted(key for key in wanted if not taken.get(key) and not _is_explained(by_key.get(key, ())))),
        duplicated=_duplicated(taken, entries, by_id, most=(allowed, rings or allowed)),
        unaccounted=_unaccounted(everything, by_id, arrivals),
        phantom=tuple(sorted(row.key for row in rows if row.status in TAKEN and not arrivals[row.id])),
        unpromised=tuple(sorted(key for key, found in by_key.items() if key not in wanted or len(found) > 1)),
        unfounded=tuple(
            sorted(row.key for row in rows if row.status in NOT_SENT and row.key not in endings.get(row.status, ()))
        ),
        doubted=tuple(sorted(row.key for row in rows if row.status == IN_DOUBT and arrivals[row.id])),
        never_arrived=tuple(sorted(row.key for row in rows if row.status == IN_DOUBT and not arrivals[row.id])),
        never_asked={
            row.id: row.key
            for row in sorted(rows, key=lambda row: row.key)
            if row.status == IN_DOUBT and not arrivals[row.id] and row.id not in refused
        },
        repeated=sum(entry.kind == REPEATED for entry in everything),
        statuses=dict(Counter(row.status for row in rows)),
    )


def _is_explained(rows: Sequence[Row]) -> bool:
    return bool(rows) and all(row.status in EXPLAINED for row in rows)


def _duplicated(
    taken: Mapping[Key, int], entries: Sequence[Entry], by_id: Mapping[str, Row], *, most: tuple[int, int]
) -> tuple[Key, ...]:
    """By our ids, and by what a handset saw: the same words at the same number, whatever ids they came with."""
    allowed, rings = most
    twice = {key for key, count in taken.items() if count > allowed}
    rung = Counter((entry.to or "", entry.body_sha256 or "") for entry in entries)
    for entry in entries:
        ring = (entry.to or "", entry.body_sha256 or "")
        if rung[ring] > rings:
            row = by_id.get(entry.m or "")
            twice.add(row.key if row else ring)
    return tuple(sorted(twice))


def _unaccounted(entries: Sequence[Entry], by_id: Mapping[str, Row], arrivals: Mapping[str, int]) -> tuple[str, ...]:
    heard = [entry for entry in entries if entry.kind in {ACCEPTED, REPEATED}]
    strangers = [f"{entry.m} at {entry.to}" for entry in heard if entry.m not in by_id]
    # An id that is known before anything came under it belongs to another message.
    strangers += [
        f"{entry.m}, never taken, known at {entry.to}"
        for entry in heard
        if entry.kind == REPEATED and entry.m in by_id and not arrivals.get(entry.m or "")
    ]
    known = TAKEN | {IN_DOUBT}
    denied = [row.id for row in by_id.values() if arrivals.get(row.id) and row.status not in known]
    return tuple(sorted(strangers) + sorted(denied))


@dataclass(frozen=True, slots=True)
class Sum:
    """A campaign's arithmetic: what the report says, what a recount of the rows says, what the tallies say."""

    expected: int  # recipients times messages
    reported: Mapping[str, int]
    recounted: Mapping[str, int]
    tallied: Mapping[str, int]

    def broken(self) -> list[str]:
        reported, recounted, tallied = (_of(c) for c in (self.reported, self.recounted, self.tallied))
        found = []
        if sum(reported.values()) != self.expected:
            found.append(f"the report adds up to {sum(reported.values())}, not to {self.expected}: {reported}")
        if tallied != recounted:
            found.append(f"the tallies say {tallied}, a recount says {recounted}")
        if reported != recounted:
            found.append(f"the report says {reported}, a recount says {recounted}")
        return found


def _of(counts: Mapping[str, int]) -> dict[str, int]:
    return {status: count for status, count in sorted(counts.items()) if count}
