"""The custom gateway's scripts, without a script: what goes in, and what is made of what may come out."""

import json
from dataclasses import replace
from typing import Any

import pytest

from shared.adapter import SCRIPT_FAILED, Account, Answer, Call, UnfitScript
from shared.domain.outcome import Accepted, Fault, Lost, Outcome, Refused
from shared.gateways import SCRIPTED, custom
from tests.gateways.custom.account import ACCOUNT, CALLBACK_URL, HELLO, KEY

SCRIPT = 'return function(sms) return {headers = {Authorization = "Key %SECRET:api_key%"}} end'
SETTINGS = {**ACCOUNT.settings, "script": SCRIPT, "payload": None, "headers": []}
SCRIPTED_ACCOUNT = replace(ACCOUNT, settings={name: value for name, value in SETTINGS.items() if value is not None})
BY_FORM = replace(
    SCRIPTED_ACCOUNT, settings={**SCRIPTED_ACCOUNT.settings, "content_type": "application/x-www-form-urlencoded"}
)
BY_XML = replace(
    SCRIPTED_ACCOUNT,
    settings={**SCRIPTED_ACCOUNT.settings, "content_type": "text/xml"},
    secrets={"api_key": KEY, "odd": "a<b&c"},
)
BY_GET = replace(BY_FORM, settings={**BY_FORM.settings, "method": "GET"})
URL = "https://gateway.example/send"
JSON = ("Content-Type", "application/json")
FORM = ("Content-Type", "application/x-www-form-urlencoded")


def mark(account: Account = SCRIPTED_ACCOUNT, name: str = "api_key") -> str:
    marks: dict[str, str] = custom.script_input(account, HELLO)["secrets"]
    return marks[name]


def test_it_is_listed() -> None:
    assert SCRIPTED["custom"].script_of(ACCOUNT) is None
    assert Lost(may_have_arrived=False, cause="script_failed") == SCRIPT_FAILED


def test_the_script_gets_marks_in_the_place_of_secrets() -> None:
    script = custom.script_of(SCRIPTED_ACCOUNT)
    assert script is not None
    assert mark() in script
    assert KEY not in script
    assert "%SECRET:api_key%" not in script


def test_what_the_script_sees() -> None:
    seen = custom.script_input(SCRIPTED_ACCOUNT, replace(HELLO, location_id="harbour"))
    assert {name: seen[name] for name in ("to", "message", "from", "location", "id")} == {
        "to": "+447700900123",
        "message": "Hello & 5€?",
        "from": "Cafe Ada",
        "location": "harbour",
        "id": str(HELLO.id),
    }
    assert seen["settings"]["url"] == URL
    assert "script" not in seen["settings"]
    assert seen["callback_url"] == CALLBACK_URL
    assert (seen["encoding"], seen["segments"], seen["attempt"], seen["validity"]) == ("text", 1, 2, 172_800)
    assert seen["media"] == []
    assert custom.script_input(SCRIPTED_ACCOUNT, replace(HELLO, media_urls=("https://a", "https://b")))["media"] == [
        "https://a",
        "https://b",
    ]
    assert KEY not in repr(seen)
    json.dumps(seen)  # nothing but plain values


