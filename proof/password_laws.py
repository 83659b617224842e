"""The laws of passwords: what clients were told and typed, against Postgres and what the handsets received.

Pure, like `judge.py`, and as little inclined to believe the service: the codes are read in the gateways' ledgers.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from deploy.simulator.ledger import ACCEPTED, REFUSED, Entry

MOST_SUBMISSIONS: Final = 2
# A stop that is committed while a claim is under way is seen by the next one.
ALLOWED_SECONDS: Final = 2.0
# What a gateway refuses aloud is no submission; what it refuses in silence may have arrived, as far as we can know.
_ALOUD: Final = frozenset({"fault:throttle", "fault:reject"})
_CODE: Final = re.compile(r"(?<!\d)\d{6}(?!\d)")


@dataclass(slots=True)
class Visit:
    """One challenge as its client saw it: what was answered, and what was not."""

    id: str
    msisdn: str
    sends: int = 0  # answered with `sent: true`
    reloaded: set[str] = field(default_factory=set)  # what the page got when it was loaded again
    guesses: int = 0  # wrong codes that were answered with no
    verified: int = 0  # answers of yes
    doubtful: int = 0  # right codes whose answer was lost
    denied: int = 0  # right codes that were answered with no
    ended_at: float | None = None  # by a yes or a cancellation that was answered; Unix seconds
    cancelled: bool = False


@dataclass(frozen=True, slots=True)
class Challenge:
    """The same as Postgres has it."""

    attempts: int
    max_attempts: int
    expires_at: float


def code_in(entry: Entry) -> str | None:
    """The code that a handset shows."""
    found = _CODE.search(entry.body or "")
    return found.group() if found else None


def _is_submission(entry: Entry) -> bool:
    is_silent = entry.kind == REFUSED and (entry.reason or "").startswith("fault:") and entry.reason not in _ALOUD
    return entry.kind == ACCEPTED or is_silent


def judge_passwords(
    visits: Sequence[Visit],
    challenges: Mapping[str, Challenge],
    carried: Mapping[str, str],
    ledger: Iterable[Entry],
    *,
    late: Collection[tuple[str, str]] = (),
) -> dict[str, list[str]]:
    """What breaks each law, by challenge. `carried` says whose code a message has.

    `late` are the hand-overs (message, attempt) that were under way in a process that slept: they may leave late.
    """
    everything = list(ledger)
    entries = [entry for entry in everything if entry.kind == ACCEPTED and entry.m in carried]
    submitted = Counter(entry.m for entry in everything if _is_submission(entry))
    arrived: defaultdict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        arrived[carried[entry.m or ""]].append(entry)
    messages: defaultdict[str, list[str]] = defaultdict(list)
    for message, challenge in carried.items():
        messages[challenge].append(message)
    known = {visit.id for visit in visits}
    return {
        "acknowledged, and without a message": [v.id for v in visits if len(messages[v.id]) < v.sends],
        "messages that nobody asked for": [v.id for v in visits if len(messages[v.id]) > v.sends],
        "challenges that nobody was told of": sorted(challenges.keys() - known),
        "other passwords for a page loaded again": [v.id for v in visits if v.reloaded - {v.id}],
        "submitted more than twice": [m for m in carried if submitted[m] > MOST_SUBMISSIONS],
        "several codes": [v.id for v in visits if len({code_in(e) for e in arrived[v.id]}) > 1],
        "sent without a code": [v.id for v in visits if any(code_in(e) is None for e in arrived[v.id])],
        "sent after their end": [
            v.id for v in visits if _is_late(v, challenges.get(v.id), arrived[v.id], frozenset(late))
        ],
        **_of_codes(visits, challenges),
    }


def _of_codes(visits: Sequence[Visit], challenges: Mapping[str, Challenge]) -> dict[str, list[str]]:
    """What concerns the codes that were typed."""
    known = [(visit, challenges[visit.id]) for visit in visits if visit.id in challenges]
    return {
        "vanished": [v.id for v in visits if v.id not in challenges],
        "right twice": [v.id for v in visits if v.verified > 1],
        "right, and answered with no": [v.id for v, c in known if _is_denied(v, c)],
        "right after too many guesses": [v.id for v, c in known if v.verified and v.guesses >= c.max_attempts],
        "right though cancelled": [v.id for v in visits if v.verified and v.cancelled],
        "guesses that were forgotten": [v.id for v, c in known if c.attempts < v.guesses + v.verified + v.denied],
    }


def _is_denied(visit: Visit, challenge: Challenge) -> bool:
    """Whether the delivered code should have been right. One whose answer was lost may have been used already."""
    may = not (visit.cancelled or visit.doubtful or visit.verified) and visit.guesses < challenge.max_attempts
    return bool(visit.denied) and may


def _is_late(
    visit: Visit, challenge: Challenge | None, entries: Sequence[Entry], late: Collection[tuple[str, str]]
) -> bool:
    never = float("inf")
    ended_at = never if visit.ended_at is None else visit.ended_at
    over = min(ended_at, never if challenge is None else challenge.expires_at) + ALLOWED_SECONDS
    return any(entry.time > over and (entry.m or "", entry.a or "") not in late for entry in entries)
