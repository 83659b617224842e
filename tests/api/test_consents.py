"""Consent: every statement is kept as evidence, a withdrawal is acted upon, and both outlive the contact."""

import csv
import io
from typing import Any
from uuid import uuid4

import pytest
import respx
from httpx import AsyncClient
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from dispatcher.beside.revive import revive
from dispatcher.imports.stage import run_imports
from dispatcher.path.due import due
from dispatcher.path.finish import cancel_requested, empty_stopped
from shared.db import begin
from shared.models import ConsentEvent, Message
from tests.conftest import Clock
from tests.dispatcher.answers import at, numbers_of
from tests.factories import make_gateway, make_message, make_msisdn
from tests.stages import check_tallies, execute, expand_all, pump_all
from tests.worlds import HandWorker, by_hand, router, worker

__all__ = ["by_hand", "router", "worker"]  # fixtures

ANN, BEN = make_msisdn(1), make_msisdn(2)


async def created(client: AsyncClient, **over: Any) -> str:
    answer = await client.post("/v1/contacts", json={"msisdn": ANN} | over)
    assert answer.status_code == 201, answer.text
    return f"/v1/contacts/{answer.json()['id']}"


async def test_every_statement_is_kept(client: AsyncClient, engine: AsyncEngine, clock: Clock) -> None:
    url = await created(client, consent_status="granted", consent_source="splash page")
    await client.patch(url, json={"name": "Ann"})
    await client.patch(url, json={"consent_status": "withdrawn", "consent_source": "phone call"})
    told = (await client.get(f"{url}/evidence")).json()
    assert (told["consent_status"], told["consent_source"], told["msisdn"]) == ("withdrawn", "phone call", ANN)
    statements = {(one["status"], one["source"], one["recorded_by"]) for one in told["statements"]}
    assert statements == {("granted", "splash page", "admin"), ("withdrawn", "phone call", "admin")}
    assert (told["opted_out_at"], told["campaigns"]) == (None, [])
    await client.post("/v1/opt-outs", json={"msisdn": ANN})
    assert (await client.get(f"{url}/evidence")).json()["opted_out_at"] is not None


async def test_what_nobody_said_is_no_statement(client: AsyncClient, engine: AsyncEngine) -> None:
    url = await created(client)
    await client.patch(url, json={"name": "Ann", "fields": {"city": "Delft"}})
    async with begin(engine) as tx:
        assert (await tx.execute(select(ConsentEvent))).all() == []


async def test_a_withdrawal_calls_back_what_waits(
    client: AsyncClient, engine: AsyncEngine, worker: HandWorker, pepper: bytes, clock: Clock
) -> None:
    """Of campaigns; what is written to them alone is theirs, and a voucher was paid for."""
    url = await created(client)
    campaign = {"name": "Spring", "messages": [{"text": "Hi"}], "msisdns": [ANN, BEN], "opt_in_acknowledged": True}
    path = f"/v1/campaigns/{(await client.post('/v1/campaigns', json=campaign)).json()['id']}"
    await client.post(f"{path}/start")
    await due(worker)
    await expand_all(worker)
    async with begin(engine) as tx:
        personal = await make_message(tx, pepper, msisdn=ANN, now=clock.now)
    await client.patch(url, json={"consent_status": "withdrawn"})
    while await cancel_requested(worker):
        pass
    async with begin(engine) as tx:
        rows = (await tx.execute(select(Message.id, Message.msisdn, Message.kind, Message.status))).all()
    assert {(row.msisdn, row.kind.value, row.status.value) for row in rows} == {
        (ANN, "campaign", "cancelled"),
        (BEN, "campaign", "queued"),
        (ANN, "personal", "queued"),
    }
    assert personal in {row.id for row in rows}
    await check_tallies(engine)
    (acknowledged,) = (await client.get(f"{url}/evidence")).json()["campaigns"]
    assert (acknowledged["name"], acknowledged["opt_in_acknowledged_by"]) == ("Spring", "admin")


