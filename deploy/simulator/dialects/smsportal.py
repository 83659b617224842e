"""SMSPortal's REST API, as its users see it: batches, counts instead of ids, webhooks set up in its portal.

https://docs.smsportal.com/reference
"""

import json
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import lru_cache, partial
from secrets import randbits
from typing import Any, Final, NamedTuple

from deploy.simulator.contract import Ask, Reply, Request, Submission, World
from deploy.simulator.dialects import smsportal_tokens as tokens
from deploy.simulator.dialects.smsportal_webhooks import inbound, receipt
from deploy.simulator.dialects.twilio_words import segments
from deploy.simulator.messages import Message, Send

__all__ = ["NAME", "PREFIX", "accepted", "inbound", "new_sid", "read", "receipt", "refused"]

NAME = "smsportal"
PREFIX = b"smsportal"

LARGEST_BATCH: Final = 100
_LONGEST_TEXT: Final = 1600
_COUNTERS: Final = ("noNetwork", "noContents", "contentToLong", "duplicates", "optedOuts")
_MSISDN = re.compile(r"[1-9]\d{6,14}")
# Numbers that provoke what nobody else does: one fault by name, and two counters that name nobody.
_MAGIC: Final[Mapping[str, str]] = {
    "15005550001": "InvalidDestination",
    "15005550002": "noNetwork",
    "15005550004": "optedOuts",
}
_CODE_OF_STATUS: Final[Mapping[int, str]] = {
    400: "InvalidParameter.Format",
    401: "AuthenticationToken.Expired",
    403: "InsufficientCredits",
    404: "EntityNotFound",
}


class _Fault(NamedTuple):
    send: Send
    raw: str
    reason: str


class _Wrong(Exception):
    """The request is refused as a whole; its text is the code."""


def new_sid(run: str, number: int) -> str:
    """A number, as line items have: below 2^63."""
    return f"{int(run[:8], 16)}{number:09d}"


def read(world: World, request: Request, *, now: float) -> Submission | Ask:
    version, page = _page(request.path)
    known = b"Basic" if page == b"authentication" else None
    code = tokens.fault_of(world, request.headers.get(b"authorization", b""), now=now, only=known)
    if code is not None:
        return Ask("auth", _error(401, code, listed=False))
    match page, request.method:
        case b"authentication", b"GET" | b"POST":
            return Ask("login", Reply(200, json.dumps(tokens.new(world, now=now)).encode()))
        case b"balance", b"GET":
            return Ask("balance", Reply(200, json.dumps({"balance": _left(world)}).encode()))
        case b"bulkmessages", b"POST":
            try:
                return _read_batch(world, _folded(_json(request.body)), version=version)
            except _Wrong as wrong:
                return Ask("send", _error(403 if str(wrong) == "InsufficientCredits" else 400, str(wrong)))
        case _:
            return Ask("any", _error(404, "EntityNotFound"))


def accepted(world: World, messages: Sequence[Message]) -> Reply:
    return _answer((), b"v3", world, messages)


def refused(status: int, code: int | None) -> Reply:
    """The words for a status; the codes are texts here, so a number is none of them."""
    del code
    return _error(status, _CODE_OF_STATUS.get(status, "Service.Unavailable"))


@lru_cache(maxsize=256)
def _page(path: bytes) -> tuple[bytes, bytes]:
    """The version and the page, in whatever case; without a version it is the latest."""
    parts = path.lower().split(b"/")[2:]
    version = parts.pop(0) if parts and parts[0] in {b"v1", b"v2", b"v3"} else b"v3"
    return version, b"/".join(parts)


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        raise _Wrong("InvalidParameter.Format") from None


