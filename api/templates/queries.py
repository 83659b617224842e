"""What templates ask of the database."""

from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, Select, delete, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.errors import Conflict, NotFound
from shared.models import Automation, Contact, TemplateRow, TemplateVersion

AnyRow = Row[Any]

_MOST_NAMED: Final = 5


class TemplateNameTaken(Conflict):
    """Another template has this name."""


class TemplateInUse(Conflict):
    """An automation that is on sends this template."""


async def insert_template(tx: AsyncConnection, values: Mapping[str, Any]) -> None:
    """Store a template with its first version."""
    try:
        await tx.execute(insert(TemplateRow).values(**values))
    except IntegrityError as error:
        raise _taken(values["name"]) from error
    await _insert_version(tx, values["id"], values, at=values["created_at"])


async def update_template(tx: AsyncConnection, template_id: UUID, values: Mapping[str, Any], *, caller: str) -> None:
    """Change a locked template; a text among the values is the version that they name."""
    try:
        await tx.execute(update(TemplateRow).where(TemplateRow.id == template_id).values(**values))
    except IntegrityError as error:
        raise _taken(values["name"]) from error
    if "text" in values:
        await _insert_version(tx, template_id, {**values, "created_by": caller}, at=values["updated_at"])


async def _insert_version(tx: AsyncConnection, template_id: UUID, values: Mapping[str, Any], *, at: Any) -> None:
    version = {name: values[name] for name in ("version", "text", "created_by")}
    await tx.execute(insert(TemplateVersion).values(template_id=template_id, created_at=at, **version))


async def get_template(tx: AsyncConnection, template_id: UUID) -> AnyRow:
    return await _one(tx, select(TemplateRow).where(TemplateRow.id == template_id))


async def lock_template(tx: AsyncConnection, template_id: UUID) -> AnyRow:
    return await _one(tx, select(TemplateRow).where(TemplateRow.id == template_id).with_for_update())


async def list_templates(tx: AsyncConnection, *, q: str | None, before: UUID | None, limit: int) -> Sequence[AnyRow]:
    """A page of templates, the newest first."""
    question = select(TemplateRow).order_by(TemplateRow.id.desc()).limit(limit)
    if q is not None:
        question = question.where(TemplateRow.name.icontains(q, autoescape=True))
    if before is not None:
        question = question.where(TemplateRow.id < before)
    return (await tx.execute(question)).all()


async def list_versions(tx: AsyncConnection, template_id: UUID, *, before: int | None, limit: int) -> Sequence[AnyRow]:
    """A page of a template's wordings, the newest first."""
    question = (
        select(TemplateVersion)
        .where(TemplateVersion.template_id == template_id)
        .order_by(TemplateVersion.version.desc())
        .limit(limit)
    )
    if before is not None:
        question = question.where(TemplateVersion.version < before)
    return (await tx.execute(question)).all()


async def get_version(tx: AsyncConnection, template_id: UUID, version: int) -> AnyRow:
    question = select(TemplateVersion).where(
        TemplateVersion.template_id == template_id, TemplateVersion.version == version
    )
    row = (await tx.execute(question)).one_or_none()
    if row is None:
        raise NotFound(f"The template has no version {version}.")
    return row


async def check_unused(tx: AsyncConnection, template_id: UUID) -> None:
    """Raise while an automation that is on sends it; the row must be locked, so that none is switched on meanwhile."""
    users = select(Automation.id, Automation.name).where(Automation.template_id == template_id, Automation.enabled)
    found = (await tx.execute(users.order_by(Automation.id))).all()
    if not found:
        return
    named = ", ".join(f"{row.name!r} ({row.id})" for row in found[:_MOST_NAMED])
    more = f" and {len(found) - _MOST_NAMED} more" if len(found) > _MOST_NAMED else ""
    raise TemplateInUse(
        f"It is sent by what is on: {named}{more}. PATCH each of these automations with another template_id, or stop "
        "it (`POST /v1/automations/{id}/stop`), first."
    )


async def delete_template(tx: AsyncConnection, template_id: UUID) -> None:
    """Take a template away with its versions. What was copied from it stays where it is."""
    await tx.execute(delete(TemplateRow).where(TemplateRow.id == template_id))


async def get_contact(tx: AsyncConnection, contact_id: UUID) -> AnyRow:
    row = (await tx.execute(select(Contact).where(Contact.id == contact_id))).one_or_none()
    if row is None:
        raise NotFound(f"There is no contact {contact_id}.")
    return row


async def _one(tx: AsyncConnection, question: Select[Any]) -> AnyRow:
    row: AnyRow | None = (await tx.execute(question)).one_or_none()
    if row is None:
        raise NotFound("There is no template with this id.")
    return row


def _taken(name: str) -> TemplateNameTaken:
    return TemplateNameTaken(f"There is a template named {name!r} already; choose another name.", pointer="/name")
