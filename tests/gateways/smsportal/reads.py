"""What SMSPortal's answers to a batch mean. BATCH has three messages, ALONE has one."""

import json
from typing import Any

from shared.adapter import Answer
from shared.domain.outcome import Accepted, Fault, Lost, Outcome, Refused
from tests.gateways.cases import Reads
from tests.gateways.smsportal.account import (
    FIRST,
    ID_1,
    ID_2,
    SAME,
    STATUS_URL,
    error,
    fault,
    json_answer,
    report,
    wrapped,
)

ALONE = [FIRST]
EVENT = "1179504595"
TAKEN, TAKEN_1 = Accepted(EVENT), Accepted(EVENT, 1)
DOUBT = Lost(may_have_arrived=True, cause="unexplained_count")
# The numbers add up, and only say nothing of whom.
UNNAMED = Lost(may_have_arrived=True, cause="unexplained_count", blameless=True)
UNREADABLE = Lost(may_have_arrived=True, cause="unreadable_answer")
BATCH_REFUSED = Lost(may_have_arrived=False, cause="batch_refused", blameless=True)
INVALID = Refused(Fault.MESSAGE, "InvalidDestination", "No.")
PASCAL: dict[str, Any] = {
    "Cost": 0.22,
    "RemainingBalance": 998.5,
    "EventId": 1179504595,
    "Sample": "Hello",
    "CostBreakDown": [{"Quantity": 1, "Cost": 0.22, "Network": "Somebody"}],
    "Messages": 1,
    "Parts": 2,
    "ErrorReport": {"NoNetwork": 0, "NoContents": 0, "ContentToLong": 0, "Duplicates": 0, "OptedOuts": 0, "Faults": []},
}


def _all(label: str, body: object, outcome: Outcome, status: int = 200) -> Reads:
    return Reads(label, json_answer(status, body), [outcome] * 3)


def _each(label: str, body: object, *outcomes: Outcome) -> Reads:
    return Reads(label, json_answer(200, body), outcomes, None if len(outcomes) == 3 else ALONE)


