"""What is said to hand a message over, place by place."""

import json
from dataclasses import replace
from typing import Any

from shared.adapter import Account, Call, Sms
from tests.gateways.cases import Sends
from tests.gateways.custom.account import (
    ACCOUNT,
    BATCH,
    CALLBACK_URL,
    HELLO,
    KEY,
    QUOTED_CALLBACK_URL,
    SETTINGS,
    account,
    rich,
)

FORM = ("Content-Type", "application/x-www-form-urlencoded")
JSON = ("Content-Type", "application/json")
AUTH = ("Authorization", f"App {KEY}")
URL = "https://gateway.example/send"
TEXT = "Hello%20%26%205%E2%82%AC%3F"


MEDIA = ("https://sms.test/1?e=1", "https://sms.test/2")


def _json(label: str, payload: str, body: Any, batch: list[Sms] = BATCH, **more: Any) -> Sends:
    call = Call("POST", URL, (AUTH, JSON), body if isinstance(body, bytes) else json.dumps(body).encode())
    return Sends(label, batch, call, rich(payload=payload, **more))


def _form(label: str, payload: str, body: str, batch: list[Sms] = BATCH, **more: Any) -> Sends:
    return Sends(
        label, batch, Call("POST", URL, (FORM,), body.encode()), account(method="POST", payload=payload, **more)
    )


def _header(label: str, value: str, said: str, account_: Account | None = None) -> Sends:
    headers = [{"name": "X-Sender", "value": value}]
    chosen = replace(account_ or ACCOUNT, settings={**(account_ or ACCOUNT).settings, "headers": headers})
    body = b'{"to": "+447700900123", "from": "Cafe Ada", "text": "Hello & 5\\u20ac?"}'
    return Sends(label, BATCH, Call("POST", URL, (("X-Sender", said), JSON), body), chosen)


def _xml(label: str, payload: str, body: str, text: str) -> Sends:
    call = Call("POST", URL, (("Content-Type", "text/xml; charset=utf-8"),), body.encode())
    chosen = account(method="POST", content_type="text/xml", payload=payload)
    return Sends(label, [replace(HELLO, text=text)], call, chosen)


