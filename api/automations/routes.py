"""Automations over HTTP: made, tried without sending, stopped."""

from collections.abc import Sequence
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Path, Query
from sqlalchemy.ext.asyncio import AsyncConnection

from api.automations import queries
from api.automations.people import check_data, person_of
from api.automations.queries import AnyRow, AutomationNameTaken
from api.automations.schemas import (
    AutomationIn,
    AutomationOut,
    AutomationPatch,
    ConditionIn,
    DryRunIn,
    DryRunOut,
    StoppedOut,
)
from api.deps import Bell, CanManage, CanRead, Deeds, Now, Page, Reader, Res, Tx
from api.idempotency import AskingRoute, IdempotentRoute
from api.paging import PageOut, page_of
from api.places import id_of
from api.problems import problems
from api.sentences import describe
from shared.domain import policy as rules
from shared.domain import strange_tags
from shared.domain.automation import Condition, InvalidAutomation, UnknownTemplate, find_unfit
from shared.domain.automation_plan import Given, plan
from shared.domain.tag_values import InvalidVariables
from shared.domain.template import TEMPLATE_TAGS
from shared.errors import Conflict, FieldError
from shared.ids import uuid7
from shared.queries.automations import count_lately
from shared.queries.policy import get_policy
from shared.queries.sender_ids import find_sender
from shared.queries.templates import find_text, find_texts
from shared.sealing import hash_msisdn

router = APIRouter(prefix="/automations", tags=["automations"], route_class=IdempotentRoute)
asking = APIRouter(route_class=AskingRoute)

AutomationId = Annotated[UUID, Path(description="The automation's id.")]
_COLUMNS = ("name", "event", "template_id", "delay_seconds", "sender_id", "respect_quiet_hours", "enabled")


IS_OFF = "The automation is off, so an event leads to nothing; PATCH it with enabled true to have it answer."


class AutomationOn(Conflict):
    """The automation is on. Stop it first, so that it is clear what becomes of what waits."""


@router.post("", status_code=201, responses=problems(404, AutomationNameTaken, UnknownTemplate, InvalidAutomation))
async def create_automation(
    body: AutomationIn, tx: Tx, caller: CanManage, now: Now, deeds: Deeds, bell: Bell
) -> AutomationOut:
    """Say that a template goes out when an event comes. It counts for events from now on."""
    await _check(tx, body.template_id, body.sender_id, body.conditions)
    values = {name: getattr(body, name) for name in _COLUMNS} | _stored(body.conditions) | _cap(body)
    row = await queries.insert_automation(
        tx, {**values, "id": uuid7(now), "created_by": caller.id, "created_at": now, "updated_at": now}
    )
    await deeds.write("automation.created", ("automation", row.id), _told(row))
    bell.ring("bulk")
    return (await shown(tx, [row]))[0]


@router.get("", responses=problems(422))
async def list_automations(
    tx: Reader,
    _caller: CanRead,
    page: Page,
    event: Annotated[str | None, Query(max_length=64, description="Only those that wait for this event.")] = None,
) -> PageOut[AutomationOut]:
    """Automations, the newest first."""
    rows = await queries.list_automations(tx, event=event, before=id_of(page), limit=page.limit + 1)
    rows, cursor = page_of(rows, page, place=lambda row: {"id": row.id})
    return PageOut(items=await shown(tx, rows), next_cursor=cursor)


@router.get("/{automation_id}", responses=problems(404))
async def get_automation(automation_id: AutomationId, tx: Reader, _caller: CanRead) -> AutomationOut:
    """One automation."""
    row = await queries.get_automation(tx, automation_id)
    return (await shown(tx, [row]))[0]


@router.patch("/{automation_id}", responses=problems(404, AutomationNameTaken, UnknownTemplate, InvalidAutomation))
async def change_automation(
    automation_id: AutomationId, body: AutomationPatch, tx: Tx, _caller: CanManage, now: Now, deeds: Deeds
) -> AutomationOut:
    """Change what is given. It counts for events that are looked at from now on; what waits already stays as it is."""
    row = await queries.get_automation(tx, automation_id, lock=True)
    # One that is switched on needs its template, which may have been deleted while it was off.
    needed = row.template_id if body.template_id is None and body.enabled else body.template_id
    await _check(tx, needed, body.sender_id, body.conditions or ())
    if body.name is not None:
        await queries.check_name_free(tx, body.name, besides=automation_id)
    given = {name: getattr(body, name) for name in _COLUMNS if name in body.model_fields_set}
    changes = {name: value for name, value in given.items() if value is not None or name == "sender_id"}
    if body.conditions is not None:
        changes |= _stored(body.conditions)
    if "cap" in body.model_fields_set:
        changes |= _cap(body)
    if changes:
        changed = await queries.update_automation(tx, automation_id, {**changes, "updated_at": now})
        await deeds.write_difference("automation.changed", ("automation", automation_id), _told(row), _told(changed))
        row = changed
    return (await shown(tx, [row]))[0]


