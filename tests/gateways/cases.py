"""The rows of a gateway's table: what is said, and what must come of it. Data only.

The runner is test_adapters.py.

A table is a module `tests/gateways/<kind>.py` with ACCOUNT, BATCH and the lists SETTINGS, SENDS,
READS, RECEIVES, INBOUNDS and STRANGERS; BALANCES where the gateway is metered, LOOKUPS where it can
be searched, LOGINS where it may want a login first.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from shared.adapter import (
    Account,
    Answer,
    Balance,
    Call,
    Callback,
    Inbound,
    Login,
    LookedUp,
    Receipt,
    Sms,
    UnreadableAnswer,
    UnreadableCallback,
    Wanted,
)
from shared.domain.outcome import Outcome


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings are stored as `stored`, or refused with an error at each of `pointers`."""

    label: str
    given: Mapping[str, Any]
    stored: Mapping[str, Any] | None = None
    secrets: Mapping[str, str] = field(default_factory=dict)
    pointers: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Sends:
    """A batch becomes this call; the table's ACCOUNT unless another is given."""

    label: str
    batch: Sequence[Sms]
    call: Call
    account: Account | None = None


@dataclass(frozen=True, slots=True)
class Reads:
    """An answer to `batch` (the table's BATCH unless given) means these outcomes, in its order."""

    label: str
    answer: Answer
    outcomes: Sequence[Outcome]
    batch: Sequence[Sms] | None = None
    account: Account | None = None


@dataclass(frozen=True, slots=True)
class Receives:
    """A status callback is read as these receipts, or refused."""

    label: str
    callback: Callback
    receipts: Sequence[Receipt] | type[UnreadableCallback]
    account: Account | None = None


@dataclass(frozen=True, slots=True)
class Inbounds:
    """An inbound callback is read as these messages, or refused."""

    label: str
    callback: Callback
    inbounds: Sequence[Inbound] | type[UnreadableCallback]
    account: Account | None = None


@dataclass(frozen=True, slots=True)
class Balances:
    """An answer is this balance; None says it cannot be read."""

    label: str
    answer: Answer
    balance: Balance | None
    account: Account | None = None


@dataclass(frozen=True, slots=True)
class Logins:
    """An answer to a login is this one, or is refused."""

    label: str
    answer: Answer
    login: Login | type[UnreadableAnswer]


@dataclass(frozen=True, slots=True)
class Lookups:
    """An answer to a look-up brings these candidates; None says it cannot be read."""

    label: str
    wanted: Wanted
    answer: Answer
    found: LookedUp | None


@dataclass(frozen=True, slots=True)
class Stranger:
    """A request that neither read_callback nor read_inbound may take for the gateway's."""

    label: str
    callback: Callback
