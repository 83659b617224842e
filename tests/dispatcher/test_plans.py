"""The plans that the path is given beside tables that mislead: rows are found by their keys, whatever was counted.

The planner is told the truth of a bad moment (all messages queued, no attempt, no receipt), and what is read here is
the plan that each statement was run by.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import httpx
import pytest
import respx
from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncEngine

from dispatcher.beside.housekeeping import keep_house
from dispatcher.beside.reconcile import reconcile
from dispatcher.beside.rescue import rescue
from dispatcher.beside.revive import revive
from dispatcher.book import Book
from dispatcher.door.transport import Transport
from dispatcher.path.due import due
from dispatcher.path.expand import expand
from dispatcher.path.finish import empty_stopped, finish
from dispatcher.path.receipts import receipts
from dispatcher.worker import Limits, Worker
from shared import db
from shared.clock import utc_now
from shared.db import begin, build_engine
from shared.metrics import dispatcher_metrics
from shared.sealing import Sealer
from tests.dispatcher.answers import at
from tests.factories import make_campaign, make_gateway, make_message, make_msisdn
from tests.stages import check_tallies, expand_all, pump_all, pump_once

CROWD: Final = 3_000
# More than a statement's own five plans, after which a lasting one is made.
TURNS: Final = 8
BATCH: Final = 100
LARGE: Final = ("messages", "attempts", "receipts", "campaign_recipients", "contacts", "opt_outs", "otps")
# Rows that were held against each other one by one. The first batch against itself is allowed: an index of one page
# is read whole at the same cost, where the table was believed empty. The next batch would be more.
FEW: Final = BATCH * BATCH

# asyncpg's listeners hear what the server tells; only a superuser may ask for plans, as the tests' user is.
_EXPLAIN = (
    "LOAD 'auto_explain'",
    "SET auto_explain.log_min_duration = 0",
    "SET auto_explain.log_format = json",
    "SET auto_explain.log_analyze = on",
    "SET auto_explain.log_timing = off",
    "SET auto_explain.log_parameter_max_length = 0",
    "SET client_min_messages = log",
)
_RECEIPTS = text("""
    INSERT INTO receipts (id, gateway_id, message_id, attempt, reference, status, received_at, next_at)
    SELECT overlay(gen_random_uuid()::text PLACING left(a.message_id::text, 15) FROM 1)::uuid, a.gateway_id,
           CASE WHEN a.message_id::text < 'f' THEN a.message_id END, a.attempt, a.reference, 'delivered', now(), now()
    FROM attempts a WHERE a.outcome = 'accepted'
""")
_SAME_REFERENCES = text("""
    INSERT INTO attempts (message_id, attempt, gateway_id, dispatcher, started_at, reference)
    SELECT m.id, 1, g.id, 'gone', now(), 'SENT' FROM messages m CROSS JOIN gateways g
""")
_BY_REFERENCE = text("UPDATE receipts SET message_id = NULL, attempt = NULL WHERE get_byte(uuid_send(id), 15) % 2 = 0")
_LOSE = text("""
    UPDATE messages SET lease_until = now() - interval '1 second', status = 'sending', leased_by = 'gone'
    WHERE id IN (SELECT message_id FROM attempts WHERE outcome = 'accepted' LIMIT 300)
