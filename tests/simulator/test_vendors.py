"""Every preset against the simulator's own idea of its vendor: over real HTTP, through the real door."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import pytest

from deploy.simulator.launch import Simulator
from deploy.simulator.ledger import ACCEPTED, REPEATED, accepted, read_ledger
from dispatcher.door.transport import Transport
from shared.adapter import Account, Answer, Balance, Call, Callback, Receipt, Sms
from shared.domain.message import Status
from shared.domain.outcome import Accepted, Fault, Lost, Outcome, Refused
from shared.gateways import custom
from shared.gateways.custom.presets import PRESETS, expanded
from shared.gateways.custom.values import id_number_of
from shared.ids import uuid7
from tests.simulator.receiver import Receiver, Told

LOOPBACK = (ip_network("127.0.0.0/8"),)
HELLO = Sms(UUID("0199d4c2-0000-7000-8000-00000000abcd"), 2, msisdn="+447700900123", text="Hello & 5€ {x}?")
IN_DOUBT = Lost(may_have_arrived=True, cause="in_doubt_by_settings")

# Each fault as the simulator tells it, by (status, code), and what the preset makes of it.
FAULTS: dict[str, dict[tuple[int, int], Fault | Lost]] = {
    "vonage": {
        (200, 1): Fault.THROTTLED,
        (200, 12): Fault.MESSAGE,
        (200, 7): Fault.OPTED_OUT,
        (200, 9): Fault.ACCOUNT,
        (200, 15): Fault.GATEWAY,
        (200, 5): IN_DOUBT,
    },
    "infobip": {(200, 6): Fault.ACCOUNT, (200, 5): Fault.GATEWAY, (200, 2): Fault.GATEWAY},
    "africas_talking": {
        (201, 403): Fault.MESSAGE,
        (201, 406): Fault.OPTED_OUT,
        (201, 405): Fault.ACCOUNT,
        (201, 402): Fault.GATEWAY,
        (201, 500): IN_DOUBT,
    },
    "clickatell": {
        (202, 105): Fault.MESSAGE,
        (202, 122): Fault.OPTED_OUT,
        (202, 301): Fault.ACCOUNT,
        (202, 114): Fault.GATEWAY,
    },
    "bulksms": {
        (201, 1): Fault.OPTED_OUT,
        (201, 2): Fault.GATEWAY,
        (201, 3): Fault.MESSAGE,
        (201, 4): Fault.MESSAGE,
        (403, 5): Fault.ACCOUNT,
    },
    "plivo": {(400, 1): Fault.GATEWAY, (401, 1): Fault.ACCOUNT},
    "messagebird": {(401, 2): Fault.ACCOUNT, (422, 25): Fault.ACCOUNT, (422, 10): Fault.GATEWAY, (500, 99): IN_DOUBT},
    "gatewayapi": {(403, 0x216): Fault.ACCOUNT, (422, 0x308): Fault.GATEWAY},
    "kannel": {(403, 1): Fault.GATEWAY, (503, 2): Fault.THROTTLED, (403, 3): Fault.ACCOUNT},
    "android": {(400, 1): Fault.GATEWAY, (409, 1): Lost(may_have_arrived=True, cause="http_4xx")},
}
# These hold our number, but not our id.
WITHOUT_OUR_ID = {"bulksms"}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    with Simulator(tmp_path_factory.mktemp("vendors") / "ledger.jsonl", ledger_bodies=True) as simulator:
        yield simulator


@pytest.fixture
def simulator(running: Simulator) -> Simulator:
    running.reset_dials()
    running.set_dials(callback_delay_ms=[1, 5], callback_retry_ms=50, remember_seconds=0)
    return running


@pytest.fixture(params=sorted(PRESETS))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def account_at(simulator: Simulator, name: str, *, status_url: str = "", **over: Any) -> Account:
    """The preset's gateway as the simulator plays it: its address at ours, its credentials by their order."""
    preset = PRESETS[name]
    given = {"sender_id": "Cafe Ada", **over} if "sender_id" in preset.wanted else over
    vendor = urlsplit(preset.settings.get("url") or "https://x.example/" + _WANTED_PATHS[name])
    at = f"{simulator.base_url}/{name}"
    settings = expanded(name, {**given, "url": f"{at}{vendor.path}{'?' if vendor.query else ''}{vendor.query}"})
    if "balance" in settings:
        settings["balance"] = {**settings["balance"], "url": f"{at}{settings['balance']['url']}"}
    secrets = dict(zip(preset.secrets, (simulator.api_key, simulator.api_secret), strict=False))
    if name == "africas_talking":  # a username and a key, which the simulator checks for what it is
        secrets = {"username": simulator.api_key, "api_key": simulator.api_secret}
    return Account(UUID(int=9), custom.check_settings(settings, secrets), secrets, status_url=status_url)


