"""Beside the pump, second tries: a password in doubt goes once more, with the same code, through another gateway.

A second copy shows the same code and harms nobody; one that comes too late does. Never a third: whatever was accepted,
lost or cut off by a kill counts as a submission. Nothing but a password is ever handed over again in doubt.
"""

from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from dispatcher.codes import WithCode, read_codes
from dispatcher.path.choice import Choice, choose
from dispatcher.path.handover import Parcel, parcels
from dispatcher.queries import codes as queries
from dispatcher.queries.claims import insert_intents
from dispatcher.queries.tellings import Told, tell_of
from dispatcher.worker import Worker
from shared.domain import routing
from shared.domain.message import Status
from shared.domain.otp import LONGEST_LIFE

WAIT_SECONDS: Final = 5.0
LIMIT: Final = 200


async def claim_second_tries(worker: Worker, tx: AsyncConnection, *, slots: int) -> tuple[Choice, list[Parcel]]:
    """Take up to `slots` passwords in doubt for which there is a gateway, with room, that has not had them.

    The others stay as they are, and are looked at again.
    """
    since = worker.now() - LONGEST_LIFE
    near = [
        route
        for route in worker.book.routes
        if not route.shut and not routing.is_away(route, now=worker.now(), urgent=True)
    ]
    doubted = await queries.lock_doubted(tx, near, since=since, wait=WAIT_SECONDS, limit=LIMIT)
    accepted = [one.claimed.id for one in doubted if one.is_accepted]
    await queries.adopt_acceptance(tx, accepted)
    await tell_of(tx, [Told(id_, Status.SUBMITTED) for id_ in accepted], wanted=worker.wanted)
    open_ = [one.claimed for one in doubted if not one.is_accepted]
    if not open_ or not slots:
        return Choice(), []
    codes = await read_codes(worker, tx, [one.id for one in open_])
    ready = [WithCode.of(one, codes[one.id], is_second=True) for one in open_ if one.id in codes]
    choice = choose(worker, "urgent", ready)
    # Which of them has a gateway with room is known only now.
    Choice(intents=choice.intents[slots:], meters=choice.meters).undo(worker, "urgent")
    choice.intents = choice.intents[:slots]
    try:
        batches = parcels(worker, choice.intents)
        taken = [one for one, _ in choice.intents]
        limits = worker.limits
        await queries.claim_again(tx, [one.id for one in taken], lease=limits.lease, dispatcher=worker.name)
        await insert_intents(tx, [(one, account.gateway_id) for one, account in choice.intents], dispatcher=worker.name)
    except BaseException:
        choice.undo(worker, "urgent")
        raise
    return choice, batches