""")


@dataclass(slots=True)
class Plans:
    """What the server tells of the statements of one engine, each with the plan it was run by."""

    told: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)

    def hear(self, _connection: object, message: Any) -> None:
        _, found, plan = message.message.partition("plan:")
        if found:
            told = json.loads(plan)
            self.told.append((told["Query Text"], told["Plan"]))

    def complaints(self) -> set[str]:
        return {f"{said} in {' '.join(query.split())[:120]}" for query, plan in self.told for said in _complaints(plan)}


def _nodes(plan: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield plan
    for inner in plan.get("Plans", ()):
        yield from _nodes(inner)


def _complaints(plan: Mapping[str, Any]) -> Iterator[str]:
    for node in _nodes(plan):
        relation = node.get("Relation Name", "")
        # A partition that holds nothing is read in any way: it is one page.
        if node["Node Type"] == "Seq Scan" and relation.startswith(LARGE) and node.get("Actual Rows"):
            yield f"{relation} is read from end to end"
        removed = node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Join Filter", 0)
        if removed * node.get("Actual Loops", 1) > FEW:
            yield f"{removed * node['Actual Loops']:g} rows are looked at in vain by {node['Node Type']} {relation}"


@pytest.fixture
def plans(monkeypatch: pytest.MonkeyPatch) -> Plans:
    """Of the tables as they are: every transaction makes its plans anew."""
    monkeypatch.setattr(db, "_PLAN_USES", 0)
    monkeypatch.setattr(db, "_PLAN_SECONDS", 0.0)
    return Plans()


@pytest.fixture
async def build_worker(
    engine: AsyncEngine, migrated_url: str, sealer: Sealer, pepper: bytes, plans: Plans, router: respx.MockRouter
) -> AsyncIterator[Callable[..., Worker]]:
    """A worker whose statements by key are told with their plans; `by_key=False` plans them as any other."""
    opened: list[AsyncEngine] = []
    transport = Transport(httpx.MockTransport(router.async_handler))

    def build(*, by_key: bool = True) -> Worker:
        told = build_engine(migrated_url, application_name="plans", pool_size=3, by_key=by_key)
        opened.append(told)

        def listen(connection: Any, _record: object) -> None:
            async def ask(driver: Any) -> None:
                for statement in _EXPLAIN:
                    await driver.execute(statement)
                driver.add_log_listener(plans.hear)

            connection.run_async(ask)

        event.listen(told.sync_engine, "connect", listen)
        return Worker(
            engine=engine,
            key_engine=told,
            book=Book(sealer=sealer, public_url="https://sms.example.com"),
            transport=transport,
            sealer=sealer,
            pepper=pepper,
            metrics=dispatcher_metrics(),
            limits=Limits(bulk_slots=BATCH, urgent_slots=BATCH, fresh=20.0, settle_wait=0.0, receipts_batch=BATCH),
        )

    yield build
    await transport.aclose()
    for told in opened:
        await told.dispose()


async def _begin(worker: Worker, count: int, now: datetime, **over: Any) -> Any:
    async with begin(worker.engine) as tx:
        return await make_campaign(tx, [make_msisdn(place) for place in range(count)], now=now, **over)


async def _mislead(worker: Worker) -> None:
    """Let the planner count while everything is queued, and no page of the other tables was ever written.

    What it remembers of attempts is of another time, when a gateway called them all the same.
    """
    async with begin(worker.engine) as tx:
        await tx.execute(_SAME_REFERENCES)
        await tx.execute(text("ANALYZE attempts"))
        await tx.execute(text("TRUNCATE attempts, receipts"))
        await tx.execute(text("ANALYZE"))


async def _run(worker: Worker, statement: Any) -> None:
    async with begin(worker.engine) as tx:
        await tx.execute(statement)


async def _send_a_crowd(worker: Worker, router: respx.MockRouter) -> None:
    """A campaign's way from its recipients to its end, beside another one that waits."""
    at(router)
    now = utc_now()
    async with begin(worker.engine) as tx:
        await make_gateway(tx, worker.sealer)
    await _begin(worker, CROWD, now, texts=("one", "two"))
    await due(worker)
    await expand_all(worker)
    await _mislead(worker)
    for _ in range(TURNS):
        await pump_once(worker)
        await finish(worker)
    await _run(worker, _RECEIPTS)
    await _run(worker, _BY_REFERENCE)
    while await receipts(worker):
        pass
    await reconcile(worker)
    await keep_house(worker)


async def test_a_campaign_costs_no_more_for_its_size(
    build_worker: Callable[..., Worker], plans: Plans, router: respx.MockRouter
) -> None:
    worker = build_worker()
    await _send_a_crowd(worker, router)
    await check_tallies(worker.engine)
    assert len(plans.told) > 10 * TURNS
    assert plans.complaints() == set()
    await worker.aclose()


async def test_planned_by_what_was_counted_it_would(
    build_worker: Callable[..., Worker], plans: Plans, router: respx.MockRouter
) -> None:
    """What the rule is for, and that these tests would see it broken."""
    worker = build_worker(by_key=False)
    await _send_a_crowd(worker, router)
    assert any("is read from end to end" in said for said in plans.complaints())
    await worker.aclose()


async def test_single_messages_lost_ones_and_what_comes_back(
    build_worker: Callable[..., Worker], plans: Plans, router: respx.MockRouter
) -> None:
    worker = build_worker()
    at(router)
    now = utc_now()
    async with begin(worker.engine) as tx:
        await make_gateway(tx, worker.sealer)
        for place in range(2 * BATCH):
            await make_message(tx, worker.pepper, now=now, msisdn=make_msisdn(place))
    stopped = await _begin(worker, CROWD, now)
    await due(worker)
    await expand(worker)
    await _mislead(worker)
    await pump_all(worker, "urgent")
    await _run(worker, _LOSE)
    while await rescue(worker):
        pass
    async with begin(worker.engine) as tx:
        await tx.execute(text("UPDATE campaigns SET status = 'stopped', stopped_at = now()"))
    while await empty_stopped(worker):
        pass
    async with begin(worker.engine) as tx:
        await tx.execute(text("UPDATE campaigns SET status = 'running', stopped_at = NULL, emptied_at = NULL"))
        await tx.execute(
            text("UPDATE campaign_messages SET status = 'sending', reviving_after = CAST(:zero AS uuid)"),
            {"zero": "00000000-0000-0000-0000-000000000000"},
        )
    while await revive(worker):
        await asyncio.sleep(0)
    await pump_once(worker)
    async with begin(worker.engine) as tx:
        left = await tx.execute(
            text("SELECT count(*) FROM messages WHERE status = 'queued' AND campaign_id = :id"), {"id": stopped}
        )
        assert left.scalar_one() > 0
    assert plans.complaints() == set()
    await worker.aclose()
