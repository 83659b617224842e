"""Webhooks over HTTP: who is told of what. The dispatchers know of it before the answer leaves."""

import os
from datetime import datetime
from typing import Annotated, Any, Final
from urllib.parse import urlsplit
from uuid import UUID

from fastapi import APIRouter, Path, Response
from sqlalchemy.ext.asyncio import AsyncConnection

from api.deps import Bell, CanAdmin, CanManage, Now, Page, Reader, RequestId, Res, Tx
from api.examples import answered
from api.paging import PageOut, page_of
from api.places import id_of
from api.problems import problems
from api.webhooks import examples, old_secrets, queries
from api.webhooks.known import NEWS, KnownRoute
from api.webhooks.queries import AnyRow
from api.webhooks.schemas import NewWebhookOut, SecretRotationIn, WebhookIn, WebhookOut, WebhookPatch
from shared.domain.event import CHOICES
from shared.domain.webhook import DisabledReason
from shared.domain.webhook_signature import SECRET_BYTES, secret_text
from shared.domain.webhook_url import UnusableUrl, check_url
from shared.errors import Conflict, FieldError, Invalid
from shared.ids import uuid7
from shared.queries import audit
from shared.sealing import place_of_webhook

router = APIRouter(prefix="/webhooks", tags=["webhooks"], route_class=KnownRoute)

MOST_WEBHOOKS: Final = 50
_LANE: Final = "webhooks"
WebhookId = Annotated[UUID, Path(description="The webhook's id.")]


class TooManyWebhooks(Conflict):
    """There are as many webhooks as there may be; delete one, or have one of them told of more."""


class UnknownEvent(Invalid):
    """There is no event of this type."""


@router.post("", status_code=201, responses=problems(TooManyWebhooks, UnusableUrl, UnknownEvent), dependencies=[NEWS])
async def create_webhook(  # noqa: PLR0913, PLR0917 - a route asks for what it needs
    body: WebhookIn, response: Response, tx: Tx, caller: CanAdmin, now: Now, res: Res, request_id: RequestId
) -> NewWebhookOut:
    """Have a system of yours told what happens after this answer, which holds the secret that signs, this once."""
    check_url(body.url, allowed=res.allowed_networks)
    if await queries.count_webhooks_alone(tx) >= MOST_WEBHOOKS:
        raise TooManyWebhooks(f"There are {MOST_WEBHOOKS} webhooks, and no more are told; delete one first.")
    webhook_id, secret = uuid7(now), os.urandom(SECRET_BYTES)
    row = await queries.insert_webhook(
        tx,
        {
            "id": webhook_id,
            "url": body.url,
            "events": checked_events(body.events),
            "description": body.description or None,
            "secret_sealed": res.sealer.seal(secret, place=place_of_webhook(webhook_id)),
            "created_by": caller.id,
            "created_at": now,
            "updated_at": now,
            **_switched(body.enabled, now),
        },
    )
    await _record(tx, caller.id, "webhook.created", row, (now, request_id))
    response.headers["Location"] = f"/v1/webhooks/{webhook_id}"
    return _with_secret(row, secret)


@router.get("", responses=problems(422))
async def list_webhooks(tx: Reader, _: CanManage, page: Page) -> PageOut[WebhookOut]:
    """All webhooks, the newest first, without their secrets."""
    rows = await queries.list_webhooks(tx, before=id_of(page), limit=page.limit + 1)
    shown, cursor = page_of(rows, page, place=lambda row: {"id": row.id})
    return PageOut(items=[WebhookOut.model_validate(row) for row in shown], next_cursor=cursor)


@router.get("/{webhook_id}", responses=problems(404))
async def get_webhook(webhook_id: WebhookId, tx: Reader, _: CanManage) -> WebhookOut:
    """One webhook, and how its receiver is doing."""
    return WebhookOut.model_validate(await queries.get_webhook(tx, webhook_id))


