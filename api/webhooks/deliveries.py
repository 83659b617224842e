"""What a webhook was told over HTTP: the log, a test, and sending again."""

from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Path, Query
from sqlalchemy.ext.asyncio import AsyncConnection

from api.deps import Bell, CanManage, Now, Page, Reader, RequestId, Tx
from api.examples import answered
from api.idempotency import IdempotentRoute
from api.paging import PageAsked, PageOut, bad_cursor, page_of
from api.problems import problems
from api.webhooks import examples, queries
from api.webhooks.queries import AnyRow
from api.webhooks.routes import WebhookId
from api.webhooks.schemas import DeliveryOut, RedeliveredOut, RedeliverIn, TryOut
from shared.domain.event import EventType
from shared.domain.webhook import DeliveryStatus
from shared.ids import uuid7
from shared.log import mask
from shared.queries import audit

router = APIRouter(prefix="/webhooks", tags=["webhooks"], route_class=IdempotentRoute)

MOST_AGAIN: Final = 10_000
_LANE: Final = "webhooks"
_LARGEST_ID: Final = 2**63


@router.get("/{webhook_id}/deliveries", responses=problems(404, 422))
async def list_deliveries(
    webhook_id: WebhookId,
    tx: Reader,
    _: CanManage,
    page: Page,
    status: Annotated[DeliveryStatus | None, Query(description="Only those that are this now.")] = None,
    type: Annotated[EventType | None, Query(description="Only events of this type.")] = None,  # noqa: A002 - the word clients know it by
) -> PageOut[DeliveryOut]:
    """What the webhook was told or waits to be told, the latest first. Delivered ones are kept for a week."""
    await queries.get_webhook(tx, webhook_id)
    wanted = queries.Wanted(status=status, type=type)
    rows = await queries.list_deliveries(tx, webhook_id, wanted, before=_place(page), limit=page.limit + 1)
    shown, cursor = page_of(rows, page, place=lambda row: {"id": row.id})
    return PageOut(items=[_shown(row) for row in shown], next_cursor=cursor)


@router.get("/{webhook_id}/deliveries/{event_id}", responses=problems(404))
async def get_delivery(
    webhook_id: WebhookId, event_id: Annotated[UUID, Path(description="The event's id.")], tx: Reader, _: CanManage
) -> DeliveryOut:
    """One event for one webhook, with its latest tries."""
    return _shown(await queries.get_delivery(tx, webhook_id, event_id))


@router.post(
    "/{webhook_id}/test", status_code=202, responses={**problems(404), **answered(examples.TESTED, status=202)}
)
async def test_webhook(
    webhook_id: WebhookId, tx: Tx, caller: CanManage, now: Now, request_id: RequestId, bell: Bell
) -> DeliveryOut:
    """Send a `webhook.test`, once, also where the webhook is disabled. Read what came of it under `deliveries`."""
    await queries.lock_webhook(tx, webhook_id)
    row = await queries.insert_test(tx, webhook_id, uuid7(now), now=now)
    await _record(tx, caller.id, "webhook.tested", webhook_id, {"event_id": str(row.event_id)}, (now, request_id))
    bell.ring(_LANE)
    return _shown(row)


@router.post("/{webhook_id}/redeliver", status_code=202, responses=problems(404))
async def redeliver(  # noqa: PLR0913, PLR0917 - a route asks for what it needs
    webhook_id: WebhookId, body: RedeliverIn, tx: Tx, caller: CanManage, now: Now, request_id: RequestId, bell: Bell
) -> RedeliveredOut:
    """Send one event again, or all that have died since a time. The receiver knows them by their ids."""
    await queries.lock_webhook(tx, webhook_id)
    if body.event_id is not None:
        await queries.redeliver_one(tx, await queries.get_delivery(tx, webhook_id, body.event_id), now=now)
        count = 1
    else:
        since = body.dead_since or now
        count = await queries.redeliver_dead(tx, webhook_id, since=since, now=now, limit=MOST_AGAIN)
    detail = {**body.model_dump(mode="json", exclude_none=True), "redelivered": count}
    await _record(tx, caller.id, "webhook.redelivered", webhook_id, detail, (now, request_id))
    bell.ring(_LANE)
    return RedeliveredOut(redelivered=count, more=count == MOST_AGAIN)


def _shown(row: AnyRow) -> DeliveryOut:
    return DeliveryOut(
        id=row.event_id,
        type=row.type,
        subject_id=row.subject_id,
        at=row.at,
        status=row.status,
        attempts=row.attempts,
        next_try_at=row.due_at,
        closed_at=row.closed_at,
        tries=[TryOut(**one) for one in row.log],
        data=_masked(row.data),
    )


def _masked(data: Any) -> Any:
    """What the event says, with its numbers as logs may hold them."""
    match data:
        case dict():
            return {name: _masked(value) for name, value in data.items()}
        case list():
            return [_masked(value) for value in data]
        case str():
            return mask(data)
        case _:
            return data


def _place(page: PageAsked) -> int | None:
    """Where the list goes on: deliveries are numbered."""
    place = page.after
    if place is None:
        return None
    match place.get("id"):
        case int(number) if 0 <= number < _LARGEST_ID and not isinstance(number, bool):
            return number
        case _:
            raise bad_cursor()


async def _record(
    tx: AsyncConnection, caller: str, action: str, webhook_id: UUID, detail: dict[str, Any], asked: tuple[datetime, str]
) -> None:
    now, request_id = asked
    await audit.record(
        tx,
        caller=caller,
        action=action,
        subject=("webhook", str(webhook_id)),
        detail=detail,
        now=now,
        request_id=request_id,
    )
