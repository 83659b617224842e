"""Beside the path, the watch over passwords: where they are sent and not used, and where many codes are wrong.

It writes blocks down and tells; the api refuses by what is written. One dispatcher judges at a time.
"""

from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncConnection

from dispatcher.queries import otp_watch as queries
from dispatcher.queries.otp_watch import Judged
from dispatcher.worker import Worker
from shared.domain import otp_conversion as law
from shared.domain import otp_notices as notices
from shared.domain.notice import Kind
from shared.domain.otp_conversion import Conversion, State
from shared.queries.notices import insert_notice
from shared.queries.policy import get_policy

# Where nothing was sent lately, there is nothing to stop.
LATELY: Final = timedelta(minutes=5)


async def watch_passwords(worker: Worker) -> int:
    """Judge every prefix and country that was sent to lately; how many were newly throttled, blocked or told of."""
    now = worker.now()
    async with worker.transaction() as tx:
        if not await queries.try_lock_watch(tx):
            return 0
        policy = await get_policy(tx)
        homes = await queries.list_regions(tx)
        if policy.default_region:
            homes.add(policy.default_region)
        changed = 0
        for one in await queries.list_judged(tx, now=now, lately=LATELY):
            # Nobody said where the people are: then it may be anywhere.
            is_home = one.scope == "country" and (not homes or one.value in homes)
            changed += await _judge(tx, one, is_home=is_home, now=now)
        await _look_for_guessing(tx, now)
    if changed:
        worker.ring("mail")
    return changed


async def _judge(tx: AsyncConnection, judged: Judged, *, is_home: bool, now: datetime) -> bool:
    conversion = Conversion(sent=judged.sent, verified=judged.verified)
    state = law.judge(conversion, is_home=is_home)
    block = law.next_block(judged.block, state, now=now)
    if block is None:
        return False
    block_id = await queries.write_block(tx, judged, block, now=now)
    told: dict[str, Any] = {"scope": judged.scope, "value": judged.value, "conversion": conversion}
    if block.state is State.BLOCKED:
        await insert_notice(tx, notices.blocked(block_id, **told, time=block.until - now), now=now)
    elif block.state is State.ALARMED:
        await insert_notice(tx, notices.alarmed(block_id, **told), now=now)
    return True


async def _look_for_guessing(tx: AsyncConnection, now: datetime) -> None:
    failures = await queries.count_failures(tx, since=now - notices.ALARM_WINDOW)
    if not notices.is_alarming(failures):
        return
    if not await queries.was_told(tx, Kind.OTP_FAILURES, since=now - notices.ALARM_AGAIN):
        await insert_notice(tx, notices.guessing(failures), now=now)
