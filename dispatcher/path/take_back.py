"""What a claim wrote whose end nobody heard: a commit may stand though its answer was lost on the way.

None of it was handed over, and this process knows it. So before the next claim, what stands goes back into the queue
as not sent. Left to the lease it would be in doubt, and never sent.
"""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from dispatcher.path.handover import not_handed_over
from dispatcher.queries import claims, settlements
from dispatcher.queries.claims import Claimed
from dispatcher.queries.tallies import Moves
from dispatcher.worker import Worker
from shared.adapter import Account


async def take_back(worker: Worker, tx: AsyncConnection, intents: Sequence[tuple[Claimed, Account]]) -> Moves:
    """Settle as not sent what is on lease to this dispatcher after all.

    Where the commit did not stand, another may have made the same attempt by now: it is the lease that tells, and no
    attempt of this process is made between the lost commit and this one.
    """
    ours = await claims.lock_ours(tx, [one for one, _ in intents], dispatcher=worker.name)
    settled = [each for one, account in intents if one.id in ours for each in not_handed_over(worker, [one], account)]
    return await settlements.settle(tx, settled, wanted=worker.wanted)
