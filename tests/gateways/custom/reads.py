"""What answers mean. The promise is never to send twice: only what is known to be a refusal is one."""

import codecs
from collections.abc import Sequence
from typing import Any

from shared.adapter import Account, Answer
from shared.domain.outcome import Accepted, Fault, Lost, Outcome, Refused
from tests.gateways.cases import Reads
from tests.gateways.custom.account import SETTINGS, account, rich, said

TAKEN = {"messages": [{"status": "0", "message-id": "0A1", "parts": "2"}]}
NO_SUCCESS = Lost(may_have_arrived=True, cause="no_success_in_answer")
CONTRADICTION = Lost(may_have_arrived=True, cause="contradictory_answer")


def _refusal(code: object, error: object = "No.") -> dict[str, Any]:
    return {"messages": [{"status": code, "error": error}]}


def _test(label: str, answer: Answer, outcome: Outcome, **tests: Any) -> Reads:
    """One test of success in place of the plain ones."""
    return Reads(label, answer, [outcome], account=account(**{"success_text": None, **tests}))


def _lost(cause: str) -> Lost:
    return Lost(may_have_arrived=True, cause=cause)


BY_CODE: Sequence[tuple[object, Outcome]] = (
    ("1", Refused(Fault.THROTTLED, "1", "No.", None)),
    (4, Refused(Fault.ACCOUNT, "4", "No.")),
    ("9", Refused(Fault.ACCOUNT, "9", "No.")),
    ("7", Refused(Fault.OPTED_OUT, "7", "No.")),
    (15, Refused(Fault.GATEWAY, "15", "No.")),
    ("12", Refused(Fault.MESSAGE, "12", "No.")),
    ("5", _lost("in_doubt_by_settings")),
    ("77", NO_SUCCESS),
    (True, NO_SUCCESS),
    ([], NO_SUCCESS),
)
FAULTY: Account = rich(
    faults=[*SETTINGS["faults"], {"status": 200, "fault": "gateway"}, {"text": "black list", "fault": "message"}]
)
BY_STATUS: Sequence[tuple[int, Outcome]] = (
    (400, Refused(Fault.GATEWAY, "http_400")),
    (401, Refused(Fault.ACCOUNT, "http_401")),
    (402, Refused(Fault.ACCOUNT, "http_402")),
    (403, Refused(Fault.ACCOUNT, "http_403")),
    (404, Refused(Fault.ACCOUNT, "http_404")),
    (422, Refused(Fault.GATEWAY, "http_422")),
    (429, Refused(Fault.THROTTLED, "http_429")),
    # Somebody gave up waiting, or had it before.
    *((status, _lost("http_4xx")) for status in (408, 409, 460, 499)),
    *((status, _lost("http_5xx")) for status in (500, 502, 503, 504, 599)),
    *((status, _lost("redirect")) for status in (301, 302, 307)),
    *((status, _lost("unreadable_answer")) for status in (0, 100, 199, 600, 999)),
)

