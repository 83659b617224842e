"""Tests of gateways over real sockets: every kind against the simulator, from the api's request to the panes."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from ipaddress import ip_network
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from deploy.simulator.launch import Simulator
from deploy.simulator.ledger import accepted, read_ledger
from dispatcher.door.transport import Transport
from dispatcher.path.trials import Trials
from shared.db import begin
from shared.sealing import Sealer
from tests.factories import make_gateway, make_msisdn
from tests.worlds import HandWorker, by_hand, router, worker

__all__ = ["by_hand", "router", "worker"]

TEXT = "Is it open at 8?"
SCRIPT = """
function build(sms)
  return {json = {to = sms.to, message = sms.message, from = sms.from, reference = sms.id, key = "%SECRET:key%"}}
end
function read(answer)
  if answer.status >= 500 then return nil end
  local told = json.decode(answer.body)
  if told.status ~= "OK" then return {outcome = "refused", fault = "gateway", code = tostring(told.status)} end
  return {outcome = "accepted", reference = told.id}
end
"""
PLAIN = {"success_text": '"OK"', "reference_path": "id", "sender_id": "Cafe Ada"}


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with Simulator(dials={"callbacks": False}) as running:
        yield running


@pytest.fixture
async def trials(worker: HandWorker, simulator: Simulator) -> AsyncIterator[None]:
    """A dispatcher whose door leads to the simulator."""
    simulator.reset_dials()
    transport = Transport(allowed_networks=[ip_network("127.0.0.0/8")])
    real = replace(worker, transport=transport, limits=replace(worker.limits, deadline=10.0, lease=60.0))
    running = asyncio.create_task(Trials(real).run())

    async def ring() -> None:
        while True:
            real.ring("trials")
            await asyncio.sleep(0.02)

    ringing = asyncio.create_task(ring())
    yield
    real.stop()
    await running
    ringing.cancel()
    await asyncio.wait({ringing})
    await real.aclose()
    await transport.aclose()


def gateway_of(case: str, simulator: Simulator) -> dict[str, Any]:
    """Each kind as its owner would configure it."""
    url = f"{simulator.base_url}/plain/send"
    portal = {"base_url": f"{simulator.base_url}/smsportal", "sender_id": "Cafe Ada"}
    client = {"client_id": simulator.api_key, "api_secret": simulator.api_secret}
    json_payload = '{"to": "%TO%", "message": "%MESSAGE%", "reference": "%ID%", "key": "%SECRET:key%"}'
    key = {"key": "the-key-of-the-account"}
    return {
        "twilio": {
            "kind": "twilio",
            "settings": {"base_url": simulator.base_url, "account_sid": simulator.account_sid, "from": "+12025550100"},
            "secrets": {"api_secret": simulator.auth_token},
        },
        "smsportal": {"kind": "smsportal", "settings": portal, "secrets": client},
        "smsportal by token": {
            "kind": "smsportal",
            "settings": {**portal, "authentication": "token"},
            "secrets": client,
        },
        "custom": {
            "kind": "custom",
            "settings": {
                "url": url,
                "method": "POST",
                "content_type": "application/json",
                "payload": json_payload,
                **PLAIN,
            },
            "secrets": key,
        },
        "custom by token": {
            "kind": "custom",
            "settings": {
                "url": f"{portal['base_url']}/v3/BulkMessages",
                "method": "POST",
                "content_type": "application/json",
                "payload": '{"messages": [{"content": "%MESSAGE%", "destination": "%TO%", "customerId": "%ID%"}]}',
                "number_format": "digits",
                "headers": [{"name": "Authorization", "value": "Bearer %TOKEN%"}],
                "login": {
                    "url": "/smsportal/v3/Authentication",
                    "method": "GET",
                    "headers": [{"name": "Authorization", "value": "Basic %BASIC:client_id:api_secret%"}],
                    "token_path": "token",
                },
                "success_path": "sendResponse.messages",
                "success_values": [1],
                "reference_path": "sendResponse.eventId",
            },
            "secrets": client,
        },
        "custom by GET": {
            "kind": "custom",
            "settings": {
                "url": f"{url}?key=%SECRET:key%&to=%TO%&message=%MESSAGE%&reference=%ID%",
                "method": "GET",
                **PLAIN,
            },
            "secrets": key,
        },
        "script": {
            "kind": "custom",
            "settings": {
                "url": url,
                "method": "POST",
                "content_type": "application/json",
                "script": SCRIPT,
                "success_text": '"OK"',
            },
            "secrets": key,
        },
    }[case]


KINDS = ("twilio", "smsportal", "smsportal by token", "custom", "custom by token", "custom by GET", "script")


async def configured(client: httpx.AsyncClient, case: str, simulator: Simulator, **over: Any) -> tuple[UUID, list[str]]:
    """A gateway made over HTTP and left disabled; with it, what may nowhere be seen."""
    given = gateway_of(case, simulator)
    given["settings"] |= over.pop("settings", {})
    answer = await client.post("/v1/gateways", json={"name": case, "enabled": False, **given, **over})
    assert answer.status_code == 201, answer.text
    token = answer.json()["callback_urls"]["status"].split("/")[-2]
    return answer.json()["id"], [*given["secrets"].values(), token]


@pytest.mark.parametrize("case", KINDS)
async def test_it_is_really_sent_and_shown(
    client: httpx.AsyncClient, simulator: Simulator, trials: None, case: str
) -> None:
    gateway_id, private = await configured(client, case, simulator)
    msisdn = make_msisdn(KINDS.index(case) + 1)
    answer = await client.post(f"/v1/gateways/{gateway_id}/test", json={"msisdn": msisdn, "text": TEXT})
    told = answer.json()
    assert (answer.status_code, told["outcome"], told["status"]) == (200, "accepted", "submitted"), answer.text
    (line,) = [one for one in accepted(read_ledger(simulator.ledger_path)) if one.to == msisdn]
    assert line.m == told["message_id"]
    assert told["reference"] or case == "smsportal"
    assert told["request"]["line"].split()[0] == ("GET" if case == "custom by GET" else "POST")
    sent = told["request"]["line"] if case == "custom by GET" else told["request"]["body"]
    assert any(form in sent for form in (TEXT, "Is+it+open", "Is%20it%20open"))
    assert told["answer"]["status"] in {200, 201}
    assert told["answer"]["headers"]["content-type"]
    assert told["answer"]["body"]
    for words in (*private, msisdn, msisdn[1:]):
        assert words not in answer.text


async def test_a_location_fills_its_place(client: httpx.AsyncClient, simulator: Simulator, trials: None) -> None:
    payload = '{"to": "%TO%", "message": "%MESSAGE% (%LOCATION%)", "reference": "%ID%", "key": "%SECRET:key%"}'
    gateway_id, _ = await configured(client, "custom", simulator, settings={"payload": payload})
    body = {"msisdn": make_msisdn(40), "text": TEXT, "location_id": "harbour"}
    told = (await client.post(f"/v1/gateways/{gateway_id}/test", json=body)).json()
    assert (told["outcome"], f"{TEXT} (harbour)" in told["request"]["body"]) == ("accepted", True)
    shown = (await client.get(f"/v1/messages/{told['message_id']}")).json()
    assert shown["location_id"] == "harbour"


@pytest.mark.parametrize("case", KINDS)
@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        pytest.param({"kind": "reject"}, {"refused", "lost"}, id="refused"),
        pytest.param({"kind": "throttle"}, {"refused"}, id="too many"),
        pytest.param({"kind": "error", "status": 500, "accept": True}, {"lost"}, id="500 after it was taken"),
        pytest.param({"kind": "reset", "accept": True}, {"lost"}, id="reset after it was taken"),
    ],
)
async def test_what_went_wrong_is_shown_and_not_tried_again(
    client: httpx.AsyncClient,
    simulator: Simulator,
    trials: None,
    engine: AsyncEngine,
    sealer: Sealer,
    case: str,
    fault: dict[str, Any],
    outcome: set[str],
) -> None:
    async with begin(engine) as tx:
        await make_gateway(tx, sealer, "another", kind="sandbox", priority=9)
    gateway_id, private = await configured(client, case, simulator)
    before = simulator.stats()["requests"]
    simulator.set_dials(faults=[fault])
    answer = await client.post(f"/v1/gateways/{gateway_id}/test", json={"msisdn": make_msisdn(50), "text": TEXT})
    told = answer.json()
    assert (answer.status_code, told["outcome"] in outcome) == (200, True), answer.text
    assert (told["status"], told["in_doubt"]) == (
        ("unconfirmed", True) if told["outcome"] == "lost" else ("failed", False)
    )
    assert told["code"]
    assert (told["answer"] is None) is (fault["kind"] == "reset")
    logins = 1 if case.endswith("by token") else 0
    assert simulator.stats()["requests"] - before <= 1 + logins
    for words in private:
        assert words not in answer.text


@pytest.mark.parametrize("case", ["twilio", "smsportal", "smsportal by token", "custom by token"])
async def test_wrong_credentials(client: httpx.AsyncClient, simulator: Simulator, trials: None, case: str) -> None:
    """The mistake that a test is made for; the gateway is not withdrawn by it."""
    gateway_id, _ = await configured(client, case, simulator)
    wrong = {"secrets": {"api_secret": "not-the-secret"}}
    assert (await client.patch(f"/v1/gateways/{gateway_id}", json=wrong)).status_code == 200
    told = (await client.post(f"/v1/gateways/{gateway_id}/test", json={"msisdn": make_msisdn(51)})).json()
    assert (told["status"], told["outcome"], told["fault"]) == ("failed", "refused", "account")
    assert (told["request"] is None) is case.endswith("by token")  # it came no further than the login
    if case.endswith("by token"):
        assert "api_secret was refused" in told["detail"] or "HTTP 401 to the login" in told["detail"]
    assert (await client.get(f"/v1/gateways/{gateway_id}")).json()["health"]["state"] == "ok"


async def test_token_that_ended_is_renewed(client: httpx.AsyncClient, simulator: Simulator, trials: None) -> None:
    gateway_id, _ = await configured(client, "smsportal by token", simulator)
    for series in (1, 2):
        simulator.set_dials(token_series=series)
        told = (await client.post(f"/v1/gateways/{gateway_id}/test", json={"msisdn": make_msisdn(52)})).json()
        assert told["outcome"] == "accepted", told
        assert len((await client.get(f"/v1/messages/{told['message_id']}")).json()["attempts"]) == 1


@pytest.mark.parametrize(
    ("script", "words"),
    [
        pytest.param("function build(sms)\n  return sms.missing.field\nend", "line 2", id="an error"),
        pytest.param("function build(sms) while true do end end", "too many instructions", id="a loop"),
        pytest.param("function build(sms) return {url = 'https://elsewhere.test/'} end", "url", id="another host"),
    ],
)
async def test_script_that_fails_says_where(
    client: httpx.AsyncClient, simulator: Simulator, trials: None, script: str, words: str
) -> None:
    gateway_id, _ = await configured(client, "script", simulator, settings={"script": script})
    told = (await client.post(f"/v1/gateways/{gateway_id}/test", json={"msisdn": make_msisdn(53)})).json()
    assert (told["status"], told["outcome"], told["code"]) == ("failed", "not_sent", "script_failed")
    assert words in told["detail"]
    assert (told["request"], told["answer"]) == (None, None)


async def test_nobody_there(client: httpx.AsyncClient, simulator: Simulator, trials: None) -> None:
    gateway_id, _ = await configured(client, "custom", simulator, settings={"url": "http://127.0.0.1:9/send"})
    told = (await client.post(f"/v1/gateways/{gateway_id}/test", json={"msisdn": make_msisdn(54)})).json()
    assert (told["status"], told["outcome"], told["in_doubt"]) == ("failed", "not_sent", False)
    assert told["request"]["line"] == "POST http://127.0.0.1:9/send"
    assert told["answer"] is None
