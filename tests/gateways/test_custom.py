"""What of the custom gateway no table shows: hostile texts in every place, patterns that would never end, warnings."""

import json
import re
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, urlsplit
from uuid import UUID
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.adapter import ACCESS_TOKEN, Account, Answer, Reply, Replying
from shared.domain.outcome import Accepted, Lost
from shared.errors import Invalid
from shared.gateways import METERED, WARNED, adapter_for, custom, metered_for, twilio
from shared.gateways.custom import patterns
from shared.gateways.custom.placeholders import CannotFill
from tests.gateways.custom.account import (
    ACCOUNT,
    BATCH,
    CREDENTIALS,
    HELLO,
    KEY,
    LOGGING_IN,
    PLAIN,
    SETTINGS,
    account,
    rich,
    said,
)
from tests.gateways.twilio import ACCOUNT as TWILIO

_bounded = settings(max_examples=300, deadline=None, database=None)
# Whole characters: what cannot be written in UTF-8 cannot come back.
_texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40) | st.lists(
    st.sampled_from(["%TO%", "%SECRET:api_key%", "%MESSAGE%", '"', "\\", "&", "=", "%", "+", "\r\n", "%%", "é"]),
    max_size=8,
).map("".join)


@_bounded
@given(_texts, _texts)
def test_whatever_a_text_holds_arrives_as_it_is_in_json(text: str, location: str) -> None:
    sms = replace(HELLO, text=text, location_id=location or None)
    payload = '{"a": {"t": "%TO%", "m": "<%MESSAGE%>"}, "l": %LOCATION%, "k": "%SECRET:api_key%"}'
    call = custom.build_send(rich(payload=payload), [sms])
    assert json.loads(call.body) == {
        "a": {"t": "+447700900123", "m": f"<{text}>"},
        "l": location or "Cafe Ada",
        "k": KEY,
    }


@_bounded
@given(_texts | st.lists(st.sampled_from(["<", ">", "]]>", "'", "&amp;", "\n", "\t", "\x07", "a"])).map("".join))
def test_whatever_a_text_holds_arrives_as_it_is_in_xml(text: str) -> None:
    """But for what no document can hold, and the line ends that each reader makes its own."""
    payload = "<s m='%MESSAGE%'><t>%MESSAGE%</t><c><![CDATA[%MESSAGE%]]></c><k>%SECRET:api_key%</k></s>"
    chosen = rich(payload=payload, content_type="application/xml")
    read = ET.fromstring(custom.build_send(chosen, [replace(HELLO, text=text)]).body)  # noqa: S314 - our own
    kept = re.sub("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", " ", text)
    assert [read.get("m"), read.findtext("t")] == [kept, kept]
    assert read.findtext("c") == kept.replace("\r\n", "\n").replace("\r", "\n")
    assert read.findtext("k") == KEY


@_bounded
@given(_texts, _texts)
def test_whatever_a_text_holds_arrives_as_it_is_in_forms_and_addresses(text: str, location: str) -> None:
    sms = replace(HELLO, text=text, location_id=location or None)
    over: dict[str, Any] = {
        "payload": "to=%TO%&m=%MESSAGE%&l=%LOCATION%&end=1",
        "url": "https://gateway.example/%MESSAGE%/send",
    }
    for method in ("GET", "POST"):
        call = custom.build_send(account(method=method, **over), [sms])
        parts = urlsplit(call.url)
        assert (parts.netloc, parts.path.count("/"), parts.fragment) == ("gateway.example", 2, "")
        said_ = parts.query if method == "GET" else call.body.decode()
        assert parse_qsl(said_, keep_blank_values=True, strict_parsing=True) == [
            ("to", "+447700900123"),
            ("m", text),
            ("l", location),
            ("end", "1"),
        ]


@_bounded
@given(_texts)
def test_whatever_a_text_holds_no_header_has_a_second_line(text: str) -> None:
    chosen = rich(headers=[{"name": "X-Text", "value": "a %MESSAGE% b"}])
    try:
        call = custom.build_send(chosen, [replace(HELLO, text=text)])
    except CannotFill:
        assert not (text.isascii() and text.isprintable())
    else:
        assert text.isascii()
        assert text.replace("\t", "").isprintable()
        assert call.headers[0] == ("X-Text", f"a {text} b")


