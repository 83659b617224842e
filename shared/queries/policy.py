"""The policy as both processes read it."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.domain import policy as law
from shared.domain.policy import Policy
from shared.models import PolicyRow


@dataclass(frozen=True, slots=True)
class Kept:
    """The policy with who changed it last; nobody, while it is all defaults."""

    policy: Policy
    updated_at: datetime | None = None
    updated_by: str | None = None


async def get_policy(tx: AsyncConnection) -> Policy:
    """The rules in force: those that were set, and the defaults of all others."""
    return (await get_kept(tx)).policy


async def get_kept(tx: AsyncConnection) -> Kept:
    row = (await tx.execute(select(PolicyRow))).one_or_none()
    return Kept(Policy()) if row is None else Kept(law.read(row.rules), row.updated_at, row.updated_by)


async def lock_policy(tx: AsyncConnection) -> Policy:
    """The rules, held so that no other change is decided meanwhile; there may be no row to hold yet."""
    await tx.execute(select(func.pg_advisory_xact_lock(func.hashtextextended("lapwing.policy", 0))))
    return await get_policy(tx)


async def write_policy(tx: AsyncConnection, policy: Policy, *, caller: str, now: datetime) -> None:
    values = {"rules": law.beyond_defaults(policy), "updated_at": now, "updated_by": caller}
    write = insert(PolicyRow).values(id=1, **values)
    await tx.execute(write.on_conflict_do_update(index_elements=[PolicyRow.id], set_=values))
