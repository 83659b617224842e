"""What receipts go through on their way to the table: the group commit, and the redaction of what is kept of them."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import pytest

from api.callbacks.inbox import Inbox
from api.callbacks.redaction import redacted_fields
from shared.adapter import Callback
from shared.errors import Unavailable


async def test_those_who_come_together_are_written_together() -> None:
    written: list[list[int]] = []

    async def write(items: Sequence[int]) -> None:
        written.append(list(items))
        await asyncio.sleep(0.005)

    inbox: Inbox[int] = Inbox(write, at_fault=lambda _: True, largest=50)
    await asyncio.gather(*(inbox.put([n]) for n in range(120)))
    assert sorted(n for batch in written for n in batch) == list(range(120))
    assert [len(batch) for batch in written] == [50, 50, 20]
    await inbox.put([])
    assert len(written) == 3


async def test_one_bad_item_fails_alone() -> None:
    async def write(items: Sequence[int]) -> None:
        if 7 in items:
            raise ValueError(items)

    inbox: Inbox[int] = Inbox(write, at_fault=lambda error: isinstance(error, ValueError))
    told = await asyncio.gather(*(inbox.put([n]) for n in range(10)), return_exceptions=True)
    assert [n for n, answer in enumerate(told) if answer is not None] == [7]


async def test_an_outage_fails_all_at_once() -> None:
    tries: list[int] = []

    async def write(items: Sequence[int]) -> None:
        tries.append(len(items))
        raise Unavailable("away")

    inbox: Inbox[int] = Inbox(write, at_fault=lambda error: isinstance(error, ValueError))
    told = await asyncio.gather(*(inbox.put([n]) for n in range(10)), return_exceptions=True)
    assert [type(answer) for answer in told] == [Unavailable] * 10
    assert tries == [10]


async def test_nothing_waits_without_bound() -> None:
    gate = asyncio.Event()

    async def write(items: Sequence[int]) -> None:
        del items
        await gate.wait()

    inbox: Inbox[int] = Inbox(write, at_fault=lambda _: False, most_waiting=5, largest=2)
    waiting = [asyncio.create_task(inbox.put([n])) for n in range(5)]
    await asyncio.sleep(0.02)
    waiting += [asyncio.create_task(inbox.put([n])) for n in range(3)]
    await asyncio.sleep(0)
    with pytest.raises(Unavailable):
        await inbox.put([9])
    gate.set()
    told = await asyncio.gather(*waiting, return_exceptions=True)
    assert [answer for answer in told if not isinstance(answer, Unavailable)] == [None] * 7


async def test_who_hung_up_takes_nobody_along() -> None:
    async def write(items: Sequence[int]) -> None:
        del items
        await asyncio.sleep(0.01)

    inbox: Inbox[int] = Inbox(write, at_fault=lambda _: False)
    leaving, staying = asyncio.create_task(inbox.put([1])), asyncio.create_task(inbox.put([2]))
    await asyncio.sleep(0.005)
    leaving.cancel()
    await staying
    with pytest.raises(asyncio.CancelledError):
        await leaving


@pytest.mark.parametrize(
    ("body", "kept"),
    [
        pytest.param({"From": "27831234567"}, {"From": "27831*****67"}, id="digits of a number"),
        pytest.param({"note": "see +27831234567"}, {"note": "see +2783*****67"}, id="in a sentence"),
        pytest.param({"id": "27831234567"}, {"id": "27831234567"}, id="a reference stays"),
        pytest.param({"incoming_data": "hi", "Message-Text": "x"}, {}, id="texts are left out"),
        pytest.param({"Data": "your code is 123456", "sentData": "x"}, {}, id="what was sent, as receipts repeat it"),
        pytest.param({"sourcePhoneNumber": "27831234567"}, {"sourcePhoneNumber": "27831*****67"}, id="who replied"),
        pytest.param({"api-key": "k", "Pass_word": "p"}, {"api-key": "…", "Pass_word": "…"}, id="keys"),
        pytest.param({"nested": {"text": "x"}, "n": 1}, {"nested": "…", "n": "1"}, id="nested"),
        pytest.param({"half": "\ud800"}, {"half": "?"}, id="half a character"),
    ],
)
def test_redacted(body: dict[str, Any], kept: dict[str, str]) -> None:
    callback = Callback(
        "POST",
        "https://sms.example.com/callbacks/x/y/status",
        {"content-type": "application/json"},
        json.dumps(body).encode(),
    )
    assert redacted_fields(callback) == kept


def test_json_that_is_called_plain_text_is_read_all_the_same() -> None:
    callback = Callback("POST", "https://x/", {"content-type": "text/plain"}, b' {"Status": "DELIVRD", "Data": "x"}')
    assert redacted_fields(callback) == {"Status": "DELIVRD"}


def test_redaction_reads_nothing_endless() -> None:
    callback = Callback("POST", "https://x/", {"content-type": "application/json"}, b"[" * 60_000)
    assert redacted_fields(callback) == {}
    many = Callback("GET", "https://x/?" + "&".join(f"f{n}=v" for n in range(5000)))
    assert len(redacted_fields(many)) == 50