@pytest.mark.parametrize(
    ("label", "over", "takes"),
    [
        ("a place in the payload", {"payload": "t=%TO%&m=%MESSAGE%&u=%MEDIA%"}, True),
        ("a place in the address", {"url": "https://g.example/send?u=%MEDIA%"}, True),
        ("no place", {}, False),
        ("a script that sends them", {"attachments": True, "script": "function build(sms) return {} end"}, True),
        (
            "a script that says it does not",
            {"attachments": False, "script": "function build(sms) return {} end"},
            False,
        ),
        ("settings that cannot be read", {"url": "https://g.example/%NOBODY%?u=%MEDIA%"}, False),
        (
            "a script writes the payload",
            {"payload": "t=%TO%&m=%MESSAGE%&u=%MEDIA%", "script": "return message.message"},
            False,
        ),
    ],
)
def test_who_has_a_place_for_attachments_takes_them(label: str, over: dict[str, Any], takes: bool) -> None:
    assert custom.of(account(**over)).CAPABILITIES.attachments is takes


@pytest.mark.parametrize("pattern", ["(a*)*b", "(a|a)*b", "(a|aa)+$b", "^(([a-z])+.)+[A-Z]([a-z])+$", ".*.*.*.*=.*"])
def test_no_pattern_runs_for_ever(pattern: str) -> None:
    """Python's own engine takes longer than the universe for the first of these."""
    text = "a" * 65_536
    assert patterns.captured(pattern, text) is None


def test_a_body_is_read_with_an_owner_s_pattern_whatever_its_bytes() -> None:
    speaker = custom.of(account(success_text=None, success_pattern="^.OK$"))
    assert speaker.read_send(BATCH, Answer(200, {}, b"\xffOK")) == [Accepted()]
    assert speaker.read_send(BATCH, Answer(200, {}, b"\xff\xffOK")) == [
        Lost(may_have_arrived=True, cause="no_success_in_answer")
    ]


def test_a_value_that_does_not_fit_is_refused_before_anything_leaves() -> None:
    number = rich(payload='{"t": "%TO%", "m": "%MESSAGE%", "n": %TO:number%}')
    with pytest.raises(CannotFill, match="no whole number"):
        custom.build_send(number, [replace(HELLO, msisdn="+44x")])
    with pytest.raises(CannotFill, match="no secret named api_key"):
        custom.build_send(replace(ACCOUNT, secrets={}), BATCH)
    with pytest.raises(CannotFill, match="have no balance"):
        custom.build_balance(account())


def test_what_a_login_got_is_asked_with_too() -> None:
    settings_ = {**LOGGING_IN.settings, "balance": {"url": "/balance", "path": "credit"}}
    logged_in = replace(LOGGING_IN, settings=settings_, secrets={**CREDENTIALS, ACCESS_TOKEN: "t0k.en"})
    for call in (custom.build_balance(logged_in), custom.build_send(logged_in, BATCH)):
        assert ("Authorization", "Bearer t0k.en") in call.headers
    login = custom.build_login(LOGGING_IN)
    assert (login.method, login.url) == ("POST", "https://gateway.example/oauth/token")
    assert login.headers[0] == ("Authorization", "Basic bWU6czNjcjN0LW9mLXRoZS1jbGllbnQ=")
    assert login.body == b"grant_type=client_credentials"
    assert not custom.needs_login(ACCOUNT)
    with pytest.raises(CannotFill, match="have no login"):
        custom.build_login(ACCOUNT)


def test_a_number_that_is_none_stays_as_it_is() -> None:
    for form in ("digits", "national", "e164"):
        call = custom.build_send(account(number_format=form), [replace(HELLO, msisdn="12345", sender_id="+0")])
        assert ("to", "12345") in parse_qsl(urlsplit(call.url).query)