@router.post("/{automation_id}/stop", responses=problems(404))
async def stop_automation(
    automation_id: AutomationId, tx: Tx, _caller: CanManage, now: Now, deeds: Deeds, bell: Bell
) -> StoppedOut:
    """Switch it off, and call back every message of it that still waits. `PATCH` switches it on again."""
    row = await queries.get_automation(tx, automation_id, lock=True)
    cancelled = await queries.cancel_waiting(tx, automation_id, now)
    if row.enabled or cancelled:
        row = await queries.update_automation(tx, automation_id, {"enabled": False, "updated_at": now})
        await deeds.write("automation.stopped", ("automation", automation_id), {"cancelled": cancelled})
    bell.ring("bulk")
    return StoppedOut(cancelled=cancelled, automation=(await shown(tx, [row]))[0])


@router.delete("/{automation_id}", status_code=204, responses=problems(404, AutomationOn))
async def delete_automation(automation_id: AutomationId, tx: Tx, _caller: CanManage, deeds: Deeds) -> None:
    """Delete an automation that is off, with the record of what events led to by it. Its messages stay."""
    row = await queries.get_automation(tx, automation_id, lock=True)
    if row.enabled:
        raise AutomationOn("The automation is on; stop it first (`POST /v1/automations/{id}/stop`).")
    await queries.delete_automation(tx, automation_id)
    await deeds.write("automation.deleted", ("automation", automation_id), {"name": row.name})


@asking.post("/{automation_id}/dry-run", responses=problems(404, InvalidVariables))
async def try_automation(
    automation_id: AutomationId, body: DryRunIn, tx: Reader, _caller: CanRead, now: Now, res: Res
) -> DryRunOut:
    """What an event with this data would lead to for this person, right now. Nothing is sent and nothing is kept.

    An automation that is off is tried as if it were on, and `warnings` say that it is not.
    """
    check_data(body.data)
    row = await queries.get_automation(tx, automation_id)
    person = await person_of(tx, row.sender_id, contact_id=body.contact_id, msisdn=body.msisdn, res=res)
    hashed = None if person is None else hash_msisdn(res.pepper, person.msisdn)
    lately = await count_lately(tx, row, [hashed] if hashed else [], now=now)
    text = await find_text(tx, row.template_id)
    given = Given(
        data=body.data,
        person=person,
        text=None if text is None else text.text,
        recent=lately.get(hashed, 0) if hashed else 0,
        policy=await get_policy(tx),
        now=now,
    )
    made = plan(row, given)
    return DryRunOut(
        outcome=made.outcome,
        detail=made.detail,
        text=made.text or None,
        segments=made.measured.segments if made.measured else None,
        not_before=made.not_before,
        warnings=[] if row.enabled else [IS_OFF],
    )


router.include_router(asking)


async def _check(
    tx: AsyncConnection, template_id: UUID | None, sender_id: str | None, conditions: Sequence[ConditionIn]
) -> None:
    if template_id is not None and not await queries.hold_template(tx, template_id):
        raise UnknownTemplate(
            f"There is no template {template_id}; give the template_id of one of those that `GET /v1/templates` lists.",
            pointer="/template_id",
        )
    errors = [
        FieldError(f"/conditions/{place}/value", told)
        for place, condition in enumerate(conditions)
        if (told := find_unfit(Condition.read(condition.model_dump(mode="json"))))
    ]
    if told := await _find_sender_unfit(tx, sender_id):
        errors.append(FieldError("/sender_id", told))
    if errors:
        detail = errors[0].detail if len(errors) == 1 else describe(errors)
        raise InvalidAutomation(detail, errors=errors)


async def _find_sender_unfit(tx: AsyncConnection, sender_id: str | None) -> str | None:
    if sender_id is not None and await find_sender(tx, sender_id) is None:
        return f"There is no sender {sender_id!r}; register it under /v1/sender-ids, or leave it out."
    return rules.find_sender_refused(await get_policy(tx), sender_id)


def _stored(conditions: Sequence[ConditionIn]) -> dict[str, Any]:
    return {"conditions": [condition.model_dump(mode="json") for condition in conditions]}


def _cap(body: AutomationIn | AutomationPatch) -> dict[str, Any]:
    cap = body.cap
    return {"cap_messages": cap.messages if cap else None, "cap_hours": cap.hours if cap else None}


def _told(row: AnyRow) -> dict[str, Any]:
    told = {name: getattr(row, name) for name in (*_COLUMNS, "conditions", "cap_messages", "cap_hours")}
    return told | {"template_id": str(row.template_id)}


async def shown(tx: AsyncConnection, rows: Sequence[AnyRow]) -> list[AutomationOut]:
    texts = await find_texts(tx, {row.template_id for row in rows})
    return [_shown(row, texts[row.template_id].text if row.template_id in texts else "") for row in rows]


def _shown(row: AnyRow, text: str) -> AutomationOut:
    cap = None if row.cap_messages is None else {"messages": row.cap_messages, "hours": row.cap_hours}
    told = list(strange_tags.warnings(text, known=TEMPLATE_TAGS))
    return AutomationOut(**{**row._mapping, "cap": cap, "warnings": told})  # noqa: SLF001 - SQLAlchemy's public name for a row as a mapping
