"""The null gateway: takes everything, sends nothing, and decides by the last digit of a number set aside for fiction.

0-5  taken, and delivered
6    taken, and not delivered: the handset cannot be reached
7    no answer, and no receipt ever: the message stays unconfirmed
8    too busy on the first attempt, taken and delivered on the next
9    refused: no gateway would take it

Any other number is taken and delivered, so that an operator's own list can be tried out. Its calls
leave no process. Whoever performs calls gives those to `sandbox:` to `answer`, and records
`receipts_of` as if a callback had brought them.
"""

import json
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from shared.adapter import (
    Account,
    Answer,
    Call,
    Callback,
    Capabilities,
    Inbound,
    Receipt,
    Reply,
    Sms,
    UnreadableCallback,
)
from shared.bodies import json_object
from shared.domain.fields import Fields, refuse_if_wrong
from shared.domain.message import Status
from shared.domain.numbering import is_fictional
from shared.domain.outcome import Accepted, Fault, Lost, Outcome, Refused

KIND: Final = "sandbox"
CAPABILITIES: Final = Capabilities(
    largest_batch=100, receipts=True, client_reference=True, attachments=True, alphanumeric_senders=True
)
INBOUND_REPLY: Final = Reply("text/plain")
URL: Final = "sandbox:accept"

_TAKEN: Final = "taken"
# What else can be answered for a message. A batch is answered in one body, so a lost answer is a
# word in it.
_OTHERWISE: Final[Mapping[str, Outcome]] = MappingProxyType(
    {
        "lost": Lost(may_have_arrived=True, cause="read_timeout"),
        "busy": Refused(Fault.THROTTLED, "busy", "too busy on the first attempt", 1.0),
        "refused": Refused(Fault.MESSAGE, "refused", "msisdn ends in 9"),
    }
)


def check_settings(settings: Mapping[str, Any], secrets: Mapping[str, str]) -> Mapping[str, Any]:
    fields, hidden = Fields(settings, under="/settings"), Fields(secrets, under="/secrets")
    fields.refuse_others()
    hidden.refuse_others()
    refuse_if_wrong(fields, hidden)
    return {}


def build_send(account: Account, batch: Sequence[Sms]) -> Call:  # noqa: ARG001 - the contract's; there are no settings
    words = {str(sms.id): _word(sms) for sms in batch}
    return Call("NULL", URL, body=json.dumps(words).encode())


def answer(call: Call) -> Answer:
    """What the gateway says to a call of build_send's. No I/O: it repeats what it was told."""
    return Answer(200, {"content-type": "application/json"}, call.body)


def read_send(batch: Sequence[Sms], answer: Answer) -> Sequence[Outcome]:
    words = json_object(answer.body) if answer.status == 200 else None
    return [_outcome(sms, (words or {}).get(str(sms.id))) for sms in batch]


def receipts_of(sms: Sms) -> Sequence[Receipt]:
    """The news that will follow the hand-over of a message."""
    if _word(sms) != _TAKEN:
        return []
    unreachable = sms.msisdn.endswith("6") and is_fictional(sms.msisdn[1:])
    return [
        Receipt(
            status=Status.UNDELIVERED if unreachable else Status.DELIVERED,
            message_id=sms.id,
            attempt=sms.attempt,
            reference=_reference(sms),
            code="unreachable" if unreachable else None,
        )
    ]


def read_callback(account: Account, callback: Callback) -> Sequence[Receipt]:  # noqa: ARG001 - the contract's
    raise UnreadableCallback("The sandbox calls nobody; its receipts are recorded without a request.")


def read_inbound(account: Account, callback: Callback) -> Sequence[Inbound]:  # noqa: ARG001 - the contract's
    raise UnreadableCallback("The sandbox has no handsets; nobody can write to it.")


def _word(sms: Sms) -> str:
    if not is_fictional(sms.msisdn[1:]):
        return _TAKEN
    match sms.msisdn[-1:]:
        case "7":
            return "lost"
        case "8" if sms.attempt <= 1:
            return "busy"
        case "9":
            return "refused"
        case _:
            return _TAKEN


def _outcome(sms: Sms, word: Any) -> Outcome:
    if word == _TAKEN:
        return Accepted(_reference(sms), sms.segments)
    unreadable = Lost(may_have_arrived=True, cause="unreadable_answer")
    return _OTHERWISE.get(word, unreadable) if isinstance(word, str) else unreadable


def _reference(sms: Sms) -> str:
    return f"sandbox-{sms.id}"
