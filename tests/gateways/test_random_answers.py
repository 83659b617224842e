"""Ten thousand answers that nobody would send, to every adapter and every preset: each has outcomes, none raises."""

import json
import random
from collections.abc import Iterator, Sequence
from contextlib import suppress
from importlib import import_module
from typing import Any

import pytest

from shared.adapter import Adapter, Answer, Sms
from shared.domain.outcome import Accepted, Lost, Outcome, Refused
from shared.gateways import ADAPTERS, adapter_for, custom
from shared.gateways.custom.presets import PRESETS
from tests.gateways import smsportal as smsportal_table
from tests.gateways.presets import CASES
from tests.gateways.test_presets import account_of

ANSWERS = 10_000
CUSTOMER_IDS = [f"{sms.id}.{sms.attempt}" for sms in smsportal_table.BATCH]
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
    # SMSPortal's, where a number has to stand in one place for anything else to count.
    *(
        "sendResponse",
        "eventId",
        "parts",
        "errorReport",
        "faults",
        "optedOuts",
        "duplicates",
        "noNetwork",
        "customerId",
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


def report(chance: random.Random) -> Any:
    """As SMSPortal reports on a batch, with anything in any place."""
    odd: tuple[Any, ...] = (*VALUES, -1, 2, 3, 2.5, float("inf"), 10**30, "3", [], {})

    def count(most: int) -> Any:
        return chance.choice(odd) if chance.random() < 0.1 else chance.randrange(most)

    named = ("customerId", "status", "errorMessage", "rawDestination", "scrubbedDestination")
    faults: Any = [
        {name: chance.choice((*odd, *CUSTOMER_IDS)) for name in chance.sample(named, chance.randrange(6))}
        for _ in range(chance.randrange(3))
    ]
    counters = ("optedOuts", "duplicates", "noNetwork", "noContents", "contentToLong")
    errors = {name: count(2) for name in chance.sample(counters, chance.randrange(3))}
    told = {"messages": count(5), "eventId": count(9), "parts": count(9), "errorReport": {**errors, "faults": faults}}
    return told if chance.random() < 0.5 else {"sendResponse": told, "errors": document(chance, 2)}


def changed(chance: random.Random, value: Any) -> Any:
    """A real document with some of it left out, and something else in some places."""
    if chance.random() < 0.05:
        return document(chance, 2)
    if isinstance(value, dict):
        return {name: changed(chance, one) for name, one in value.items() if chance.random() > 0.05}
    if isinstance(value, list):
        return [changed(chance, one) for one in value if chance.random() > 0.05]
    return value


def body(chance: random.Random, real: Sequence[bytes]) -> bytes:
    roll = chance.random()
    if chance.random() < 0.4:
        told = chance.choice(real)
        with suppress(ValueError, RecursionError):
            told = json.dumps(changed(chance, json.loads(told))).encode()
        return told if chance.random() < 0.9 else told[: chance.randrange(len(told) + 1)]
    if chance.random() < 0.1:
        return json.dumps(report(chance)).encode()
    if roll < 0.2:
        return chance.choice(BODIES)
    if roll < 0.3:
        return chance.randbytes(chance.randrange(40))
    raw = json.dumps(document(chance)).encode()
    return raw if roll < 0.9 else raw[: chance.randrange(len(raw) + 1)]


def answers(seed: str, real: Sequence[bytes]) -> Iterator[Answer]:
    chance = random.Random(seed)
    for _ in range(ANSWERS):
        status = chance.choice((200, 200, 200, 201, 202, 400, 401, 403, 429, 500, 503, chance.randrange(1000)))
        headers = {chance.choice(HEADERS): chance.choice(HEADER_VALUES) for _ in range(chance.randrange(3))}
        yield Answer(status, headers, body(chance, real))


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
    """Each with real answers, of its own table."""
    for kind in ADAPTERS:
        table = import_module(f"tests.gateways.{kind}")
        told = [case.answer.body for case in table.READS]
        yield pytest.param(kind, adapter_for(kind, table.ACCOUNT), told, id=kind)
    for name in PRESETS:
        told = [answer.body for answer, _ in CASES[name].reads]
        yield pytest.param("custom", custom.of(account_of(CASES[name])), told, id=f"custom: {name}")


@pytest.mark.parametrize(("kind", "speaker", "real"), list(speakers()))
def test_every_answer_has_outcomes(kind: str, speaker: Adapter, real: Sequence[bytes]) -> None:
    batch = import_module(f"tests.gateways.{kind}").BATCH
    seen = set()
    for answer in answers(kind, real):
        outcomes = speaker.read_send(batch, answer)
        check(batch, answer, outcomes)
        seen |= {type(outcome) for outcome in outcomes}
    assert seen == {Accepted, Refused, Lost}, "chance got nowhere"


def test_without_settings_nothing_is_a_success() -> None:
    table = import_module("tests.gateways.custom")
    for answer in answers("nothing known", [case.answer.body for case in table.READS]):
        outcomes = custom.read_send(table.BATCH, answer)
        check(table.BATCH, answer, outcomes)
        assert not isinstance(outcomes[0], Accepted)
