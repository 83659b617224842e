"""Which settings are taken, and how the others are refused: by the name of the field."""

from collections.abc import Mapping
from typing import Any

from tests.gateways.cases import Settings
from tests.gateways.custom.account import CREDENTIALS, KEY, LOGGING_IN, LOGIN, PLAIN, SETTINGS

SECRETS = {"api_key": KEY}


def _plain(label: str, *pointers: str, secrets: dict[str, str] | None = None, **over: Any) -> Settings:
    return Settings(label, {**PLAIN, **over}, secrets=secrets or {}, pointers=[f"/settings/{one}" for one in pointers])


def _rich(label: str, *pointers: str, **over: Any) -> Settings:
    return Settings(label, {**SETTINGS, **over}, secrets=SECRETS, pointers=[f"/settings/{one}" for one in pointers])


def _receipt(label: str, *pointers: str, **over: Any) -> Settings:
    receipt = {name: value for name, value in {**SETTINGS["receipt"], **over}.items() if value is not None}
    return _rich(label, *(f"receipt/{one}" for one in pointers), receipt=receipt)


def _replying(**reply: Any) -> dict[str, Any]:
    return {"from": "f", "text": "t", "reply": reply}


def _balance(label: str, *pointers: str, **over: Any) -> Settings:
    return _rich(label, *(f"balance/{one}" for one in pointers), balance={"url": "/balance", **over})


def _login(label: str, *pointers: str, secrets: Mapping[str, str] = CREDENTIALS, **over: Any) -> Settings:
    given = {**LOGGING_IN.settings, **over}
    if isinstance(given["login"], dict):
        given["login"] = {name: value for name, value in given["login"].items() if value is not None}
    return Settings(label, given, secrets=secrets, pointers=[f"/settings/{one}" for one in pointers])


def _taken(label: str, secrets: dict[str, str] | None = None, **over: Any) -> Settings:
    given = {**PLAIN, **over}
    return Settings(label, given, {name: value for name, value in given.items() if value is not None}, secrets or {})


BASIC = {"name": "Authorization", "value": "Basic %BASIC:user:password%"}
BEYOND = {"user": "Jürgen", "password": "größte Höhe 日本"}
BY_ID: dict[str, Any] = {"payload": "to=%TO%&m=%MESSAGE%&id=%ID%"}
DEDUPLICATION: dict[str, Any] = {"by": "ID", "window": 600, "most": 3}
XML: dict[str, Any] = {"method": "POST", "content_type": "text/xml"}
JSON: dict[str, Any] = {"method": "POST", "content_type": "application/json"}
SETTINGS_OF_ALL_KINDS = {
    **SETTINGS,
    "method": "PUT",
    "verify_tls": False,
    "number_format": "digits",
    "location": "harbour",
    "encodings": {"gsm7": "0", "ucs2": "8"},
    "validity": {"unit": "hours", "default": 3600, "most": 86_400},
    "success_text": "ok",
    "success_pattern": "^ok",
    "success_statuses": [200, 202],
    "failure_text": "error",
    "reference_pattern": "id=([0-9]+)",
    "reference_header": "X-Id",
    "code_pattern": "code=([0-9]+)",
    "callback_secret": {"header": "X-Key", "secret": "callback_key"},
    "receipt": {**SETTINGS["receipt"], "items": "results", "reply": {"content_type": "text/plain", "body": "OK"}},
    "inbound": {
        **SETTINGS["inbound"],
        "items": "results",
        "time": "at",
        "time_zone": "Europe/Amsterdam",
        "only": {"path": "kind", "values": ["in", 7]},
        "reply": {"body": "OK"},
    },
    "balance": {
        "url": "https://other.example/balance?k=%SECRET:api_key%",
        "method": "POST",
        "content_type": "application/json",
        "payload": '{"key": "%SECRET:api_key%"}',
        "headers": [{"name": "X-Key", "value": "%SECRET:api_key%"}],
        "path": "data.credit",
        "pattern": "[0-9]+",
        "unit_path": "data.currency",
        "unit": "EUR",
    },
}

