"""A campaign's report as a stream of events. Nobody holds a database connection between two looks."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager
from time import monotonic
from typing import Final
from uuid import UUID

from fastapi.responses import StreamingResponse

from api.campaigns import queries, views
from api.campaigns.schemas import ReportOut
from api.resources import Resources
from shared.clock import utc_now
from shared.db import reading
from shared.domain.campaign import Status
from shared.errors import NotFound

LOOK_SECONDS: Final = 1.0
# Before its audience is frozen a campaign's report is counted anew each time, and says little.
SLOW_LOOK_SECONDS: Final = 15.0
# A proxy closes what is silent for long.
HEARTBEAT_SECONDS: Final = 15.0
LONGEST_SECONDS: Final = 3600.0
OVER: Final = frozenset({Status.COMPLETED, Status.STOPPED, Status.ARCHIVED})


# In OpenAPI 3.1 the schema of a stream is that of each event in it.
EVENT: Final = {
    "type": "object",
    "properties": {
        "event": {"type": "string", "enum": ["report", "end"]},
        "data": {"type": "string", "description": "The report as JSON; `{}` at the end."},
    },
    "required": ["event", "data"],
}


class EventStream(StreamingResponse):
    media_type = "text/event-stream"


async def progress_of(
    resources: Resources, campaign_id: UUID, *, place: AbstractContextManager[None]
) -> AsyncIterator[bytes]:
    """The report whenever it changed, a comment when it has not for long, and `end` when nothing will change."""
    with place:
        begun = told_at = monotonic()
        told = None
        while monotonic() - begun < LONGEST_SECONDS:
            report = await _look(resources, campaign_id)
            if report is None:
                break
            text = report.model_dump_json()
            if text != told:
                yield f"event: report\ndata: {text}\n\n".encode()
                told, told_at = text, monotonic()
            elif monotonic() - told_at >= HEARTBEAT_SECONDS:
                yield b": nothing new\n\n"
                told_at = monotonic()
            if report.status in OVER and (report.finished_at is not None or report.started_at is None):
                break
            await asyncio.sleep(LOOK_SECONDS if report.started_at is not None else SLOW_LOOK_SECONDS)
        yield b"event: end\ndata: {}\n\n"


async def _look(resources: Resources, campaign_id: UUID) -> ReportOut | None:
    async with reading(resources.engine) as tx:
        try:
            return await views.report(tx, await queries.get_campaign(tx, campaign_id), now=utc_now())
        except NotFound:
            return None
