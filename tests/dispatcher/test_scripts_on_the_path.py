"""Owners' scripts on the path: a real script in its real process builds the call and reads the answer."""

import json
from time import monotonic
from typing import Any
from uuid import UUID

import httpx
import pytest
import respx

from dispatcher.path.handover import hand_over
from dispatcher.queries.settlements import Settled
from shared.db import begin
from shared.domain.message import Status
from tests.dispatcher.test_handover import claimed
from tests.factories import TEXT, make_gateway, make_msisdn
from tests.worlds import HandWorker

URL = "https://gateway.test/send"
BUILD = """
function build(sms)
  return {json = {to = sms.to, words = sms.message, id = sms.id, key = "%SECRET:key%"}}
end
"""
READ = """
function read(answer, sms)
  local told = json.decode(answer.body)
  if told.state == "full" then return {outcome = "refused", fault = "throttled", code = "full"} end
  if told.state == "yes" then return {outcome = "accepted", reference = told.ref} end
  return nil
end
"""


async def make(worker: HandWorker, script: str, **over: Any) -> UUID:
    async with worker.transaction() as tx:
        gateway_id = await make_gateway(
            tx,
            worker.sealer,
            kind="custom",
            settings={
                "url": URL,
                "method": "POST",
                "content_type": "application/json",
                "script": script,
                "success_text": '"ok"',
                **over,
            },
            secrets={"key": "the-key-of-the-account"},
        )
    async with begin(worker.engine) as tx:
        await worker.book.read(tx)
    return gateway_id


async def hand(worker: HandWorker, gateway_id: UUID) -> Settled:
    one = claimed(worker, msisdn=make_msisdn(1))
    (settled,) = await hand_over(worker, "urgent", [one], worker.book.accounts[gateway_id], monotonic() + 10)
    return settled


async def test_script_builds_the_call_and_secrets_come_after_it(worker: HandWorker, router: respx.MockRouter) -> None:
    gateway_id = await make(worker, BUILD)
    route = router.post(URL).respond(200, json={"state": "ok"})
    settled = await hand(worker, gateway_id)
    assert settled.status is Status.SUBMITTED
    sent = json.loads(route.calls[0].request.content)
    assert (sent["to"], sent["words"], sent["key"]) == (make_msisdn(1), TEXT, "the-key-of-the-account")


@pytest.mark.parametrize(
    ("answer", "status", "code", "reference"),
    [
        pytest.param({"state": "yes", "ref": "r-1"}, Status.SUBMITTED, None, "r-1", id="accepted"),
        pytest.param({"state": "full"}, Status.QUEUED, "full", None, id="refused for now"),
        pytest.param({"state": "ok"}, Status.SUBMITTED, None, None, id="no say: the settings read it"),
    ],
)
async def test_script_reads_the_answer(
    worker: HandWorker,
    router: respx.MockRouter,
    answer: dict[str, Any],
    status: Status,
    code: str | None,
    reference: str | None,
) -> None:
    gateway_id = await make(worker, BUILD + READ)
    router.post(URL).respond(200, json=answer)
    settled = await hand(worker, gateway_id)
    assert (settled.status, settled.code, settled.reference) == (status, code, reference)


@pytest.mark.parametrize(
    "script",
    [
        pytest.param("function build(sms) return sms.missing.field end", id="an error"),
        pytest.param("function build(sms) while true do end end", id="a loop"),
        pytest.param("function build(sms) return {method = 'DELETE'} end", id="a call that is not allowed"),
        pytest.param("function build(sms) return {url = 'https://elsewhere.test/'} end", id="another host"),
    ],
)
async def test_failure_before_the_call_is_a_certain_no(
    worker: HandWorker, router: respx.MockRouter, script: str
) -> None:
    gateway_id = await make(worker, script)
    settled = await hand(worker, gateway_id)
    assert (settled.status, settled.outcome, settled.code) == (Status.QUEUED, "not_sent", "script_failed")
    assert not router.calls


async def test_failure_to_read_leaves_it_in_doubt(worker: HandWorker, router: respx.MockRouter) -> None:
    gateway_id = await make(worker, BUILD + "function read(answer, sms) return answer.nothing.there end")
    router.post(URL).mock(return_value=httpx.Response(200, json={"state": "ok"}))
    settled = await hand(worker, gateway_id)
    assert (settled.status, settled.outcome) == (Status.UNCONFIRMED, "lost")


async def test_token_goes_by_its_mark_and_is_renewed_before_the_script_reads(
    worker: HandWorker, router: respx.MockRouter
) -> None:
    """A refused token is nothing for a script to read: it would be asked about an answer that is not the message's."""
    script = """
    function build(sms)
      return {headers = {Authorization = "Bearer " .. sms.secrets.access_token}, json = {to = sms.to}}
    end
    function read(answer, sms) return {outcome = "refused", fault = "account", code = "read"} end
    """
    login = {"url": "/token", "payload": "key=%SECRET:key%"}
    gateway_id = await make(worker, script, login=login)
    router.post("https://gateway.test/token").respond(200, json={"access_token": "t0ken-1"})
    route = router.post(URL).respond(401)
    ended = await hand(worker, gateway_id)
    assert (ended.outcome, ended.code) == ("not_sent", "login_ended")
    assert route.calls.last.request.headers["authorization"] == "Bearer t0ken-1"
    assert (await hand(worker, gateway_id)).code == "read"