_TAKEN = [
    _all("all taken", report(3), TAKEN_1),
    _all("all taken, by v3", wrapped(report(3)), TAKEN_1),
    _all("all taken, of more parts than messages", report(3, parts=5), TAKEN),
    _all("all taken, and no parts told", {k: v for k, v in report(3).items() if k != "parts"}, TAKEN),
    _all("all taken, in a test without an event", {**report(3), "eventId": 0}, Accepted(None, 1)),
    _all("figures as texts", {**report(3), "messages": "3", "eventId": EVENT, "parts": "3"}, TAKEN_1),
    _all("no report of errors", {**report(3), "errorReport": None}, TAKEN_1),
    _each("one, in Pascal's case", PASCAL, Accepted(EVENT, 2)),
    _each(
        "one, in Pascal's case, wrapped", {"StatusCode": 200, "Errors": [], "SendResponse": PASCAL}, Accepted(EVENT, 2)
    ),
    _each("one of absurdly many parts", report(1, parts=10**9), TAKEN),
]
_FAULTS = [
    _each(
        "a fault by our id",
        report(2, parts=2, faults=[fault("InvalidDestination", customerId=ID_2)]),
        *(TAKEN_1, INVALID, TAKEN_1),
    ),
    _each(
        "a fault by our id, by v3, in another case",
        wrapped(
            {
                **report(
                    2,
                    parts=2,
                    faults=[{"CustomerId": ID_2.upper(), "ErrorMessage": "No.", "Status": "INVALIDDESTINATION"}],
                )
            }
        ),
        *(TAKEN_1, Refused(Fault.MESSAGE, "INVALIDDESTINATION", "No."), TAKEN_1),
    ),
    _each(
        "a fault by its number",
        report(2, faults=[fault("InvalidDestination", scrubbedDestination="12025550142")]),
        *(TAKEN, INVALID, TAKEN),
    ),
    _each(
        "a fault by its number as it was sent",
        report(2, faults=[fault("InvalidDestination", rawDestination="+12025550142", scrubbedDestination="")]),
        *(TAKEN, INVALID, TAKEN),
    ),
    _each(
        "two faults, and one taken",
        report(
            1,
            parts=4,
            faults=[fault("InvalidDestination", customerId=ID_1), fault("InvalidDestination", customerId=ID_2)],
        ),
        *(INVALID, INVALID, Accepted(EVENT, 4)),
    ),
    _each(
        "a counter counts the fault as well",
        report(2, parts=2, noNetwork=1, faults=[fault("InvalidDestination", customerId=ID_1)]),
        *(INVALID, TAKEN_1, TAKEN_1),
    ),
    Reads(
        "a fault by a number that two share",
        json_answer(200, report(2, faults=[fault("InvalidDestination", scrubbedDestination="12025550142")])),
        [UNNAMED] * 3,
        SAME,
    ),
    _all("a fault that names nobody", report(2, faults=[fault("InvalidDestination")]), UNNAMED),
    _all("a fault that names somebody else", report(3, faults=[fault("X", customerId="42")]), DOUBT),
    _each(
        "a fault, though all were taken",
        report(3, faults=[fault("InvalidDestination", customerId=ID_1)]),
        *(DOUBT, DOUBT, DOUBT),
    ),
    _each(
        "a fault, and one more missing",
        report(1, faults=[fault("InvalidDestination", customerId=ID_1)]),
        *(INVALID, DOUBT, DOUBT),
    ),
    _each("alone, a fault needs no name", report(0, faults=[fault("InvalidDestination")]), INVALID),
    _each("alone, a fault of somebody else", report(0, faults=[fault("InvalidDestination", customerId="42")]), UNNAMED),
    _each(
        "a fault of unknown meaning", report(0, faults=[fault("Odd.Thing")]), Refused(Fault.GATEWAY, "Odd.Thing", "No.")
    ),
    _each("a fault without a status", report(0, faults=[fault(None, "")]), Refused(Fault.GATEWAY, "fault")),
    *(
        _each(
            f"opted out: {status} {words}",
            report(0, faults=[fault(status, words)]),
            Refused(Fault.OPTED_OUT, status, words),
        )
        for status, words in (
            ("OptedOut", ""),
            ("BLIST", ""),
            ("Rejected", "Recipient has opted out"),
            ("X", "On a blacklist"),
        )
    ),
    _each(
        "alone, the counter explains the fault",
        report(0, optedOuts=1, faults=[fault("Odd")]),
        Refused(Fault.OPTED_OUT, "optedOuts"),
    ),
    _each(
        "a fault of unknown meaning, while somebody has opted out",
        report(
            1,
            parts=1,
            optedOuts=1,
            faults=[fault("Odd", customerId=ID_1), fault("InvalidDestination", customerId=ID_2)],
        ),
        *(UNNAMED, INVALID, TAKEN_1),
    ),
    _each(
        "a fault keeps neither number nor text",
        report(0, faults=[fault("InvalidDestination", 'Cannot send "Hello & "5€"?" to +447700900123')]),
        Refused(Fault.MESSAGE, "InvalidDestination", 'Cannot send "[...]" to [...]'),
    ),
]
_COUNTERS = [
    _each("alone, opted out", report(0, optedOuts=1), Refused(Fault.OPTED_OUT, "optedOuts")),
    _each("alone, no network", report(0, noNetwork=1), Refused(Fault.GATEWAY, "noNetwork")),
    _each("alone, no contents", report(0, noContents=1), Refused(Fault.MESSAGE, "noContents")),
    _each("alone, too long", report(0, contentToLong=1), Refused(Fault.MESSAGE, "contentToLong")),
    _each(
        "alone, a duplicate of what may be ours",
        report(0, duplicates=1),
        Lost(may_have_arrived=True, cause="duplicate", blameless=True),
    ),
    _all("all of them opted out", wrapped(report(0, optedOuts=3)), Refused(Fault.OPTED_OUT, "optedOuts")),
    _all("one of three opted out", report(2, optedOuts=1), UNNAMED),
    _all("none taken, for different causes", report(0, optedOuts=1, noNetwork=2), UNNAMED),
    _all("none taken, and not all counted", report(0, optedOuts=2), DOUBT),
    _each("alone, and not taken without a cause", report(0), DOUBT),
    _each("alone, with two causes", report(0, optedOuts=1, noNetwork=1), DOUBT),
    _each("alone, taken and opted out", report(1, optedOuts=1), DOUBT),
    _all("one missing without a cause", report(2), DOUBT),
    _all("more taken than were sent", report(4), DOUBT),
]
_UNREADABLE = [
    *(
        Reads(f"2xx nobody can read: {label}", Answer(200, {}, body), [UNREADABLE] * 3)
        for label, body in {
            "empty": b"",
            "a page": b"<html>OK</html>",
            "cut off": json.dumps(report(3)).encode()[:-40],
            "a list": b"[1]",
            "deep": b'{"sendResponse":' + b'{"x":' * 30_000,
            "a count that is none": b'{"messages": true, "eventId": 5}',
            "a count below nothing": b'{"messages": -1, "eventId": 5}',
            "a count of another kind": b'{"messages": [3], "eventId": 5}',
            "no count": b'{"eventId": 5}',
            "an error of unknown meaning": b'{"errorCode": "Odd.Thing"}',
            "an error beside an event": b'{"errorCode": "InsufficientCredits", "eventId": 5}',
        }.items()
    ),
    Reads(
        "a redirect",
        Answer(307, {"location": "https://elsewhere.example"}),
        [Lost(may_have_arrived=True, cause="redirect")] * 3,
    ),
]

