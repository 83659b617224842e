"""What field definitions ask of the database."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar, Final

from sqlalchemy import ColumnElement, Row, and_, cast, func, literal, not_, select, update
from sqlalchemy.dialects.postgresql import JSONB, JSONPATH, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.domain.contact_field import Definition, FieldType
from shared.errors import Conflict, NotFound
from shared.models import Contact, ContactField, TargetGroup

AnyRow = Row[Any]
_COLUMNS: Final = (*ContactField.__table__.columns, ContactField.defined_at.is_not(None).label("defined"))


class ContactFieldExists(Conflict):
    """The field has a definition already."""

    remedy: ClassVar[str] = "Change the definition that is there, or delete it first."


class ContactFieldInUse(Conflict):
    """A target group's conditions are built on this field's type."""

    remedy: ClassVar[str] = "Change or delete the target group that `detail` names."


async def define_field(tx: AsyncConnection, values: Mapping[str, Any]) -> None:
    """Give a field its type, be it new or seen before; not beside one whose name differs in its case only."""
    alike = await tx.scalar(
        select(ContactField.key)
        .where(
            func.lower(ContactField.key) == func.lower(values["key"]),
            ContactField.key != values["key"],
            ContactField.defined_at.is_not(None),
        )
        .limit(1)
    )
    if alike is not None:
        raise ContactFieldExists(
            f"The field {alike} is defined already, and an import would take one for the other: use that one, or "
            "delete its definition first.",
            pointer="/key",
        )
    given = {name: value for name, value in values.items() if name != "created_at"}
    statement = (
        insert(ContactField)
        .values(**values)
        .on_conflict_do_update(index_elements=[ContactField.key], set_=given, where=ContactField.defined_at.is_(None))
        .returning(ContactField.key)
    )
    if (await tx.execute(statement)).one_or_none() is None:
        raise ContactFieldExists(f"The field {values['key']} is defined already; change that one, or delete it first.")


async def update_field(tx: AsyncConnection, key: str, values: Mapping[str, Any]) -> None:
    await tx.execute(update(ContactField).where(ContactField.key == key).values(**values))


async def undefine_field(tx: AsyncConnection, key: str, *, now: datetime) -> None:
    """Take the definition away; the key stays known, for somebody may have it."""
    await update_field(
        tx,
        key,
        {
            "type": FieldType.TEXT,
            "choices": [],
            "description": None,
            "defined_at": None,
            "defined_by": None,
            "updated_at": now,
        },
    )


async def get_field(tx: AsyncConnection, key: str) -> AnyRow:
    row = (await tx.execute(select(*_COLUMNS).where(ContactField.key == key))).one_or_none()
    if row is None:
        raise NotFound("There is no field with this key.")
    return row


async def lock_definition(tx: AsyncConnection, key: str) -> AnyRow:
    """A defined field, held so that nobody builds on it meanwhile."""
    question = select(ContactField).where(ContactField.key == key, ContactField.defined_at.is_not(None))
    row = (await tx.execute(question.with_for_update())).one_or_none()
    if row is None:
        raise NotFound("There is no definition of a field with this key.")
    return row


async def list_fields(tx: AsyncConnection, *, after: str | None, limit: int) -> Sequence[AnyRow]:
    """A page of fields by their keys."""
    question = select(*_COLUMNS).order_by(ContactField.key).limit(limit)
    if after is not None:
        question = question.where(ContactField.key > after)
    return (await tx.execute(question)).all()


async def find_group_on(tx: AsyncConnection, key: str) -> str | None:
    """The name of a target group whose conditions name this field."""
    names = func.jsonb_path_exists(
        TargetGroup.conditions, cast("$.**.field ? (@ == $field)", JSONPATH), cast({"field": f"fields.{key}"}, JSONB)
    )
    found: str | None = await tx.scalar(
        select(TargetGroup.name).where(TargetGroup.conditions.is_not(None), names).order_by(TargetGroup.name).limit(1)
    )
    return found


async def count_unfit(tx: AsyncConnection, definition: Definition, *, most: int) -> int:
    """How many contacts have a value that the definition would not keep as it is."""
    value = Contact.fields[definition.key]
    some = select(literal(1)).where(value.is_not(None), not_(_fits(value, definition))).limit(most).subquery()
    return (await tx.execute(select(func.count()).select_from(some))).scalar_one()


def _fits(value: Any, definition: Definition) -> ColumnElement[bool]:
    kind = func.jsonb_typeof(value)
    match definition.type:
        case FieldType.TEXT:
            return kind == "string"
        case FieldType.NUMBER:
            return kind == "number"
        case FieldType.BOOLEAN:
            return kind == "boolean"
        case FieldType.DATE:
            return and_(kind == "string", value.astext.regexp_match(r"^\d{4}-\d{2}-\d{2}$"))
        case FieldType.CHOICE:
            return and_(kind == "string", value.astext.in_(definition.choices))