_WANTED_PATHS = {"infobip": "sms/3/messages", "kannel": "cgi-bin/sendsms"}


def heard(call: Call) -> Answer:
    """The answer, through the door."""

    async def ask() -> Answer | Lost:
        door = Transport(allowed_networks=LOOPBACK)
        try:
            return await door.perform(call, deadline=5)
        finally:
            await door.aclose()

    answer = asyncio.run(ask())
    assert isinstance(answer, Answer), answer
    return answer


def sent(account: Account, sms: Sms = HELLO) -> Outcome:
    speaker = custom.of(account)
    (outcome,) = speaker.read_send([sms], heard(speaker.build_send(account, [sms])))
    return outcome


def callback_of(told: Told) -> Callback:
    return Callback(told.method, f"https://sms.example.com{told.target}", {"content-type": told.content_type}, told.raw)


def test_it_is_taken_as_it_was_meant(simulator: Simulator, name: str) -> None:
    outcome = sent(account_at(simulator, name, status_url="http://127.0.0.1:9/status"))
    assert isinstance(outcome, Accepted)
    written = accepted(read_ledger(simulator.ledger_path))[-1]
    assert written.dialect == name
    assert (written.to or "").lstrip("+") == HELLO.msisdn.lstrip("+")
    assert written.m in ({str(id_number_of(HELLO))} if name in WITHOUT_OUR_ID else {str(HELLO.id), None})
    body = Path(simulator.ledger_path).read_text().splitlines()[-1]
    assert "Hello & 5" in body
    assert outcome.reference is not None or name == "kannel"


@pytest.mark.parametrize(
    ("name", "fault", "meant"),
    [
        pytest.param(name, fault, meant, id=f"{name}: {fault[0]} {fault[1]}")
        for name, faults in FAULTS.items()
        for fault, meant in faults.items()
    ],
)
def test_each_fault_is_understood(simulator: Simulator, name: str, fault: tuple[int, int], meant: Fault | Lost) -> None:
    status, code = fault
    simulator.set_dials(faults=[{"kind": "reject", "status": status, "code": code}])
    outcome = sent(account_at(simulator, name))
    if isinstance(meant, Lost):
        assert outcome == meant
    else:
        assert isinstance(outcome, Refused)
        assert outcome.fault is meant


def test_every_mapped_fault_is_tried() -> None:
    for name, preset in PRESETS.items():
        mapped = {line["fault"] for line in preset.settings.get("faults", ())} - {"duplicate"}
        assert mapped <= {str(meant) if isinstance(meant, Fault) else "in_doubt" for meant in FAULTS[name].values()}, (
            name
        )


@pytest.mark.parametrize("name", sorted(name for name in PRESETS if "deduplication" in PRESETS[name].settings))
def test_who_takes_nothing_twice_says_so_and_rings_no_phone(simulator: Simulator, name: str) -> None:
    simulator.set_dials(remember_seconds=600, faults=[{"kind": "error", "status": 500, "accept": True, "limit": 1}])
    account = account_at(simulator, name, status_url="http://127.0.0.1:9/status")
    sms = replace(HELLO, id=uuid7())
    assert custom.of(account).CAPABILITIES.repeats is not None
    assert sent(account, sms) == Lost(may_have_arrived=True, cause="http_5xx")
    assert isinstance(sent(account, replace(sms, attempt=3, expires_in=5)), Accepted)
    lines = [entry for entry in read_ledger(simulator.ledger_path) if entry.m in {str(sms.id), str(id_number_of(sms))}]
    assert [line.kind for line in lines if line.kind in {ACCEPTED, REPEATED}] == [ACCEPTED, REPEATED]
    simulator.set_dials(remember_seconds=0)
    assert isinstance(sent(account, sms), Accepted)
    assert len(accepted(read_ledger(simulator.ledger_path))) >= 2


