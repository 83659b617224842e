"""What SMSPortal's answer to a batch means for each of its messages.

HTTP 200 is no success: it brings how many were taken, some faults by name, and counters that name
nobody. What the numbers do not explain stays in doubt, and receipts settle it.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from shared.adapter import Answer, Sms, redacted, retry_after_of
from shared.bodies import json_object
from shared.domain.outcome import Accepted, Fault, Lost, Outcome, Refused
from shared.gateways.smsportal.codes import (
    FAULT_OF_CODE,
    FAULT_OF_STATUS,
    GAVE_UP,
    OPTED_OUT,
    code_of,
    customer_id,
    folded,
    whole,
)

_UNREADABLE: Final = Lost(may_have_arrived=True, cause="unreadable_answer")
_UNEXPLAINED: Final = Lost(may_have_arrived=True, cause="unexplained_count")
# The same, where the numbers add up: nothing is wrong with the gateway, it only names nobody.
_UNNAMED: Final = Lost(may_have_arrived=True, cause="unexplained_count", blameless=True)
# What a counter says of a message, where it can only speak of one.
_COUNTED: Final[Mapping[str, Outcome]] = {
    "nonetwork": Refused(Fault.GATEWAY, "noNetwork"),
    "nocontents": Refused(Fault.MESSAGE, "noContents"),
    "contenttolong": Refused(Fault.MESSAGE, "contentToLong"),
    "optedouts": Refused(Fault.OPTED_OUT, "optedOuts"),
    # They have had the same before, and that may have been an attempt of ours.
    "duplicates": Lost(may_have_arrived=True, cause="duplicate", blameless=True),
}
# While a counter says one of these of somebody, a fault of unknown meaning may be his: it must not
# send the message through another gateway.
_NOT_ELSEWHERE: Final = frozenset({"optedouts", "duplicates"})


def read_send(batch: Sequence[Sms], answer: Answer) -> Sequence[Outcome]:
    match answer.status // 100:
        case 2:
            return _read_report(batch, answer)
        case 3:
            # SMSPortal does not redirect, so who answered is unknown, and with it what became of the
            # request.
            return [Lost(may_have_arrived=True, cause="redirect")] * len(batch)
        case 4 | 5:
            return [_refusal(batch, answer)] * len(batch)
        case _:
            return [_UNREADABLE] * len(batch)


def said(body: Mapping[str, Any]) -> tuple[str, str]:
    """The code and the words of an error, in either of its shapes; empty where it has none."""
    errors = body.get("errors")
    first = errors[0] if isinstance(errors, list) and errors else body
    error = folded(first) if isinstance(first, dict) else {}
    words = error.get("errormessage")
    return code_of(error.get("errorcode")), words if isinstance(words, str) else ""


def _refusal(batch: Sequence[Sms], answer: Answer) -> Outcome:
    code, words = said(folded(json_object(answer.body) or {}))
    if answer.status in GAVE_UP:
        return Lost(may_have_arrived=True, cause="http_4xx")
    if answer.status >= 500 and not (answer.status == 503 and code):
        # A 503 that SMSPortal words itself is its answer for "not now"; a proxy's says nothing of
        # what stands behind it.
        return Lost(may_have_arrived=True, cause="http_5xx")
    fault = Fault.THROTTLED if answer.status in {429, 503} else _fault_of(code, answer.status)
    return _for_all(batch, fault, code or f"http_{answer.status}", words, retry_after_of(answer.headers))


def _fault_of(code: str, status: int) -> Fault:
    """A code nobody knows is a wrong request; without one, whoever answered said nothing of the message."""
    default = Fault.MESSAGE if code else Fault.GATEWAY
    return FAULT_OF_CODE.get(code.lower()) or FAULT_OF_STATUS.get(status, default)


def _for_all(
    batch: Sequence[Sms], fault: Fault, code: str, words: str = "", retry_after: float | None = None
) -> Outcome:
    """A refusal of the whole request. It blames no message while there are several to blame."""
    if fault is Fault.MESSAGE and len(batch) > 1:
        return Lost(may_have_arrived=False, cause="batch_refused", blameless=True)
    return Refused(fault, code, redacted(words, batch), retry_after if fault is Fault.THROTTLED else None)


def _read_report(batch: Sequence[Sms], answer: Answer) -> Sequence[Outcome]:
    body = folded(json_object(answer.body) or {})
    wrapped = body.get("sendresponse")  # v3 wraps what v1 and v2 say plainly
    report = folded(wrapped) if isinstance(wrapped, dict) else body
    code, words = said(body)
    known = FAULT_OF_CODE.get(code.lower())
    taken = whole(report.get("messages"))
    if taken is None:
        # An error in a 200. One of known meaning is believed where nothing speaks of messages taken.
        if known is not None and whole(report.get("eventid")) is None:
            return [_for_all(batch, known, code, words)] * len(batch)
        return [_UNREADABLE] * len(batch)
    errors = report.get("errorreport")
    errors = folded(errors) if isinstance(errors, dict) else {}
    counters = {name: count for name in _COUNTED if (count := whole(errors.get(name)))}
    faults, strays = _faults(batch, errors.get("faults"), counters)
    missing = len(batch) - taken
    if missing == len(batch) and not faults and not strays:
        if list(counters.values()) == [missing]:
            return [_COUNTED[next(iter(counters))]] * len(batch)
        if not counters and known is not None:
            return [_for_all(batch, known, code, words)] * len(batch)
    counted = sum(counters.values())
    adds_up = missing == len(faults) and not strays and counted <= missing
    named = len(faults) + strays
    accounted = missing > 0 and max(counted, named) <= missing <= min(len(batch), named + counted)
    doubt = _UNNAMED if accounted else _UNEXPLAINED
    faults = {place: doubt if outcome == _UNEXPLAINED else outcome for place, outcome in faults.items()}
    return _settled(batch, faults, report, missing=missing, adds_up=adds_up, doubt=doubt)


def _settled(
    batch: Sequence[Sms],
    faults: Mapping[int, Outcome],
    report: Mapping[str, Any],
    *,
    missing: int,
    adds_up: bool,
    doubt: Lost,
) -> Sequence[Outcome]:
    """Faults by name, unless more were taken than they leave; the rest was taken where that explains every message."""
    rest: Outcome = doubt
    if adds_up:
        event = whole(report.get("eventid"))
        segments = _segments_each(len(batch) - len(faults), whole(report.get("parts")))
        rest = Accepted(str(event) if event else None, segments)
    named = faults if missing >= len(faults) else dict.fromkeys(faults, doubt)
    return [named.get(place, rest) for place in range(len(batch))]


def _segments_each(taken: int, parts: int | None) -> int | None:
    """What one message will be charged, as far as a sum over the batch can tell."""
    if parts is None or not 0 < parts < 1000 * max(taken, 1):
        return None
    return parts if taken == 1 else 1 if parts == taken else None


def _faults(batch: Sequence[Sms], listed: Any, counters: Mapping[str, int]) -> tuple[Mapping[int, Outcome], int]:
    """What faults say of the messages they name, by their place in the batch; and how many name none."""
    faults = [folded(fault) for fault in listed if isinstance(fault, dict)] if isinstance(listed, list) else []
    if not faults:
        return {}, 0
    numbers = [sms.msisdn.removeprefix("+") for sms in batch]
    times = Counter(numbers)
    by_id = {customer_id(sms): place for place, sms in enumerate(batch)}
    by_number = {number: place for place, number in enumerate(numbers) if times[number] == 1}
    found: dict[int, Outcome] = {}
    strays = 0
    for fault in faults:
        place = _place_of(fault, by_id, by_number)
        if place is None:
            strays += 1
        else:
            found[place] = _outcome_of(batch, fault, counters)
    return found, strays


def _place_of(fault: Mapping[str, Any], by_id: Mapping[str, int], by_number: Mapping[str, int]) -> int | None:
    named = fault.get("customerid")
    if isinstance(named, str) and named.strip():
        return by_id.get(named.strip().lower())
    if len(by_id) == 1:
        return 0
    for name in ("scrubbeddestination", "rawdestination"):
        place = by_number.get(str(fault.get(name)).strip().removeprefix("+"))
        if place is not None:
            return place
    return None


def _outcome_of(batch: Sequence[Sms], fault: Mapping[str, Any], counters: Mapping[str, int]) -> Outcome:
    code, words = code_of(fault.get("status")), fault.get("errormessage")
    words = words if isinstance(words, str) else ""
    kind = FAULT_OF_CODE.get(code.lower())
    if kind is None and OPTED_OUT.search(f"{code} {words[:500]}"):
        kind = Fault.OPTED_OUT
    if kind is None and len(batch) == 1 and list(counters.values()) == [1]:
        return _COUNTED[next(iter(counters))]
    if kind is None and counters.keys() & _NOT_ELSEWHERE:
        return _UNEXPLAINED
    return Refused(kind or Fault.GATEWAY, code or "fault", redacted(words, batch))
