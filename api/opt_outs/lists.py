"""Opt-outs by the list: those of another system taken in, all of ours given out."""

from collections.abc import AsyncIterator, Sequence
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, File, Form, UploadFile

from api import example_world as world
from api.deps import Bell, CanManage, CanRead, Deeds, Now, Res, Tx
from api.examples import answered, asked_as
from api.exports import PAGE, CsvResponse, Line, StyleAsked, csv_answer
from api.idempotency import IdempotentRoute
from api.imports import examples
from api.imports.queries import get_import
from api.imports.schemas import ImportOut
from api.imports.upload import check_file, read_region, store_file
from api.limits import IMPORT_LIMIT
from api.messages.export import shown_value
from api.opt_outs import queries
from api.opt_outs.schemas import OptOutsIn, OptOutsOut, RejectedOut
from api.opt_outs.senders import InvalidOptOut, read_senders
from api.problems import problems
from api.regions import region_of, usual_region
from api.resources import Resources
from shared.db import reading
from shared.domain import msisdn as numbers
from shared.errors import Invalid
from shared.queries.opt_outs import NewOptOut, insert_opt_outs
from shared.sealing import hash_msisdn

router = APIRouter(prefix="/opt-outs", tags=["opt-outs"], route_class=IdempotentRoute)

COLUMNS: Final = ("msisdn", "sender_id", "source", "gateway_id", "at")
EXPORTED: Final = (
    "msisdn,sender_id,source,gateway_id,at\r\n"
    f"'{world.OTHER_MSISDN},'{world.OUR_NUMBER},inbound,{world.GATEWAY},{world.DAY_AFTER}\r\n"
)


@router.post("/import", responses=problems(InvalidOptOut))
async def import_opt_outs(
    wanted: OptOutsIn, tx: Tx, _caller: CanManage, now: Now, res: Res, deeds: Deeds
) -> OptOutsOut:
    """Keep the no of up to 10,000 people. A number that cannot be read is told, and stops none of the others."""
    try:
        region = region_of(wanted.default_region, await usual_region(tx, res.default_region))
    except Invalid as refusal:
        raise refusal.at("/default_region") from None
    senders = read_senders(wanted.sender_ids)
    said: list[NewOptOut] = []
    rejected: list[RejectedOut] = []
    for place, raw in enumerate(wanted.msisdns):
        try:
            msisdn = numbers.parse(raw, default_region=region)
        except Invalid as refusal:
            rejected.append(RejectedOut(place=place, reason=refusal.detail))
        else:
            said.append(NewOptOut(msisdn, hash_msisdn(res.pepper, msisdn), "import", sender_ids=senders))
    added = len(await insert_opt_outs(tx, said, now=now))
    told = {"added": added, "rejected": len(rejected), "sender_ids": wanted.sender_ids}
    await deeds.write("opt_outs.imported", ("opt_outs", None), told)
    return OptOutsOut(added=added, already=len(said) - added, rejected=rejected)


@router.post(
    "/import.csv",
    status_code=202,
    max_body_size=IMPORT_LIMIT,
    form_limits={"max_files": 1, "max_fields": 2},
    openapi_extra=asked_as({"file": EXPORTED, "default_region": "US"}, media_type="multipart/form-data"),
    responses={**problems(413, 422), **answered(examples.OPT_OUTS_QUEUED, status=202)},
)
async def upload_opt_outs(  # noqa: PLR0913, PLR0917 - what a route asks for, by name
    file: Annotated[
        UploadFile,
        File(
            description="CSV of up to 200 MB in any usual encoding and delimiter. Its first row names the columns: "
            "`msisdn` (or `phone`), and `sender_id`, empty for a no to everybody's messages; others are ignored."
        ),
    ],
    tx: Tx,
    caller: CanManage,
    now: Now,
    res: Res,
    bell: Bell,
    deeds: Deeds,
    default_region: Annotated[
        str | None, Form(description="ISO country (ZA) of numbers without a country code.")
    ] = None,
) -> ImportOut:
    """Keep the no of everybody in a CSV file, such as `export.csv` in either style.

    They are stored behind this answer: `GET /v1/imports/{id}` tells how far it is, and `errors.csv` there has the rows
    that could not be read, with their reasons; they stop none of the others.
    """
    check_file(file)
    region = read_region(default_region or await usual_region(tx, res.default_region))
    values = {"kind": "opt_outs", "default_region": region, "created_by": caller.id}
    import_id = await store_file(tx, file, values, now=now)
    await deeds.write("import.created", ("import", import_id), {"size_bytes": file.size, "kind": "opt_outs"})
    bell.ring("bulk")
    return ImportOut.model_validate(await get_import(tx, import_id))


@router.get("/export.csv", response_class=CsvResponse, responses=answered(EXPORTED, media_type="text/csv"))
async def export_opt_outs(res: Res, _caller: CanRead, style: StyleAsked = "spreadsheet") -> CsvResponse:
    """Everybody's standing no, the latest first: a row for each sender that it holds back, without one for a no to all.

    A person who was erased has no number here; their no stands.
    """
    return csv_answer(COLUMNS, _pages(res), style=style, file_name="opt-outs")


async def _pages(resources: Resources) -> AsyncIterator[Sequence[Line]]:
    before: UUID | None = None
    while True:
        async with reading(resources.engine) as tx:
            rows = await queries.list_opt_outs(tx, msisdn_hash=None, before=before, limit=PAGE)
        if rows:
            yield [line for row in rows for line in _lines(row)]
        if len(rows) < PAGE:
            return
        before = rows[-1].id


def _lines(row: queries.OptOutRow) -> list[Line]:
    rest = [shown_value(getattr(row, column)) for column in ("source", "gateway_id", "at")]
    return [[row.msisdn, sender_id, *rest] for sender_id in (row.sender_ids or (None,))]
