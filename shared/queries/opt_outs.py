"""A person's standing no, kept by the keyed hash of the number: what a handset, a gateway or an owner may say.

One row a person. `sender_ids` are the senders whose messages it holds back, empty where it is everybody's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal
from uuid import UUID

from sqlalchemy import Row, delete, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.domain.sender_id import NAMELESS_PREFIX
from shared.ids import uuid7
from shared.models import OptOut

Source = Literal["inbound", "gateway", "api", "import"]
Senders = tuple[str, ...] | None  # None is all of them

# Rows of one statement: the driver takes 32,767 values.
_AT_ONCE: Final = 2_000

_WIDER: Final = text(
    "opt_outs.sender_ids IS NOT NULL"
    " AND (excluded.sender_ids IS NULL OR NOT opt_outs.sender_ids @> excluded.sender_ids)"
)
_BOTH: Final = text(
    "CASE WHEN excluded.sender_ids IS NOT NULL THEN"
    " ARRAY(SELECT DISTINCT s FROM unnest(opt_outs.sender_ids || excluded.sender_ids) AS s ORDER BY s) END"
)


def holds_back(sender: str, msisdn: str) -> str:
    """The condition, in SQL, that an opt-out `o` holds back what `sender` sends to `msisdn`: two columns' names.

    What names no sender may leave under any. Where no names are shown, one of our numbers stands for a name.
    """
    return (
        f"(o.sender_ids IS NULL OR {sender} IS NULL OR {sender} = ANY(o.sender_ids)"
        f" OR (starts_with({msisdn}, '{NAMELESS_PREFIX}') AND {sender} ~ '[A-Za-z]'))"
    )


_OPTED_OUT: Final = text(f"""
    SELECT p.msisdn_hash
    FROM unnest(CAST(:hashes AS bytea[]), CAST(:msisdns AS text[])) AS p (msisdn_hash, msisdn)
    JOIN opt_outs o ON o.msisdn_hash = p.msisdn_hash
    WHERE {holds_back("CAST(:sender_id AS text)", "p.msisdn")}
""")


@dataclass(frozen=True, slots=True)
class NewOptOut:
    """`gateway_id` names who brought the news, if a gateway did."""

    msisdn: str = field(repr=False)
    msisdn_hash: bytes = field(repr=False)
    source: Source
    gateway_id: UUID | None = None
    sender_ids: Senders = None


async def insert_opt_outs(tx: AsyncConnection, opt_outs: Sequence[NewOptOut], *, now: datetime) -> dict[bytes, UUID]:
    """Keep these, and return the ids of those that are new or hold back more now, by hash. Others stay as they were."""
    changed: dict[bytes, UUID] = {}
    # In one order everywhere: two transactions with the same people must not wait for each other in a ring.
    ordered = sorted(_merged(opt_outs).items())
    for start in range(0, len(ordered), _AT_ONCE):
        rows = [
            {
                "id": uuid7(now),
                "msisdn": opt_out.msisdn,
                "msisdn_hash": msisdn_hash,
                "sender_ids": None if senders is None else sorted(senders),
                "source": opt_out.source,
                "gateway_id": opt_out.gateway_id,
                "at": now,
            }
            for msisdn_hash, (opt_out, senders) in ordered[start : start + _AT_ONCE]
        ]
        statement = insert(OptOut).values(rows)
        last = {name: statement.excluded[name] for name in ("source", "gateway_id", "at")}
        kept = statement.on_conflict_do_update(
            index_elements=[OptOut.msisdn_hash], set_={"sender_ids": _BOTH, **last}, where=_WIDER
        )
        written = await tx.execute(kept.returning(OptOut.msisdn_hash, OptOut.id))
        changed |= {row.msisdn_hash: row.id for row in written}
    return changed


def _merged(opt_outs: Sequence[NewOptOut]) -> dict[bytes, tuple[NewOptOut, set[str] | None]]:
    """One for each person, with all senders that were said of them."""
    merged: dict[bytes, tuple[NewOptOut, set[str] | None]] = {}
    for one in opt_outs:
        known = merged[one.msisdn_hash][1] if one.msisdn_hash in merged else set()
        senders = None if known is None or one.sender_ids is None else known | set(one.sender_ids)
        merged[one.msisdn_hash] = one, senders
    return merged


async def find_opt_outs(tx: AsyncConnection, hashes: Sequence[bytes]) -> dict[bytes, Row[Any]]:
    """What stands of these people, by their hashes, whoever sends."""
    if not hashes:
        return {}
    rows = await tx.execute(select(OptOut).where(OptOut.msisdn_hash.in_(hashes)))
    return {row.msisdn_hash: row for row in rows}


async def lock_opt_out_of(tx: AsyncConnection, msisdn_hash: bytes) -> Row[Any] | None:
    """A person's no, held so that what is left of it can be decided."""
    question = select(OptOut).where(OptOut.msisdn_hash == msisdn_hash).with_for_update()
    return (await tx.execute(question)).one_or_none()


async def leave_opt_out(tx: AsyncConnection, opt_out_id: UUID, senders: Sequence[str]) -> None:
    """Let a no hold back these senders only; without any, take it away."""
    mine = OptOut.id == opt_out_id
    if senders:
        await tx.execute(update(OptOut).where(mine).values(sender_ids=list(senders)))
    else:
        await tx.execute(delete(OptOut).where(mine))


async def list_opted_out(tx: AsyncConnection, people: Mapping[bytes, str], *, sender_id: str | None) -> set[bytes]:
    """Which of these people, numbers by their hashes, are not written to by this sender."""
    given = {"hashes": list(people), "msisdns": list(people.values()), "sender_id": sender_id}
    return set((await tx.execute(_OPTED_OUT, given)).scalars())