TAKEN: list[tuple[str, Account, Any, Call]] = [
    ("a text is the payload", SCRIPTED_ACCOUNT, '{"to": 1}', Call("POST", URL, (JSON,), b'{"to": 1}')),
    (
        "XML, with a secret",
        BY_XML,
        f"<k>{mark(BY_XML, 'odd')}</k>",
        Call("POST", URL, (("Content-Type", "text/xml; charset=utf-8"),), b"<k>a&lt;b&amp;c</k>"),
    ),
    ("a form's payload", BY_FORM, "to=1&m=a b\n%", Call("POST", URL, (FORM,), b"to=1&m=a%20b%0A%25")),
    ("a query", BY_GET, "to=1&m=%C3%A9", Call("GET", f"{URL}?to=1&m=%C3%A9")),
    ("nothing but defaults", SCRIPTED_ACCOUNT, {}, Call("POST", URL, (JSON,))),
    (
        "a document",
        BY_GET,
        {"json": {"a": [1, 2.0, 2.5, True, None, "é"]}},
        Call("POST", URL, (JSON,), b'{"a": [1, 2, 2.5, true, null, "\\u00e9"]}'),
    ),
    (
        "a form",
        SCRIPTED_ACCOUNT,
        {"form": {"a b": "c&d", "n": 2.0, "t": True, "l": ["x", 1]}},
        Call("POST", URL, (FORM,), b"a%20b=c%26d&n=2&t=true&l=x&l=1"),
    ),
    ("a body", SCRIPTED_ACCOUNT, {"body": "[1]"}, Call("POST", URL, (JSON,), b"[1]")),
    ("another method", SCRIPTED_ACCOUNT, {"method": "PUT", "body": "{}"}, Call("PUT", URL, (JSON,), b"{}")),
    ("GET by its word", SCRIPTED_ACCOUNT, {"method": "GET", "query": {"to": "+1"}}, Call("GET", f"{URL}?to=%2B1")),
    (
        "a query in any case",
        SCRIPTED_ACCOUNT,
        {"query": {"v": 2}, "body": "{}"},
        Call("POST", f"{URL}?v=2", (JSON,), b"{}"),
    ),
    (
        "an empty table is no query",
        SCRIPTED_ACCOUNT,
        {"query": [], "headers": [], "body": "{}"},
        Call("POST", URL, (JSON,), b"{}"),
    ),
    (
        "elsewhere at the gateway",
        SCRIPTED_ACCOUNT,
        {"url": "https://GATEWAY.example/v2?x=1", "query": {"y": "2"}, "body": "{}"},
        Call("POST", "https://GATEWAY.example/v2?x=1&y=2", (JSON,), b"{}"),
    ),
    (
        "headers",
        SCRIPTED_ACCOUNT,
        {"headers": {"X-A": "b", "content-type": "text/plain"}, "body": "{}"},
        Call("POST", URL, (("X-A", "b"), ("content-type", "text/plain")), b"{}"),
    ),
    (
        "in the place of those in the settings",
        ACCOUNT,
        {"headers": {"authorization": "None"}, "body": "{}"},
        Call("POST", URL, (("authorization", "None"), JSON), b"{}"),
    ),
    (
        "beside those in the settings",
        ACCOUNT,
        {"headers": {"X": "y"}, "body": "{}"},
        Call("POST", URL, (("Authorization", f"App {KEY}"), ("X", "y"), JSON), b"{}"),
    ),
    # Marks become secrets, escaped for where they stand; what only looks like one stays.
    (
        "a mark in a header",
        SCRIPTED_ACCOUNT,
        {"headers": {"A": f"Key {mark()}"}, "body": "{}"},
        Call("POST", URL, (("A", f"Key {KEY}"), JSON), b"{}"),
    ),
    (
        "a mark in a document",
        SCRIPTED_ACCOUNT,
        {"json": {"k": [mark()]}},
        Call("POST", URL, (JSON,), json.dumps({"k": [KEY]}).encode()),
    ),
    (
        "a mark in a text",
        SCRIPTED_ACCOUNT,
        f'{{"k": "{mark()}"}}',
        Call("POST", URL, (JSON,), json.dumps({"k": KEY}).encode()),
    ),
    (
        "a mark in a query",
        SCRIPTED_ACCOUNT,
        {"query": {"k": mark()}, "body": "{}"},
        Call("POST", f"{URL}?k={KEY}", (JSON,), b"{}"),
    ),
    (
        "a mark in an address",
        SCRIPTED_ACCOUNT,
        {"url": f"{URL}/{mark()}", "body": "{}"},
        Call("POST", f"{URL}/{KEY}", (JSON,), b"{}"),
    ),
    (
        "a placeholder in a message",
        SCRIPTED_ACCOUNT,
        {"json": {"m": "%SECRET:api_key%"}},
        Call("POST", URL, (JSON,), b'{"m": "%SECRET:api_key%"}'),
    ),
    (
        "a forged mark in a message",
        SCRIPTED_ACCOUNT,
        {"json": {"m": f"%SECRET:api_key!{'0' * 32}%"}},
        Call("POST", URL, (JSON,), f'{{"m": "%SECRET:api_key!{"0" * 32}%"}}'.encode()),
    ),
]


@pytest.mark.parametrize(("account", "told", "call"), [pytest.param(*row[1:], id=row[0]) for row in TAKEN])
def test_what_a_script_may_say(account: Account, told: object, call: Call) -> None:
    assert custom.call_from_script(account, HELLO, told) == call


