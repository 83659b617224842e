"""docs/gateways/lua.md stays true: its examples make calls that the adapter takes, its limits are the code's."""

import hmac
import json
import re
from base64 import b64encode
from dataclasses import replace
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs

import pytest

from shared.adapter import Answer, Call, Sms
from shared.domain.outcome import Accepted, Fault, Lost, Outcome, Refused
from shared.gateways import custom
from shared.gateways.custom.account import LONGEST_TEXT
from shared.scripts.process import Deadlines
from shared.scripts.runtime import Limits
from shared.scripts.scripts import PARAMETERS, Scripts
from shared.scripts.turns import Rules
from shared.scripts.words import DEEPEST, MOST_ANSWER_BYTES, MOST_ARGUMENT_BYTES, MOST_SCRIPT_BYTES
from tests.gateways.custom.account import ACCOUNT, HELLO

PAGE: Final = (Path(__file__).parents[2] / "docs/gateways/lua.md").read_text()
EXAMPLES: Final[dict[str, str]] = dict(
    re.findall(r"^### ([^\n]+)\n(?:(?!^### ).)*?^```lua\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
)

JSON_GATEWAY, SIGNED, READING = "A JSON gateway", "A gateway that wants a signature", "Reading the answer"
URL: Final = "https://gateway.example/send"
SETTINGS: Final = {"url": URL, "method": "POST", "success_text": "ok", "sender_id": "Cafe Ada"}
SECRETS: Final = {"api_key": "k3y&", "client_id": "c1", "signing_key": "the-signing-key"}


async def told_by(scripts: Scripts, name: str, sms: Sms, **settings: str) -> Call:
    """The call of an example, through the gateway's adapter and the script's process."""
    account = replace(ACCOUNT, settings={**SETTINGS, **settings, "script": EXAMPLES[name]}, secrets=SECRETS)
    script = custom.script_of(account)
    assert script
    told = await scripts.call(script, "build", custom.script_input(account, sms))
    return custom.call_from_script(account, sms, told)


def test_every_example_is_run_here() -> None:
    assert list(EXAMPLES) == [JSON_GATEWAY, SIGNED, READING]
    assert PAGE.count("```lua") == len(EXAMPLES)


@pytest.mark.parametrize("name", EXAMPLES)
async def test_an_example_can_be_saved(scripts: Scripts, name: str) -> None:
    assert await scripts.check(EXAMPLES[name]) == ({"build", "read"} if name == READING else {"build"})


@pytest.mark.parametrize(("text", "unicode"), [("Hello", False), ("Grüße", True), ("", False)])
async def test_the_json_gateway(scripts: Scripts, text: str, unicode: bool) -> None:
    sms = replace(HELLO, text=text, sender_id=None)
    call = await told_by(scripts, JSON_GATEWAY, sms)
    message = {"to": [sms.msisdn], "from": "Cafe Ada", "text": text, "unicode": unicode, "reference": str(sms.id)}
    assert (call.method, call.url, json.loads(call.body)) == ("POST", URL, {"messages": [message]})
    assert dict(call.headers) == {"Authorization": "Bearer k3y&", "Content-Type": "application/json"}


@pytest.mark.parametrize("text", ["Hello", 'Grüße & "5€"?', "%SECRET:api_key%"])
async def test_the_signed_gateway(scripts: Scripts, text: str) -> None:
    call = await told_by(scripts, SIGNED, replace(HELLO, text=text), content_type="application/json")
    assert json.loads(call.body) == {"to": HELLO.msisdn, "text": text, "id": str(HELLO.id)}
    signed = f"POST\n{URL}\n".encode() + call.body
    signature = b64encode(hmac.digest(b"the-signing-key", signed, "sha256")).decode()
    assert dict(call.headers) == {"X-Signature": signature, "X-Client": "c1", "Content-Type": "application/json"}


async def test_the_call_of_the_gateway_whose_answers_are_read(scripts: Scripts) -> None:
    call = await told_by(scripts, READING, replace(HELLO, text="Hi & bye"))
    assert parse_qs(call.body.decode()) == {"recipient": [HELLO.msisdn], "body": ["Hi & bye"], "key": ["k3y&"]}


def test_the_page_names_what_a_script_is_given() -> None:
    section = PAGE.partition("## build(sms)\n")[2].partition("\n## ")[0]
    given = custom.script_input(ACCOUNT, HELLO)
    assert [name for name in given if f"`{name}`" not in section] == []


IN_DOUBT: Final = Lost(may_have_arrived=True, cause="script_says_lost")
ANSWERS = [
    pytest.param(503, "busy", None, id="not 200"),
    pytest.param(200, "<html>", IN_DOUBT, id="no JSON"),
    pytest.param(200, '"queued"', IN_DOUBT, id="no object"),
    pytest.param(200, '{"result": "odd"}', IN_DOUBT, id="a word that is not known"),
    pytest.param(200, "{}", IN_DOUBT, id="no word"),
    pytest.param(200, '{"result": "queued", "id": 7}', Accepted("7"), id="accepted"),
    pytest.param(
        200,
        '{"result": "no credit", "explanation": "Top up."}',
        Refused(Fault.ACCOUNT, "no credit", "Top up."),
        id="account",
    ),
    pytest.param(200, '{"result": "busy"}', Refused(Fault.THROTTLED, "busy", ""), id="throttled"),
    pytest.param(
        200,
        '{"result": "unsubscribed", "explanation": null}',
        Refused(Fault.OPTED_OUT, "unsubscribed", ""),
        id="opted out",
    ),
]


@pytest.mark.parametrize(("status", "body", "outcome"), ANSWERS)
async def test_reading_the_answer(scripts: Scripts, status: int, body: str, outcome: Outcome | None) -> None:
    given = {"answer": {"status": status, "headers": {}, "body": body}, "sms": custom.script_input(ACCOUNT, HELLO)}
    told = await scripts.call(EXAMPLES[READING], "read", given)
    assert custom.read_from_script(HELLO, Answer(status, {}, body.encode()), told) == outcome


LIMITS: Final = Limits()
SAID = [
    ("the script", f"{LONGEST_TEXT:,} characters"),
    ("instructions of one call", f"{LIMITS.instructions:,}"),
    ("processor time", f"{LIMITS.seconds * 1000:.0f} ms, then it is stopped"),
    ("until an answer", f"{Deadlines().call * 1000:.0f} ms, then its process is killed"),
    ("memory", f"{LIMITS.memory // 1_000_000} MB"),
    ("what it returns", f"{MOST_ANSWER_BYTES // 1024} KiB of JSON, {DEEPEST} levels of tables"),
    ("a text for a helper", f"{LIMITS.text // 1024} KiB"),
    ("what it is given", f"{MOST_ARGUMENT_BYTES // 1024} KiB of JSON"),
]


def test_the_limits_are_those_of_the_code() -> None:
    table = PAGE.partition("## Limits\n")[2].partition("\n## ")[0]
    assert re.findall(r"^\| (\w.*?) \| (.*?) \|$", table, re.MULTILINE) == SAID
    assert (LIMITS.bytes, LIMITS.depth) == (MOST_ANSWER_BYTES, DEEPEST)
    assert LONGEST_TEXT * 4 <= MOST_SCRIPT_BYTES
    assert (Rules().strikes, Rules().rest) == (3, 30)
    assert "three times in a row is not tried for 30 seconds" in PAGE


def test_the_page_names_the_functions_and_the_faults() -> None:
    assert re.findall(r"^## (\w+)\((.*)\)$", PAGE, re.MULTILINE) == [
        (name, ", ".join(parts or ("sms",))) for name, parts in PARAMETERS.items()
    ]
    assert [fault for fault in Fault if f"`{fault}` (" not in " ".join(PAGE.split())] == []


async def test_what_a_script_may_call_is_what_the_page_says(scripts: Scripts) -> None:
    section = PAGE.partition("## What a script may call\n")[2].partition("\n## ")[0]
    helpers = re.findall(r"`([a-z0-9_.]+)\(", section)
    globals_named = re.findall(r"`([a-z]+)`", section.partition("; `math`")[0])
    names = [*helpers, *globals_named]
    types = ", ".join(f"type({name})" for name in names)
    assert await scripts.call(f"function build() return {{{types}}} end", "build", {}) == ["function"] * len(names)
    assert len(names) >= 20
    count = "local n = 0 for k, v in pairs(_ENV) do n = n + (type(v) == 'function' and 1 or 0) end"
    flat = [name for name in names if "." not in name]
    assert await scripts.call(f"{count} function build() return {{n}} end", "build", {}) == [len(flat)]
