"""Beside the path, webhooks: carry events to their receivers, at least once, those of one message in their order.

Each receiver is served by a task of its own that takes a handful, posts it, and writes down what came of it: a slow
one holds up itself. No transaction is open while a receiver is on the line. A dispatcher that dies in between leaves
a lease that ends, and then the same events are sent again under the same ids.
"""

import asyncio
import json
import logging
import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from itertools import compress
from time import monotonic
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import UUID

from dispatcher import failpoints
from dispatcher.queries import webhooks as queries
from dispatcher.queries.webhooks import Delivery, Target, Tried
from dispatcher.worker import Worker
from shared.adapter import Call, retry_after_of
from shared.db import is_busy, is_outage
from shared.domain import webhook as law
from shared.domain.event import EventType
from shared.domain.outcome import Lost
from shared.domain.webhook import DeliveryStatus, Heard
from shared.domain.webhook_signature import signature_headers, split_secrets
from shared.queries.notices import insert_notice
from shared.sealing import SealBroken, place_of_webhook

log = logging.getLogger(__name__)

LOOK_SECONDS: Final = 0.5
OUTAGE_SECONDS: Final = 0.5
EVENTS_AT_ONCE: Final = 2_000
DEADLINE_SECONDS: Final = 10.0
LEASE: Final = timedelta(minutes=1)
# No post begins so late that its lease could end while it is on the line.
BEGUN_WITHIN_SECONDS: Final = 30.0
# Posts on the line: at one receiver at first and at most, and of this process in all. A receiver that answers slowly
# gets fewer, and every one gets at least one, however many others there are.
FIRST_AT_ONCE: Final = 4
MOST_AT_ONCE: Final = 32
MOST_IN_ALL: Final = 128
SLOW_SECONDS: Final = 1.0
# After a stop, how long what was heard may wait for a database that is away.
GIVE_UP_SECONDS: Final = 20.0
UNOPENED: Final = "secret_unopened"


async def fan_out(worker: Worker) -> int:
    """Make deliveries of one batch of events; how many events there were."""
    async with worker.by_key() as tx:
        count = await queries.fan_out(tx, limit=EVENTS_AT_ONCE)
        failpoints.hit("before_fan_out_commit") if count else None
    if count:
        worker.ring("webhooks")
    return count


