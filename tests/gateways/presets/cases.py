"""One preset's table: what is said with it, and what must be understood by it. Data only; the runner is beside it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

from shared.adapter import Answer, Balance, Call, Callback, Inbound, Receipt, Sms
from shared.domain.message import Status
from shared.domain.outcome import Fault, Outcome, Refused

HELLO = Sms(UUID("0199d4c2-0000-7000-8000-000000000001"), 2, msisdn="+447700900123", text="Hello & 5€?", expires_in=600)
SENT_AT = datetime(2026, 1, 31, 9, 30, tzinfo=UTC)
NUMBER = "1"  # HELLO's id as a number
STATUS_URL = "https://sms.example.com/callbacks/g/t0k/status"
OURS_URL = f"{STATUS_URL}?m={HELLO.id}&a=2"
QUOTED_URL = f"https%3A%2F%2Fsms.example.com%2Fcallbacks%2Fg%2Ft0k%2Fstatus%3Fm%3D{HELLO.id}%26a%3D2"
TEXT = "Hello%20%26%205%E2%82%AC%3F"
FORM = ("Content-Type", "application/x-www-form-urlencoded")
JSON = ("Content-Type", "application/json")


@dataclass(frozen=True, slots=True)
class Case:
    """`over` are the settings that the preset wants; `secrets` get the values `<name>-1`."""

    name: str
    call: Call
    reads: Sequence[tuple[Answer, Outcome]]
    receipts: Sequence[tuple[Callback, Receipt]]
    inbound: tuple[Callback, Inbound]
    over: Mapping[str, str] = field(default_factory=lambda: {"sender_id": "Cafe Ada"})
    balance: tuple[Answer, Balance] | None = None
    balance_url: str = ""


def told(
    status: Status, reference: str | None = "R1", *, ours: str = "", code: str | None = None, stop: bool = False
) -> Receipt:
    """A receipt; `ours` says how it names our message: by `url` with its attempt, or by `id`."""
    return Receipt(
        status,
        message_id=HELLO.id if ours else None,
        attempt=2 if ours == "url" else None,
        reference=reference,
        code=code,
        opted_out=stop,
    )


def no(fault: Fault, code: object, detail: str = "") -> Refused:
    return Refused(fault, str(code), detail)
