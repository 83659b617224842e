"""Field definitions over HTTP: a field of the owner's own, and what its values may be."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Response

from api.contact_fields import queries
from api.contact_fields.schemas import MOST_COUNTED, ContactFieldIn, ContactFieldOut, ContactFieldPatch, DefinedFieldOut
from api.deps import CanManage, CanRead, Deeds, Now, Page, Reader, Tx
from api.idempotency import IdempotentRoute
from api.paging import PageOut, page_of
from api.places import mark_of
from api.problems import problems
from shared.domain.contact import problem_of_field
from shared.domain.contact_field import Definition, FieldType
from shared.errors import Invalid

router = APIRouter(prefix="/contact-fields", tags=["contact fields"], route_class=IdempotentRoute)

Key = Annotated[str, Path(description="The field's key.", max_length=200)]


@router.post("", status_code=201, responses=problems(queries.ContactFieldExists, queries.ContactFieldInUse, 422))
async def define_contact_field(
    body: ContactFieldIn, tx: Tx, caller: CanManage, now: Now, deeds: Deeds
) -> DefinedFieldOut:
    """Give a field of your own a type. Values that do not fit are refused from now on; what is there stays."""
    if problem := problem_of_field(body.key, ""):
        raise Invalid(problem, pointer="/key")
    choices = tuple(_once(body.choices))
    if body.type is not FieldType.TEXT:
        await _refuse_if_used(tx, body.key, "takes it for a text")
    await queries.define_field(
        tx,
        {
            "key": body.key,
            "type": body.type,
            "choices": list(choices),
            "description": body.description,
            "defined_at": now,
            "defined_by": caller.id,
            "created_at": now,
            "updated_at": now,
        },
    )
    await deeds.write("contact_field.defined", ("contact_field", body.key), {"type": body.type})
    unfit = await queries.count_unfit(tx, Definition(body.key, body.type, choices), most=MOST_COUNTED)
    row = await queries.get_field(tx, body.key)
    return DefinedFieldOut.model_validate({**row._mapping, "unfit": unfit})  # noqa: SLF001 - SQLAlchemy's public name


@router.get("", responses=problems(422))
async def list_contact_fields(tx: Reader, _caller: CanRead, page: Page) -> PageOut[ContactFieldOut]:
    """Every field that is defined, or that some contact was given, by key."""
    mark = mark_of(page)
    rows = await queries.list_fields(tx, after=None if mark is None else mark.text("key"), limit=page.limit + 1)
    shown, cursor = page_of(rows, page, place=lambda row: {"key": row.key})
    return PageOut(items=[ContactFieldOut.model_validate(row) for row in shown], next_cursor=cursor)


@router.get("/{key}", responses=problems(404))
async def get_contact_field(key: Key, tx: Reader, _caller: CanRead) -> ContactFieldOut:
    """One field."""
    return ContactFieldOut.model_validate(await queries.get_field(tx, key))


@router.patch("/{key}", responses=problems(404, 422))
async def change_contact_field(
    key: Key, body: ContactFieldPatch, tx: Tx, _caller: CanManage, now: Now, deeds: Deeds
) -> ContactFieldOut:
    """Change what a defined field says of itself, or which choices it has."""
    row = await queries.lock_definition(tx, key)
    values: dict[str, Any] = body.model_dump(exclude_unset=True)
    if values.get("choices") is None:
        values.pop("choices", None)
    elif row.type is not FieldType.CHOICE:
        raise Invalid(f"The field {key} is a {row.type}; only a choice has choices.", pointer="/choices")
    else:
        values["choices"] = _once(values["choices"])
    if values:
        await queries.update_field(tx, key, {**values, "updated_at": now})
        before = {name: getattr(row, name) for name in values}
        await deeds.write_difference("contact_field.changed", ("contact_field", key), before, values)
    return ContactFieldOut.model_validate(await queries.get_field(tx, key))


@router.delete("/{key}", status_code=204, responses=problems(404, queries.ContactFieldInUse))
async def delete_contact_field(key: Key, tx: Tx, _caller: CanManage, now: Now, deeds: Deeds) -> Response:
    """Take a definition away; contacts keep their values, and any value will do again."""
    await queries.lock_definition(tx, key)
    await _refuse_if_used(tx, key, "is built on its type")
    await queries.undefine_field(tx, key, now=now)
    await deeds.write("contact_field.deleted", ("contact_field", key), {})
    return Response(status_code=204)


async def _refuse_if_used(tx: Tx, key: str, how: str) -> None:
    group = await queries.find_group_on(tx, key)
    if group is not None:
        raise queries.ContactFieldInUse(
            f"The target group {group!r} has a condition on fields.{key} and {how}; change or delete the group first."
        )


def _once(choices: list[str]) -> list[str]:
    """Each choice once, in any case; two that differ in their case only could not be told apart."""
    by_form: dict[str, str] = {}
    for place, choice in enumerate(choices):
        if by_form.setdefault(choice.casefold(), choice) is not choice and by_form[choice.casefold()] != choice:
            raise Invalid(
                f"{choice!r} differs from another choice in its case only; leave one out.", pointer=f"/choices/{place}"
            )
    return list(by_form.values())