HOSTILE = '%TO% %SECRET:api_key% "},{"\\\n&a=b#\u2028'
IN_XML = """<b> & "it's" ]]> \x07%TO%\n\té"""
SENDS = [
    _xml(
        "XML, in an element and in an attribute",
        '<s to="%TO%" m="%MESSAGE%"><t>%MESSAGE%</t></s>',
        '<s to="+447700900123" m="&lt;b&gt; &amp; &quot;it&apos;s&quot; ]]&gt;  %TO%&#10;&#9;é"><t>'
        "&lt;b&gt; &amp; &quot;it&apos;s&quot; ]]&gt;  %TO%&#10;&#9;é</t></s>",
        IN_XML,
    ),
    _xml(
        "XML, in CDATA and behind it",
        "<s><t><![CDATA[%MESSAGE%]]></t><to>%TO:digits%</to></s>",
        """<s><t><![CDATA[<b> & "it's" ]]]]><![CDATA[>  %TO%\n\té]]></t><to>447700900123</to></s>""",
        IN_XML,
    ),
    Sends(
        "JSON",
        BATCH,
        Call("POST", URL, (AUTH, JSON), b'{"to": "+447700900123", "from": "Cafe Ada", "text": "Hello & 5\\u20ac?"}'),
    ),
    Sends(
        "GET puts the payload into the query",
        BATCH,
        Call("GET", f"{URL}?from=harbour&to=%2B447700900123&message={TEXT}"),
        account(location="harbour"),
    ),
    Sends(
        "after what the address asks already",
        BATCH,
        Call("GET", f"{URL}?v=2&to=%2B447700900123&m={TEXT}"),
        account(url=f"{URL}?v=2", payload="to=%TO%&m=%MESSAGE%"),
    ),
    Sends(
        "everything in the address",
        BATCH,
        Call("GET", f"{URL}/%2B447700900123?m={TEXT}"),
        account(url=f"{URL}/%TO%?m=%MESSAGE%", payload=None),
    ),
    _form("a form", "to=%TO%&message=%MESSAGE%", f"to=%2B447700900123&message={TEXT}"),
    Sends(
        "PUT",
        BATCH,
        Call("PUT", URL, (FORM,), f"to=%2B447700900123&m={TEXT}".encode()),
        account(method="PUT", payload="to=%TO%&m=%MESSAGE%"),
    ),
    _json("a list at the root", '[{"phone": "%TO%", "m": "%MESSAGE%"}]', [{"phone": "+447700900123", "m": HELLO.text}]),
    # One pass, and every value escaped for where it stands.
    _json(
        "a hostile text in JSON",
        '{"to": "%TO%", "text": "%MESSAGE%"}',
        {"to": "+447700900123", "text": HOSTILE},
        [replace(HELLO, text=HOSTILE)],
    ),
    _json(
        "a hostile text, quoted by us",
        '{"to": "%TO%", "text": %MESSAGE%}',
        {"to": "+447700900123", "text": HOSTILE},
        [replace(HELLO, text=HOSTILE)],
    ),
    _form(
        "a hostile text in a form",
        "to=%TO%&m=%MESSAGE%&end=1",
        "to=%2B447700900123&m=%25TO%25%20%25SECRET%3Aapi_key%25%20%22%7D%2C%7B%22%5C%0A%26a%3Db%23%E2%80%A8&end=1",
        [replace(HELLO, text=HOSTILE)],
    ),
    _form("half a character", "to=%TO%&m=%MESSAGE%", "to=%2B447700900123&m=x%3F", [replace(HELLO, text="x\ud800")]),
    # Numbers.
    _json(
        "digits", '{"to": "%TO%", "m": "%MESSAGE%"}', {"to": "447700900123", "m": HELLO.text}, number_format="digits"
    ),
    _json(
        "national", '{"to": "%TO%", "m": "%MESSAGE%"}', {"to": "07700900123", "m": HELLO.text}, number_format="national"
    ),
    _json("a number", '{"to": %TO:number%, "m": "%MESSAGE%"}', {"to": 447700900123, "m": HELLO.text}),
    _json(
        "by name, whatever the setting",
        '{"a": "%TO:e164%", "b": "%TO:digits%", "c": "%TO:national%", "m": "%MESSAGE%"}',
        {"a": "+447700900123", "b": "447700900123", "c": "07700900123", "m": HELLO.text},
        number_format="digits",
    ),
    _json("a plus is not doubled", '{"to": "+%TO%", "m": "%MESSAGE%"}', {"to": "+447700900123", "m": HELLO.text}),
    _form("nor is it in a form", "to=+%TO%&m=%MESSAGE%", f"to=%2B447700900123&m={TEXT}"),
    _form("nor as an escape", "to=%2b%TO%&m=%MESSAGE%", f"to=%2B447700900123&m={TEXT}"),
    # Senders and locations.
    _json(
        "the message's own sender, a number as numbers are written",
        '{"f": "%FROM%", "t": "%TO%", "m": "%MESSAGE%"}',
        {"f": "12025550142", "t": "447700900123", "m": HELLO.text},
        [replace(HELLO, sender_id="+12025550142")],
        number_format="digits",
    ),
    _form(
        "the message's own location",
        "from=%LOCATION%&to=%TO%&m=%MESSAGE%",
        f"from=Lobby%20%26%20Bar&to=%2B447700900123&m={TEXT}",
        [replace(HELLO, location_id="Lobby & Bar")],
        location="elsewhere",
    ),
    _form(
        "without a location, the sender",
        "from=%LOCATION%&to=%TO%&m=%MESSAGE%",
        f"from=Ada&to=%2B447700900123&m={TEXT}",
        [replace(HELLO, sender_id="Ada")],
    ),
    _form("neither", "from=%LOCATION%&to=%TO%&m=%MESSAGE%", f"from=&to=%2B447700900123&m={TEXT}"),
    # The rest of what can be said.
    _json(
        "our id, and where receipts go",
        '{"id": "%ID%", "n": %ID_NUMBER%, "a": %ATTEMPT%, "cb": "%CALLBACK_URL%", "at": "%CREATED_AT%",'
        ' "t": "%TO%", "m": "%MESSAGE%"}',
        f'{{"id": "{HELLO.id}", "n": 1, "a": 2, "cb": "{CALLBACK_URL}", "at": "2025-10-11T19:31:47Z",'
        ' "t": "+447700900123", "m": "Hello & 5\\u20ac?"}'.encode(),
        [HELLO],
    ),
    _form(
        "what goes with it",
        "to=%TO%&m=%MESSAGE%&media=%MEDIA%",
        f"to=%2B447700900123&m={TEXT}&media=https%3A%2F%2Fsms.test%2F1%3Fe%3D1%2Chttps%3A%2F%2Fsms.test%2F2",
        [replace(HELLO, media_urls=MEDIA)],
    ),
    _form("nothing goes with it", "to=%TO%&m=%MESSAGE%&media=%MEDIA%", f"to=%2B447700900123&m={TEXT}&media="),
    _json(
        "what goes with it, as a list and as a text",
        '{"media": %MEDIA%, "all": "%MEDIA%", "t": "%TO%", "m": "%MESSAGE%"}',
        {"media": list(MEDIA), "all": ",".join(MEDIA), "t": "+447700900123", "m": HELLO.text},
        [replace(HELLO, media_urls=MEDIA)],
    ),
    _json(
        "an empty list where nothing goes with it",
        '{"media": %MEDIA%, "t": "%TO%", "m": "%MESSAGE%"}',
        {"media": [], "t": "+447700900123", "m": HELLO.text},
    ),
    _form(
        "an address in an address",
        "to=%TO%&m=%MESSAGE%&dlr-url=%CALLBACK_URL%%26status%3D%25d",
        f"to=%2B447700900123&m={TEXT}&dlr-url={QUOTED_CALLBACK_URL}%26status%3D%25d",
    ),
    _json(
        "how it is encoded, in how many segments",
        '{"e": "%ENCODING%", "s": %SEGMENTS%, "t": "%TO%", "m": "%MESSAGE%"}',
        {"e": "text", "s": 3, "t": "+447700900123", "m": HELLO.text},
        [replace(HELLO, segments=3)],
    ),
    _json(
        "the gateway's own words for it",
        '{"e": "%ENCODING%", "t": "%TO%", "m": "%MESSAGE%"}',
        {"e": "8", "t": "+447700900123", "m": "Привет"},
        [replace(HELLO, text="Привет")],
        encodings={"gsm7": "0", "ucs2": "8"},
    ),
    *(
        _json(
            f"validity: {label}",
            '{"v": %VALIDITY%, "t": "%TO%", "m": "%MESSAGE%"}',
            {"v": expected, "t": "+447700900123", "m": HELLO.text},
            [replace(HELLO, expires_in=expires_in)],
            validity=rule,
        )
        for label, expires_in, rule, expected in (
            ("seconds", 90, None, 90),
            ("milliseconds", 90, {"unit": "milliseconds"}, 90_000),
            ("whole minutes that have room", 119, {"unit": "minutes"}, 1),
            ("less than an hour is one", 90, {"unit": "hours"}, 1),
            ("two days", None, None, 172_800),
            ("the owner's own", None, {"default": 600}, 600),
            ("no longer than the gateway takes", 90_000, {"most": 3600}, 3600),
        )
    ),
    # Secrets and headers.
    Sends(
        "a secret in each place",
        BATCH,
        Call(
            "POST",
            f"{URL}/acc%2F1",
            (("Authorization", "Basic YWNjLzE6cDRzcy13b3Jk"), FORM),
            f"k=p4ss-word&to=%2B447700900123&m={TEXT}".encode(),
        ),
        account(
            url=f"{URL}/%SECRET:user%",
            method="POST",
            payload="k=%SECRET:password%&to=%TO%&m=%MESSAGE%",
            headers=[{"name": "Authorization", "value": "Basic %BASIC:user:password%"}],
            secrets={"user": "acc/1", "password": "p4ss-word"},
        ),
    ),
    Sends(
        "a secret that would break out of its quotes",
        BATCH,
        Call("POST", URL, (JSON,), json.dumps({"k": 'a"b\\c', "t": "+447700900123", "m": HELLO.text}).encode()),
        account(
            SETTINGS,
            payload='{"k": "%SECRET:api_key%", "t": "%TO%", "m": "%MESSAGE%"}',
            headers=[],
            secrets={"api_key": 'a"b\\c'},
        ),
    ),
    _header("a header with a value of the message's", "%FROM%/%ID%", f"Cafe Ada/{HELLO.id}"),
    Sends(
        "the owner's own Content-Type",
        BATCH,
        Call(
            "POST",
            URL,
            (("content-type", "application/json; charset=utf-8"),),
            b'{"t": "+447700900123", "m": "Hello & 5\\u20ac?"}',
        ),
        rich(
            payload='{"t": "%TO%", "m": "%MESSAGE%"}',
            headers=[{"name": "content-type", "value": "application/json; charset=utf-8"}],
        ),
    ),
    Sends(
        "the certificate is not looked at",
        BATCH,
        Call("GET", f"{URL}?to=%2B447700900123&m={TEXT}", verify_tls=False),
        account(payload="to=%TO%&m=%MESSAGE%", verify_tls=False),
    ),
    # What owners write that is no placeholder.
    _form("an escape", "to=%TO%&m=%MESSAGE%&x=%C3%A9%DE", f"to=%2B447700900123&m={TEXT}&x=%C3%A9%DE"),
    _form("a stray percent sign", "off=50%&to=%TO%&m=%MESSAGE%", f"off=50%25&to=%2B447700900123&m={TEXT}"),
    _form("two in a row", "m=%MESSAGE%%TO%", f"m={TEXT}%2B447700900123"),
    _form(
        "several lines, blanks and letters beyond ASCII",
        "to=%TO%\n  &m=%MESSAGE%&x=a bé",
        f"to=%2B447700900123&m={TEXT}&x=a%20b%C3%A9",
    ),
    _json(
        "percent signs in JSON",
        '{"x": "50%off%", "t": "%TO%", "m": "%MESSAGE%"}',
        {"x": "50%off%", "t": "+447700900123", "m": HELLO.text},
    ),
]
