"""Templates over HTTP: kept texts, their versions, and how one would read for somebody."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Path, Query, Response
from sqlalchemy.ext.asyncio import AsyncConnection

from api.deps import CanManage, CanRead, Now, Page, Reader, RequestId, Tx
from api.examples import answered
from api.idempotency import AskingRoute, IdempotentRoute
from api.paging import PageOut, page_of
from api.places import id_of, version_of
from api.problems import problems
from api.templates import examples, queries
from api.templates.schemas import RenderedOut, RenderIn, TemplateIn, TemplateOut, TemplatePatch, TemplateVersionOut
from api.texts.checks import find_unfit
from api.texts.schemas import measured
from shared.domain import strange_tags
from shared.domain.tag_values import InvalidVariables, values_of
from shared.domain.template import TEMPLATE_TAGS, InvalidTemplate, TextTooLong, compile_template
from shared.errors import Invalid
from shared.ids import uuid7
from shared.queries import audit
from shared.queries.policy import get_policy

router = APIRouter(prefix="/templates", tags=["templates"], route_class=IdempotentRoute)
asking = APIRouter(route_class=AskingRoute)

TemplateId = Annotated[UUID, Path(description="The template's id.")]
_REFUSED = (queries.TemplateNameTaken, InvalidTemplate, TextTooLong)


@router.post("", status_code=201, responses={**problems(*_REFUSED), **answered(examples.NEW, status=201)})
async def create_template(body: TemplateIn, tx: Tx, caller: CanManage, now: Now, request_id: RequestId) -> TemplateOut:
    """Keep a text to be used again. It may hold any tag; where it is used decides which have a value there."""
    await _check(tx, body.text)
    template_id = uuid7(now)
    await queries.insert_template(
        tx,
        {
            "id": template_id,
            "name": body.name,
            "text": body.text,
            "version": 1,
            "created_by": caller.id,
            "created_at": now,
            "updated_at": now,
        },
    )
    await _record(tx, caller.id, "template.created", template_id, {"name": body.name}, (now, request_id))
    return _shown(await queries.get_template(tx, template_id))


@router.get("", responses=problems(422))
async def list_templates(
    tx: Reader,
    _caller: CanRead,
    page: Page,
    q: Annotated[str | None, Query(min_length=1, max_length=200, description="A part of the name.")] = None,
) -> PageOut[TemplateOut]:
    """Templates, the newest first."""
    rows = await queries.list_templates(tx, q=q, before=id_of(page), limit=page.limit + 1)
    shown, cursor = page_of(rows, page, place=lambda row: {"id": row.id})
    return PageOut(items=[_shown(row) for row in shown], next_cursor=cursor)


@router.get("/{template_id}", responses=problems(404))
async def get_template(template_id: TemplateId, tx: Reader, _caller: CanRead) -> TemplateOut:
    """One template in its newest wording."""
    return _shown(await queries.get_template(tx, template_id))


@router.patch("/{template_id}", responses=problems(404, *_REFUSED))
async def change_template(
    template_id: TemplateId, body: TemplatePatch, tx: Tx, caller: CanManage, now: Now, request_id: RequestId
) -> TemplateOut:
    """Rename a template, or give it a new version. What was copied from it before stays as it is."""
    template = await queries.lock_template(tx, template_id)
    values: dict[str, Any] = {}
    if body.name and body.name != template.name:
        values["name"] = body.name
    if body.text and body.text != template.text:
        await _check(tx, body.text)
        values |= {"text": body.text, "version": template.version + 1}
    if values:
        await queries.update_template(tx, template_id, {**values, "updated_at": now}, caller=caller.id)
        detail = {name: value for name, value in values.items() if name != "text"}
        await _record(tx, caller.id, "template.changed", template_id, detail, (now, request_id))
    return _shown(await queries.get_template(tx, template_id))


@router.delete("/{template_id}", status_code=204, responses=problems(404, queries.TemplateInUse))
async def delete_template(
    template_id: TemplateId, tx: Tx, caller: CanManage, now: Now, request_id: RequestId
) -> Response:
    """Take a template away with its versions, unless an automation that is on sends it.

    Campaigns, and messages that wait, keep the text that they copied.
    """
    template = await queries.lock_template(tx, template_id)
    await queries.check_unused(tx, template_id)
    await queries.delete_template(tx, template_id)
    await _record(tx, caller.id, "template.deleted", template_id, {"name": template.name}, (now, request_id))
    return Response(status_code=204)


@router.get("/{template_id}/versions", responses=problems(404, 422))
async def list_template_versions(
    template_id: TemplateId, tx: Reader, _caller: CanRead, page: Page
) -> PageOut[TemplateVersionOut]:
    """Every wording that the template ever had, the newest first."""
    await queries.get_template(tx, template_id)
    rows = await queries.list_versions(tx, template_id, before=version_of(page), limit=page.limit + 1)
    shown, cursor = page_of(rows, page, place=lambda row: {"version": row.version})
    return PageOut(items=[TemplateVersionOut.model_validate(row) for row in shown], next_cursor=cursor)


@asking.post("/{template_id}/render", responses=problems(404, InvalidVariables, TextTooLong))
async def render_template(template_id: TemplateId, body: RenderIn, tx: Reader, _caller: CanRead) -> RenderedOut:
    """The text as it would read for a contact or with these variables: what is missing, and what it takes."""
    template = await queries.get_template(tx, template_id)
    wording = template if body.version is None else await queries.get_version(tx, template_id, body.version)
    contact = None if body.contact_id is None else await queries.get_contact(tx, body.contact_id)
    try:
        values = values_of(msisdn=contact and contact.msisdn, contact=contact, variables=body.variables)
    except InvalidVariables as refusal:
        raise refusal.at("/variables") from None
    filled = compile_template(wording.text, known=TEMPLATE_TAGS).fill(values)
    return RenderedOut(text=filled.text, missing=list(filled.missing), version=wording.version, **measured(filled.text))


router.include_router(asking)


async def _check(tx: AsyncConnection, text: str) -> None:
    """Refuse a text that could not be sent to anybody."""
    try:
        unfit = find_unfit(compile_template(text, known=TEMPLATE_TAGS), await get_policy(tx))
    except Invalid as refusal:
        raise refusal.at("/text") from None
    if unfit:
        raise Invalid(unfit, pointer="/text")


def _shown(row: queries.AnyRow) -> TemplateOut:
    tags = compile_template(row.text, known=TEMPLATE_TAGS).tags
    told = list(strange_tags.warnings(row.text, known=TEMPLATE_TAGS))
    return TemplateOut.model_validate({**row._mapping, "tags": tags, "warnings": told})  # noqa: SLF001 - SQLAlchemy's public name


async def _record(
    tx: Tx, caller: str, action: str, template_id: UUID, detail: dict[str, Any], when: tuple[Any, str]
) -> None:
    now, request_id = when
    await audit.record(
        tx,
        caller=caller,
        action=action,
        subject=("template", str(template_id)),
        detail=detail,
        now=now,
        request_id=request_id,
    )