@pytest.mark.parametrize("named", ["contact", "number", "another number"])
async def test_who_withdraws_later_still_is_not_written_to(
    client: AsyncClient, engine: AsyncEngine, worker: HandWorker, router: respx.MockRouter, named: str
) -> None:
    """What a gateway gave back, what a restart queues again, what was made before: the claim asks at last."""
    taker = at(router)
    async with begin(engine) as tx:
        await make_gateway(tx, worker.sealer)
    url = "" if named == "number" else await created(client, consent_status="granted", fields={"work": BEN})
    number = BEN if named == "another number" else ANN
    target: dict[str, Any] = {"msisdns": [ANN]} if named == "number" else {"contact_ids": [url.rpartition("/")[2]]}
    if named == "another number":
        target["phone_field"] = "fields.work"
    campaign = {"name": "Spring", "messages": [{"text": "Hi"}], "opt_in_acknowledged": True} | target
    path = f"/v1/campaigns/{(await client.post('/v1/campaigns', json=campaign)).json()['id']}"
    assert (await client.post(f"{path}/start")).status_code == 200
    await due(worker)
    await expand_all(worker)
    await execute(engine, "UPDATE messages SET status = 'sending'")  # on the line, when they say so
    url = url or await created(client)
    assert (await client.patch(url, json={"consent_status": "withdrawn"})).status_code == 200
    await execute(engine, "UPDATE messages SET status = 'queued'")  # the gateway would not have it
    while await cancel_requested(worker):
        pass
    await pump_all(worker)
    (row,) = (await client.get(f"{path}/messages")).json()["items"]
    assert (row["status"], row["skip_reason"], row["msisdn"]) == ("skipped", "no_consent", number)
    assert not taker.called


async def test_a_restart_asks_for_consent_again(
    client: AsyncClient, engine: AsyncEngine, worker: HandWorker, router: respx.MockRouter
) -> None:
    taker = at(router)
    async with begin(engine) as tx:
        await make_gateway(tx, worker.sealer)
    url = await created(client)
    campaign = {"name": "Spring", "messages": [{"text": "Hi"}], "msisdns": [ANN, BEN], "opt_in_acknowledged": True}
    path = f"/v1/campaigns/{(await client.post('/v1/campaigns', json=campaign)).json()['id']}"
    await client.post(f"{path}/start")
    await due(worker)
    await expand_all(worker)
    await client.post(f"{path}/stop")
    while await empty_stopped(worker):
        pass
    await client.patch(url, json={"consent_status": "withdrawn"})
    assert (await client.post(f"{path}/restart", json={})).status_code == 200
    await due(worker)
    while await revive(worker):
        pass
    await pump_all(worker)
    assert numbers_of(taker) == [BEN]
    report = (await client.get(f"{path}/report")).json()
    assert (report["counts"]["skipped"], report["counts"]["submitted"]) == (1, 1)
    await check_tallies(engine)


async def test_evidence_outlives_the_contact(client: AsyncClient, engine: AsyncEngine) -> None:
    url = await created(client, consent_status="granted", consent_source="splash page")
    await client.delete(url)
    again = await created(client)
    (one,) = (await client.get(f"{again}/evidence")).json()["statements"]
    assert (one["status"], one["source"]) == ("granted", "splash page")
    async with begin(engine) as tx:
        words = (await tx.execute(text("SELECT c::text FROM consent_events c"))).scalar_one()
    assert ANN not in words


async def test_exports_everybody(client: AsyncClient, engine: AsyncEngine) -> None:
    await created(client, consent_status="granted", consent_source="=splash")
    await client.delete(await created(client, msisdn=BEN, consent_status="granted"))
    answer = await client.get("/v1/consents/export.csv", params={"style": "machine"})
    head, *lines = csv.reader(io.StringIO(answer.text))
    assert head[:4] == ["contact_id", "msisdn", "status", "source"]
    assert {(line[1], line[2], line[3]) for line in lines} == {(ANN, "granted", "=splash"), ("", "granted", "")}
    safe = (await client.get("/v1/consents/export.csv")).text
    assert "'=splash" in safe


async def test_refuses(client: AsyncClient, anonymous: AsyncClient) -> None:
    assert (await client.get(f"/v1/contacts/{uuid4()}/evidence")).status_code == 404
    assert (await anonymous.get(f"/v1/contacts/{uuid4()}/evidence")).status_code == 401
    assert (await anonymous.get("/v1/consents/export.csv")).status_code == 401


async def imported(client: AsyncClient, worker: HandWorker, data: str | bytes, **more: Any) -> Any:
    content = data.encode() if isinstance(data, str) else data
    answer = await client.post("/v1/contacts/import", files={"file": ("people.csv", content)}, data=more)
    assert answer.status_code == 202, answer.text
    assert await run_imports(worker) == 1
    return (await client.get(f"/v1/imports/{answer.json()['id']}")).json()


