"""Ten thousand answers that nobody would send, to every adapter and every preset: each has outcomes, none raises."""

import json
import random
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import pytest

from shared.adapter import Account, Adapter, Answer, Sms
from shared.domain.outcome import Accepted, Outcome, Refused
from shared.gateways import ADAPTERS, adapter_for, custom
from shared.gateways.custom.presets import PRESETS
from tests.gateways.presets import CASES
from tests.gateways.test_presets import account_of

ANSWERS = 10_000
# Words of real answers, so that chance gets far.
WORDS = (
    *("messages", "status", "message-id", "message-count", "error-text", "groupId", "name", "SMSMessageData"),
    *(
        "Recipients",
        "statusCode",
        "messageId",
        "accepted",
        "apiMessageId",
        "errorCode",
        "error",
        "id",
        "type",
        "subtype",
    ),
    *("message_uuid", "errors", "code", "description", "ids", "state", "sid", "num_segments", "error_code", "detail"),
)
VALUES = (
    "0",
    "1",
    1,
    5,
    0,
    "Success",
    "ACCEPTED",
    "FAILED",
    "BLOCKED",
    "Pending",
    True,
    None,
    "queued",
    "failed",
    21610,
)
BODIES = (
    b"",
    b"OK",
    b"0: Accepted for delivery",
    b"<html>",
    b"\xff\xfe",
    b"[" * 5000,
    b'{"a":1e999}',
    b"NaN",
    b'"\\ud800"',
)
HEADERS = ("retry-after", "date", "content-type", "x-id", "location")
HEADER_VALUES = ("5", "-1", "1e9", "soon", "Sat, 22 Nov 2025 10:00:30 GMT", "text/plain", "\x00", "9" * 50)


def document(chance: random.Random, depth: int = 4) -> Any:
    match chance.randrange(4) if depth else 3:
        case 0:
            return [document(chance, depth - 1) for _ in range(chance.randrange(3))]
        case 1 | 2:
            return {chance.choice(WORDS): document(chance, depth - 1) for _ in range(chance.randrange(1, 5))}
        case _:
            return chance.choice(VALUES)


def body(chance: random.Random) -> bytes:
    roll = chance.random()
    if roll < 0.2:
        return chance.choice(BODIES)
    if roll < 0.3:
        return chance.randbytes(chance.randrange(40))
    raw = json.dumps(document(chance)).encode()
    return raw if roll < 0.9 else raw[: chance.randrange(len(raw) + 1)]


def answers(seed: str) -> Iterator[Answer]:
    chance = random.Random(seed)
    for _ in range(ANSWERS):
        status = chance.choice((200, 200, 200, 201, 202, 400, 401, 403, 429, 500, 503, chance.randrange(1000)))
        headers = {chance.choice(HEADERS): chance.choice(HEADER_VALUES) for _ in range(chance.randrange(3))}
        yield Answer(status, headers, body(chance))


def check(batch: list[Sms], answer: Answer, outcomes: Any) -> None:
    assert len(outcomes) == len(batch), answer
    for outcome in outcomes:
        assert isinstance(outcome, Outcome), answer
        if isinstance(outcome, Accepted):
            assert 200 <= answer.status < 300, answer
        if isinstance(outcome, Refused):
            assert len(outcome.code) <= 64, answer
            assert len(outcome.detail) <= 200, answer


def speakers() -> Iterator[Any]:
    for kind in ADAPTERS:
        account: Account = import_module(f"tests.gateways.{kind}").ACCOUNT
        yield pytest.param(kind, adapter_for(kind, account), id=kind)
    for name in PRESETS:
        yield pytest.param("custom", custom.of(account_of(CASES[name])), id=f"custom: {name}")
    yield pytest.param("custom", custom, id="custom, without an account")


@pytest.mark.parametrize(("kind", "speaker"), list(speakers()))
def test_every_answer_has_outcomes(kind: str, speaker: Adapter) -> None:
    batch = import_module(f"tests.gateways.{kind}").BATCH
    seen = set()
    for answer in answers(kind):
        outcomes = speaker.read_send(batch, answer)
        check(batch, answer, outcomes)
        seen |= {type(outcome) for outcome in outcomes}
    assert len(seen) >= 2 or kind == "sandbox", "chance got nowhere"  # the sandbox looks for ids


def test_without_settings_nothing_is_a_success() -> None:
    batch = import_module("tests.gateways.custom").BATCH
    for answer in answers("nothing known"):
        assert not isinstance(custom.read_send(batch, answer)[0], Accepted)
