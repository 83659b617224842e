"""Beside the path, reconcile: ask gateways what became of messages whose fate is unknown.

What is found goes into the receipts inbox, where every other kind of news arrives too. Only one candidate, in a
complete list, that no other attempt holds or may be about to, is proof; anything else proves nothing and the message
stays unconfirmed.
"""

import asyncio
import logging
from datetime import timedelta
from typing import Final

from dispatcher.codes import read_codes
from dispatcher.queries import lookups
from dispatcher.queries.lookups import Doubt
from dispatcher.queries.receipts import insert_news
from dispatcher.worker import Worker
from shared.adapter import Answer, Receipt, UnreadableAnswer, Wanted
from shared.domain import otp_text
from shared.domain.message import Kind
from shared.gateways import SEARCHABLE

log = logging.getLogger(__name__)

AT_ONCE: Final = 8
# Clocks differ, and a gateway may have written the message down after it stopped answering us.
SKEW: Final = timedelta(seconds=30)
WINDOW: Final = timedelta(minutes=10)


async def reconcile(worker: Worker) -> int:
    """Ask about one handful of doubts; how many there were."""
    async with worker.by_key() as tx:
        if not worker.book.is_fresh:
            await worker.book.read(tx)
        repeated = [route.gateway_id for route in worker.book.routes if route.repeats]
        doubts = await lookups.take_doubts(tx, limit=AT_ONCE, waits=worker.limits.lookup_waits, besides=repeated)
        passwords = [doubt.message_id for doubt in doubts if doubt.kind == Kind.OTP]
        codes = await read_codes(worker, tx, passwords) if passwords else {}
    askable = [doubt for doubt in doubts if worker.book.kind_of(doubt.gateway_id) in SEARCHABLE]
    asked = await asyncio.gather(
        *(_ask(worker, doubt, codes.get(doubt.message_id)) for doubt in askable), return_exceptions=True
    )
    for doubt, error in zip(askable, asked, strict=True):
        if isinstance(error, Exception):
            # The next look is written down already.
            log.error("a look-up went wrong", extra={"message_id": str(doubt.message_id)}, exc_info=error)
    return len(doubts)


async def _ask(worker: Worker, doubt: Doubt, code: str | None) -> None:
    account = worker.book.accounts[doubt.gateway_id]
    adapter = SEARCHABLE[worker.book.kind_of(doubt.gateway_id) or ""]
    wanted = Wanted(
        msisdn=doubt.msisdn,
        text=doubt.text if code is None else otp_text.fill(doubt.text, code),
        sender_id=doubt.sender_id,
        since=doubt.started_at - SKEW,
        until=doubt.started_at + WINDOW,
    )
    answer = await worker.transport.perform(adapter.build_lookup(account, wanted), deadline=worker.limits.deadline)
    if not isinstance(answer, Answer):
        return
    try:
        found = adapter.read_lookup(wanted, answer)
    except UnreadableAnswer as error:
        log.warning("a look-up was not answered", extra={"cause": error.detail})
        return
    async with worker.by_key() as tx:
        await lookups.lock_references(tx, doubt.gateway_id)
        held = await lookups.list_held(tx, doubt, [candidate.reference for candidate in found.candidates])
        free = [one for one in found.candidates if one.reference not in held]
        if not found.complete or len(free) != 1 or await lookups.has_twin(tx, doubt):
            return
        await lookups.hold_reference(tx, doubt, free[0].reference)
        news = Receipt(
            status=free[0].status,
            message_id=doubt.message_id,
            attempt=doubt.attempt,
            reference=free[0].reference,
            code=free[0].code,
        )
        await insert_news(tx, doubt.gateway_id, [news], source="look-up")
    worker.ring("receipts")