def test_a_secret_is_escaped_where_a_script_puts_it() -> None:
    odd = replace(SCRIPTED_ACCOUNT, secrets={"api_key": 'a"b&c\\'})
    by_form = replace(BY_FORM, secrets=odd.secrets)
    assert json.loads(custom.call_from_script(odd, HELLO, f'{{"k": "{mark(odd)}"}}').body) == {"k": 'a"b&c\\'}
    assert custom.call_from_script(by_form, HELLO, f"k={mark(by_form)}").body == b"k=a%22b%26c%5C"


def test_basic_authentication_by_a_script() -> None:
    account = replace(
        SCRIPTED_ACCOUNT,
        settings={**SCRIPTED_ACCOUNT.settings, "script": 'x = "Basic %BASIC:user:password%"'},
        secrets={"user": "u", "password": "p"},
    )
    script = custom.script_of(account) or ""
    marked = script.partition('"')[2].rstrip('"')
    call = custom.call_from_script(account, HELLO, {"headers": {"Authorization": marked}, "body": "{}"})
    assert ("Authorization", "Basic dTpw") in call.headers


def _nested(depth: int) -> Any:
    return [_nested(depth - 1)] if depth else 1


REFUSED: list[tuple[str, Account, Any, str]] = [
    ("nothing", SCRIPTED_ACCOUNT, None, "a text or a table, not nothing"),
    ("a number", SCRIPTED_ACCOUNT, 5, "a text or a table, not a number"),
    ("a list", SCRIPTED_ACCOUNT, ["a"], "a text or a table, not a list"),
    ("something else", SCRIPTED_ACCOUNT, object(), "not something else"),
    ("no JSON", SCRIPTED_ACCOUNT, "to=1", "no JSON"),
    ("no XML", BY_XML, "<a>", "no XML, which content_type says it is: no element found"),
    ("a body that is no JSON", SCRIPTED_ACCOUNT, {"body": "to=1"}, "no JSON"),
    ("a name nobody knows", SCRIPTED_ACCOUNT, {"heders": {}}, "'heders'"),
    ("a name that is a number", SCRIPTED_ACCOUNT, {1: "x"}, "a number"),
    ("two bodies", SCRIPTED_ACCOUNT, {"body": "{}", "json": {}}, "body and json"),
    (
        "another host",
        SCRIPTED_ACCOUNT,
        {"url": "https://other.example/send"},
        "must begin with https://gateway.example",
    ),
    (
        "another scheme",
        SCRIPTED_ACCOUNT,
        {"url": "http://gateway.example/send"},
        "must begin with https://gateway.example",
    ),
    ("a host that only begins so", SCRIPTED_ACCOUNT, {"url": "https://gateway.example.evil.example/"}, "must begin"),
    ("a host behind a user", SCRIPTED_ACCOUNT, {"url": "https://gateway.example@evil.example/"}, "must begin"),
    ("an address of two lines", SCRIPTED_ACCOUNT, {"url": f"{URL}\r\nX: y"}, "must begin"),
    ("no address", SCRIPTED_ACCOUNT, {"url": "https://[::1"}, "must begin"),
    ("an address that is a table", SCRIPTED_ACCOUNT, {"url": {}}, "url must be a text"),
    ("another method", SCRIPTED_ACCOUNT, {"method": "DELETE"}, "GET, POST or PUT, not 'DELETE'"),
    ("a body by GET", SCRIPTED_ACCOUNT, {"method": "GET", "body": "{}"}, "GET, which has no body"),
    ("headers in a list", SCRIPTED_ACCOUNT, {"headers": ["a"]}, "headers must be a table"),
    ("a header of two lines", SCRIPTED_ACCOUNT, {"headers": {"X": "a\r\nY: b"}}, "header 'X'"),
    ("a header beyond ASCII", SCRIPTED_ACCOUNT, {"headers": {"X": "é"}}, "header 'X'"),
    ("a name that is no header", SCRIPTED_ACCOUNT, {"headers": {"a b": "c"}}, "header 'a b'"),
    *(
        (
            f"the header {name}",
            SCRIPTED_ACCOUNT,
            {"headers": {name: "x"}},
            f"header '{name}' is written by Lapwing itself",
        )
        for name in ("Host", "Transfer-Encoding", "te", "EXPECT", "Trailer", "Upgrade", "Proxy-Connection")
    ),
    ("a header that is a table", SCRIPTED_ACCOUNT, {"headers": {"X": {}}}, "headers has a table at 'X'"),
    ("a form with a table in it", SCRIPTED_ACCOUNT, {"form": {"a": {"b": 1}}}, "form has a table at 'a'"),
    ("a form with nothing in it", SCRIPTED_ACCOUNT, {"form": {"a": None}}, "form has nothing at 'a'"),
    ("a document with a function in it", SCRIPTED_ACCOUNT, {"json": {"a": print}}, "json holds something else"),
    ("a document that is not finite", SCRIPTED_ACCOUNT, {"json": float("nan")}, "json holds a number"),
    ("a document with numbers for names", SCRIPTED_ACCOUNT, {"json": {1: 2}}, "json holds a table"),
    ("a document too deep", SCRIPTED_ACCOUNT, {"json": _nested(20)}, "deeper than 12"),
    ("a body too large", SCRIPTED_ACCOUNT, {"json": "x" * 70_000}, "70002 bytes"),
    ("a payload too large", BY_FORM, "x" * 70_000, "70000 bytes"),
]


