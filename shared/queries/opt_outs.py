"""A person's standing no, kept by the keyed hash of the number: what a handset, a gateway or an owner may say."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal
from uuid import UUID

from sqlalchemy import delete
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.ids import uuid7
from shared.models import OptOut

Source = Literal["inbound", "gateway", "api", "import"]


@dataclass(frozen=True, slots=True)
class NewOptOut:
    """`gateway_id` names who brought the news, if a gateway did."""

    msisdn: str = field(repr=False)
    msisdn_hash: bytes = field(repr=False)
    source: Source
    gateway_id: UUID | None = None


async def insert_opt_outs(tx: AsyncConnection, opt_outs: Sequence[NewOptOut], *, now: datetime) -> dict[bytes, UUID]:
    """Keep these, and return the ids of those that are new, by hash. Who had opted out stays as they were."""
    if not opt_outs:
        return {}
    # In one order everywhere: two transactions with the same people must not wait for each other in a ring.
    ordered = sorted({opt_out.msisdn_hash: opt_out for opt_out in opt_outs}.items())
    rows = [
        {
            "id": uuid7(now),
            "msisdn": opt_out.msisdn,
            "msisdn_hash": msisdn_hash,
            "source": opt_out.source,
            "gateway_id": opt_out.gateway_id,
            "at": now,
        }
        for msisdn_hash, opt_out in ordered
    ]
    inserted = await tx.execute(
        insert(OptOut)
        .values(rows)
        .on_conflict_do_nothing(index_elements=[OptOut.msisdn_hash])
        .returning(OptOut.msisdn_hash, OptOut.id)
    )
    return {row.msisdn_hash: row.id for row in inserted}


async def delete_opt_out_of(tx: AsyncConnection, msisdn_hash: bytes) -> UUID | None:
    """Take a person's no back; the id it had, or None if there was none."""
    gone: UUID | None = await tx.scalar(delete(OptOut).where(OptOut.msisdn_hash == msisdn_hash).returning(OptOut.id))
    return gone
