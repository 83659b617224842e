"""The configured gateways as both processes need them: opened for the adapters, and plain for the routing.

A gateway whose secrets cannot be opened is still told, without its account: one lost key must not hide the others.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.adapter import Account
from shared.clock import utc_now
from shared.domain.balance import State, check_of, state_of
from shared.domain.carriers import Carrier
from shared.models import Gateway, SenderIdRow
from shared.sealing import SealBroken, Sealer, Secrets, place_of_secrets


@dataclass(frozen=True, slots=True)
class CallbackUrls:
    """Where a gateway brings its news. They hold the token, so they are shown to owners and never logged."""

    status: str
    inbound: str


@dataclass(frozen=True, slots=True)
class ConfiguredGateway:
    """One gateway with what routing, sending and callbacks ask of it.

    `account` is None where its secrets cannot be opened with the keys given. No `location_ids` serves all.
    """

    id: UUID
    name: str
    kind: str
    enabled: bool
    priority: int
    health: str
    health_at: datetime | None
    health_by: str | None
    health_until: datetime | None
    resting_until: datetime | None
    location_ids: frozenset[str]
    sender_ids: frozenset[str]
    pace: Mapping[str, Any] | None
    balance_check: Mapping[str, Any] | None
    balance: Decimal | None
    callback_tokens: tuple[str, ...] = field(repr=False)  # its own, and for a while the one before
    account: Account | None
    updated_at: datetime


def callback_urls(public_url: str, *, gateway_id: UUID, token: str) -> CallbackUrls:
    base = f"{public_url.rstrip('/')}/callbacks/{gateway_id}/{token}"
    return CallbackUrls(status=f"{base}/status", inbound=f"{base}/inbound")


def seal_secrets(secrets: Secrets, *, gateway_id: UUID, sealer: Sealer) -> bytes:
    text = json.dumps(dict(secrets), separators=(",", ":"))
    return sealer.seal(text.encode(), place=place_of_secrets(gateway_id))


def open_secrets(sealed: bytes, *, gateway_id: UUID, sealer: Sealer) -> dict[str, str]:
    """The secrets of one gateway; raises SealBroken."""
    opened: dict[str, str] = json.loads(sealer.open(sealed, place=place_of_secrets(gateway_id)))
    return opened


async def list_configured(
    tx: AsyncConnection, *, sealer: Sealer, public_url: str, enabled_only: bool = False
) -> Sequence[ConfiguredGateway]:
    """All gateways in the operator's order. Only the enabled ones send; the receipts of the others still count."""
    senders = (
        select(SenderIdRow.gateway_id, func.array_agg(SenderIdRow.value).label("values_"))
        .group_by(SenderIdRow.gateway_id)
        .subquery()
    )
    question = (
        select(Gateway, senders.c.values_)
        .outerjoin(senders, senders.c.gateway_id == Gateway.id)
        .order_by(Gateway.priority, Gateway.id)
    )
    if enabled_only:
        question = question.where(Gateway.enabled)
    rows = await tx.execute(question)
    return [_configured(row, sealer=sealer, public_url=public_url) for row in rows]


async def read_clock(tx: AsyncConnection) -> datetime:
    """The time of the clock that their rows' times were written by."""
    now: datetime = (await tx.execute(select(func.now()))).scalar_one()
    return now


def _configured(row: Any, *, sealer: Sealer, public_url: str) -> ConfiguredGateway:
    return ConfiguredGateway(
        id=row.id,
        name=row.name,
        kind=row.kind,
        enabled=row.enabled,
        priority=row.priority,
        health=row.health,
        health_at=row.health_at,
        health_by=row.health_by,
        health_until=row.health_until,
        resting_until=row.resting_until,
        location_ids=frozenset(row.location_ids or ()),
        sender_ids=frozenset(row.values_ or ()),
        pace=row.pace,
        balance_check=row.balance_check,
        balance=row.balance,
        callback_tokens=_tokens(row),
        account=_account(row, sealer=sealer, public_url=public_url),
        updated_at=row.updated_at,
    )


def _tokens(row: Any) -> tuple[str, ...]:
    until = row.old_callback_token_until
    if row.old_callback_token is None or until is None or until <= utc_now():
        return (row.callback_token,)
    return row.callback_token, row.old_callback_token


def _account(row: Any, *, sealer: Sealer, public_url: str) -> Account | None:
    try:
        secrets = open_secrets(row.secrets_sealed, gateway_id=row.id, sealer=sealer)
    except SealBroken:
        return None
    urls = callback_urls(public_url, gateway_id=row.id, token=row.callback_token)
    return Account(
        gateway_id=row.id,
        settings=row.settings,
        secrets=secrets,
        status_url=urls.status,
        inbound_url=urls.inbound,
        version=row.updated_at,
    )


async def list_carriers(tx: AsyncConnection) -> list[Carrier]:
    """The gateways that are enabled, as whoever has something to send wants to know of them."""
    senders = select(func.array_agg(SenderIdRow.value)).where(SenderIdRow.gateway_id == Gateway.id).scalar_subquery()
    state = (Gateway.health, Gateway.balance, Gateway.balance_check)
    columns = (Gateway.name, *state, senders.label("values_"), Gateway.location_ids)
    rows = await tx.execute(select(*columns).where(Gateway.enabled).order_by(Gateway.priority, Gateway.id))
    return [
        Carrier(
            row.name,
            row.health,
            empty=state_of(row.balance, check_of(row.balance_check)) is State.EMPTY,
            sender_ids=frozenset(row.values_ or ()),
            location_ids=frozenset(row.location_ids or ()),
        )
        for row in rows
    ]


async def list_paces(tx: AsyncConnection) -> list[Mapping[str, Any] | None]:
    """The paces of the gateways that are enabled."""
    return list(await tx.scalars(select(Gateway.pace).where(Gateway.enabled)))
