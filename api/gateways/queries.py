"""The gateways' rows: in the operator's order, changed one writer at a time."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID

from sqlalchemy import Row, Select, delete, exists, func, insert, select, text, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import aliased

from shared.domain.message import Status
from shared.errors import Conflict, NotFound
from shared.gateways import METERED, can_be_asked
from shared.ids import first_uuid7
from shared.models import Attempt, BalanceReading, Gateway, GatewayScript, Message, SenderIdRow
from shared.queries.sender_ids import find_need

GatewayRow = Row[Any]


class GatewayNameTaken(Conflict):
    """Another gateway has this name."""


class GatewayInUse(Conflict):
    """Something that is not over yet needs this gateway."""


class NoBalanceToAskFor(Conflict):
    """Gateways of this kind cannot be asked for their credit."""


async def lock_order(tx: AsyncConnection) -> None:
    """Keep other writers of gateways out until this transaction ends, so that names and places stay unique."""
    await tx.execute(text("SELECT pg_advisory_xact_lock(hashtext('lapwing.gateways'))"))


async def list_gateways(tx: AsyncConnection, *, after: tuple[int, UUID] | None, limit: int) -> Sequence[GatewayRow]:
    """A page of gateways, the first choice first."""
    question = select(Gateway).order_by(Gateway.priority, Gateway.id).limit(limit)
    if after is not None:
        question = question.where(tuple_(Gateway.priority, Gateway.id) > tuple_(*after))
    return (await tx.execute(question)).all()


async def get_gateway(tx: AsyncConnection, gateway_id: UUID) -> GatewayRow:
    return _there((await tx.execute(select(Gateway).where(Gateway.id == gateway_id))).one_or_none())


async def find_gateway(tx: AsyncConnection, gateway_id: UUID) -> GatewayRow | None:
    return (await tx.execute(select(Gateway).where(Gateway.id == gateway_id))).one_or_none()


async def lock_gateway(tx: AsyncConnection, gateway_id: UUID) -> GatewayRow:
    question = select(Gateway).where(Gateway.id == gateway_id).with_for_update()
    return _there((await tx.execute(question)).one_or_none())


async def check_name_free(tx: AsyncConnection, name: str, *, besides: UUID | None = None) -> None:
    """Raise if another gateway has the name. Holds for as long as `lock_order` does."""
    holder = await tx.scalar(select(Gateway.id).where(Gateway.name == name))
    if holder is not None and holder != besides:
        raise GatewayNameTaken(f"There is a gateway named {name!r} already; choose another name.", pointer="/name")


async def insert_gateway(tx: AsyncConnection, row: Mapping[str, Any]) -> GatewayRow:
    """Add a gateway as the operator's last choice."""
    last = select(func.coalesce(func.max(Gateway.priority), 0) + 1).scalar_subquery()
    return (await tx.execute(insert(Gateway).values(**row, priority=last).returning(Gateway))).one()


async def update_gateway(tx: AsyncConnection, gateway_id: UUID, row: Mapping[str, Any]) -> GatewayRow:
    return (await tx.execute(update(Gateway).where(Gateway.id == gateway_id).values(**row).returning(Gateway))).one()


async def list_names_in_order(tx: AsyncConnection) -> Mapping[UUID, str]:
    """Every gateway's name by its id, the first choice first."""
    rows = await tx.execute(select(Gateway.id, Gateway.name).order_by(Gateway.priority, Gateway.id))
    return {row.id: row.name for row in rows}


async def order_gateways(tx: AsyncConnection, ids: Sequence[UUID]) -> None:
    """Give each gateway its place in this order, in one statement."""
    await tx.execute(
        text(
            "UPDATE gateways SET priority = wanted.place"
            " FROM unnest(CAST(:ids AS uuid[])) WITH ORDINALITY AS wanted (id, place)"
            " WHERE gateways.id = wanted.id"
        ),
        {"ids": list(ids)},
    )


# Receipts come within hours, most of them within minutes; after this a message waits for none in earnest.
NEWS_WITHIN = timedelta(days=3)
# Asked hour by hour, the latest first: where there is one it is soon found, and no statement takes long.
_SPAN = timedelta(hours=1)
# Clocks differ, and ids may be made a little ahead.
_AHEAD = timedelta(days=1)
_NEEDS_IT = (Status.SENDING, Status.UNCONFIRMED, Status.SUBMITTED, Status.SENT)


def spans(now: datetime) -> Iterator[tuple[datetime, datetime]]:
    """The hours in which messages were made that may still have news, the latest first."""
    until, oldest = now + _AHEAD, now - NEWS_WITHIN
    while until > oldest:
        since = max(oldest, until - _SPAN)
        yield since, until
        until = since


