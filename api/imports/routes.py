"""Imports over HTTP: a CSV file goes in, how far it is comes out."""

from collections.abc import AsyncIterator, Sequence
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, File, Form, Path, UploadFile

from api.deps import Bell, CanManage, CanRead, Deeds, Now, Page, Reader, Res, Tx
from api.examples import answered, asked_as
from api.exports import PAGE, CsvResponse, Line, StyleAsked, csv_answer
from api.idempotency import IdempotentRoute
from api.imports import examples, queries
from api.imports.schemas import ImportOut
from api.imports.upload import check_file, read_region, store_file
from api.limits import IMPORT_LIMIT
from api.paging import PageOut, page_of
from api.places import id_of
from api.problems import problems
from api.regions import usual_region
from api.resources import Resources
from shared.db import reading
from shared.errors import Invalid

router = APIRouter(tags=["imports"], route_class=IdempotentRoute)

ImportId = Annotated[UUID, Path(description="The import's id.")]


@router.post(
    "/contacts/import",
    status_code=202,
    max_body_size=IMPORT_LIMIT,
    form_limits={"max_files": 1, "max_fields": 8},
    openapi_extra=asked_as(examples.UPLOAD, media_type="multipart/form-data"),
    responses={**problems(413, 422), **answered(examples.QUEUED, status=202)},
)
async def import_contacts(  # noqa: PLR0913, PLR0917 - what a route asks for, by name
    file: Annotated[
        UploadFile,
        File(
            description="CSV of up to 200 MB in any usual encoding and delimiter. Its first row names the columns: "
            "`msisdn` (or `phone`), `name`, `external_id`, `location_id`, `time_zone`, `consent_status`, "
            "`consent_source`, `consent_at`; all others become fields."
        ),
    ],
    tx: Tx,
    caller: CanManage,
    now: Now,
    res: Res,
    bell: Bell,
    deeds: Deeds,
    target_group_id: Annotated[UUID | None, Form(description="A static group that takes the contacts in.")] = None,
    default_region: Annotated[
        str | None, Form(description="ISO country (ZA) of numbers without a country code.")
    ] = None,
) -> ImportOut:
    """Import contacts from a CSV file. They are stored behind this answer: ask for the import to see how far it is.

    A row that cannot be used is rejected, with its reason in `errors.csv`, and never stops the file; a file without a
    column of numbers, or that is no text, fails before anything is stored, and `errors.csv` says why.

    A number that is a contact's already updates it: filled cells replace, empty ones leave what is there. Within a
    file the later row wins, and each counts as imported. The number's column may also be named `mobile`, `cell`,
    `telephone`, `number` and the like, also in other languages (`Handy`, `téléphone`); of two columns for one thing the
    first counts, the other becomes a field (`name_2`). Without a column for the name, those of a first and a last name
    make it up, and are fields as well. Missing cells at the end of a row are empty ones. Opt-outs are left alone.

    `consent_status` (or `consent`, `opt_in`) is granted or withdrawn, yes or no; a yes to `opt_out` withdraws. It is
    kept as evidence, and what campaigns would still send to who withdraws is called back. Empty and `unknown` change
    nothing, and so does a statement whose `consent_at` is before that of the one we have.
    """
    check_file(file)
    await _check_group(tx, target_group_id)
    values = {
        "kind": "contacts",
        "target_group_id": target_group_id,
        "default_region": read_region(default_region or await usual_region(tx, res.default_region)),
        "created_by": caller.id,
    }
    import_id = await store_file(tx, file, values, now=now)
    group = None if target_group_id is None else str(target_group_id)
    await deeds.write("import.created", ("import", import_id), {"size_bytes": file.size, "target_group_id": group})
    bell.ring("bulk")
    return ImportOut.model_validate(await queries.get_import(tx, import_id))


@router.get("/imports", responses=problems(422))
async def list_imports(tx: Reader, _caller: CanRead, page: Page) -> PageOut[ImportOut]:
    """Imports, the newest first."""
    rows = await queries.list_imports(tx, before=id_of(page), limit=page.limit + 1)
    shown, cursor = page_of(rows, page, place=lambda row: {"id": row.id})
    return PageOut(items=[ImportOut.model_validate(row) for row in shown], next_cursor=cursor)


@router.get("/imports/{import_id}", responses=problems(404))
async def get_import(import_id: ImportId, tx: Reader, _caller: CanRead) -> ImportOut:
    """How far an import is."""
    return ImportOut.model_validate(await queries.get_import(tx, import_id))


@router.get(
    "/imports/{import_id}/errors.csv",
    response_class=CsvResponse,
    responses={**problems(404), **answered(examples.REJECTED, media_type="text/csv")},
)
async def export_rejections(
    import_id: ImportId, tx: Reader, _caller: CanRead, res: Res, style: StyleAsked = "spreadsheet"
) -> CsvResponse:
    """The rows that were not imported: `row` (the first of the file is 1), `column`, `reason`.

    Of a file that could not be read as a whole, or to its end, the last line has no row and says why.
    """
    told = await queries.get_import(tx, import_id)
    pages = _rejections(res, import_id, error=told.error)
    name = f"import-{import_id}-errors"
    return csv_answer(("row", "column", "reason"), pages, style=style, file_name=name)


async def _rejections(resources: Resources, import_id: UUID, *, error: str | None) -> AsyncIterator[Sequence[Line]]:
    after_row = 0
    while True:
        async with reading(resources.engine) as tx:
            rows: Sequence[Any] = await queries.list_rejections(tx, import_id, after_row=after_row, limit=PAGE)
        if rows:
            yield rows
        if len(rows) < PAGE:
            break
        after_row = rows[-1].row
    if error is not None:
        yield [(None, None, error)]


async def _check_group(tx: Tx, group_id: UUID | None) -> None:
    if group_id is None:
        return
    kind = await queries.find_kind_of_group(tx, group_id)
    if kind is None:
        raise Invalid("There is no target group with this id; create it first.", pointer="/target_group_id")
    if kind != "static":
        raise Invalid(
            "The target group finds its members by conditions; name a static one.", pointer="/target_group_id"
        )