@pytest.mark.parametrize(
    ("label", "over", "words"),
    [
        ("nothing to say", {}, []),
        ("no certificate", {"verify_tls": False}, ["verify_tls is false"]),
        (
            "a key in a header, written out",
            {"headers": [{"name": "Authorization", "value": "Basic dXNlcjpwYXNz"}]},
            ["headers writes out the value of Authorization"],
        ),
        ("a key in a header, named", {"headers": [{"name": "apiKey", "value": "%SECRET:k%"}]}, []),
        ("a header that is none", {"headers": [{"name": "Accept", "value": "text/plain"}]}, []),
        (
            "a password in the payload, written out",
            {"payload": "user=me&password=hunter2&t=%TO%&m=%MESSAGE%"},
            ["payload writes out password"],
        ),
        (
            "a key in JSON, written out",
            {
                "method": "POST",
                "content_type": "application/json",
                "payload": '{"api_key": "abc", "t": "%TO%", "m": "%MESSAGE%"}',
            },
            ["payload writes out api_key"],
        ),
        (
            "a key in JSON, named",
            {
                "method": "POST",
                "content_type": "application/json",
                "payload": '{"api_key": "%SECRET:k%", "t": "%TO%", "m": "%MESSAGE%"}',
            },
            [],
        ),
        (
            "a key in JSON, named behind a word",
            {
                "method": "POST",
                "content_type": "application/json",
                "payload": '{"token": "Key %SECRET:k%", "t": "%TO%", "m": "%MESSAGE%"}',
            },
            [],
        ),
        (
            "a password in XML, written out",
            {
                "method": "POST",
                "content_type": "text/xml",
                "payload": "<s><password>hunter2</password><key>%SECRET:k%</key><t>%TO%</t><m>%MESSAGE%</m></s>",
            },
            ["payload writes out password"],
        ),
        ("a key in the address", {"url": "https://g.example/send?apikey=abc"}, ["url writes out apikey"]),
        ("words that only sound like it", {"payload": "keyword=x&monkeys=2&t=%TO%&m=%MESSAGE%"}, []),
        (
            "a key of the balance",
            {"balance": {"url": "/b?token=abc", "headers": [{"name": "X-Key", "value": "1"}]}},
            ["balance.headers writes out", "balance.url writes out token"],
        ),
        ("a success that is in every refusal", {"success_text": "success"}, ["success_text ('success') also stands"]),
        ("a short success", {"success_text": "OK"}, ["success_text ('OK') also stands"]),
        ("in the clear", {"url": "http://gateway.example/send"}, ["url begins with http"]),
        ("a balance in the clear", {"balance": {"url": "http://gateway.example/b"}}, ["url begins with http"]),
        ("a secret in the address", {"url": "https://g.example/%SECRET:k%"}, ["url holds a secret"]),
        ("a secret in the query", {"payload": "t=%TO%&m=%MESSAGE%&k=%SECRET:k%"}, ["url holds a secret"]),
        ("a secret in the body", {"payload": "t=%TO%&m=%MESSAGE%&k=%SECRET:k%", "method": "POST"}, []),
        (
            "a success that is in a fault",
            {"success_text": "accepted", "faults": [{"text": "not accepted", "fault": "message"}]},
            ["success_text also stands in the text of a fault ('not accepted')"],
        ),
        (
            "a fault that is in a success",
            {"success_text": "accepted: 1", "faults": [{"text": "accepted", "fault": "message"}]},
            ["success_text also stands in the text of a fault ('accepted')"],
        ),
        ("texts that cannot meet", {"success_text": "yes", "faults": [{"text": "no", "fault": "message"}]}, []),
        ("JSON as a text", {"success_text": '"errorCode":null'}, ["success_text is a piece of JSON"]),
        ("JSON with its blank", {"success_text": '"errorCode": null'}, []),
        (
            "5xx as a refusal",
            {"faults": [{"status": 503, "fault": "gateway"}]},
            ["faults takes HTTP 503 for a refusal"],
        ),
        ("5xx as a doubt", {"faults": [{"status": 503, "fault": "in_doubt"}]}, []),
        ("receipts nobody reads", {"payload": "t=%TO%&m=%MESSAGE%&c=%CALLBACK_URL%"}, ["receipts are asked for"]),
        (
            "receipts nobody reads, by a script",
            {"script": "function build(sms) return {query = {to = sms.to, hook = sms.callback_url}} end"},
            ["receipts are asked for by the script's sms.callback_url"],
        ),
        ("a script that asks for none", {"script": "function build(sms) return {query = {to = sms.to}} end"}, []),
        (
            "receipts of nobody",
            {"receipt": {"id": "id", "status": "s", "statuses": {"x": "sent"}}},
            ["receipts and replies are believed", "receipts cannot be matched"],
        ),
        (
            "receipts by reference",
            {"receipt": {"id": "id", "status": "s", "statuses": {"x": "sent"}}, "reference_path": "id"},
            ["receipts and replies are believed"],
        ),
        (
            "receipts by our id",
            {"receipt": {"own_id": "id", "status": "s", "statuses": {"x": "sent"}}},
            ["receipts and replies are believed"],
        ),
        (
            "receipts with a secret",
            {
                "receipt": {"own_id": "id", "status": "s", "statuses": {"x": "sent"}},
                "callback_secret": {"header": "X-Hook", "secret": "hook"},
            },
            [],
        ),
        ("replies", {"inbound": {"from": "f", "text": "t"}}, ["receipts and replies are believed"]),
        ("a blank at an end", {"success_text": "sent "}, ["success_text ('sent ') is looked for with the blank"]),
        (
            "a blank in a fault",
            {"faults": [{"text": " no", "fault": "message"}]},
            ["faults: text (' no') is looked for with the blank"],
        ),
        ("a blank in a pattern", {"success_pattern": "^[03]: "}, []),
    ],
)
def test_warnings(label: str, over: Mapping[str, Any], words: list[str]) -> None:
    given_ = {**PLAIN, **over}
    secrets = {"k": "x"} if "%SECRET:k%" in str(over) else {"hook": "x"} if "hook" in str(over) else {}
    custom.check_settings(given_, secrets)
    found = WARNED["custom"].warnings(given_)
    assert [warning[: len(start)] for warning, start in zip(found, words, strict=True)] == words, label


