"""Health: what was heard of gateways becomes what all dispatchers go by. A stage beside the path."""

import logging
from collections.abc import Collection, Mapping
from datetime import timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from dispatcher.breakers import Probe
from dispatcher.queries import health as queries
from dispatcher.worker import Worker
from shared.domain.breaker import PROBE_SECONDS, Health

log = logging.getLogger(__name__)


async def health(worker: Worker) -> int:
    """Write what was found of gateways, and let those be tried out whose rest is over."""
    healths = worker.healths
    verdicts, healths.verdicts = healths.verdicts, {}
    held, healths.held = healths.held, set()
    done = {id_: probe for id_, probe in healths.probes.items() if probe.is_over}
    mine = {route.gateway_id for route in worker.book.routes if route.half_open and route.tried_by == worker.name}
    async with worker.transaction() as tx:
        changed = await _write_verdicts(tx, verdicts, by=worker.name)
        changed += await _write_trials(tx, done, by=worker.name)
        changed += await queries.begin_probes(tx, by=worker.name)
        changed += await queries.end_slowness(tx, by=worker.name)
        unused = healths.unused_probes(mine - done.keys())
        if unused:
            changed += await queries.give_back_trials(tx, unused, by=worker.name)
        if held:
            await queries.note_held(tx, sorted(held))
        if changed:
            await worker.book.read(tx)
    for gateway_id in verdicts:
        healths.windows.pop(gateway_id, None)
    half_open = {route.gateway_id for route in worker.book.routes if route.half_open}
    healths.forget_probes(besides=half_open - done.keys())
    if changed:
        log.warning("the health of gateways has changed", extra={"count": changed})
        worker.ring("bulk")
        worker.ring("urgent")
    return 0


async def take_trials(worker: Worker, tx: AsyncConnection, gateway_ids: Collection[UUID]) -> None:
    """Take the right to try these out, in the transaction that claimed a message for it."""
    if gateway_ids:
        until = worker.now() + timedelta(seconds=PROBE_SECONDS)
        taken = await queries.take_trials(tx, gateway_ids, by=worker.name)
        worker.book.let_try(taken, by=worker.name, until=until)


async def _write_verdicts(tx: AsyncConnection, verdicts: Mapping[UUID, tuple[Health, str]], *, by: str) -> int:
    changed = 0
    for gateway_id, (verdict, reason) in sorted(verdicts.items()):
        write = queries.open_breaker if verdict is Health.OPEN else queries.mark_slow
        changed += await write(tx, gateway_id, reason=reason, by=by)
    return changed


async def _write_trials(tx: AsyncConnection, done: Mapping[UUID, Probe], *, by: str) -> int:
    changed = 0
    for gateway_id, probe in sorted(done.items()):
        if probe.failed:
            changed += await queries.open_breaker(tx, gateway_id, reason="it failed a trial", by=by, trial=True)
        else:
            reason = f"{probe.good} trials in a row arrived"
            changed += await queries.close_breaker(tx, gateway_id, reason=reason, by=by)
    return changed