@router.patch("/{webhook_id}", responses=problems(404, UnusableUrl, UnknownEvent), dependencies=[NEWS])
async def change_webhook(  # noqa: PLR0913, PLR0917 - a route asks for what it needs
    webhook_id: WebhookId,
    body: WebhookPatch,
    tx: Tx,
    caller: CanAdmin,
    now: Now,
    res: Res,
    request_id: RequestId,
    bell: Bell,
) -> WebhookOut:
    """Change what is given. Enabled again, or with another URL, it goes on at once with what was waiting.

    What happened while it was disabled it is not told.
    """
    row = await queries.lock_webhook(tx, webhook_id)
    changes: dict[str, Any] = {"updated_at": now}
    if body.url is not None:
        check_url(body.url, allowed=res.allowed_networks)
        changes |= {"url": body.url, "failures": 0, "failing_since": None, "retry_at": None}
    if body.events is not None:
        changes["events"] = checked_events(body.events)
    if "description" in body.model_fields_set:
        changes["description"] = body.description or None
    if body.enabled is not None and body.enabled != row.enabled:
        changes |= _switched(body.enabled, now)
    was, row = row, await queries.update_webhook(tx, webhook_id, changes)
    if "retry_at" in changes:  # it begins anew
        await queries.hasten_deliveries(tx, webhook_id, now=now)
    await _record(tx, caller.id, "webhook.changed", row, (now, request_id), changed=_difference(was, row))
    bell.ring(_LANE)
    return WebhookOut.model_validate(row)


@router.delete("/{webhook_id}", status_code=204, responses=problems(404))
async def delete_webhook(webhook_id: WebhookId, tx: Tx, caller: CanAdmin, now: Now, request_id: RequestId) -> Response:
    """Forget a webhook, with what it was told and what was waiting for it."""
    row = await queries.lock_webhook(tx, webhook_id)
    await queries.delete_webhook(tx, webhook_id)
    await _record(tx, caller.id, "webhook.deleted", row, (now, request_id))
    return Response(status_code=204)


@router.post(
    "/{webhook_id}/rotate-secret", responses={**problems(404, old_secrets.TooManySecrets), **answered(examples.ROTATED)}
)
async def rotate_webhook_secret(  # noqa: PLR0913, PLR0917 - a route asks for what it needs
    webhook_id: WebhookId,
    tx: Tx,
    caller: CanAdmin,
    now: Now,
    res: Res,
    request_id: RequestId,
    body: SecretRotationIn | None = None,
) -> NewWebhookOut:
    """Make a new secret. Those before sign beside it, each until its own time, so that no event is refused meanwhile.

    At most three old ones sign at a time.
    """
    body = body or SecretRotationIn()
    row = await queries.lock_webhook(tx, webhook_id)
    secret = os.urandom(SECRET_BYTES)
    changes = {
        "secret_sealed": res.sealer.seal(secret, place=place_of_webhook(webhook_id)),
        **old_secrets.keep(row, res.sealer, hours=body.keep_old_hours, now=now),
        "updated_at": now,
    }
    row = await queries.update_webhook(tx, webhook_id, changes)
    await _record(tx, caller.id, "webhook.secret_rotated", row, (now, request_id))
    return _with_secret(row, secret)


def checked_events(events: list[str]) -> list[str]:
    """Each once; raises UnknownEvent for what there is not."""
    unknown = [(place, name) for place, name in enumerate(events) if name not in CHOICES]
    if unknown:
        errors = [
            FieldError(f"/events/{place}", f"There is no event {name[:100]!r}; docs/webhooks.md lists them.")
            for place, name in unknown
        ]
        raise UnknownEvent(errors[0].detail, errors=errors)
    return sorted(set(events))


def _switched(enabled: bool, now: datetime) -> dict[str, Any]:
    """What switching it on or off means. On, it begins as if nothing had failed."""
    if not enabled:
        return {"enabled": False, "disabled_reason": DisabledReason.OWNER.value, "disabled_at": now}
    fresh = {"failures": 0, "failing_since": None, "retry_at": None}
    return {"enabled": True, "disabled_reason": None, "disabled_at": None, **fresh}


def _with_secret(row: AnyRow, secret: bytes) -> NewWebhookOut:
    return NewWebhookOut(**WebhookOut.model_validate(row).model_dump(), secret=secret_text(secret))


def _told(row: AnyRow) -> dict[str, Any]:
    """What the audit trail may know; of a URL only the host, for a path may hold a token."""
    return {"host": urlsplit(row.url).hostname, "events": list(row.events), "enabled": row.enabled}


def _difference(was: AnyRow, row: AnyRow) -> dict[str, Any]:
    differs = audit.difference(
        _told(was) | {"description": was.description}, _told(row) | {"description": row.description}
    )
    # The same host, another path: that it changed is told, and not what it is.
    return differs if was.url == row.url else {"url": "changed", **differs}


async def _record(
    tx: AsyncConnection,
    caller: str,
    action: str,
    row: AnyRow,
    asked: tuple[datetime, str],
    *,
    changed: dict[str, Any] | None = None,
) -> None:
    """Who did what to which webhook."""
    now, request_id = asked
    told = _told(row) if changed is None else {**_told(row), "changed": changed}
    await audit.record(
        tx, caller=caller, action=action, subject=("webhook", str(row.id)), detail=told, now=now, request_id=request_id
    )