@pytest.mark.parametrize(
    ("name", "given", "kept"),
    [
        ("success_pattern", "^[03]: ", "^[03]: "),
        ("code_pattern", " E([0-9]+)\r\n", " E([0-9]+)"),
        ("success_text", "sent ", "sent "),
        ("failure_text", "\n no\n", " no"),
        ("success_path", " messages[0].id ", "messages[0].id"),
    ],
)
def test_what_is_looked_for_keeps_its_blanks(name: str, given: str, kept: str) -> None:
    """And no line end that came with it when it was pasted; a path has none to keep."""
    assert custom.check_settings({**PLAIN, name: given}, {})[name] == kept


@pytest.mark.parametrize("name", ["success_text", "failure_text", "success_pattern"])
def test_nothing_but_blanks_is_no_text(name: str) -> None:
    with pytest.raises(Invalid) as refusal:
        custom.check_settings({**PLAIN, name: "  "}, {})
    assert refusal.value.errors[0].pointer == f"/settings/{name}"


def test_an_account_says_what_it_can_do() -> None:
    full, least = adapter_for("custom", ACCOUNT).CAPABILITIES, adapter_for("custom", account()).CAPABILITIES
    assert (full.receipts, full.client_reference, full.balance) == (True, True, True)
    assert (least.receipts, least.client_reference, least.balance) == (False, False, False)
    by_address = account(
        payload="t=%TO%&m=%MESSAGE%&c=%CALLBACK_URL%", receipt={"status": "s", "statuses": {"x": "sent"}}
    )
    assert adapter_for("custom", by_address).CAPABILITIES.client_reference is True
    by_script = account(
        script="function build(sms) return {query = {hook = sms.callback_url}} end",
        receipt={"status": "s", "statuses": {"x": "sent"}},
    )
    assert adapter_for("custom", by_script).CAPABILITIES.client_reference is True
    by_reference = account(receipt={"id": "i", "status": "s", "statuses": {"x": "sent"}})
    assert adapter_for("custom", by_reference).CAPABILITIES.client_reference is False
    assert metered_for("custom", account()) is None
    assert metered_for("twilio", TWILIO) is METERED["twilio"]
    assert adapter_for("twilio", TWILIO) is twilio


