"""The SMSPortal adapter against the simulator's SMSPortal: two readings of the same pages, over real sockets."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Self
from uuid import UUID

import pytest

from deploy.simulator.launch import Simulator
from deploy.simulator.ledger import accepted, read_ledger
from dispatcher.door.logins import Logins
from dispatcher.door.transport import Transport
from shared.adapter import Account, Answer, Callback, ForgedCallback, Receipt, Sms
from shared.domain.message import Status
from shared.domain.outcome import Accepted, Fault, Lost, Outcome, Refused
from shared.gateways import smsportal
from tests.simulator.receiver import Receiver, Told

PAGE = Path(__file__).parents[2] / "docs/gateways/smsportal.md"
BATCH = [Sms(UUID(int=n + 1), 1, msisdn=f"+1202555{n:04}", text=f"Hello {n}") for n in range(100)]
SIGNED = {"signature_header": "X-SMSPortal-Signature", "timestamp_header": "X-SMSPortal-Timestamp"}
KEY = "a-signature-secret"


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator(dials={"callback_delay_ms": [1, 5], "balance": "1000"}) as running:
        yield running


@pytest.fixture
def account(simulator: Simulator) -> Account:
    return Account(
        UUID(int=9),
        {"base_url": f"{simulator.base_url}/smsportal", "sender_id": "Cafe Ada"},
        {"client_id": simulator.api_key, "api_secret": simulator.api_secret},
    )


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as listening:
        yield listening


class Sender:
    """The door, and the logins before it."""

    def __init__(self) -> None:
        self.transport = Transport(allowed_networks=[ip_network("127.0.0.0/8")])
        self.logins = Logins(self.transport, kind_of=lambda _: "smsportal", deadline=5)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.logins.aclose()
        await self.transport.aclose()

    async def send(self, account: Account, batch: Sequence[Sms], *, again: bool = True) -> Sequence[Outcome]:
        ready = await self.logins.ready_account(account)
        if not isinstance(ready, Account):
            return [ready] * len(batch)
        heard = await self.transport.perform(smsportal.build_send(ready, batch), deadline=5)
        if isinstance(heard, Lost):
            return [heard] * len(batch)
        if self.logins.has_ended(ready, heard) and again:  # told of every answer, as at the pump
            return await self.send(account, batch, again=False)
        return smsportal.read_send(batch, heard)


def news(account: Account, receiver: Receiver) -> list[Receipt]:
    return [receipt for told in receiver.told for receipt in smsportal.read_callback(account, heard(receiver, told))]


def heard(receiver: Receiver, told: Told) -> Callback:
    return Callback(told.method, receiver.url(told.target), told.headers, told.raw, datetime.now(UTC))


def templates() -> Mapping[str, str]:
    """The templates of our page, as its reader would paste them."""
    status, inbound = re.findall(r"^```json\n(\{.*?@@.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    return {"receipt_template": status, "reply_template": inbound}


@pytest.mark.parametrize("authentication", ["basic", "token"])
async def test_a_hundred_are_taken_and_written_down_one_by_one(
    simulator: Simulator, account: Account, authentication: str
) -> None:
    account = replace(account, settings={**account.settings, "authentication": authentication})
    async with Sender() as sender:
        outcomes = await sender.send(account, BATCH)
        assert len(set(outcomes)) == 1
        assert isinstance(outcomes[0], Accepted)
        assert outcomes[0].segments == 1
        ready = await sender.logins.ready_account(account)
        assert isinstance(ready, Account)
        left = await sender.transport.perform(smsportal.build_balance(ready), deadline=5)
    assert isinstance(left, Answer)
    assert smsportal.read_balance(left).amount == 900
    lines = accepted(read_ledger(simulator.ledger_path))
    assert [(line.m, line.a, line.to) for line in lines] == [(str(sms.id), "1", sms.msisdn) for sms in BATCH]
    assert {line.sender for line in lines} == {"Cafe Ada"}


async def test_a_token_that_ended_costs_no_message(simulator: Simulator, account: Account) -> None:
    account = replace(account, settings={**account.settings, "authentication": "token"})
    async with Sender() as sender:
        await sender.send(account, BATCH[:1])
        simulator.set_dials(token_series=2)
        (outcome,) = await sender.send(account, BATCH[1:2])
        assert isinstance(outcome, Accepted)
        simulator.set_dials(faults=[{"kind": "error", "operation": "login"}], token_series=3)
        assert await sender.send(account, BATCH[2:3]) == [Lost(may_have_arrived=False, cause="login_failed")]
    assert len(accepted(read_ledger(simulator.ledger_path))) == 2


async def test_wrong_credentials_are_the_account_s_fault(account: Account) -> None:
    async with Sender() as sender:
        for mode in ("basic", "token"):
            wrong = replace(
                account,
                settings={**account.settings, "authentication": mode},
                secrets={"client_id": "x", "api_secret": "y"},
            )
            for outcome in await sender.send(wrong, BATCH[:2]):
                assert isinstance(outcome, Refused)
                assert outcome.fault is Fault.ACCOUNT


async def test_what_is_named_is_refused_and_what_is_only_counted_stays_in_doubt(
    simulator: Simulator, account: Account
) -> None:
    invalid = replace(BATCH[5], msisdn="+15005550001")
    opted_out = replace(BATCH[6], msisdn="+15005550004")
    async with Sender() as sender:
        outcomes = await sender.send(account, [*BATCH[:5], invalid])
        assert [type(outcome) for outcome in outcomes] == [Accepted] * 5 + [Refused]
        (alone,) = await sender.send(account, [opted_out])
        assert alone == Refused(Fault.OPTED_OUT, "optedOuts")
        among_others = await sender.send(account, [BATCH[7], opted_out])
        assert among_others == [Lost(may_have_arrived=True, cause="unexplained_count", blameless=True)] * 2
    assert len(accepted(read_ledger(simulator.ledger_path))) == 6


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": kind}
        for kind in ("hang", "reset", "close", "cut_body", "malformed_json", "html", "garbage", "error", "redirect")
    ]
    + [
        {"kind": "error", "status": 503, "accept": True},
        {"kind": "throttle"},
        {"kind": "error_body"},
        {"kind": "reject"},
    ],
    ids=str,
)
async def test_no_fault_makes_a_certain_no_of_what_was_taken(
    simulator: Simulator, account: Account, fault: dict[str, Any]
) -> None:
    more: dict[str, Any] = {"location": "http://127.0.0.1:1/"} if fault["kind"] == "redirect" else {}
    more |= {"seconds": 0.1} if fault["kind"] == "hang" else {}
    simulator.set_dials(faults=[fault | more])
    async with Sender() as sender:
        outcomes = await sender.send(account, BATCH[:3])
    assert len(set(outcomes)) == 1
    certain = isinstance(outcomes[0], Refused) or (isinstance(outcomes[0], Lost) and not outcomes[0].may_have_arrived)
    assert certain is (fault["kind"] in {"throttle", "error_body", "reject"})
    assert not (certain and accepted(read_ledger(simulator.ledger_path)))


@pytest.mark.parametrize("form", ["hex", "base64"])
@pytest.mark.parametrize("style", ["v1", "v2", "v3", "ours", "by GET"])
async def test_receipts_name_message_and_attempt_in_every_style(
    simulator: Simulator, account: Account, receiver: Receiver, style: str, form: str
) -> None:
    account = replace(
        account, settings={**account.settings, **SIGNED}, secrets={**account.secrets, "signature_secret": KEY}
    )
    target = "/status?c=@@CustomerId@@&status=@@Status@@&customerId=@@CustomerId@@" if style == "by GET" else "/status"
    simulator.set_dials(
        status_url=receiver.url(target),
        webhook_style=style if style.startswith("v") else "v3",
        signature_key=KEY,
        signature_form=form,
        **(templates() if style == "ours" else {}),
    )
    batch = [replace(BATCH[0], attempt=3), BATCH[1]]
    async with Sender() as sender:
        await sender.send(account, batch)
    assert simulator.quiesce()
    found = news(account, receiver)
    assert {(receipt.message_id, receipt.attempt, receipt.status) for receipt in found} == {
        (sms.id, sms.attempt, status) for sms in batch for status in (Status.SENT, Status.DELIVERED)
    }


async def test_a_block_list_opts_out_and_forged_news_is_none(
    simulator: Simulator, account: Account, receiver: Receiver
) -> None:
    marked = replace(
        account,
        settings={**account.settings, "webhook_header": "X-Mark"},
        secrets={**account.secrets, "webhook_secret": "m4rk"},
    )
    simulator.set_dials(
        status_url=receiver.url("/status"), webhook_header="X-Mark: m4rk", undelivered=1, undelivered_word="BLIST"
    )
    async with Sender() as sender:
        await sender.send(marked, BATCH[:1])
        assert simulator.quiesce()
        assert [(receipt.opted_out, receipt.code) for receipt in news(marked, receiver)] == [
            (False, None),
            (True, "BLIST"),
        ]
        receiver.told.clear()
        simulator.set_dials(callback_forged=1)
        await sender.send(marked, BATCH[1:2])
        assert simulator.quiesce()
    assert len(receiver.told) == 2
    for told in receiver.told:
        with pytest.raises(ForgedCallback):
            smsportal.read_callback(marked, heard(receiver, told))


@pytest.mark.parametrize("style", ["v1", "v2", "v3", "ours"])
def test_replies_in_every_style(simulator: Simulator, account: Account, receiver: Receiver, style: str) -> None:
    simulator.set_dials(
        webhook_style=style if style.startswith("v") else "v3", **(templates() if style == "ours" else {})
    )
    text = 'Stop "it"\nplease & thanks'
    said = simulator.inbound(
        sender="+447700900123", to="+27600000000", text=text, dialect="smsportal", url=receiver.url("/inbound")
    )
    (told,) = receiver.told
    (inbound,) = smsportal.read_inbound(account, heard(receiver, told))
    assert (inbound.msisdn, inbound.text, inbound.reference) == ("+447700900123", text, said["sid"])
