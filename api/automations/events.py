"""Events over HTTP: what happened to a person, told by owners' systems. What follows is the automations' to say."""

from collections.abc import Sequence
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Path, Query, Response

from api.automations import queries
from api.automations.people import check_data, number_of
from api.automations.queries import AnyRow
from api.automations.schemas import EventIn, LedToOut, ToldEventOut
from api.deps import Bell, CanRead, CanSend, Now, Page, Reader, Res, Tx
from api.idempotency import IdempotentRoute
from api.paging import PageOut, page_of
from api.places import id_of
from api.problems import problems
from shared.domain.automation import INSIDE
from shared.domain.tag_values import InvalidVariables
from shared.errors import Conflict, Invalid
from shared.ids import uuid7
from shared.queries.automations import insert_event

router = APIRouter(prefix="/events", tags=["automations"], route_class=IdempotentRoute)

EventId = Annotated[UUID, Path(description="Our id of the event.")]


class EventToldOtherwise(Conflict):
    """Another event was told under this id. An id stands for one thing that happened."""


@router.post(
    "",
    status_code=202,
    responses={
        **problems(EventToldOtherwise, InvalidVariables),
        200: {"model": ToldEventOut, "description": "It was told before, and is not done again."},
    },
)
async def tell_event(  # noqa: PLR0913, PLR0917 - what a route asks for, by name
    body: EventIn, response: Response, tx: Tx, caller: CanSend, now: Now, res: Res, bell: Bell
) -> ToldEventOut:
    """Tell what happened to a person. Under the same `id` it is done once, however often it is told.

    A key without `read` is not told what it led to.
    """
    if body.name in INSIDE:
        raise Invalid("Events of this name come from inside, by themselves; choose another name.", pointer="/name")
    check_data(body.data)
    values: dict[str, Any] = {
        "name": body.name,
        "contact_id": body.contact_id,
        "msisdn": None if body.msisdn is None else await number_of(tx, body.msisdn, res),
        "data": body.data,
    }
    row = await insert_event(
        tx, {**values, "id": uuid7(now), "key": body.id, "created_by": caller.id, "received_at": now}
    )
    if row is None:
        row = await queries.get_event_of(tx, body.id, values)
        if not row.is_same:
            raise EventToldOtherwise("This id stands for another event already; give each its own.")
        response.status_code = 200
    bell.ring("bulk")
    # What it led to tells of the person: whether they are known, have opted out, lack a field.
    return _shown(row, (await queries.list_trace(tx, [row.id]))[row.id] if caller.may_read else ())


@router.get("", responses=problems(422))
async def list_events(
    tx: Reader,
    _caller: CanRead,
    page: Page,
    name: Annotated[str | None, Query(max_length=64, description="Only those of this name.")] = None,
) -> PageOut[ToldEventOut]:
    """Events, the newest first, with what each led to or why not."""
    rows = await queries.list_events(tx, name=name, before=id_of(page), limit=page.limit + 1)
    rows, cursor = page_of(rows, page, place=lambda row: {"id": row.id})
    traces = await queries.list_trace(tx, [row.id for row in rows])
    return PageOut(items=[_shown(row, traces[row.id]) for row in rows], next_cursor=cursor)


@router.get("/{event_id}", responses=problems(404))
async def get_event(event_id: EventId, tx: Reader, _caller: CanRead) -> ToldEventOut:
    """One event, and what it led to or why not."""
    row = await queries.get_event(tx, event_id)
    return _shown(row, (await queries.list_trace(tx, [event_id]))[event_id])


def _shown(row: AnyRow, trace: Sequence[AnyRow]) -> ToldEventOut:
    return ToldEventOut(
        event_id=row.id,
        id=row.key,
        name=row.name,
        contact_id=row.contact_id,
        msisdn=row.msisdn,
        data=row.data,
        status="waiting" if row.handled_at is None else "handled",
        received_at=row.received_at,
        handled_at=row.handled_at,
        led_to=[
            LedToOut(
                automation_id=each.automation_id,
                automation=each.name,
                outcome=each.outcome,
                detail=each.detail,
                message_id=each.message_id,
                at=each.at,
            )
            for each in trace
        ],
    )
