"""Evidence of consent over HTTP: of one contact with all that bears on it, and of everybody as CSV."""

from collections.abc import AsyncIterator, Sequence
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Path

from api.consents import queries
from api.consents.schemas import EXPORTED, AcknowledgedOut, EvidenceOut, StatementOut
from api.contacts import queries as contacts
from api.deps import CanRead, Reader, Res
from api.examples import answered
from api.exports import PAGE, CsvResponse, Line, StyleAsked, csv_answer, moment_text
from api.problems import problems
from api.resources import Resources
from shared.db import reading
from shared.sealing import hash_msisdn

router = APIRouter(tags=["contacts"])

HEAD: Final = ("contact_id", "msisdn", "status", "source", "at", "recorded_at", "recorded_by")


@router.get(
    "/consents/export.csv",
    response_class=CsvResponse,
    responses={**problems(422), **answered(EXPORTED, media_type="text/csv")},
)
async def export_consents(_caller: CanRead, res: Res, style: StyleAsked = "spreadsheet") -> CsvResponse:
    """Every statement of consent that was ever recorded, oldest first; without a number once the contact is gone."""
    return csv_answer(HEAD, _pages(res), style=style, file_name="consents")


async def _pages(resources: Resources) -> AsyncIterator[Sequence[Line]]:
    after: UUID | None = None
    while True:
        async with reading(resources.engine) as tx:
            rows = await queries.list_all_statements(tx, after=after, limit=PAGE)
        if rows:
            yield [
                [
                    str(row.contact_id),
                    row.msisdn,
                    row.status,
                    row.source,
                    moment_text(row.at),
                    moment_text(row.recorded_at),
                    row.recorded_by,
                ]
                for row in rows
            ]
        if len(rows) < PAGE:
            return
        after = rows[-1].id


@router.get("/contacts/{contact_id}/evidence", responses=problems(404))
async def show_evidence(
    contact_id: Annotated[UUID, Path(description="The contact's id.")], tx: Reader, _caller: CanRead, res: Res
) -> EvidenceOut:
    """What a contact agreed to, when and where, what they took back, and who vouched for the campaigns they got."""
    contact = await contacts.get_contact(tx, contact_id)
    msisdn_hash = hash_msisdn(res.pepper, contact.msisdn)
    statements = await queries.list_statements(tx, contact_id, msisdn_hash)
    campaigns = await queries.list_campaigns(tx, contact.msisdn)
    opt_out = await queries.find_opt_out(tx, msisdn_hash)
    return EvidenceOut(
        contact_id=contact.id,
        msisdn=contact.msisdn,
        consent_status=contact.consent_status,
        consent_source=contact.consent_source,
        consent_at=contact.consent_at,
        statements=[StatementOut.model_validate(row) for row in statements],
        opted_out_at=opt_out.at if opt_out else None,
        opted_out_of=opt_out.sender_ids if opt_out else None,
        campaigns=[AcknowledgedOut.model_validate(row) for row in campaigns],
    )