ALL_OF_A_LOGIN = {
    **LOGGING_IN.settings,
    "login": {
        **LOGIN,
        "url": "https://auth.example/token",
        "method": "PUT",
        "content_type": "application/json",
        "payload": '{"secret": "%SECRET:client_secret%"}',
        "token_path": "data.token",
        "token_pattern": "t=([a-z]+)",
        "lifetime_path": "data.ttl",
        "lifetime": 600,
    },
}
TAKEN = [
    _taken("the least"),
    Settings("what the tables use", SETTINGS, SETTINGS, SECRETS),
    Settings("all there is", SETTINGS_OF_ALL_KINDS, SETTINGS_OF_ALL_KINDS, {**SECRETS, "callback_key": "s"}),
    Settings(
        "Powerlynx's word for a form",
        {**PLAIN, "content_type": "x-www-form-urlencoded", "method": "", "headers": []},
        {**PLAIN, "content_type": "application/x-www-form-urlencoded", "headers": []},
    ),
    _taken("success by status alone", success_text=None, success_statuses=[202]),
    _taken("success by path", success_text=None, success_path="id"),
    _taken("success by null", success_text=None, success_path="error", success_values=[None]),
    _taken("success by pattern", success_text=None, success_pattern="^OK"),
    _taken("a first number for a balance", balance={"url": "/balance"}),
    _taken("a script instead of a payload", payload=None, script="return function(sms) return 'x' end"),
    _taken(
        "a script may use secrets by itself",
        {"api_key": KEY},
        payload=None,
        script="return {}",
        url=f"{PLAIN['url']}?v=1",
    ),
    Settings("a login", LOGGING_IN.settings, LOGGING_IN.settings, CREDENTIALS),
    Settings("all of a login", ALL_OF_A_LOGIN, ALL_OF_A_LOGIN, CREDENTIALS),
    Settings("a password of two words", SETTINGS, SETTINGS, {"api_key": "open sesame"}),
    Settings("a login beyond ASCII", {**PLAIN, "headers": [BASIC]}, {**PLAIN, "headers": [BASIC]}, BEYOND),
    _taken("a password beyond ASCII in an address", BEYOND, url=f"{PLAIN['url']}?u=%SECRET:user%&p=%SECRET:password%"),
    _taken(
        "and in JSON",
        BEYOND,
        **JSON,
        payload='{"t": "%TO%", "m": "%MESSAGE%", "u": "%SECRET:user%", "p": %SECRET:password%}',
    ),
    _taken("and for a script", BEYOND, payload=None, script="return {}"),
    _taken("what is no placeholder", payload="to=%TO%&m=%MESSAGE%&x=%C3%A9&y=5%off%"),
    _taken("an id that tells repetitions", **BY_ID, deduplication=DEDUPLICATION),
    _taken(
        "what it says of one",
        **BY_ID,
        deduplication=DEDUPLICATION,
        faults=[{"status": 409, "text": "known", "fault": "duplicate"}],
    ),
    _taken("an id that a script sends", payload=None, script="return {}", deduplication=DEDUPLICATION),
    _taken("XML", **XML, payload='<?xml version="1.0" encoding="UTF-8"?><s t="%TO%"><![CDATA[%MESSAGE%]]></s>'),
    _taken("a list at the root", **JSON, payload='[{"t": "%TO%", "m": %MESSAGE%, "n": %TO:number%}]'),
]