def _on_their_way(gateway_id: UUID, since: datetime, until: datetime) -> Select[tuple[bool]]:
    """Both tables are bounded by their keys: neither is read beyond these hours, however long they are."""
    first, last = first_uuid7(since), first_uuid7(until)
    return select(
        exists()
        .where(Attempt.gateway_id == gateway_id, Attempt.message_id >= first, Attempt.message_id < last)
        .where(Message.id == Attempt.message_id, Message.id >= first, Message.id < last)
        .where(Message.status.in_(_NEEDS_IT))
    )


async def check_idle(tx: AsyncConnection, gateway_id: UUID, *, now: datetime) -> None:
    """Raise while messages may be on their way through the gateway, or something needs a sender that it alone has.

    Only with its account can their receipts be checked and can it be asked for those of unknown fate.
    """
    for since, until in spans(now):
        if await tx.scalar(_on_their_way(gateway_id, since, until)):
            raise GatewayInUse(
                "Messages that this gateway was given in the last three days may still have news from it. Leave it "
                "disabled, which sends nothing, and delete it later."
            )
    twin = aliased(SenderIdRow)
    elsewhere = exists().where(twin.value == SenderIdRow.value, twin.gateway_id != gateway_id)
    only_here = await tx.scalars(select(SenderIdRow.value).where(SenderIdRow.gateway_id == gateway_id, ~elsewhere))
    if told := await find_need(tx, list(only_here)):
        raise GatewayInUse(f"This gateway alone has a sender that is needed. {told}")


async def delete_gateway(tx: AsyncConnection, gateway_id: UUID) -> None:
    """Take out a gateway with its sender IDs."""
    await tx.execute(delete(Gateway).where(Gateway.id == gateway_id))


async def request_balance(tx: AsyncConnection, gateway_id: UUID) -> GatewayRow:
    """Have the dispatcher ask the gateway for its credit at its next look."""
    row = await lock_gateway(tx, gateway_id)
    if row.kind not in METERED:
        raise NoBalanceToAskFor(f"Gateways of kind {row.kind} cannot be asked for their balance; look at the vendor's.")
    if not can_be_asked(row.kind, row.settings):
        raise NoBalanceToAskFor("The gateway's settings do not say how its balance is asked for; add settings.balance.")
    return await update_gateway(tx, gateway_id, {"balance_requested_at": func.now(), "balance_due_at": func.now()})


async def list_readings(
    tx: AsyncConnection, gateway_id: UUID, *, before: UUID | None, limit: int
) -> Sequence[Row[Any]]:
    """A page of what the gateway said of its credit, the latest first."""
    question = (
        select(BalanceReading)
        .where(BalanceReading.gateway_id == gateway_id)
        .order_by(BalanceReading.id.desc())
        .limit(limit)
    )
    if before is not None:
        question = question.where(BalanceReading.id < before)
    return (await tx.execute(question)).all()


async def insert_script(
    tx: AsyncConnection, gateway_id: UUID, script: str, *, caller: str, now: datetime, restored_from: int | None = None
) -> int:
    """Keep a wording as the next version of this gateway's script; its number. Under `lock_order`."""
    newest = select(func.coalesce(func.max(GatewayScript.version), 0)).where(GatewayScript.gateway_id == gateway_id)
    version: int = (await tx.execute(newest)).scalar_one() + 1
    await tx.execute(
        insert(GatewayScript).values(
            gateway_id=gateway_id,
            version=version,
            sha256=sha256(script.encode()).hexdigest(),
            text=script,
            restored_from=restored_from,
            created_by=caller,
            created_at=now,
        )
    )
    return version


async def get_script(tx: AsyncConnection, gateway_id: UUID, version: int) -> GatewayRow:
    question = select(GatewayScript).where(GatewayScript.gateway_id == gateway_id, GatewayScript.version == version)
    row = (await tx.execute(question)).one_or_none()
    if row is None:
        raise NotFound(f"There is no version {version} of this gateway's script.")
    return row


async def list_scripts(
    tx: AsyncConnection, gateway_id: UUID, *, before: int | None, limit: int
) -> Sequence[GatewayRow]:
    """A page of a gateway's wordings, the newest first."""
    question = (
        select(GatewayScript)
        .where(GatewayScript.gateway_id == gateway_id)
        .order_by(GatewayScript.version.desc())
        .limit(limit)
    )
    if before is not None:
        question = question.where(GatewayScript.version < before)
    return (await tx.execute(question)).all()


async def find_newest(tx: AsyncConnection, gateway_id: UUID) -> GatewayRow | None:
    rows = await list_scripts(tx, gateway_id, before=None, limit=1)
    return rows[0] if rows else None


def _there(row: GatewayRow | None) -> GatewayRow:
    if row is None:
        raise NotFound("There is no gateway with this id.")
    return row
