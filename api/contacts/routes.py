"""Contacts over HTTP: one for each number."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query, Response

from api.consents.statements import keep_consent
from api.contacts import examples, queries
from api.contacts.schemas import ContactIn, ContactOut, ContactPatch
from api.contacts.values import values_of
from api.contacts.views import shown_contact, shown_contacts
from api.deps import Bell, CanManage, CanRead, Deeds, Now, Page, Reader, Res, Tx
from api.examples import answered
from api.idempotency import IdempotentRoute
from api.paging import PageOut, encode_cursor
from api.places import id_of
from api.problems import problems
from api.regions import asked_number, usual_region
from shared.domain.automation import CONTACT_ADDED
from shared.domain.contact import InvalidContact
from shared.ids import uuid7
from shared.queries.automations import tell_inside
from shared.queries.contact_fields import find_fields, note_keys

router = APIRouter(prefix="/contacts", tags=["contacts"], route_class=IdempotentRoute)

ContactId = Annotated[UUID, Path(description="The contact's id.")]
Text = Annotated[str | None, Query(min_length=1, max_length=200)]


@router.post("", status_code=201, responses=problems(queries.ContactExists, InvalidContact))
async def create_contact(  # noqa: PLR0913, PLR0917 - what a route asks for, by name
    body: ContactIn, tx: Tx, caller: CanManage, now: Now, res: Res, deeds: Deeds, bell: Bell
) -> ContactOut:
    """Store a person. A number has one contact: a second is refused, and the refusal names the first."""
    known = await find_fields(tx, body.fields)
    region = await usual_region(tx, res.default_region)
    values = values_of(body, default_region=region, fields={}, definitions=known.definitions, now=now)
    await note_keys(tx, _given(body) - known.keys, now=now)
    row = await queries.insert_contact(tx, {"id": uuid7(now), **values, "created_at": now, "updated_at": now})
    await keep_consent(tx, row, None, pepper=res.pepper, caller=caller.id, now=now)
    await deeds.write("contact.created", ("contact", row.id), {})
    if await tell_inside(tx, CONTACT_ADDED, contact_id=row.id, now=now):
        bell.ring("bulk")
    return await shown_contact(tx, row, pepper=res.pepper)


@router.get("", responses=problems(422))
async def list_contacts(  # noqa: PLR0913, PLR0917 - what a route asks for, by name
    tx: Reader,
    _caller: CanRead,
    page: Page,
    res: Res,
    now: Now,
    msisdn: Annotated[str | None, Query(description="In any notation.")] = None,
    q: Annotated[Text, Query(description="A part of the name, in any case, or of the number, in any notation.")] = None,
    external_id: Annotated[Text, Query(description="Your own id of the person, whole.")] = None,
    target_group_id: Annotated[UUID | None, Query(description="Members of this group.")] = None,
) -> PageOut[ContactOut]:
    """Contacts, the newest first.

    `q` is looked for among the next 200,000 contacts: a page may hold fewer than `limit`, or none. Read on while there
    is a `next_cursor`.
    """
    wanted = queries.Filter(
        msisdn=None if msisdn is None else await asked_number(tx, msisdn, res.default_region),
        q=q,
        external_id=external_id,
        target_group_id=target_group_id,
    )
    found = await queries.list_contacts(tx, wanted, before=id_of(page), limit=page.limit, now=now)
    cursor = None if found.further is None else encode_cursor({"id": found.further})
    return PageOut(items=await shown_contacts(tx, found.rows, pepper=res.pepper), next_cursor=cursor)


@router.get("/{contact_id}", responses=problems(404))
async def get_contact(contact_id: ContactId, tx: Reader, _caller: CanRead, res: Res) -> ContactOut:
    """One contact."""
    return await shown_contact(tx, await queries.get_contact(tx, contact_id), pepper=res.pepper)


@router.patch(
    "/{contact_id}", responses={**problems(404, queries.ContactExists, InvalidContact), **answered(examples.CHANGED)}
)
async def change_contact(  # noqa: PLR0913, PLR0917 - what a route asks for, by name
    contact_id: ContactId, body: ContactPatch, tx: Tx, caller: CanManage, now: Now, res: Res, deeds: Deeds, bell: Bell
) -> ContactOut:
    """Change what is given; `fields` are merged, and null deletes a key.

    Who withdraws their consent gets no message of a campaign any more: those that wait are called back.
    """
    row = await queries.lock_contact(tx, contact_id)
    known = await find_fields(tx, body.fields)
    region = await usual_region(tx, res.default_region)
    values = values_of(body, default_region=region, fields=row.fields, definitions=known.definitions, now=now)
    if values:
        await note_keys(tx, _given(body) - known.keys, now=now)
        changed = await queries.update_contact(tx, contact_id, {**values, "updated_at": now})
        # Which, not what: the trail outlives the person's own record.
        names = sorted(name for name in values if getattr(row, name) != getattr(changed, name))
        if names:
            await deeds.write("contact.changed", ("contact", contact_id), {"changed": names})
        if await keep_consent(tx, changed, row, pepper=res.pepper, caller=caller.id, now=now):
            bell.ring("bulk")
        row = changed
    return await shown_contact(tx, row, pepper=res.pepper)


@router.delete("/{contact_id}", status_code=204, responses=problems(404))
async def delete_contact(contact_id: ContactId, tx: Tx, _caller: CanManage, deeds: Deeds) -> Response:
    """Forget a contact. Messages to the number stay in the log, and so does its opt-out."""
    await queries.lock_contact(tx, contact_id)
    await queries.delete_contact(tx, contact_id)
    await deeds.write("contact.delete", ("contact", contact_id), {})
    return Response(status_code=204)


def _given(body: ContactIn | ContactPatch) -> set[str]:
    """The keys that somebody will have a value for."""
    return {key for key, value in body.fields.items() if value is not None}
