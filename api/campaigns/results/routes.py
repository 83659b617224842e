"""A campaign's results over HTTP: as a file, by gateway, country and error, and as a stream while they come in."""

from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import Final
from uuid import UUID

from fastapi import APIRouter
from fastapi.responses import StreamingResponse

from api.campaigns import examples
from api.campaigns import queries as campaigns
from api.campaigns.results import queries
from api.campaigns.results.progress import EVENT, EventStream, progress_of
from api.campaigns.results.queries import AnyRow
from api.campaigns.results.schemas import BreakdownOut, ResultPartOut, StepBreakdownOut, SummaryOut
from api.deps import CanRead, Reader, Res
from api.examples import answered
from api.exports import PAGE, CsvResponse, Line, StyleAsked, csv_answer
from api.messages.export import shown_value
from api.problems import problems
from api.resources import Resources
from api.streams import TooManyStreams
from shared.db import reading
from shared.domain.message import Status
from shared.domain.msisdn import country_of
from shared.domain.report import Summary, summarize

router = APIRouter(prefix="/campaigns", tags=["campaigns"])

COLUMNS: Final = (
    *("position", "id", "msisdn", "contact_id", "status", "skip_reason", "failure", "text", "encoding", "segments"),
    *("sender_id", "attempt", "gateway_id", "resend_of", "not_before", "status_at"),
)


@router.get(
    "/{campaign_id}/messages.csv",
    response_class=CsvResponse,
    responses={**problems(404), **answered(examples.MESSAGES_CSV, media_type="text/csv")},
)
async def export_results(
    campaign_id: UUID, tx: Reader, _caller: CanRead, res: Res, style: StyleAsked = "spreadsheet"
) -> CsvResponse:
    """What became of each recipient's message, as a table to save."""
    campaign = await campaigns.get_campaign(tx, campaign_id)
    return csv_answer(COLUMNS, _pages(res, campaign_id), style=style, file_name=f"{campaign.name}-messages")


async def _pages(resources: Resources, campaign_id: UUID) -> AsyncIterator[Sequence[Line]]:
    after = None
    while True:
        async with reading(resources.engine) as tx:
            rows = await queries.list_messages(tx, campaign_id, status=None, after=after, limit=PAGE)
        if rows:
            yield [[shown_value(getattr(row, column)) for column in COLUMNS] for row in rows]
        if len(rows) < PAGE:
            return
        after = rows[-1].id


@router.get("/{campaign_id}/breakdown", responses=problems(404))
async def break_down(campaign_id: UUID, tx: Reader, _caller: CanRead) -> BreakdownOut:
    """How deliverable each message was: by gateway, by country and by error."""
    await campaigns.get_campaign(tx, campaign_id)
    names = await queries.list_gateway_names(tx)
    steps = await campaigns.list_steps(tx, campaign_id)
    rows = await queries.count_by_place(tx, campaign_id)
    return BreakdownOut(
        id=campaign_id,
        messages=[
            _step(step, [row for row in rows if row.campaign_message_id == step.id], names=names) for step in steps
        ],
    )


def _step(step: AnyRow, rows: Sequence[AnyRow], *, names: dict[UUID, str]) -> StepBreakdownOut:
    def gateway(row: AnyRow) -> tuple[str | None, UUID | None]:
        return names.get(row.gateway_id), row.gateway_id

    failed = [row for row in rows if row.error is not None]
    return StepBreakdownOut(
        id=step.id,
        position=step.position,
        summary=_shown(summarize(_counts(rows))),
        by_gateway=_parts(rows, gateway),
        by_country=_parts(rows, lambda row: (country_of(row.msisdn), None)),
        by_error=_parts(failed, lambda row: (str(row.error), None)),
    )


def _parts(rows: Iterable[AnyRow], of: Callable[[AnyRow], tuple[str | None, UUID | None]]) -> list[ResultPartOut]:
    """The messages of each kind, the most first."""
    kinds: defaultdict[tuple[str | None, UUID | None], list[AnyRow]] = defaultdict(list)
    for row in rows:
        kinds[of(row)].append(row)
    parts = [
        ResultPartOut(name=name, id=id_, counts=_counts(mine), summary=_shown(summarize(_counts(mine))))
        for (name, id_), mine in kinds.items()
    ]
    return sorted(parts, key=lambda part: (-sum(part.counts.values()), part.name or ""))


def _counts(rows: Iterable[AnyRow]) -> dict[Status, int]:
    counts = dict.fromkeys(Status, 0)
    for row in rows:
        counts[row.status] += row.messages
    return counts


def _shown(summary: Summary) -> SummaryOut:
    return SummaryOut.model_validate(summary)


@router.get(
    "/{campaign_id}/events",
    response_class=EventStream,
    responses={
        **problems(404, TooManyStreams),
        200: {
            "description": "Server-sent events: `report` whenever it changes, `end` at last.",
            "content": {EventStream.media_type: {"schema": EVENT}},
        },
    },
)
async def stream_progress(campaign_id: UUID, tx: Reader, _caller: CanRead, res: Res) -> StreamingResponse:
    """The report as it changes, as server-sent events; it ends when the campaign does, or after an hour."""
    await campaigns.get_campaign(tx, campaign_id)
    return EventStream(progress_of(res, campaign_id, place=res.streams.take()), headers={"Cache-Control": "no-store"})