def _folded(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _Wrong("InvalidParameter.Type")
    return {name.lower(): found for name, found in value.items()}


def _read_batch(world: World, body: Mapping[str, Any], *, version: bytes) -> Submission | Ask:
    options = _folded(body.get("sendoptions") or {})
    listed = body.get("messages")
    if not isinstance(listed, list) or not listed:
        raise _Wrong("RequiredParameter.Missing")
    if len(listed) > LARGEST_BATCH:
        raise _Wrong("InvalidParameter.Format")
    sender = _sender(options)
    event = randbits(52)
    sends: list[Send] = []
    faults: list[_Fault] = []
    for item in listed:
        raw, send = _send(world, _folded(item), sender=sender, event=event)
        reason = _reason(world, send, options)
        if reason is None:
            sends.append(send)
        else:
            faults.append(_Fault(send, raw, reason))
    if options.get("testmode"):
        tested = _report(
            faults, taken=len(sends), parts=sum(send.segments for send in sends), event=0, left=_left(world)
        )
        return Ask("send", Reply(200, _worded(tested, version)))
    if world.dials.prepaid and sum(send.segments for send in sends) > _left(world):
        raise _Wrong("InsufficientCredits")
    turned_away = [(fault.send, f"{NAME}:{fault.reason}") for fault in faults]
    return Submission(sends, turned_away, partial(_answer, faults, version))


def _sender(options: Mapping[str, Any]) -> str:
    sender, validity = options.get("senderid") or "", options.get("validityperiod", 1)
    if not isinstance(sender, str) or isinstance(validity, bool) or not isinstance(validity, int):
        raise _Wrong("InvalidParameter.Type")
    if len(sender) > 11 or validity < 1:
        raise _Wrong("InvalidParameter.Format")
    return sender


def _send(world: World, item: Mapping[str, Any], *, sender: str, event: int) -> tuple[str, Send]:
    """The destination as it was written, and the message; `m` and `a` are what customerId holds."""
    content, raw, own = item.get("content"), item.get("destination"), item.get("customerid") or ""
    if content is None or raw is None:
        raise _Wrong("RequiredParameter.Missing")
    if not isinstance(content, str) or not isinstance(raw, str) or not isinstance(own, str):
        raise _Wrong("InvalidParameter.Type")
    if len(own) > 100:
        raise _Wrong("InvalidParameter.Format")
    m, _, a = own.partition(".")
    send = Send(
        to="+" + raw.strip().removeprefix("+"),
        sender=sender,
        text=content,
        callback_url=world.dials.status_url,
        m=m or None,
        a=a or None,
        batch=event,
        segments=int(segments(content)),
    )
    return raw, send


def _reason(world: World, send: Send, options: Mapping[str, Any]) -> str | None:
    """Why one message of a batch is turned away: a fault's status, or a counter's name."""
    number = send.to[1:]
    if not _MSISDN.fullmatch(number):
        return "InvalidDestination"
    if world.dials.magic_numbers and number in _MAGIC:
        return _MAGIC[number]
    if not send.text:
        return "noContents"
    if len(send.text) > _LONGEST_TEXT:
        return "contentToLong"
    if options.get("checkoptouts") and world.dials.opt_outs and world.archive.wants_nothing(send.to):
        return "optedOuts"
    return None


def _answer(faults: Sequence[_Fault], version: bytes, world: World, messages: Sequence[Message]) -> Reply:
    sends = [message.send for message in messages]
    event = (sends or [fault.send for fault in faults])[0].batch
    parts = sum(send.segments for send in sends)
    report = _report(faults, taken=len(sends), parts=parts, event=event, left=_left(world))
    return Reply(200, _worded(report, version))


def _report(faults: Sequence[_Fault], *, taken: int, parts: int, event: int, left: float) -> dict[str, Any]:
    counted = dict.fromkeys(_COUNTERS, 0)
    named = []
    for fault in faults:
        if fault.reason in counted:
            counted[fault.reason] += 1
            continue
        own = fault.send.m and (f"{fault.send.m}.{fault.send.a}" if fault.send.a else fault.send.m)
        named.append(
            {
                "rawDestination": fault.raw,
                "scrubbedDestination": fault.send.to[1:],
                "customerId": own,
                "errorMessage": "The destination is not valid.",
                "status": fault.reason,
            }
        )
    return {
        "cost": float(parts),
        "remainingBalance": left,
        "eventId": event,
        "sample": "",
        "costBreakdown": [{"quantity": parts, "cost": float(parts), "network": "Simulated"}],
        "messages": taken,
        "parts": parts,
        "errorReport": {**counted, "faults": named},
    }


def _worded(report: dict[str, Any], version: bytes) -> bytes:
    """v1 in Pascal's case, v2 in camel case, v3 wrapped."""
    if version == b"v1":
        return json.dumps(_pascal(report)).encode()
    return json.dumps(
        report if version == b"v2" else {"statusCode": 200, "errors": [], "sendResponse": report}
    ).encode()


def _pascal(value: Any) -> Any:
    if isinstance(value, dict):
        return {name[:1].upper() + name[1:]: _pascal(found) for name, found in value.items()}
    return [_pascal(found) for found in value] if isinstance(value, list) else value


def _left(world: World) -> float:
    """A credit buys a segment."""
    return float(Decimal(world.dials.balance) - world.spent)


def _error(status: int, code: str, *, listed: bool = True) -> Reply:
    said = {"errorCode": code, "errorMessage": f"The request was refused: {code}"}
    body = {"statusCode": status, "errors": [said]} if listed else said
    return Reply(status, json.dumps(body).encode(), refused=f"{NAME}:{code}")
