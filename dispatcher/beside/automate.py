"""Beside the path, automate: events that wait become messages, each with what it led to or why not written down.

A batch is one transaction: events, messages and reasons, or none of them. One dispatcher at a time does it, so that a
person's cap holds; the messages go the way of every single message.
"""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from dispatcher.queries import automations as queries
from dispatcher.worker import Worker
from shared.domain.automation import CREATED_BY, Outcome
from shared.domain.automation_plan import Given, Person, Plan, plan
from shared.domain.message import PRIORITY_OF, Kind, Status
from shared.domain.policy import Policy
from shared.domain.quota import QuotaExceeded
from shared.ids import uuid7
from shared.queries import automations as shared_queries
from shared.queries.automations import People
from shared.queries.opt_outs import list_opted_out
from shared.queries.quota import hold_message
from shared.queries.templates import StoredText, find_texts
from shared.sealing import hash_msisdn

log = logging.getLogger(__name__)

BATCH: Final = 200
LIFE: Final = timedelta(hours=24)


@dataclass(slots=True)
class _Batch:
    """What is known of some events, and what is made of them."""

    worker: Worker
    now: datetime
    policy: Policy
    people: People
    opted_out: Mapping[str | None, set[bytes]]  # by the sender that would write to them
    texts: Mapping[UUID, StoredText]
    recent: Counter[tuple[UUID, bytes]]
    messages: list[dict[str, Any]] = field(default_factory=list)
    runs: list[dict[str, Any]] = field(default_factory=list)

    def person_of(self, event: Any, *, sender_id: str | None) -> Person | None:
        contact = self.people.by_id.get(event.contact_id) or self.people.by_msisdn.get(event.msisdn)
        msisdn = contact.msisdn if contact is not None else event.msisdn
        if msisdn is None:
            return None
        return Person(msisdn, contact, hash_msisdn(self.worker.pepper, msisdn) in self.opted_out[sender_id])

    def answer(self, automation: Any, event: Any) -> None:
        """One automation's answer to one event."""
        person = self.person_of(event, sender_id=automation.sender_id)
        hashed = None if person is None else hash_msisdn(self.worker.pepper, person.msisdn)
        text = self.texts.get(automation.template_id)
        given = Given(
            data=event.data,
            person=person,
            text=None if text is None else text.text,
            recent=0 if hashed is None else self.recent[automation.id, hashed],
            policy=self.policy,
            now=self.now,
        )
        made = _planned(automation, given)
        message_id = None
        if made.outcome is Outcome.MESSAGE and person is not None and hashed is not None:
            message_id = uuid7(self.now)
            self.recent[automation.id, hashed] += 1
            self.messages.append(_message(message_id, (automation, person, hashed), made, self.now))
        self.runs.append(
            {
                "event_id": event.id,
                "automation_id": automation.id,
                "outcome": made.outcome.value,
                "detail": made.detail,
                "message_id": message_id,
                "msisdn_hash": hashed,
                "at": self.now,
            }
        )


async def automate(worker: Worker) -> int:
    """Answer one batch of events; how many there were."""
    async with worker.transaction() as tx:
        events = await queries.claim_events(tx, limit=BATCH)
        if not events:
            return 0
        automations = await shared_queries.list_wanting(tx, {event.name for event in events})
        batch = await _open(worker, tx, events, automations)
        for event in events:
            for automation in automations:
                if automation.event == event.name:
                    batch.answer(automation, event)
        await _hold(tx, batch)
        await queries.write_answers(tx, events, messages=batch.messages, runs=batch.runs, now=batch.now)
    if batch.messages:
        worker.ring("urgent")
    return len(events)


async def _hold(tx: AsyncConnection, batch: _Batch) -> None:
    """Reserve for each message; one that the quota has nothing left for is not made, and its trace says why."""
    refused: dict[UUID, str] = {}
    for message in batch.messages:
        try:
            await hold_message(tx, message["id"], message["text"], policy=batch.policy, now=batch.now)
        except QuotaExceeded as refusal:
            refused[message["id"]] = refusal.detail
    if not refused:
        return
    batch.messages = [message for message in batch.messages if message["id"] not in refused]
    for run in batch.runs:
        if run["message_id"] in refused:
            run |= {"outcome": Outcome.QUOTA.value, "detail": refused[run["message_id"]], "message_id": None}


async def _open(worker: Worker, tx: Any, events: Sequence[Any], automations: Sequence[Any]) -> _Batch:
    now = worker.now()
    ids = {event.contact_id for event in events if event.contact_id is not None}
    msisdns = {event.msisdn for event in events if event.msisdn is not None}
    people = await shared_queries.list_people(tx, ids, msisdns)
    numbers = msisdns | {contact.msisdn for contact in people.by_id.values()}
    by_hash = {hash_msisdn(worker.pepper, msisdn): msisdn for msisdn in numbers}
    recent: Counter[tuple[UUID, bytes]] = Counter()
    for automation in automations:
        lately = await shared_queries.count_lately(tx, automation, by_hash, now=now)
        recent.update({(automation.id, hashed): count for hashed, count in lately.items()})
    return _Batch(
        worker=worker,
        now=now,
        policy=await worker.rules.refresh(tx),
        people=people,
        opted_out={
            sender_id: await list_opted_out(tx, by_hash, sender_id=sender_id)
            for sender_id in {automation.sender_id for automation in automations}
        },
        texts=await find_texts(tx, {automation.template_id for automation in automations}),
        recent=recent,
    )


def _planned(automation: Any, given: Given) -> Plan:
    try:
        return plan(automation, given)
    except Exception as error:
        # One that nobody foresaw must not hold up all the others for ever.
        log.exception("automation failed", extra={"automation_id": str(automation.id)})
        return Plan(Outcome.FAILED, type(error).__name__)


def _message(message_id: UUID, whose: tuple[Any, Person, bytes], made: Plan, now: datetime) -> dict[str, Any]:
    automation, person, hashed = whose
    assert made.measured is not None
    assert made.not_before is not None
    return {
        "id": message_id,
        "kind": Kind.PERSONAL,
        "status": Status.QUEUED,
        "priority": PRIORITY_OF[Kind.PERSONAL],
        "msisdn": person.msisdn,
        "msisdn_hash": hashed,
        "sender_id": automation.sender_id,
        "contact_id": getattr(person.contact, "id", None),
        "location_id": getattr(person.contact, "location_id", None),
        "text": made.text,
        "encoding": made.measured.encoding.value,
        "segments": made.measured.segments,
        "not_before": made.not_before,
        "expires_at": min(made.not_before + LIFE, made.ends or made.not_before + LIFE),
        "valid_until": made.ends,
        "respect_quiet_hours": automation.respect_quiet_hours,
        "created_by": CREATED_BY,
        "created_at": now,
        "status_at": now,
    }
