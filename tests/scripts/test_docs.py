"""docs/gateways/lua.md stays true: its examples run, and its limits are those of the code."""

import hmac
import json
import re
from base64 import b64encode
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import pytest

from shared.domain.outcome import Fault
from shared.scripts.process import Deadlines
from shared.scripts.runtime import Limits
from shared.scripts.scripts import PARAMETERS, Scripts
from shared.scripts.turns import Rules
from shared.scripts.words import DEEPEST, MOST_ANSWER_BYTES, MOST_SCRIPT_BYTES

PAGE: Final = (Path(__file__).parents[2] / "docs/gateways/lua.md").read_text()
EXAMPLES: Final[dict[str, str]] = dict(
    re.findall(r"^### ([^\n]+)\n(?:(?!^### ).)*?^```lua\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
)

JSON_GATEWAY, SIGNED, READING = "A JSON gateway", "A gateway that wants a signature", "Reading the answer"
URL: Final = "https://gateway.example/send"
SMS: Final = {
    "to": "+447700900123",
    "message": "Hello",
    "from": "Cafe Ada",
    "location": "harbour",
    "id": "0190a5c4-0000-7000-8000-000000000001",
    "settings": {"url": URL},
    "secrets": {"api_key": "%SECRET:api_key!0%", "client_id": "%SECRET:client_id!0%"},
}


def test_every_example_is_run_here() -> None:
    assert list(EXAMPLES) == [JSON_GATEWAY, SIGNED, READING]
    assert PAGE.count("```lua") == len(EXAMPLES)


@pytest.mark.parametrize("name", EXAMPLES)
async def test_an_example_can_be_saved(scripts: Scripts, name: str) -> None:
    assert await scripts.check(EXAMPLES[name]) == ({"build", "read"} if name == READING else {"build"})


@pytest.mark.parametrize(("text", "unicode"), [("Hello", False), ("Grüße", True), ("", False)])
async def test_the_json_gateway(scripts: Scripts, text: str, unicode: bool) -> None:
    message = {"to": [SMS["to"]], "from": "Cafe Ada", "text": text, "unicode": unicode, "reference": SMS["id"]}
    assert await scripts.call(EXAMPLES[JSON_GATEWAY], "build", {**SMS, "message": text}) == {
        "method": "POST",
        "headers": {"Authorization": "Bearer %SECRET:api_key!0%"},
        "json": {"messages": [message]},
    }


@pytest.mark.parametrize("text", ["Hello", 'Grüße & "5€"?'])
async def test_the_signed_gateway(scripts: Scripts, text: str) -> None:
    call = await scripts.call(EXAMPLES[SIGNED], "build", {**SMS, "message": text})
    body = call.pop("body")
    assert json.loads(body) == {"to": SMS["to"], "text": text, "id": SMS["id"]}
    signed = f"POST\n{URL}\n{sha256(body.encode()).hexdigest()}"
    signature = b64encode(hmac.digest(b"the-signing-key-of-the-vendor", signed.encode(), "sha256")).decode()
    assert call == {"method": "POST", "headers": {"X-Signature": signature, "X-Client": "%SECRET:client_id!0%"}}


async def test_the_call_of_the_gateway_whose_answers_are_read(scripts: Scripts) -> None:
    assert await scripts.call(EXAMPLES[READING], "build", SMS) == {
        "form": {"recipient": SMS["to"], "body": "Hello", "key": "%SECRET:api_key%"}
    }


ANSWERS = [
    pytest.param(503, "busy", None, id="not 200"),
    pytest.param(200, "<html>", {"outcome": "lost"}, id="no JSON"),
    pytest.param(200, '"queued"', {"outcome": "lost"}, id="no object"),
    pytest.param(200, '{"result": "odd"}', {"outcome": "lost"}, id="a word that is not known"),
    pytest.param(200, "{}", {"outcome": "lost"}, id="no word"),
    pytest.param(200, '{"result": "queued", "id": 7}', {"outcome": "accepted", "reference": 7}, id="accepted"),
    pytest.param(
        200,
        '{"result": "no credit", "explanation": "Top up."}',
        {"outcome": "refused", "fault": Fault.ACCOUNT, "code": "no credit", "detail": "Top up."},
        id="account",
    ),
    pytest.param(
        200, '{"result": "busy"}', {"outcome": "refused", "fault": Fault.THROTTLED, "code": "busy"}, id="throttled"
    ),
    pytest.param(
        200,
        '{"result": "unsubscribed", "explanation": null}',
        {"outcome": "refused", "fault": Fault.OPTED_OUT, "code": "unsubscribed"},
        id="opted out",
    ),
]


@pytest.mark.parametrize(("status", "body", "outcome"), ANSWERS)
async def test_reading_the_answer(scripts: Scripts, status: int, body: str, outcome: dict[str, Any] | None) -> None:
    given = {"answer": {"status": status, "headers": {}, "body": body}, "sms": SMS}
    assert await scripts.call(EXAMPLES[READING], "read", given) == outcome


LIMITS: Final = Limits()
SAID = [
    ("the script", f"{MOST_SCRIPT_BYTES // 4:,} characters"),
    ("instructions of one call", f"{LIMITS.instructions:,}"),
    ("processor time", f"{LIMITS.seconds * 1000:.0f} ms, then it is stopped"),
    ("until an answer", f"{Deadlines().call * 1000:.0f} ms, then its process is killed"),
    ("memory", f"{LIMITS.memory // 1_000_000} MB"),
    ("what it returns", f"{MOST_ANSWER_BYTES // 1024} KiB of JSON, {DEEPEST} levels of tables"),
    ("a text for a helper", f"{LIMITS.text // 1024} KiB"),
]


def test_the_limits_are_those_of_the_code() -> None:
    table = PAGE.partition("## Limits\n")[2].partition("\n## ")[0]
    assert re.findall(r"^\| (\w.*?) \| (.*?) \|$", table, re.MULTILINE) == SAID
    assert (LIMITS.bytes, LIMITS.depth) == (MOST_ANSWER_BYTES, DEEPEST)
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
