"""A typed client is made of the OpenAPI document by a generator off the shelf, and the service is driven with it alone.

Whatever the generator cannot read is ours to mend: it may not warn.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from fastapi import FastAPI
from httpx import AsyncClient
from sqlalchemy.ext.asyncio import AsyncEngine

from api.schema_names import plain_name, rename_schemas
from shared.db import begin
from shared.sealing import Sealer
from tests.conftest import ADMIN_KEY
from tests.factories import make_gateway
from tests.stages import pump_all, run_to_the_end
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
