"""What is this deployment's own: the pepper that keys the hash of numbers, made once, sealed at rest."""

import os
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.models import Installation
from shared.sealing import PLACE_OF_PEPPER, Sealer


async def open_pepper(tx: AsyncConnection, sealer: Sealer, now: datetime) -> bytes:
    """The pepper; whoever asks first makes it."""
    await tx.execute(
        insert(Installation)
        .values(id=1, pepper_sealed=sealer.seal(os.urandom(32), place=PLACE_OF_PEPPER), created_at=now)
        .on_conflict_do_nothing()
    )
    sealed = (await tx.execute(select(Installation.pepper_sealed))).scalar_one()
    return sealer.open(sealed, place=PLACE_OF_PEPPER)