def test_what_any_gateway_does(simulator: Simulator, name: str) -> None:
    account = account_at(simulator, name)
    expected: list[tuple[dict[str, Any], Outcome]] = [
        ({"kind": "error", "status": 500}, Lost(may_have_arrived=True, cause="http_5xx")),
        ({"kind": "error", "status": 502}, Lost(may_have_arrived=True, cause="http_5xx")),
        ({"kind": "throttle", "retry_after": 7}, Refused(Fault.THROTTLED, "http_429", "", 7.0)),
        ({"kind": "redirect", "location": "https://x.example"}, Lost(may_have_arrived=True, cause="redirect")),
        ({"kind": "html", "status": 200}, Lost(may_have_arrived=True, cause="no_success_in_answer")),
    ]
    for rule, outcome in expected:
        simulator.set_dials(faults=[rule])
        told = sent(account)
        assert (replace(told, detail="") if isinstance(told, Refused) else told) == outcome, rule


def test_wrong_credentials_withdraw_it(simulator: Simulator, name: str) -> None:
    account = account_at(simulator, name)
    if name == "plivo":  # the account is part of its address
        account = replace(account, secrets={**account.secrets, "auth_token": "wrong"})
    else:
        account = replace(account, secrets=dict.fromkeys(account.secrets, "wrong"))
    outcome = sent(account)
    assert isinstance(outcome, Refused)
    assert outcome.fault is Fault.ACCOUNT


@pytest.mark.parametrize(
    ("dials", "last"),
    [
        pytest.param({}, Status.DELIVERED, id="delivered"),
        pytest.param({"undelivered": 1}, Status.UNDELIVERED, id="undelivered"),
        pytest.param({"failed": 1}, Status.UNDELIVERED, id="failed"),
    ],
)
def test_its_receipts_come_back(
    simulator: Simulator, receiver: Receiver, name: str, dials: dict[str, Any], last: Status
) -> None:
    simulator.set_dials(callback_url=receiver.url("/status"), **dials)
    account = account_at(simulator, name, status_url=receiver.url("/status"))
    outcome = sent(account)
    assert simulator.quiesce()
    speaker = custom.of(account)
    receipts: list[Receipt] = [
        receipt for told in receiver.told for receipt in speaker.read_callback(account, callback_of(told))
    ]
    assert receipts[-1].status is last
    assert isinstance(outcome, Accepted)
    for receipt in receipts:
        known_by_id = receipt.message_id == HELLO.id
        assert known_by_id or (receipt.reference is not None and receipt.reference == outcome.reference)
        assert known_by_id is speaker.CAPABILITIES.client_reference


def test_each_part_of_a_long_message_has_a_receipt_of_its_own(simulator: Simulator, receiver: Receiver) -> None:
    """Under an id of its own, and with ours: so the parts are told apart, and belong together."""
    account = account_at(simulator, "vonage", status_url=receiver.url("/status"))
    sms = replace(HELLO, id=uuid7(), text="long " * 80)
    outcome = sent(account, sms)
    assert isinstance(outcome, Accepted)
    assert outcome.segments == 3
    assert simulator.quiesce()
    speaker = custom.of(account)
    assert speaker.CAPABILITIES.receipts_per_part
    told = [one for heard in receiver.told for one in speaker.read_callback(account, callback_of(heard))]
    delivered = [one for one in told if one.status is Status.DELIVERED]
    assert {one.message_id for one in told} == {sms.id}
    assert len({one.reference for one in delivered}) == len(delivered) == 3
    assert outcome.reference in {one.reference for one in delivered}


def test_its_inbound_messages_come_in(simulator: Simulator, receiver: Receiver, name: str) -> None:
    account = account_at(simulator, name)
    simulator.inbound(sender="+447700900123", to="+447700900555", text="Stop it", dialect=name, url=receiver.url("/in"))
    (message,) = custom.of(account).read_inbound(account, callback_of(receiver.told[-1]))
    assert (message.msisdn, message.text) == ("+447700900123", "Stop it")
    assert message.reference


def test_its_balance_is_read(simulator: Simulator, name: str) -> None:
    simulator.set_dials(balance="77.50", currency="EUR")
    account = account_at(simulator, name)
    speaker = custom.of(account)
    if not speaker.CAPABILITIES.balance:
        assert name in {"kannel", "android"}
        return
    balance = speaker.read_balance(heard(speaker.build_balance(account)))
    assert isinstance(balance, Balance)
    assert str(balance.amount) in {"77.50", "77.5"}
    assert balance.unit in {"EUR", "USD", "credits"}
