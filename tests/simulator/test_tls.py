"""The simulator behind https, with a certificate that nobody vouches for: what the door and its gateways make of it."""

import http.client
import ssl
from collections.abc import AsyncIterator
from ipaddress import ip_network
from uuid import UUID

import pytest

from deploy.simulator.launch import Simulator
from deploy.simulator.ledger import accepted, read_ledger
from dispatcher.door.transport import EngineName, Transport
from shared.adapter import Account, Answer, Sms
from shared.domain.outcome import Accepted, Lost
from shared.gateways import custom
from tests.simulator.caller import Caller

HELLO = Sms(UUID(int=1), 1, msisdn="+12025550142", text="Hello")


@pytest.fixture(params=["pyreqwest", "httpx"])
async def door(request: pytest.FixtureRequest) -> AsyncIterator[Transport]:
    engine: EngineName = request.param
    door = Transport(engine, allowed_networks=[ip_network("127.0.0.0/8")])
    yield door
    await door.aclose()


def account(simulator: Simulator, *, verify_tls: bool) -> Account:
    wanted = {
        "url": f"{simulator.tls_url}/plain/send",
        "method": "POST",
        "content_type": "application/json",
        "payload": '{"to": "%TO%", "message": "%MESSAGE%"}',
        "success_text": '"OK"',
        "verify_tls": verify_tls,
    }
    return Account(UUID(int=9), custom.check_settings(wanted, {}), {})


async def test_nothing_is_said_to_who_cannot_prove_its_name(simulator: Simulator, door: Transport) -> None:
    simulator.set_dials(tls=True)
    call = custom.of(account(simulator, verify_tls=True)).build_send(account(simulator, verify_tls=True), [HELLO])
    outcome = await door.perform(call, deadline=10)
    assert isinstance(outcome, Lost)
    assert not outcome.may_have_arrived
    assert simulator.stats()["requests"] == 0


async def test_an_owner_who_does_not_care_is_served(simulator: Simulator, door: Transport) -> None:
    simulator.set_dials(tls=True)
    careless = account(simulator, verify_tls=False)
    adapter = custom.of(careless)
    answer = await door.perform(adapter.build_send(careless, [HELLO]), deadline=10)
    assert isinstance(answer, Answer)
    assert isinstance(adapter.read_send([HELLO], answer)[0], Accepted)
    assert [entry.to for entry in accepted(read_ledger(simulator.ledger_path))] == [HELLO.msisdn]


def test_the_dial_is_turned_both_ways(simulator: Simulator, caller: Caller) -> None:
    """The control port stays as it is, and so does the port's number."""
    assert caller.get("/plain/balance").status == 200
    assert simulator.set_dials(tls=True)["tls"] is True
    unchecked = ssl._create_unverified_context()  # noqa: S323 - it is the point
    line = http.client.HTTPSConnection("127.0.0.1", simulator.port, timeout=10, context=unchecked)
    line.request("GET", "/plain/balance")
    assert line.getresponse().status == 200
    line.close()
    with pytest.raises((OSError, http.client.HTTPException)):
        caller.get("/plain/balance")
    simulator.set_dials(tls=False)
    assert caller.get("/plain/balance").status == 200