REFUSED = [
    Settings("nothing", {}, pointers=["/settings/url", "/settings/success_text"]),
    # The call.
    *(
        _plain(f"url {url}", "url", url=url)
        for url in (
            "gateway.example/send",
            "ftp://gateway.example",
            "https://",
            "https://me:pw@gateway.example/send",
            "https://gateway.example/send#x",
            "https://gateway.example:port/",
            "https://gateway example/",
            "https://%LOCATION%.example/send",
            "https://gateway.example%TO%/send",
        )
    ),
    _plain("a method of another kind", "method", method="DELETE"),
    _plain("another type", "content_type", content_type="text/csv", method="POST"),
    _plain("XML by GET", "content_type", content_type="text/xml", payload="<a t='%TO%'>%MESSAGE%</a>"),
    *(
        _plain(f"no XML: {payload}", "payload", **XML, payload=payload)
        for payload in (
            "to=%TO%&m=%MESSAGE%",
            "<sms><to>%TO%</to><text>%MESSAGE%</text>",
            "<sms to=%TO%>%MESSAGE%</sms>",
            "<sms to='%TO%'>%MESSAGE%</sms><more/>",
            '<!DOCTYPE s [<!ENTITY a "b">]><s t="%TO%">%MESSAGE%</s>',
            '<?xml version="1.0" encoding="ISO-8859-1"?><s t="%TO%">%MESSAGE%</s>',
        )
    ),
    _plain("JSON by GET", "content_type", content_type="application/json", payload='{"t":"%TO%","m":"%MESSAGE%"}'),
    _plain("no number and no text anywhere", "payload", payload="hello=1"),
    _plain("no text", "payload", payload="to=%TO%"),
    _plain("a payload of another type", "payload", payload={"to": "%TO%"}),
    _plain("a payload too long", "payload", payload="to=%TO%&m=%MESSAGE%" + "x" * 16_384),
    # Placeholders.
    *(
        _plain(f"placeholder {name}", "payload", payload=f"to=%TO%&m=%MESSAGE%&x={name}")
        for name in (
            "%PHONE%",
            "%Message%",
            "%message%",
            "%SENDER_ID%",
            "%SECRET%",
            "%SECRET:a:b%",
            "%BASIC:user%",
            "%TO:spaced%",
            "%TO:digits:number:e164%",
            "%FROM:number%",
            "%MESSAGE:raw%",
        )
    ),
    _plain("an unknown one in the address", "url", url="https://gateway.example/%PHONE%"),
    _plain("an unknown one in a header", "headers/0/value", headers=[{"name": "X", "value": "%PHONE%"}]),
    # JSON must be JSON once it is filled.
    *(
        _plain(f"no JSON: {payload}", "payload", **JSON, payload=payload)
        for payload in (
            "to=%TO%&m=%MESSAGE%",
            '{"t": "%TO%", "m": "%MESSAGE%"',
            '{"t": "%TO%", "m": "%MESSAGE%",}',
            "{'t': '%TO%', 'm': '%MESSAGE%'}",
            '{"t": "%TO%", "m": "%MESSAGE%}',
        )
    ),
    _plain("no number outside quotes", "payload", **JSON, payload='{"t": +%TO:number%, "m": "%MESSAGE%"}'),
    # Headers.
    *(
        _plain(f"a header named {name!r}", "headers/0/name", headers=[{"name": name, "value": "x"}])
        for name in (
            "",
            "two words",
            "X:",
            "Host",
            "content-length",
            "Transfer-Encoding",
            "Proxy-Authorization",
            "X\r\nY",
        )
    ),
    _plain("a header of two lines", "headers/0/value", headers=[{"name": "X", "value": "a\r\nY: b"}]),
    _plain("a header without a value", "headers/0/value", headers=[{"name": "X"}]),
    _plain("a header beyond ASCII", "headers/0/value", headers=[{"name": "X", "value": "é"}]),
    _plain("a header with more to it", "headers/0/colour", headers=[{"name": "X", "value": "y", "colour": "red"}]),
    _plain("headers as an object", "headers", headers={"X": "y"}),
    _plain("too many headers", "headers", headers=[{"name": "X", "value": "y"}] * 21),
    _plain("attachments without a script or a place", "attachments", attachments=True),
    _plain("a flag that is a word", "verify_tls", verify_tls="no"),
    _plain("a script that is none", "script", script=5),
    # Values.
    _plain("another format", "number_format", number_format="spaced"),
    _plain("half an encoding", "encodings/ucs2", encodings={"gsm7": "0"}),
    _plain("another unit", "validity/unit", validity={"unit": "weeks"}),
    _plain("no time at all", "validity/default", "validity/most", validity={"default": 0, "most": True}),
    # Success.
    _plain("no test of success", "success_text", success_text=""),
    _plain("a status that is no success", "success_statuses", success_text=None, success_statuses=[200, 404]),
    _plain("statuses of another type", "success_statuses", success_statuses=[True]),
    _plain("values without a path", "success_values", success_values=["0"]),
    _plain("values that are lists", "success_values", success_path="a", success_values=[["0"]]),
    *(
        _plain(f"path {path}", "success_path", success_path=path)
        for path in ("a..b", "a[", "a[x]", "a.", ".a", "[0]a", "a[-1]", "a" * 201, 5)
    ),
    *(
        _plain(f"pattern {pattern}", "reference_pattern", reference_pattern=pattern)
        for pattern in ("(", "(?=a)", r"(a)\1", "((x{100}){100}){100}", "a" * 501, "\ud800")
    ),
    # Faults.
    _rich("another fault", "faults/0/fault", faults=[{"codes": ["1"], "fault": "nobody's"}]),
    _rich("a fault of everything", "faults/0/fault", faults=[{"fault": "message"}]),
    _rich("a status of another kind", "faults/0/status", faults=[{"status": 99, "fault": "message"}]),
    _rich("codes as a text", "faults/0/codes", faults=[{"codes": "1", "fault": "message"}]),
    _plain("codes that are found nowhere", "faults/0/codes", faults=[{"codes": ["1"], "fault": "message"}]),
    _rich(
        "a fault with more to it",
        "faults/1/why",
        faults=[{"status": 400, "fault": "message"}, {"status": 400, "fault": "message", "why": "x"}],
    ),
    _plain("a repetition told without an id", "faults/0/fault", faults=[{"status": 409, "fault": "duplicate"}]),
    # What is taken once.
    _plain("an id that is not sent", "deduplication/by", deduplication=DEDUPLICATION),
    _plain(
        "another id than the one sent", "deduplication/by", **BY_ID, deduplication={**DEDUPLICATION, "by": "ID_NUMBER"}
    ),
    _plain("an id by another name", "deduplication/by", **BY_ID, deduplication={**DEDUPLICATION, "by": "MESSAGE"}),
    _plain(
        "an id that changes with the attempt",
        "deduplication/by",
        payload="to=%TO%&m=%MESSAGE%&id=%ID%-%ATTEMPT%",
        deduplication=DEDUPLICATION,
    ),
    _plain("without an end", "deduplication/window", "deduplication/most", **BY_ID, deduplication={"by": "ID"}),
    _plain(
        "for too short, and too often",
        "deduplication/window",
        "deduplication/most",
        **BY_ID,
        deduplication={"by": "ID", "window": 1, "most": 11},
    ),
    _plain("more to it", "deduplication/colour", **BY_ID, deduplication={**DEDUPLICATION, "colour": "red"}),
    # Callbacks.
    _receipt("receipts without a status", "status", status=None),
    _receipt("receipts without words", "statuses", statuses=None),
    _receipt("a word that leads nowhere", "statuses", statuses={"x": "arrived"}),
    _receipt("a word that leads back", "statuses", statuses={"x": "queued"}),
    _receipt("codes without a place", "opted_out_codes", code=None),
    _receipt("a path that is none", "items", items="a[["),
    _receipt("parts that nothing tells apart", "per_part", per_part=True, id=None, own_id="ours"),
    _receipt("parts that nothing holds together", "per_part", per_part=True, id="id", own_id=None),
    _receipt("more to it", "colour", colour="red"),
    _rich("a receipt that is a text", "receipt", receipt="id"),
    _rich("inbound without its fields", "inbound/from", "inbound/text", inbound={"to": "to"}),
    _rich(
        "a zone nobody knows", "inbound/time_zone", inbound={**SETTINGS["inbound"], "time": "t", "time_zone": "Mars"}
    ),
    _rich("a zone of nothing", "inbound/time_zone", inbound={**SETTINGS["inbound"], "time_zone": "UTC"}),
    _rich(
        "what tells nothing", "inbound/only/path", "inbound/only/values", inbound={**SETTINGS["inbound"], "only": {}}
    ),
    _rich(
        "what tells apart two lists",
        "inbound/only",
        inbound={**SETTINGS["inbound"], "items": "messages", "only": {"path": "kind", "values": ["in"]}},
    ),
    _rich("a reply of another type", "inbound/reply/body", inbound={"from": "f", "text": "t", "reply": {"body": 5}}),
    _rich("a reply that is a refusal", "inbound/reply/status", inbound=_replying(status=400)),
    _rich("a reply with a body and none", "inbound/reply/body", inbound=_replying(status=204, body="OK")),
    _rich("half a secret", "callback_secret/secret", callback_secret={"header": "X-Key"}),
    # Balance.
    _balance("a balance from nowhere", "url", url=None),
    _balance("at an odd address", "url", url="balance"),
    _balance("asked for with a message", "url", url="/balance?to=%TO%"),
    _balance("JSON by GET", "content_type", content_type="application/json"),
    _balance("a path that is none", "path", path="a[["),
    _balance("a pattern that is none", "pattern", pattern="("),
    _balance("a header that is none", "headers/0/name", headers=[{"name": "a b", "value": "x"}]),
    _balance("a unit of another kind", "unit", unit="€ 5"),
    # Login.
    _login("a login from nowhere", "login/url", login={**LOGIN, "url": None}),
    _login("asked for with a message", "login/url", login={**LOGIN, "payload": "to=%TO%"}),
    _login("asked for with its own token", "login/url", login={**LOGIN, "payload": "t=%TOKEN%"}),
    _login("a path that is none", "login/token_path", login={**LOGIN, "token_path": "a[["}),
    _login("for a second", "login/lifetime", login={**LOGIN, "lifetime": 1}),
    _login("more to it", "login/colour", login={**LOGIN, "colour": "red"}),
    _login("no login for its token", "login", login=None, secrets={}),
    _login("a token for nothing", "login", headers=[]),
    Settings(
        "a secret with the token's name",
        {**LOGGING_IN.settings, "payload": "k=%SECRET:access_token%&t=%TO%&m=%MESSAGE%"},
        secrets={**CREDENTIALS, "access_token": "mine"},
        pointers=["/secrets/access_token"],
    ),
    # Secrets, and what nobody knows.
    Settings("a secret that is not given", SETTINGS, pointers=["/secrets/api_key"]),
    Settings("a secret used nowhere", PLAIN, secrets={"api_key": KEY}, pointers=["/secrets/api_key"]),
    Settings(
        "a secret with a space behind it", SETTINGS, secrets={"api_key": f"{KEY} "}, pointers=["/secrets/api_key"]
    ),
    Settings("in a header, beyond ASCII", SETTINGS, secrets={"api_key": "schlüssel"}, pointers=["/secrets/api_key"]),
    Settings(
        "in a header and in the body, beyond ASCII",
        {
            **SETTINGS,
            "payload": "k=%SECRET:api_key%&t=%TO%&m=%MESSAGE%",
            "content_type": "application/x-www-form-urlencoded",
        },
        secrets={"api_key": "schlüssel"},
        pointers=["/secrets/api_key"],
    ),
    Settings(
        "for callbacks, beyond ASCII",
        {**PLAIN, "callback_secret": {"header": "X-Key", "secret": "callback_key"}},
        secrets={"callback_key": "schlüssel"},
        pointers=["/secrets/callback_key"],
    ),
    *(
        Settings(
            f"a password {label}",
            {**PLAIN, "headers": [BASIC]},
            secrets={"user": "Jürgen", "password": f"größte{stray}"},
            pointers=["/secrets/password"],
        )
        for label, stray in {
            "with a line end": "\n",
            "with a space behind it": " ",
            "with a space that does not break": "\u00a0",
            "with something nobody sees": "\u200b",
            "with half a character": "\ud83d",
            "too long": "ü" * 4096,
        }.items()
    ),
    Settings("a secret with a line end", SETTINGS, secrets={"api_key": f"{KEY}\n"}, pointers=["/secrets/api_key"]),
    Settings(
        "a secret for callbacks that is not given",
        {**SETTINGS, "callback_secret": {"header": "X-Key", "secret": "callback_key"}},
        secrets=SECRETS,
        pointers=["/secrets/callback_key"],
    ),
    _plain("names nobody knows", "sucess_text", sucess_text="OK"),
]
SETTINGS_CASES = [*TAKEN, *REFUSED]
