"""A typed client is made of the OpenAPI document by a generator off the shelf, and the service is driven with it alone.

Whatever the generator cannot read is ours to mend: it may not warn.
"""

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest
import respx
from fastapi import FastAPI
from httpx import AsyncClient
from sqlalchemy.ext.asyncio import AsyncEngine

from api.schema_names import plain_name, rename_schemas
from dispatcher.beside.automate import automate
from shared.db import begin
from shared.sealing import Sealer
from tests.conftest import ADMIN_KEY
from tests.dispatcher.answers import at
from tests.factories import make_gateway
from tests.stages import pump_all, pump_once, run_to_the_end
from tests.worlds import HandClock, HandWorker, by_hand, router, worker

__all__ = ["by_hand", "router", "worker"]

NAME = "generated_lapwing_client"


@pytest.fixture(scope="module")
def made() -> Iterator[dict[str, Any]]:
    """Where the one client is kept: making it takes a while."""
    before = set(sys.modules)
    yield {}
    for name in set(sys.modules) - before:
        if name.startswith(NAME):
            del sys.modules[name]


@pytest.fixture
def generated(app: FastAPI, made: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    if "path" not in made:
        document = tmp_path / "openapi.json"
        document.write_text(json.dumps(app.openapi()))
        config = tmp_path / "config.yaml"
        config.write_text("post_hooks: []\n")
        command = [
            *(sys.executable, "-m", "openapi_python_client", "generate", "--meta", "none", "--fail-on-warning"),
            *("--path", str(document), "--config", str(config), "--output-path", str(tmp_path / NAME)),
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=150, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        made["path"] = tmp_path
    monkeypatch.syspath_prepend(str(made["path"]))
    return import_module(NAME)


class Service:
    """The generated client's functions by their names, and its classes."""

    def __init__(self, generated: ModuleType, http: AsyncClient, token: str = ADMIN_KEY) -> None:
        self.client = generated.AuthenticatedClient(base_url="https://sms.example.com", token=token)
        self.client.set_async_httpx_client(http)
        self.models = import_module(f"{NAME}.models")

    async def call(self, path: str, **asked: Any) -> Any:
        """The whole answer of `tag.operation`; its `parsed` is one of the client's own classes."""
        operation = import_module(f"{NAME}.api.{path}")
        return await operation.asyncio_detailed(client=self.client, **asked)

    async def have(self, path: str, **asked: Any) -> Any:
        answer = await self.call(path, **asked)
        assert answer.parsed is not None, answer
        assert not isinstance(answer.parsed, self.models.Problem), answer.parsed
        return answer.parsed


def code_in(request: httpx.Request) -> str:
    """The code that a handset shows."""
    (found,) = re.findall(r"\d{6}", parse_qs(request.content.decode())["Body"][0])
    return str(found)


@pytest.fixture
def service(generated: ModuleType, client: AsyncClient) -> Service:
    return Service(generated, client)


async def test_from_a_contact_to_the_report(
    service: Service, engine: AsyncEngine, sealer: Sealer, worker: HandWorker
) -> None:
    async with begin(engine) as tx:
        await make_gateway(tx, sealer, kind="sandbox")
    models = service.models
    contact = await service.have(
        "contacts.create_contact", body=models.ContactIn(msisdn="+12025550142", name="Ada"), idempotency_key="one"
    )
    group = await service.have("target_groups.create_target_group", body=models.TargetGroupIn(name="Guests"))
    added = await service.have(
        "target_groups.add_members", group_id=group.id, body=models.MembersIn(contact_ids=[contact.id])
    )
    assert added.added == 1
    wanted = models.CampaignIn(
        name="Spring offer",
        messages=[models.StepIn(text='Hi {{ name | default("there") }}.')],
        target_group_ids=[group.id],
        msisdns=["+12025550126"],
        opt_in_acknowledged=True,
    )
    campaign = await service.have("campaigns.create_campaign", body=wanted)
    assert campaign.status is models.CampaignStatus.DRAFT
    started = await service.have("campaigns.start_campaign", campaign_id=campaign.id)
    assert started.status is models.CampaignStatus.RUNNING
    await run_to_the_end(worker)
    report = await service.have("campaigns.report_campaign", campaign_id=campaign.id)
    assert report.recipients == 2
    assert sum(report.counts.additional_properties.values()) == 2
    page = await service.have("campaigns.list_campaign_messages", campaign_id=campaign.id)
    assert {item.msisdn for item in page.items} == {"+12025550142", "+12025550126"}


async def test_a_message_is_sent_once(
    service: Service, engine: AsyncEngine, sealer: Sealer, worker: HandWorker, by_hand: HandClock
) -> None:
    async with begin(engine) as tx:
        await make_gateway(tx, sealer, kind="sandbox")
    body = service.models.MessageIn(msisdn="+12025550142", text="Your table waits.")
    sent = [await service.have("messages.create_message", body=body, idempotency_key="order-7") for _ in range(2)]
    assert sent[0].id == sent[1].id
    await by_hand.advance(seconds=1)
    assert await pump_all(worker, "urgent") == 1
    message = await service.have("messages.get_message", message_id=sent[0].id)
    assert message.status is not service.models.MessageStatus.QUEUED
    assert [attempt.outcome for attempt in message.attempts] == ["accepted"]


async def test_a_password_from_the_page_to_the_right_code(
    service: Service, worker: HandWorker, router: respx.MockRouter, by_hand: HandClock
) -> None:
    """Started, guessed at, sent again with the same code, right once; the splash page knows only what it was told."""
    async with worker.transaction() as tx:
        await make_gateway(tx, worker.sealer, "first")
    handset = at(router)
    models = service.models
    begun = await service.have("otp.start_otp", body=models.OtpIn(msisdn="+12025550142", session="page"))
    assert (begun.status, begun.sent, begun.attempts_left) == (models.OtpStatus.PENDING, True, 5)
    assert await pump_all(worker, "urgent") == 1
    wrong = await service.have("otp.verify_otp", otp_id=begun.id, body=models.TypedIn(code="not it"))
    assert (wrong.verified, wrong.attempts_left) == (False, 4)
    early = (await service.call("otp.resend_otp", otp_id=begun.id)).parsed
    assert isinstance(early, models.Problem)
    assert (early.status, early.type_.rpartition("/")[2]) == (429, "otp-resend-too-early")
    assert begun.resend_after is not None
    await by_hand.advance(seconds=begun.resend_after)
    resent = await service.have("otp.resend_otp", otp_id=begun.id)
    assert (resent.id, resent.sent, resent.attempts_left) == (begun.id, True, 4)
    assert await pump_all(worker, "urgent") == 1
    first, second = (code_in(call.request) for call in handset.calls)
    assert first == second
    typed = models.TypedIn(code=f"{first[:3]} {first[3:]}", session="page")
    right = [await service.have("otp.verify_otp", otp_id=begun.id, body=typed) for _ in range(2)]
    assert [one.verified for one in right] == [True, False]
    shown = await service.have("otp.get_otp", otp_id=begun.id)
    assert (shown.status, shown.attempts, len(shown.message_ids)) == (models.OtpStatus.VERIFIED, 3, 2)


async def test_a_password_called_off_and_one_that_nobody_needs(service: Service, worker: HandWorker) -> None:
    models = service.models
    begun = await service.have("otp.start_otp", body=models.OtpIn(msisdn="+12025550142"))
    off = await service.have("otp.cancel_otp", otp_id=begun.id)
    assert (off.status, off.resend_after) == (models.OtpStatus.CANCELLED, None)
    gone = (await service.call("otp.resend_otp", otp_id=begun.id)).parsed
    assert isinstance(gone, models.Problem)
    assert gone.status == 404
    await service.have("otp_profiles.create_otp_profile", body=models.ProfileIn(name="open", enabled=False))
    free = await service.have("otp.start_otp", body=models.OtpIn(msisdn="+12025550126", profile="open"))
    assert (free.status, free.id, free.sent) == (models.OtpStatus.NOT_REQUIRED, None, False)


async def test_a_message_that_is_waited_for(
    service: Service, engine: AsyncEngine, sealer: Sealer, worker: HandWorker
) -> None:
    """The answer comes when the gateway has it, with what is true by then."""
    async with begin(engine) as tx:
        await make_gateway(tx, sealer, kind="sandbox")
    body = service.models.MessageIn(msisdn="+12025550142", text="Your table waits.", client_reference="table-7")
    waiting = asyncio.create_task(service.have("messages.create_message", body=body, wait=10))
    async with asyncio.timeout(30):
        while not await pump_once(worker, "urgent"):
            await asyncio.sleep(0.05)
        message = await waiting
    assert message.status is service.models.MessageStatus.SUBMITTED
    assert (message.attempt, message.client_reference) == (1, "table-7")
    again = await service.have("messages.create_message", body=body)
    assert again.id == message.id


async def test_a_voucher(service: Service) -> None:
    """Its fields fill the template; the same request again makes no other one, and what lacks a field is named."""
    models = service.models
    words = "Your {{ voucher.plan }} voucher: {{ voucher.code }}"
    template = await service.have("templates.create_template", body=models.TemplateIn(name="Voucher", text=words))
    wanted = models.MessageIn(
        msisdn="+12025550142",
        kind=models.MessageInKind.VOUCHER,
        template_id=template.id,
        voucher=models.VoucherIn(code="SPRING-25", plan="5 GB"),
        client_reference="order-7",
    )
    sold = [await service.have("messages.create_message", body=wanted) for _ in range(2)]
    assert sold[0].id == sold[1].id
    assert (sold[0].kind, sold[0].text) == (models.MessageKind.VOUCHER, "Your 5 GB voucher: SPRING-25")
    wanted.client_reference, wanted.voucher = "order-8", models.VoucherIn(code="SPRING-26")
    refused = (await service.call("messages.create_message", body=wanted)).parsed
    assert isinstance(refused, models.Problem)
    assert (refused.status, "voucher.plan" in refused.errors[0].detail) == (422, True)


async def test_an_event_that_leads_to_a_message(service: Service, worker: HandWorker) -> None:
    """An automation, an event told twice and done once, and the trace of what it led to."""
    models = service.models
    template = await service.have(
        "templates.create_template", body=models.TemplateIn(name="Nearly", text="{{ variables.percent }} % is used.")
    )
    automation = await service.have(
        "automations.create_automation",
        body=models.AutomationIn(name="Nearly used", event="voucher_nearly_used", template_id=template.id),
    )
    contact = await service.have("contacts.create_contact", body=models.ContactIn(msisdn="+12025550142"))
    data = models.EventInData()
    data["percent"] = 85
    happened = models.EventIn(id="usage-4711", name="voucher_nearly_used", contact_id=contact.id, data=data)
    told = [await service.have("automations.tell_event", body=happened) for _ in range(2)]
    assert told[0].event_id == told[1].event_id
    while await automate(worker):
        pass
    event = await service.have("automations.get_event", event_id=told[0].event_id)
    assert [(led.automation_id, str(led.outcome)) for led in event.led_to] == [(automation.id, "message")]
    message = await service.have("messages.get_message", message_id=event.led_to[0].message_id)
    assert (message.text, message.contact_id) == ("85 % is used.", contact.id)


async def test_who_am_i_and_a_refusal(
    service: Service, generated: ModuleType, engine: AsyncEngine, app: FastAPI
) -> None:
    me = await service.have("me.read_me")
    assert (me.id, "admin" in me.scopes) == ("admin", True)
    refused = (await service.call("contacts.create_contact", body=service.models.ContactIn(msisdn="12"))).parsed
    assert isinstance(refused, service.models.Problem)
    assert (refused.status, refused.errors[0].pointer) == (422, "/msisdn")


def test_names_of_schemas() -> None:
    cases = {
        "shared__domain__message__Status": "MessageStatus",
        "shared__domain__sender_id__Kind": "SenderIdKind",
        "PageOut_ContactOut_": "ContactPage",
        "BalanceCheck-Input": "BalanceCheckIn",
        "Body_import_contacts": "Body_import_contacts",
        "Problem": "Problem",
    }
    assert {name: plain_name(name) for name in cases} == cases


def test_a_name_is_never_taken_twice() -> None:
    schemas: dict[str, Any] = {
        "A-Input": {},
        "AIn": {},
        "B-Output": {"items": {"$ref": "#/components/schemas/A-Input"}},
    }
    renamed = rename_schemas({"components": {"schemas": schemas}})["components"]["schemas"]
    assert set(renamed) == {"A-Input", "AIn", "BOut"}
    assert renamed["BOut"]["items"] == {"$ref": "#/components/schemas/A-Input"}