READS = [
    Reads("taken", said(200, TAKEN), [Accepted("0A1", 2)]),
    Reads("taken, with another 2xx", said(202, TAKEN), [Accepted("0A1", 2)]),
    *(Reads(f"code {code!r}", said(200, _refusal(code)), [outcome]) for code, outcome in BY_CODE),
    *(Reads(f"HTTP {status}", said(status, "sorry"), [outcome]) for status, outcome in BY_STATUS),
    # A success with a wrong status is none, whatever the body says.
    *(
        Reads(
            f"HTTP {status} with a success in it", said(status, TAKEN), [outcome], account=account(success_text="0A1")
        )
        for status, outcome in BY_STATUS
    ),
    # The map goes before the status.
    Reads("400 with a code", said(400, _refusal("7")), [Refused(Fault.OPTED_OUT, "7", "No.")]),
    Reads("500 with a code that is known", said(500, _refusal("9")), [Refused(Fault.ACCOUNT, "9", "No.")]),
    Reads(
        "503 by its words",
        said(503, "in maintenance", retry_after="7"),
        [Refused(Fault.THROTTLED, "http_503", "", 7.0)],
    ),
    Reads("503 by other words", said(503, "oops"), [_lost("http_5xx")]),
    Reads("500 with the words of 503", said(500, "in maintenance"), [_lost("http_5xx")]),
    Reads("401 that is in doubt", said(401, _refusal("5")), [_lost("in_doubt_by_settings")]),
    # 2xx: a line for the status alone is about what is no success; one about the body contradicts a success.
    Reads("200 taken, and 200 mapped", said(200, TAKEN), [Accepted("0A1", 2)], account=FAULTY),
    Reads(
        "200 not taken, and 200 mapped",
        said(200, _refusal("77")),
        [Refused(Fault.GATEWAY, "77", "No.")],
        account=FAULTY,
    ),
    Reads("201 not taken", said(201, _refusal("77")), [NO_SUCCESS], account=FAULTY),
    Reads("a success and a fault at once", said(201, {**TAKEN, "note": "black list"}), [CONTRADICTION], account=FAULTY),
    *(
        Reads(f"2xx nobody can read: {label}", Answer(200, {}, body), [NO_SUCCESS])
        for label, body in {
            "empty": b"",
            "a page": b"<html>OK</html>",
            "cut off": b'{"messages": [{"status": "0", "mess',
            "another shape": b'{"messages": {"status": "0"}}',
            "an empty list": b'{"messages": []}',
            "deep": b'{"a":' + b"[" * 30_000,
            "no text": b"\xff\xfe\x00",
            "a number without end": b"[" + b"9" * 5_000 + b"]",
        }.items()
    ),
    # Each test of success.
    _test("text", said(200, "OK: 1"), Accepted(), success_text="OK:"),
    _test("no text", said(200, "ERR: 1"), NO_SUCCESS, success_text="OK:"),
    _test("null", said(200, {"e": None}), Accepted(), success_path="e", success_values=[None]),
    _test("not null", said(200, {"e": 1}), NO_SUCCESS, success_path="e", success_values=[None]),
    _test("absent is not null", said(200, {}), NO_SUCCESS, success_path="e", success_values=[None]),
    _test("exists", said(200, {"id": "x"}), Accepted(), success_path="id"),
    _test("exists, as null", said(200, {"id": None}), NO_SUCCESS, success_path="id"),
    _test("exists, as an object", said(200, {"id": {}}), Accepted(), success_path="id"),
    _test("does not exist", said(200, {}), NO_SUCCESS, success_path="id"),
    _test("true", said(200, {"a": [{"b-c": True}]}), Accepted(), success_path="$.a[0].b-c", success_values=[True]),
    _test("one of several", said(200, {"s": 101}), Accepted(), success_path="s", success_values=[100, "101"]),
    _test("none of them", said(200, {"s": 401}), NO_SUCCESS, success_path="s", success_values=[100, "101"]),
    _test("a list at the root", said(201, [{"id": "1"}]), Accepted(), success_path="[0].id"),
    _test("an odd key", said(200, {"a.b": 1}), Accepted(), success_path='["a.b"]'),
    _test("pattern", said(200, "0: Accepted"), Accepted(), success_pattern="^[03]: "),
    _test("no pattern", said(200, "10: Accepted"), NO_SUCCESS, success_pattern="^[03]: "),
    _test("status", said(202, ""), Accepted(), success_statuses=[202]),
    _test("another status", said(200, ""), NO_SUCCESS, success_statuses=[202]),
    _test("not with this in it", said(200, "OK: rejected"), NO_SUCCESS, success_text="OK", failure_text="rejected"),
    _test("all tests must pass", said(200, "OK"), NO_SUCCESS, success_text="OK", success_pattern="[0-9]"),
    # References.
    _test("by pattern", said(200, "OK:77:0.05"), Accepted("77"), success_text="OK:", reference_pattern="^OK:([^:]+)"),
    _test("the whole match", said(200, "OK 77"), Accepted("77"), success_text="OK", reference_pattern="[0-9]+"),
    _test("by header", said(202, "", x_id="h-1"), Accepted("h-1"), success_statuses=[202], reference_header="X-Id"),
    _test("a number", said(200, {"id": 77}), Accepted("77"), success_path="id", reference_path="id"),
    _test("none there", said(200, {"id": None}), Accepted(), success_statuses=[200], reference_path="id"),
    _test("none that could be kept", said(200, {"id": "x" * 256}), Accepted(), success_path="id", reference_path="id"),
    _test("with control characters", said(200, {"id": "a\x00"}), Accepted(), success_path="id", reference_path="id"),
    _test("no group took part", said(200, "b"), Accepted(), success_text="b", reference_pattern="(a)|b"),
    *(
        Reads(
            f"segments {given!r}",
            said(200, {"messages": [{**TAKEN["messages"][0], "parts": given}]}),
            [Accepted("0A1", told)],
        )
        for given, told in ((3, 3), ("0", None), (-1, None), ("many", None), (None, None), (256, None), ("٣", None))
    ),
    *(
        _test(f"no id: {given}", said(200, f'{{"id": {given}}}'), Accepted(), success_text="id", reference_path="id")
        for given in ("NaN", "1e999", "-Infinity", "true", "false", "null", "[]", '" "')
    ),
    # What the bytes say.
    *(
        _test(
            f"behind a mark, in {charset}",
            Answer(
                200, {"content-type": "text/plain"}, codecs.BOM_UTF8.decode().encode(charset) + "OK:7".encode(charset)
            ),
            Accepted("7"),
            success_pattern="^OK:",
            reference_pattern="^OK:(.+)$",
        )
        for charset in ("utf-8", "utf-16-le", "utf-16-be")
    ),
    *(
        _test(
            f"{what} in {charset}, as it says",
            Answer(200, {"content-type": f'text/plain; Charset="{charset}"'}, body.encode(charset)),
            Accepted("7"),
            **tests,
        )
        for charset in ("ISO-8859-1", "windows-1252", "utf-16", "utf-8")
        for what, body, tests in (
            ("a text", "ok für 7", {"success_text": "für", "reference_pattern": "([0-9])"}),
            ("JSON", '{"für": "ok", "id": 7}', {"success_path": "für", "reference_path": "id"}),
        )
    ),
    _test(
        "UTF-8 that says it is something else",
        Answer(200, {"content-type": "text/plain; charset=iso-8859-1"}, "für".encode()),
        Accepted(),
        success_text="für",
    ),
    *(
        _test(
            f"in {charset}, which is none",
            Answer(200, {"content-type": f"text/plain; charset={charset}"}, b"OK \xff"),
            Accepted(),
            success_pattern="^OK \ufffd$",
        )
        for charset in ("martian", "hex", "unicode_escape", "idna", "")
    ),
    # Codes and words.
    *(
        Reads(
            f"a code of which nothing can be kept: {code!r}",
            said(400, {"messages": [{"status": code}]}),
            [Refused(Fault.GATEWAY, "http_400")],
        )
        for code in ("\0", " \n", "", "\u200b\0 ")
    ),
    Reads("a code with a stray sign", said(400, _refusal(" a\0b\n")), [Refused(Fault.GATEWAY, "ab", "No.")]),
    _test(
        "a code by pattern",
        said(200, "ERR:13"),
        Refused(Fault.MESSAGE, "13"),
        success_text="OK:",
        code_pattern="^ERR:([0-9]+)",
        faults=[{"codes": ["13"], "fault": "message"}],
    ),
    Reads(
        "a detail keeps neither number nor text",
        said(400, _refusal("6", "Cannot send 'Hello & 5€?' to 447700900123")),
        [Refused(Fault.MESSAGE, "6", "Cannot send '[...]' to [number]")],
    ),
    Reads("a detail of another type", said(400, _refusal("6", [])), [Refused(Fault.MESSAGE, "6")]),
    Reads("no detail", said(400, _refusal("6", None)), [Refused(Fault.MESSAGE, "6")]),
    Reads("later", said(429, _refusal("x"), retry_after="30"), [Refused(Fault.THROTTLED, "x", "No.", 30.0)]),
    Reads("a code without end", said(400, _refusal("x" * 100)), [Refused(Fault.GATEWAY, "x" * 64, "No.")]),
]
