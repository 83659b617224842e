"""Beside the path, balances: ask gateways for their credit, keep what they say, and tell when it crosses a limit.

One dispatcher asks a gateway at a time, and no transaction is open meanwhile. A gateway below its floor is skipped
by the routing from the next look at the book on; nothing here moves a message.
"""

import asyncio
import logging
from typing import Final

from dispatcher.door.redaction import hide, secrets_of
from dispatcher.queries import balances as queries
from dispatcher.queries.balances import Asked, Reading
from dispatcher.worker import Worker
from shared.adapter import Account, Answer, Balance, Metered, redacted
from shared.domain import balance as law
from shared.domain.notice import Notice
from shared.errors import ServiceError
from shared.gateways import METERED, metered_for
from shared.queries.notices import insert_notice

log = logging.getLogger(__name__)

AT_ONCE: Final = 8
# How much longer than the call itself a claim lasts.
LEASE_MARGIN_SECONDS: Final = 30.0
_LONGEST_UNIT: Final = 20
_LARGEST_SMALL: Final = 32_767


async def balances(worker: Worker) -> int:
    """Ask one handful of gateways; how many there were."""
    async with worker.transaction() as tx:
        due = await queries.claim_balances(
            tx, kinds=sorted(METERED), limit=AT_ONCE, lease=worker.limits.deadline + LEASE_MARGIN_SECONDS
        )
        if due:  # as they are configured now: somebody may have mended one a moment ago
            await worker.book.read(tx)
    asked = await asyncio.gather(*(_ask(worker, one) for one in due), return_exceptions=True)
    for one, error in zip(due, asked, strict=True):
        if isinstance(error, Exception):
            # The lease ends by itself, and then it is asked again.
            log.error("a balance was not written", extra={"gateway_id": str(one.gateway_id)}, exc_info=error)
    return len(due)


async def _ask(worker: Worker, asked: Asked) -> None:
    found = await _heard(worker, asked)
    if isinstance(found, str):
        log.warning("a balance could not be read", extra={"gateway_id": str(asked.gateway_id), "cause": found})
        told = await _write_failure(worker, asked, found)
    else:
        told = await _write_reading(worker, asked, found)
    worker.book.forget()
    if told:
        worker.ring("mail")


async def _heard(worker: Worker, asked: Asked) -> Reading | str:
    """What the gateway says of its credit, or a sentence on why that cannot be told."""
    account = worker.book.accounts.get(asked.gateway_id)
    if account is None:
        return "Its secrets cannot be opened; enter them again."
    metered = metered_for(asked.kind, account)
    if metered is None:
        return "Its settings do not say how its balance is asked for."
    try:
        return await _answered(worker, account, metered)
    except ServiceError as error:
        return hide(redacted(error.detail), secrets_of(account)).replace("\0", "")
    except Exception:
        log.exception("a balance went wrong", extra={"gateway_id": str(asked.gateway_id)})
        return "It could not be asked; the log has the details."


async def _answered(worker: Worker, account: Account, metered: Metered) -> Reading | str:
    ready = await worker.logins.ready_account(account)
    if not isinstance(ready, Account):
        return "It does not take the account's credentials, or could not be asked whether it does."
    answer = await worker.transport.perform(metered.build_balance(ready), deadline=worker.limits.deadline)
    if not isinstance(answer, Answer):
        return f"It gave no answer ({answer.cause})."
    if worker.logins.has_ended(ready, answer):
        return "Its login had ended; the next time there is a new one."
    return _as_reading(worker, metered.read_balance(answer))


def _as_reading(worker: Worker, balance: Balance) -> Reading | str:
    amount = law.storable(balance.amount)
    if amount is None:
        return "The answer holds no amount that could be one."
    return Reading(worker.now(), amount, balance.unit.replace("\0", "")[:_LONGEST_UNIT])


async def _write_reading(worker: Worker, asked: Asked, reading: Reading) -> bool:
    """Keep a reading; whether it was worth a notice."""
    async with worker.transaction() as tx:
        known = await queries.lock_watched(tx, asked.gateway_id)
        if known is None:
            return False
        check = law.check_of(known.check)
        await queries.insert_reading(tx, asked.gateway_id, reading)
        await queries.release_balance(tx, asked, wait=law.wait_before_next(check, failures=0))
        if known.at is not None and reading.at < known.at:
            return False  # a dispatcher that was paused brings old news
        state = law.state_of(reading.amount, check)
        await queries.write_balance(tx, asked.gateway_id, reading, state=state)
        kind = law.crossing(known.state, state)
        if kind is None or check is None:
            return False
        notice = law.notice_of(
            kind, asked.gateway_id, name=known.name, amount=reading.amount, unit=reading.unit, check=check
        )
        await insert_notice(tx, notice, now=worker.now(), emails=check.emails)
        return True


async def _write_failure(worker: Worker, asked: Asked, reason: str) -> bool:
    """Count a failure; whether it was worth a notice."""
    async with worker.transaction() as tx:
        known = await queries.lock_watched(tx, asked.gateway_id)
        if known is None:
            return False
        check = law.check_of(known.check)
        failures = min(known.failures + 1, _LARGEST_SMALL)
        await queries.write_failure(tx, asked.gateway_id, failures=failures, reason=reason)
        await queries.release_balance(tx, asked, wait=law.wait_before_next(check, failures=failures))
        if check is None:
            return False
        state = law.state_of(known.amount, check)  # the limits may be others than when it was read
        age = worker.now() - (known.at or worker.now())
        notice: Notice
        if law.is_outlived(state, age=age, failures=failures):
            await queries.forget_balance(tx, asked.gateway_id)
            notice = law.used_again(asked.gateway_id, name=known.name, failures=failures, reason=reason)
        elif law.is_told(check, failures=failures):
            notice = law.unreadable(asked.gateway_id, name=known.name, state=state, failures=failures, reason=reason)
        else:
            return False
        await insert_notice(tx, notice, now=worker.now(), emails=check.emails)
        return True