def test_an_account_answers_callbacks_in_its_gateway_s_words() -> None:
    reply = {"content_type": "text/html", "body": "Jó"}
    speaker = adapter_for("custom", rich(receipt={**SETTINGS["receipt"], "reply": reply}))
    assert isinstance(speaker, Replying)
    assert Reply("text/html", "Jó".encode()) == speaker.RECEIPT_REPLY
    assert Reply("text/plain") == speaker.INBOUND_REPLY
    assert not isinstance(twilio, Replying)
    ok = adapter_for("custom", rich(inbound={**SETTINGS["inbound"], "reply": {"body": "OK", "status": 202}}))
    assert Reply("text/plain", b"OK", 202) == ok.INBOUND_REPLY


def test_what_is_compiled_is_compiled_once_and_only_when_needed() -> None:
    broken = account(payload="%NOBODY%", success_path="a[[")
    speaker = custom.of(broken)  # a gateway that nobody can use any more must not stop the others
    with pytest.raises(ValueError, match="NOBODY"):
        speaker.build_send(broken, BATCH)
    fine = custom.of(ACCOUNT)
    assert fine.read_send(BATCH, said(200, {})) == fine.read_send(BATCH, said(200, {}))
    assert fine.__dict__["_reading"] is fine.__dict__["_reading"]


def test_a_balance_is_asked_for_with_the_headers_of_messages_or_its_own() -> None:
    asked = custom.build_balance(ACCOUNT)
    assert (asked.method, asked.url) == ("GET", "https://gateway.example/balance")
    assert asked.headers == (("Authorization", f"App {KEY}"),)
    rule = {
        "url": "https://other.example/b?k=%SECRET:api_key%",
        "method": "POST",
        "content_type": "application/json",
        "payload": '{"k": "%SECRET:api_key%", "f": "%FROM%"}',
        "headers": [{"name": "X", "value": "y"}],
    }
    own = custom.build_balance(rich(balance=rule, verify_tls=False))
    assert (own.method, own.url, own.verify_tls) == ("POST", f"https://other.example/b?k={KEY}", False)
    assert own.headers == (("X", "y"), ("Content-Type", "application/json"))
    assert json.loads(own.body) == {"k": KEY, "f": "Cafe Ada"}


def test_headers_that_need_a_message_are_left_out_of_a_balance() -> None:
    headers = [{"name": "X-Id", "value": "%ID%"}, {"name": "A", "value": "b"}]
    assert custom.build_balance(rich(headers=headers)).headers == (("A", "b"),)


def test_refusals_name_the_placeholder_and_the_ones_there_are() -> None:
    with pytest.raises(Invalid) as refusal:
        custom.check_settings({**PLAIN, "payload": "to=%TO%&m=%MESSAGE%&x=%PHONE%"}, {})
    assert "%PHONE%" in refusal.value.detail
    assert "%MESSAGE%" not in refusal.value.detail
    assert "LOCATION" in refusal.value.detail


def test_what_is_beyond_ascii_goes_out_in_utf_8() -> None:
    secrets = {"user": "Jürgen", "password": "größte Höhe"}
    given = {
        **PLAIN,
        "method": "POST",
        "payload": "to=%TO%&m=%MESSAGE%&p=%SECRET:password%",
        "headers": [{"name": "Authorization", "value": "Basic %BASIC:user:password%"}],
    }
    account = Account(UUID(int=9), custom.check_settings(given, secrets), secrets)
    call = custom.of(account).build_send(account, [HELLO])
    basic = dict(call.headers)["Authorization"].removeprefix("Basic ")
    assert b64decode(basic).decode() == "Jürgen:größte Höhe"
    assert call.body.endswith(b"&p=gr%C3%B6%C3%9Fte%20H%C3%B6he")
