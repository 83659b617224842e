"""Every way to fail that the simulator has, through every adapter and every preset, over real HTTP.

What the gateway took is in its ledger; no adapter may say of that that it certainly did not arrive.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from uuid import UUID

import pytest

from deploy.simulator.faults import KINDS
from deploy.simulator.launch import Simulator
from deploy.simulator.ledger import accepted, read_ledger
from dispatcher.door.transport import Transport
from shared.adapter import Account, Adapter, Answer
from shared.domain.outcome import Accepted, Fault, Lost, Outcome, Refused, is_certain_no
from shared.gateways import ADAPTERS, adapter_for
from shared.gateways.custom.presets import PRESETS
from tests.simulator.test_vendors import HELLO, LOOPBACK, account_at

TAKEN, DOUBT, THROTTLED = "taken", "in doubt", "throttled"
# What each kind comes to, with the options that keep it short. None where that is the dialect's own affair.
MEANT: dict[str, tuple[dict[str, object], str | None]] = {
    "stop_listening": ({"seconds": 0}, TAKEN),
    "slow": ({"seconds": 0.05}, TAKEN),
    "duplicate_sid": ({}, TAKEN),
    "reused_sid": ({}, TAKEN),
    "hang": ({}, DOUBT),
    "continue_stall": ({}, DOUBT),
    "drip": ({}, DOUBT),
    "error": ({}, DOUBT),
    "reset": ({}, DOUBT),
    "close": ({}, DOUBT),
    "cut_body": ({}, DOUBT),
    "html": ({}, DOUBT),
    "gzip_bomb": ({"megabytes": 1}, DOUBT),
    "huge_body": ({"megabytes": 1}, DOUBT),
    "redirect": ({"location": "https://x.example"}, DOUBT),
    "garbage": ({}, DOUBT),
    "throttle": ({"retry_after": 7}, THROTTLED),
    "malformed_json": ({}, None),
    "error_body": ({"code": 1}, None),
    "reject": ({"code": 1}, None),
}
# These end with the deadline, before any adapter reads anything: a few of them tell.
ENDLESS = {"hang", "drip", "continue_stall"}
NAMES = sorted([*PRESETS, "smsportal", "twilio"])
TRIED = [(name, kind) for name in NAMES for kind in sorted(MEANT) if name not in PRESETS or kind not in ENDLESS]


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    ledger = tmp_path_factory.mktemp("faults") / "ledger.jsonl"
    with Simulator(ledger, dials={"callbacks": False, "balance": "1000000"}) as running:
        yield running


def speaker_at(simulator: Simulator, name: str) -> tuple[Account, Adapter]:
    if name in PRESETS:
        account = account_at(simulator, name, status_url="http://127.0.0.1:9/status")
        return account, adapter_for("custom", account)
    settings = {
        "twilio": {"base_url": simulator.base_url, "account_sid": simulator.account_sid, "from": "+12025550142"},
        "smsportal": {"base_url": f"{simulator.base_url}/smsportal", "sender_id": "Ada", "authentication": "basic"},
    }[name]
    secrets = {
        "twilio": {"api_secret": simulator.auth_token},
        "smsportal": {"client_id": simulator.api_key, "api_secret": simulator.api_secret},
    }[name]
    account = Account(UUID(int=9), ADAPTERS[name].check_settings(settings, secrets), secrets)
    return account, ADAPTERS[name]


def sent(account: Account, adapter: Adapter, *, deadline: float) -> Outcome:
    sms = replace(HELLO, msisdn="+12025550199")

    async def ask() -> Answer | Lost:
        door = Transport(allowed_networks=LOOPBACK)
        try:
            return await door.perform(adapter.build_send(account, [sms]), deadline=deadline)
        finally:
            await door.aclose()

    heard = asyncio.run(ask())
    if isinstance(heard, Lost):
        return heard
    (outcome,) = adapter.read_send([sms], heard)
    return outcome


def meaning(outcome: Outcome) -> str:
    match outcome:
        case Accepted():
            return TAKEN
        case Lost(may_have_arrived=True):
            return DOUBT
        case Refused(fault=Fault.THROTTLED, retry_after=7.0):
            return THROTTLED
        case _:
            return "a certain no"


def test_every_kind_is_told_of() -> None:
    assert MEANT.keys() == KINDS.keys()


@pytest.mark.parametrize(("name", "kind"), TRIED)
def test_it_comes_to_what_is_true(simulator: Simulator, name: str, kind: str) -> None:
    options, meant = MEANT[kind]
    account, adapter = speaker_at(simulator, name)
    simulator.reset_dials()
    simulator.set_dials(faults=[{"kind": kind, **options}], remember_seconds=0)  # each time as if for the first
    before = len(accepted(read_ledger(simulator.ledger_path)))
    outcome = sent(account, adapter, deadline=1.0 if kind in ENDLESS else 30.0)
    taken = len(accepted(read_ledger(simulator.ledger_path))) - before
    assert taken == KINDS[kind].accepts
    # Silence proves nothing of an answer: where there is to be one, it came.
    assert kind in ENDLESS or getattr(outcome, "cause", "") not in {"read_timeout", "deadline"}, outcome
    assert not (taken and is_certain_no(outcome)), outcome
    assert taken or not isinstance(outcome, Accepted), outcome
    assert meant is None or meaning(outcome) == meant, outcome
