"""Beside the path, vouchers: an event for each whose validity is nearly over, so that an automation may remind of it.

Once for each: the event is written in the transaction that takes its row away, and under the voucher's own key.
"""

from datetime import timedelta
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from dispatcher.queries import vouchers as queries
from dispatcher.queries.vouchers import Near
from dispatcher.worker import Worker
from shared.domain.voucher import NEARLY_USED, Verdict, judge
from shared.queries.automations import tell_inside

BATCH: Final = 500
AGAIN: Final = timedelta(minutes=1)


async def tell_nearly_used(worker: Worker) -> int:
    """Look at one batch of those whose moment has come; how many there were."""
    now = worker.now()
    async with worker.transaction() as tx:
        near = await queries.lock_near_their_end(tx, now=now, limit=BATCH)
        verdicts = {one.id: judge(one.statuses, valid_until=one.valid_until, now=now) for one in near}
        told = [await _tell(worker, tx, one) for one in near if verdicts[one.id] is Verdict.TELL]
        waiting = [id_ for id_, verdict in verdicts.items() if verdict is Verdict.WAIT]
        await queries.put_off(tx, waiting, until=now + AGAIN)
        await queries.forget(tx, [id_ for id_, verdict in verdicts.items() if verdict is not Verdict.WAIT])
    if any(told):
        worker.ring("automate")
    return len(near)


async def _tell(worker: Worker, tx: AsyncConnection, one: Near) -> bool:
    data = {
        "reason": "validity",
        "valid_until": one.valid_until.isoformat().replace("+00:00", "Z"),
        "voucher": one.data,
        "message_id": str(one.message_id),
        "client_reference": one.client_reference,
    }
    return await tell_inside(
        tx,
        NEARLY_USED,
        key=str(one.id),
        contact_id=one.contact_id,
        msisdn=one.msisdn or None,
        data=data,
        now=worker.now(),
    )
