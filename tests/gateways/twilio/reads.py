"""What Twilio's answers to a hand-over mean; every code of known meaning is here."""

import json
from dataclasses import replace

from shared.adapter import Answer
from shared.domain.outcome import Accepted, Fault, Lost, Refused
from tests.gateways.cases import Reads
from tests.gateways.twilio.account import HELLO, REFERENCE, STATUS_URL, TAKEN, busy, error, json_answer

# Every code that has a known meaning when a hand-over is answered with it.
FAULT_OF_CODE: dict[Fault, list[int]] = {
    Fault.MESSAGE: [
        *(14101, 21211, 21214, 21217, 21265, 21266, 21268, 21604, 21614, 21635, 30003, 30005),
        *(30006, 30004, 30610, 30640, 21602, 21603, 21605, 21617, 21618, 21619, 21620, 21654),
        *(21655, 21656, 21658, 35111, 35114, 35118, 30007, 30019, 30045, 90007, 30008, 30009),
        *(30036, 30500),
    ],
    Fault.OPTED_OUT: [21610],
    Fault.ACCOUNT: [20003, 20005, 20006, 20008, 20403, 20404, 21609, 30002, 63038],
    Fault.GATEWAY: [
        *(21212, 21408, 21601, 21606, 21607, 21608, 21612, 21616, 21657, 21659, 21660, 21661),
        *(21701, 21703, 21705, 30018, 30024, 30032, 30033, 30034, 30035),
    ],
    Fault.THROTTLED: [*(14107, 20429, 21611, 30001, 30017, 30022, 30023, 30027, 30450, 63018)],
}


def _later(seconds: float | None) -> Refused:
    return Refused(Fault.THROTTLED, "20429", "Too Many Requests", seconds)


LATER = "Sat, 22 Nov 2025 10:00:30 GMT"
THEN = "Sat, 22 Nov 2025 10:00:00 GMT"
READS = [
    Reads("taken", json_answer(201, TAKEN), [Accepted(REFERENCE, 1)]),
    Reads("taken, with 200", json_answer(200, TAKEN), [Accepted(REFERENCE, 1)]),
    Reads(
        "taken by a service that counts later",
        json_answer(201, {**TAKEN, "status": "accepted", "num_segments": "0", "from": None}),
        [Accepted(REFERENCE)],
    ),
    Reads(
        "failed at once, never sent",
        json_answer(201, {**TAKEN, "status": "failed", "error_code": 21610}),
        [Refused(Fault.OPTED_OUT, "21610", "failed at once")],
    ),
    Reads(
        "failed at once in a carrier's hands",
        json_answer(201, {**TAKEN, "status": "failed", "error_code": 30008}),
        [Accepted(REFERENCE, 1)],
    ),
    *(
        Reads(
            f"2xx nobody can read: {label}",
            Answer(201, {}, body),
            [Lost(may_have_arrived=True, cause="unreadable_answer")],
        )
        for label, body in {
            "empty": b"",
            "a page": b"<html>OK</html>",
            "cut off": json.dumps(TAKEN).encode()[:-40],
            "no sid": b'{"status": "queued"}',
            "sid of another type": b'{"sid": 5}',
            "a list": b'["SM1"]',
            "deep": b'{"sid":' + b"[" * 30_000,
        }.items()
    ),
    *(
        Reads(f"{code}", error(401 if code == 20003 else 400, code), [Refused(fault, str(code), "No.")])
        for fault, codes in FAULT_OF_CODE.items()
        for code in codes
    ),
    Reads("30410: a carrier may have it", error(400, 30410), [Lost(may_have_arrived=True, cause="code_30410")]),
    Reads("a code as text", error(400, "21610"), [Refused(Fault.OPTED_OUT, "21610", "No.")]),
    Reads("a code from the future", error(400, 21999), [Refused(Fault.GATEWAY, "21999", "No.")]),
    Reads("401 without a code", Answer(401), [Refused(Fault.ACCOUNT, "http_401")]),
    Reads("403 without a code", Answer(403), [Refused(Fault.ACCOUNT, "http_403")]),
    Reads("404 without a code", Answer(404), [Refused(Fault.ACCOUNT, "http_404")]),
    Reads("400 without a code", Answer(400, {}, b"Bad"), [Refused(Fault.GATEWAY, "http_400")]),
    Reads("403 for one country", error(403, 21408), [Refused(Fault.GATEWAY, "21408", "No.")]),
    Reads("429 for the daily cap", error(429, 63038), [Refused(Fault.ACCOUNT, "63038", "No.")]),
    Reads(
        "429 as a page", Answer(429, {"retry-after": "7"}, b"<html>"), [Refused(Fault.THROTTLED, "http_429", "", 7.0)]
    ),
    Reads("later, by seconds", busy(retry_after="2.5"), [_later(2.5)]),
    Reads("later, by date", busy(retry_after=LATER, date=THEN), [_later(30.0)]),
    Reads("later, by a date that is past", busy(retry_after=THEN, date=LATER), [_later(0.0)]),
    Reads("later, by a date against no clock", busy(retry_after=LATER), [_later(None)]),
    Reads("later, in a year", busy(retry_after="31536000"), [_later(3600.0)]),
    Reads("later, in words", busy(retry_after="soon", date=THEN), [_later(None)]),
    Reads("later, in the past", busy(retry_after="-5"), [_later(None)]),
    Reads(
        "a detail keeps no number",
        error(400, 21211, "The number +1 (202) 555-0142 is not 447700900123"),
        [Refused(Fault.MESSAGE, "21211", "The number [number] is not [number]")],
    ),
    Reads(
        "a detail keeps no address",
        error(400, 21609, f"The StatusCallback URL {STATUS_URL}?m=1 is not valid"),
        [Refused(Fault.ACCOUNT, "21609", "The StatusCallback URL [url] is not valid")],
    ),
    Reads(
        "a detail keeps no text",
        error(400, 21618, "Cannot send 'Hello & 5€?'"),
        [Refused(Fault.MESSAGE, "21618", "Cannot send '[...]'")],
    ),
    Reads(
        "a short text is no secret",
        error(400, 21618, "No way"),
        [Refused(Fault.MESSAGE, "21618", "No way")],
        [replace(HELLO, text="N")],
    ),
    Reads("a long detail", error(400, 21618, "no " * 200), [Refused(Fault.MESSAGE, "21618", ("no " * 200)[:200])]),
    Reads("a detail of another type", error(400, 21618, []), [Refused(Fault.MESSAGE, "21618")]),
    *(
        Reads(f"{status}", error(status, 20500), [Lost(may_have_arrived=True, cause="http_5xx")])
        for status in (500, 502, 503, 504)
    ),
    Reads("5xx, whatever its code says", error(500, 21610), [Lost(may_have_arrived=True, cause="http_5xx")]),
    *(
        Reads(f"{status}: a proxy gave up", Answer(status), [Lost(may_have_arrived=True, cause="http_4xx")])
        for status in (408, 460, 499)
    ),
    Reads(
        "a redirect",
        Answer(307, {"location": "https://elsewhere.example"}),
        [Lost(may_have_arrived=True, cause="redirect")],
    ),
]