@pytest.mark.parametrize(("account", "told", "why"), [pytest.param(*row[1:], id=row[0]) for row in REFUSED])
def test_what_a_script_may_not_say(account: Account, told: object, why: str) -> None:
    with pytest.raises(UnfitScript) as refusal:
        custom.call_from_script(account, HELLO, told)
    assert why in refusal.value.detail
    assert KEY not in refusal.value.detail


def test_a_mark_for_a_secret_that_is_gone() -> None:
    gone = replace(SCRIPTED_ACCOUNT, secrets={})
    script = replace(gone, settings={**gone.settings, "script": "%SECRET:api_key%"})
    with pytest.raises(UnfitScript, match="no secret named api_key"):
        custom.call_from_script(script, HELLO, {"headers": {"A": custom.script_of(script)}, "body": "{}"})


UNFIT = Lost(may_have_arrived=True, cause="script_failed")
READS: list[tuple[str, Any, Outcome | None]] = [
    ("no opinion", None, None),
    ("accepted", {"outcome": "accepted", "reference": "R1"}, Accepted("R1")),
    ("accepted, by number", {"outcome": "accepted", "reference": 77.0}, Accepted("77")),
    ("accepted, without a reference", {"outcome": "accepted"}, Accepted()),
    ("accepted, with one that is none", {"outcome": "accepted", "reference": {}}, Accepted()),
    *(
        (
            f"refused: {fault}",
            {"outcome": "refused", "fault": fault, "code": 7, "detail": "No."},
            Refused(Fault(fault), "7", "No."),
        )
        for fault in Fault
    ),
    ("refused, in few words", {"outcome": "refused", "fault": "gateway"}, Refused(Fault.GATEWAY, "http_418")),
    (
        "later",
        {"outcome": "refused", "fault": "throttled", "retry_after": 5},
        Refused(Fault.THROTTLED, "http_418", "", 5.0),
    ),
    (
        "later, in a year",
        {"outcome": "refused", "fault": "throttled", "retry_after": 1e9},
        Refused(Fault.THROTTLED, "http_418"),
    ),
    (
        "a detail keeps neither number nor text",
        {"outcome": "refused", "fault": "message", "code": "x" * 99, "detail": "Hello & 5€? to +447700900123\n"},
        Refused(Fault.MESSAGE, "x" * 64, "[...] to [...]"),
    ),
    ("lost", {"outcome": "lost"}, Lost(may_have_arrived=True, cause="script_says_lost")),
    # Whatever else: the call was made, so it is in doubt.
    ("refused without a fault", {"outcome": "refused"}, UNFIT),
    ("refused by nobody's fault", {"outcome": "refused", "fault": "nobody"}, UNFIT),
    ("another outcome", {"outcome": "pondered"}, UNFIT),
    ("an empty table", {}, UNFIT),
    ("a text", "accepted", UNFIT),
    ("a list", ["accepted"], UNFIT),
    ("an outcome that is a list", {"outcome": ["accepted"]}, UNFIT),
    ("a fault that is a list", {"outcome": "refused", "fault": ["gateway"]}, UNFIT),
]


@pytest.mark.parametrize(("told", "outcome"), [pytest.param(*row[1:], id=row[0]) for row in READS])
def test_what_a_script_reads(told: object, outcome: Outcome | None) -> None:
    assert custom.read_from_script(HELLO, Answer(418), told) == outcome