class Courier:
    """Serves every receiver that has something due, for as long as its worker lives."""

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self.on_the_line = 0
        self._tell()  # from the start: an alert calls for a lane nobody tells of
        self._rounds: dict[UUID, asyncio.Task[None]] = {}

    async def run(self) -> None:
        bell = self.worker.bells["webhooks"]
        while not self.worker.stopping.is_set():
            bell.clear()
            try:
                await self.look()
            except Exception as error:
                if is_outage(error) or is_busy(error):
                    log.warning("webhooks paused", extra={"cause": type(error).__name__})
                else:
                    log.exception("webhooks failed")
                await self.worker.sleep(self.worker.stopping, OUTAGE_SECONDS)
            await self.worker.sleep(bell, LOOK_SECONDS)
        await self.drain()

    async def look(self) -> int:
        """Begin to serve whoever has something due and is not being served; how many those are."""
        async with self.worker.by_key() as tx:
            due = await queries.list_due(tx)
        begun = [webhook_id for webhook_id in due if webhook_id not in self._rounds]
        for webhook_id in begun:
            task = asyncio.create_task(self._serve(webhook_id), name=f"webhook-{webhook_id}")
            self._rounds[webhook_id] = task
            task.add_done_callback(partial(self._forget, webhook_id))
        return len(begun)

    def _tell(self) -> None:
        self.worker.metrics.in_flight.labels("webhooks").set(self.on_the_line)

    @contextmanager
    def _counted(self, posts: int) -> Iterator[None]:
        self.on_the_line += posts
        self._tell()
        try:
            yield
        finally:
            self.on_the_line -= posts
            self._tell()

    def _forget(self, webhook_id: UUID, _done: asyncio.Task[None]) -> None:
        self._rounds.pop(webhook_id, None)

    async def drain(self) -> None:
        """Wait for what is on the line: it ends within the deadline, and is written down."""
        while self._rounds:
            await asyncio.wait(self._rounds.values())

    async def _serve(self, webhook_id: UUID) -> None:
        at_once = FIRST_AT_ONCE
        try:
            while not self.worker.stopping.is_set():
                begun = monotonic()
                served = await self._round(webhook_id, min(at_once, max(1, MOST_IN_ALL - self.on_the_line)))
                if not served:
                    return
                is_quick = monotonic() - begun < SLOW_SECONDS
                at_once = min(MOST_AT_ONCE, at_once * 2) if is_quick else max(1, at_once // 2)
        except Exception as error:
            # What was claimed is claimed again when its lease has ended.
            if is_outage(error) or is_busy(error):
                log.warning("webhook paused", extra={"webhook_id": str(webhook_id), "cause": type(error).__name__})
            else:
                log.exception("webhook failed", extra={"webhook_id": str(webhook_id)})

    async def _round(self, webhook_id: UUID, limit: int) -> int:
        """One handful: claimed, posted, written down; how many it was."""
        worker = self.worker
        begin_by = monotonic() + BEGUN_WITHIN_SECONDS
        async with worker.by_key() as tx:
            found = await queries.claim_deliveries(tx, webhook_id, limit=limit, lease=LEASE)
            if found is None or not found[1]:
                return 0
            target, deliveries = found
            subjects = await queries.list_subjects(tx, deliveries)
        failpoints.hit("after_webhook_claim")
        if monotonic() > begin_by:
            async with worker.by_key() as tx:
                await queries.release_deliveries(tx, deliveries)
            return 0
        secrets = _opened(worker, target)
        with self._counted(len(deliveries)):
            heard = await asyncio.gather(
                *(_post(worker, target, secrets, one, subjects.get(one.subject_id, {})) for one in deliveries)
            )
        failpoints.hit("after_webhook_answer")
        await self._write_until_written(target, list(zip(deliveries, heard, strict=True)))
        return len(deliveries)

    async def _write_until_written(self, target: Target, heard: Sequence[tuple[Delivery, Heard]]) -> None:
        """What was taken is not forgotten while the database is away."""
        give_up: float | None = None
        while True:
            try:
                await _settle(self.worker, target, heard)
            except Exception as error:
                if not (is_outage(error) or is_busy(error)):
                    raise
                if self.worker.stopping.is_set():
                    give_up = give_up or monotonic() + GIVE_UP_SECONDS
                    if monotonic() > give_up:
                        raise
                await asyncio.sleep(OUTAGE_SECONDS)
            else:
                return


def _opened(worker: Worker, target: Target) -> list[bytes]:
    """The secrets that sign, the newest first; none, where they cannot be opened."""
    try:
        opened = {
            column: worker.sealer.open(sealed, place=place_of_webhook(target.id, column))
            for column, sealed in target.secrets_sealed.items()
        }
    except SealBroken:
        log.warning("a webhook's secret cannot be opened", extra={"webhook_id": str(target.id)})
        return []
    older = split_secrets(opened.pop("older_secrets_sealed", b""))
    return [*opened.values(), *compress(older, target.older_live)]


def body_of(delivery: Delivery, subject: Mapping[str, Any]) -> bytes:
    """The event as it is sent; the same bytes at every try, but for a person who was erased meanwhile."""
    noun, _, past = delivery.type.partition(".")
    told = {"id": delivery.subject_id, **subject, **delivery.data}
    if noun == "message":
        told["status"] = past
    body = {
        "id": delivery.event_id,
        "type": delivery.type,
        "timestamp": delivery.at.isoformat().replace("+00:00", "Z"),
        "data": told,
    }
    return json.dumps(body, ensure_ascii=False, separators=(",", ":"), default=str).encode()


async def _post(
    worker: Worker, target: Target, secrets: Sequence[bytes], delivery: Delivery, subject: Mapping[str, Any]
) -> Heard:
    if not secrets:
        return Heard(cause=UNOPENED)
    body = body_of(delivery, subject)
    timestamp = int(worker.now().timestamp())
    signed = signature_headers(secrets, event_id=str(delivery.event_id), timestamp=timestamp, body=body)
    call = Call("POST", target.url, (("Content-Type", "application/json"), *signed), body)
    answer = await worker.transport.perform(call, deadline=DEADLINE_SECONDS)
    if isinstance(answer, Lost):
        # Its head is all that counts: who answers 200 with a page of megabytes has the event.
        return Heard(status=answer.status, cause=answer.cause)
    return Heard(status=answer.status, retry_after=retry_after_of(answer.headers))


async def _settle(worker: Worker, target: Target, heard: Sequence[tuple[Delivery, Heard]]) -> None:
    """Write down a round: its deliveries, and how the receiver is doing."""
    now = worker.now()
    told = False
    async with worker.by_key() as tx:
        endpoint = await queries.lock_endpoint(tx, target.id)
        if endpoint is None:
            return
        await queries.settle_deliveries(tx, target.id, [_tried(worker, *one) for one in heard])
        counted = [said for delivery, said in heard if delivery.type != EventType.WEBHOOK_TEST]
        if counted:
            after = law.after_round(endpoint, counted, now=now, chance=_chance())
            await queries.write_endpoint(tx, target.id, after)
            if endpoint.is_away and not after.is_away:
                await queries.hasten_deliveries(tx, target.id)
            tried_since = min(delivery.created_at for delivery, _ in heard if delivery.type != EventType.WEBHOOK_TEST)
            reason = law.disabled_by(after, counted, tried_since=tried_since, now=now)
            if reason is not None and await queries.disable_webhook(tx, target.id, reason):
                host = urlsplit(target.url).hostname or "?"
                await insert_notice(tx, law.disabled_notice(target.id, host=host, reason=reason), now=now)
                told = True
        failpoints.hit("before_webhook_commit")
    if told:
        log.warning("webhook disabled", extra={"webhook_id": str(target.id), "reason": reason})


def _tried(worker: Worker, delivery: Delivery, heard: Heard) -> Tried:
    now = worker.now()
    tries = delivery.attempts + 1
    is_test = delivery.type == EventType.WEBHOOK_TEST
    if heard.is_taken:
        status = DeliveryStatus.DELIVERED
    elif is_test or law.is_over(tries, since=delivery.created_at, now=now):
        status = DeliveryStatus.DEAD
    else:
        status = DeliveryStatus.WAITING
    entry = {"at": now.isoformat(), "http_status": heard.status, "error": heard.cause}
    return Tried(delivery, status, law.wait_after(tries, chance=_chance()), entry)


def _chance() -> float:
    return random.random()  # noqa: S311 - spreads tries, guards nothing