async def test_a_withdrawal_in_a_file_calls_back_what_waits(
    client: AsyncClient, engine: AsyncEngine, worker: HandWorker, pepper: bytes, clock: Clock
) -> None:
    campaign = {"name": "Spring", "messages": [{"text": "Hi"}], "msisdns": [ANN, BEN], "opt_in_acknowledged": True}
    path = f"/v1/campaigns/{(await client.post('/v1/campaigns', json=campaign)).json()['id']}"
    await client.post(f"{path}/start")
    await due(worker)
    await expand_all(worker)
    async with begin(engine) as tx:
        await make_message(tx, pepper, msisdn=ANN, now=clock.now)
    file = f"msisdn;name;consent_status;consent_source\n{ANN};Ann;withdrawn;form\n{BEN};Ben;granted;form\n"
    done = await imported(client, worker, file)
    assert [column["goes_to"] for column in done["layout"]["columns"]] == [
        "msisdn",
        "name",
        "consent_status",
        "consent_source",
    ]
    while await cancel_requested(worker):
        pass
    async with begin(engine) as tx:
        rows = (await tx.execute(select(Message.msisdn, Message.kind, Message.status))).all()
    assert {(row.msisdn, row.kind.value, row.status.value) for row in rows} == {
        (ANN, "campaign", "cancelled"),
        (BEN, "campaign", "queued"),
        (ANN, "personal", "queued"),
    }
    await check_tallies(engine)
    (contact,) = (await client.get(f"/v1/contacts?msisdn={ANN}")).json()["items"]  # a plus, not escaped
    told = (await client.get(f"/v1/contacts/{contact['id']}/evidence")).json()
    (statement,) = told["statements"]
    assert (statement["status"], statement["source"], statement["recorded_by"]) == ("withdrawn", "form", "admin")


async def test_a_campaign_leaves_out_who_withdrew_by_a_file(
    client: AsyncClient, engine: AsyncEngine, worker: HandWorker, router: respx.MockRouter
) -> None:
    taker = at(router)
    async with begin(engine) as tx:
        await make_gateway(tx, worker.sealer)
    group = (await client.post("/v1/target-groups", json={"name": "Guests"})).json()["id"]
    await imported(client, worker, f"phone,consent\n{ANN},no\n{BEN},yes\n", target_group_id=group)
    campaign = {"name": "Spring", "messages": [{"text": "Hi"}], "target_group_ids": [group]}
    answer = await client.post("/v1/campaigns", json=campaign | {"opt_in_acknowledged": True})
    assert (await client.post(f"/v1/campaigns/{answer.json()['id']}/start")).status_code == 200
    await due(worker)
    await expand_all(worker)
    await pump_all(worker)
    assert numbers_of(taker) == [BEN]


@pytest.mark.parametrize("style", ["machine", "spreadsheet"])
async def test_an_export_keeps_consent(
    client: AsyncClient, engine: AsyncEngine, worker: HandWorker, style: str
) -> None:
    """Into a place that does not know them, and over those who are there."""
    group = (await client.post("/v1/target-groups", json={"name": "Guests"})).json()["id"]
    urls = [
        await created(
            client, consent_status="withdrawn", consent_source="=call", consent_at="2026-01-02T03:04:05.678Z"
        ),
        await created(client, msisdn=BEN, consent_source="list"),
    ]
    ids = [url.rpartition("/")[2] for url in urls]
    await client.post(f"/v1/target-groups/{group}/members", json={"contact_ids": ids})
    exported = (await client.get(f"/v1/target-groups/{group}/export.csv", params={"style": style})).content
    names = ("msisdn", "consent_status", "consent_source", "consent_at", "fields")

    async def known() -> list[dict[str, Any]]:
        items = (await client.get("/v1/contacts")).json()["items"]
        return sorted(({name: one[name] for name in names} for one in items), key=lambda one: one["msisdn"])

    before = await known()
    assert {one["consent_status"] for one in before} == {"withdrawn", "unknown"}
    await imported(client, worker, exported)
    assert await known() == before
    async with begin(engine) as tx:
        assert len((await tx.execute(select(ConsentEvent))).all()) == 2
    for url in urls:
        await client.delete(url)
    await imported(client, worker, exported)
    assert await known() == before