MEANING = {
    Fault.MESSAGE: [
        "RequiredParameter.Missing",
        "InvalidParameter.Format",
        "InvalidParameter.Type",
        "EntityNotFound",
        "EntityNotFound.Group",
        "InvalidDestination",
    ],
    Fault.ACCOUNT: [
        "AuthenticationHeader.Missing",
        "AuthenticationToken.Invalid",
        "AuthenticationToken.Expired",
        "Authentication.InvalidCredentials",
        "InvalidCredentials",
        "InsufficientCredits",
    ],
}
SHORT = Refused(Fault.ACCOUNT, "InsufficientCredits", "No.")
_ERRORS = [
    *(
        Reads(f"{code}", error(400, code), [Refused(meaning, code, "No.")], ALONE)
        for meaning, codes in MEANING.items()
        for code in codes
    ),
    *(
        Reads(
            f"{code}, in a list",
            json_answer(400, {"errors": [{"ErrorCode": code, "ErrorMessage": "No."}]}),
            [Refused(meaning, code, "No.")],
            ALONE,
        )
        for meaning, codes in MEANING.items()
        for code in codes[:1]
    ),
    _all("a wrong request blames nobody of several", {"errorCode": "InvalidParameter.Format"}, BATCH_REFUSED, 400),
    _all("a request of unknown fault blames nobody either", {"errorCode": "Odd.Thing"}, BATCH_REFUSED, 422),
    _all("an account's fault is everybody's", {"errorCode": "InsufficientCredits", "errorMessage": "No."}, SHORT, 403),
    Reads("a code from the future", error(400, "Odd.Thing"), [Refused(Fault.MESSAGE, "Odd.Thing", "No.")], ALONE),
    Reads("a code that is none", error(400, ["x"]), [Refused(Fault.GATEWAY, "http_400", "No.")], ALONE),
    _all("an error in a 200", {"errorCode": "InsufficientCredits", "errorMessage": "No."}, SHORT),
    _all(
        "an error in a 200, by v3",
        {**wrapped(None, {"errorCode": "InsufficientCredits", "errorMessage": "No."}), "statusCode": 403},
        SHORT,
    ),
    _all(
        "an error in a 200 blames nobody of several",
        {"errors": [{"errorCode": "InvalidParameter.Type"}]},
        BATCH_REFUSED,
    ),
    _each(
        "none taken, and the error says why",
        wrapped(report(0), {"errorCode": "InsufficientCredits", "errorMessage": "No."}),
        SHORT,
    ),
    _all(
        "none taken, and a known error beside a counter",
        wrapped(report(0, noNetwork=1), {"errorCode": "InsufficientCredits"}),
        DOUBT,
    ),
    *(
        Reads(f"{status} without a code", Answer(status, {}, b"<html>"), [Refused(meaning, f"http_{status}")] * 3)
        for status, meaning in {
            400: Fault.GATEWAY,
            401: Fault.ACCOUNT,
            403: Fault.ACCOUNT,
            404: Fault.ACCOUNT,
            405: Fault.ACCOUNT,
            413: Fault.GATEWAY,
            429: Fault.THROTTLED,
        }.items()
    ),
    Reads(
        "429, and for how long",
        error(429, "TooMany", headers={"retry-after": "7"}),
        [Refused(Fault.THROTTLED, "TooMany", "No.", 7.0)] * 3,
    ),
    Reads(
        "503 in SMSPortal's words",
        error(503, "Service.Unavailable", headers={"retry-after": "7"}),
        [Refused(Fault.THROTTLED, "Service.Unavailable", "No.", 7.0)] * 3,
    ),
    Reads(
        "503 of a proxy",
        Answer(503, {"retry-after": "7"}, b"<html>"),
        [Lost(may_have_arrived=True, cause="http_5xx")] * 3,
    ),
    *(
        Reads(f"{status}", error(status, "InsufficientCredits"), [Lost(may_have_arrived=True, cause="http_5xx")] * 3)
        for status in (500, 502, 504)
    ),
    *(
        Reads(f"{status}: a proxy gave up", Answer(status), [Lost(may_have_arrived=True, cause="http_4xx")] * 3)
        for status in (408, 460, 499)
    ),
    Reads(
        "words keep neither number nor address",
        error(403, "InsufficientCredits", f"Top up, 447700900123, at {STATUS_URL}"),
        [Refused(Fault.ACCOUNT, "InsufficientCredits", "Top up, [number], at [url]")] * 3,
    ),
]
READS = [*_TAKEN, *_FAULTS, *_COUNTERS, *_UNREADABLE, *_ERRORS]
