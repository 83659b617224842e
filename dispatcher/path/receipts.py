"""Stage 4 of 5, receipts: empty the inbox into the attempts it speaks of, and move the messages.

Before: the api recorded what gateways told. After: finish.py. A receipt may come twice, late, out of order or before
the answer of its own hand-over; what a message becomes is the highest rank that was told.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from dispatcher import failpoints
from dispatcher.path.opt_outs import told_by_gateway
from dispatcher.queries import receipts as inbox
from dispatcher.queries.receipts import Evidence, Pending
from dispatcher.queries.tallies import write_tallies
from dispatcher.worker import Worker
from shared.domain.message import RANK, Status
from shared.domain.parts import after_parts
from shared.queries.opt_outs import insert_opt_outs

# What fits no attempt by then was never ours.
GIVE_UP_AFTER: Final = timedelta(hours=72)
_ENDS: Final = frozenset({Status.DELIVERED, Status.UNDELIVERED})


async def receipts(worker: Worker) -> int:
    """Apply one batch; how many receipts were looked at."""
    async with worker.by_key() as tx:
        pending = await inbox.take_receipts(tx, limit=worker.limits.receipts_batch)
        if not pending:
            return 0
        found = await inbox.match_receipts(tx, pending)
        pending, matches = await _with_twins(worker, tx, pending, found)
        evidence = await _of_all_parts(worker, tx, merge(pending, matches), pending, matches)
        moves = await inbox.apply_evidence(tx, evidence, wanted=worker.wanted)
        await _keep_opt_outs(
            worker, tx, {matches[one.id][0]: one.gateway_id for one in pending if one.opted_out and one.id in matches}
        )
        verdicts, waiting = _judge(worker, pending, matches)
        await inbox.close_receipts(tx, verdicts, matches)
        await inbox.put_off_receipts(tx, waiting)
        await write_tallies(tx, moves, writer=worker.writer * 8 + 5)
        failpoints.hit("before_receipts_commit")
    failpoints.hit("after_receipts_commit")
    for _, verdict in verdicts:
        worker.metrics.receipts_applied.labels(verdict).inc()
    return len(pending)


async def _with_twins(
    worker: Worker, tx: AsyncConnection, pending: list[Pending], matches: Mapping[UUID, tuple[UUID, int]]
) -> tuple[list[Pending], Mapping[UUID, tuple[UUID, int]]]:
    """As if each had been told to the gateway that was given the message, where both share the vendor's account."""
    strangers = [one for one in pending if one.id not in matches and one.message_id and one.attempt is not None]
    if not strangers:
        return pending, matches
    if not worker.book.is_fresh:
        await worker.book.read(tx)
    twins = {gateway_id: worker.book.twins_of(gateway_id) for gateway_id in {one.gateway_id for one in strangers}}
    homes = await inbox.find_at_twins(tx, strangers, twins)
    found = {
        one.id: (one.message_id, one.attempt)
        for one in strangers
        if one.id in homes and one.message_id is not None and one.attempt is not None
    }
    told = [one._replace(gateway_id=homes.get(one.id, one.gateway_id)) for one in pending]
    return told, {**matches, **found}


def merge(pending: Sequence[Pending], matches: Mapping[UUID, tuple[UUID, int]]) -> list[Evidence]:
    """What a batch says of each attempt: the highest rank wins. Every attempt that is spoken of was accepted."""
    told: dict[tuple[UUID, int], list[Pending]] = defaultdict(list)
    for one in pending:
        if one.id in matches:
            told[matches[one.id]].append(one)
    return [_evidence_of(*key, told[key]) for key in sorted(told)]


def _evidence_of(message_id: UUID, attempt: int, told: Sequence[Pending]) -> Evidence:
    best_first = sorted(told, key=lambda one: (RANK[one.status], one.id.int), reverse=True)
    best = best_first[0]
    return Evidence(
        message_id=message_id,
        attempt=attempt,
        status=best.status,
        code=best.code,
        reference=next((one.reference for one in best_first if one.reference), None),
        segments=next((one.segments for one in best_first if one.segments is not None), None),
    )


async def _of_all_parts(
    worker: Worker,
    tx: AsyncConnection,
    evidence: list[Evidence],
    pending: Sequence[Pending],
    matches: Mapping[UUID, tuple[UUID, int]],
) -> list[Evidence]:
    """What is said of one part, where a gateway tells of each, is not yet said of the message."""
    told = {
        matches[one.id]: (matches[one.id][0], one.gateway_id)
        for one in pending
        if one.id in matches and one.status in _ENDS and _tells_of_parts(worker, one.gateway_id)
    }
    if not told:
        return evidence
    counted = await inbox.count_parts(tx, sorted(set(told.values())))
    places = {(one.message_id, one.attempt): place for place, one in enumerate(evidence)}
    for key, whose in told.items():
        if whose in counted:
            parts = counted[whose]
            status = after_parts(parts=parts.parts, delivered=parts.delivered, failed=parts.failed)
            evidence[places[key]] = replace(evidence[places[key]], status=status)
    return evidence


def _tells_of_parts(worker: Worker, gateway_id: UUID) -> bool:
    account = worker.book.accounts.get(gateway_id)
    return account is not None and worker.book.adapter_of(account).CAPABILITIES.receipts_per_part


async def _keep_opt_outs(worker: Worker, tx: AsyncConnection, refused: Mapping[UUID, UUID]) -> None:
    """The recipients of these messages said no to the gateway that tells it."""
    if not refused:
        return
    await worker.rules.refresh(tx)
    if not worker.book.is_fresh:
        await worker.book.read(tx)
    messages = await inbox.list_refused(tx, list(refused))
    await insert_opt_outs(tx, [told_by_gateway(worker, one, refused[one.id]) for one in messages], now=worker.now())


def _judge(
    worker: Worker, pending: Sequence[Pending], matches: Mapping[UUID, tuple[UUID, int]]
) -> tuple[list[tuple[UUID, str]], list[UUID]]:
    verdicts: list[tuple[UUID, str]] = []
    waiting: list[UUID] = []
    for one in pending:
        if one.id in matches:
            verdicts.append((one.id, "applied"))
        elif worker.now() - one.received_at > GIVE_UP_AFTER:
            verdicts.append((one.id, "unmatched"))
        else:
            waiting.append(one.id)
    return verdicts, waiting
