"""Counts per campaign message and status, moved in the transaction that moves the messages."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.domain.message import Status

_Key = tuple[UUID, str]


@dataclass(slots=True)
class Moves:
    """Differences to write: what left a status and what entered one."""

    messages: dict[_Key, int] = field(default_factory=lambda: defaultdict(int))
    segments: dict[_Key, int] = field(default_factory=lambda: defaultdict(int))

    def add(self, campaign_message_id: UUID | None, *, was: str | None, now: str, messages: int, segments: int) -> None:
        if campaign_message_id is None or was == now:
            return
        if was is not None:
            self.messages[campaign_message_id, was] -= messages
            self.segments[campaign_message_id, was] -= segments
        self.messages[campaign_message_id, now] += messages
        self.segments[campaign_message_id, now] += segments

    def add_rows(self, rows: Iterable[tuple[UUID | None, str, str, int, int]]) -> None:
        for campaign_message_id, was, now, messages, segments in rows:
            self.add(campaign_message_id, was=was, now=now, messages=messages, segments=segments)


_WRITE = text("""
    INSERT INTO tallies (campaign_message_id, status, writer, messages, segments)
    SELECT d.campaign_message_id, d.status, :writer, d.messages, d.segments
    FROM unnest(CAST(:ids AS uuid[]), CAST(:statuses AS text[]), CAST(:messages AS bigint[]),
                CAST(:segments AS bigint[]))
         AS d (campaign_message_id, status, messages, segments)
    ORDER BY 1, 2
    ON CONFLICT (campaign_message_id, status, writer) DO UPDATE
    SET messages = tallies.messages + excluded.messages, segments = tallies.segments + excluded.segments
""")


async def write_tallies(tx: AsyncConnection, moves: Moves, *, writer: int) -> None:
    """Add the differences to this writer's rows; last in its transaction, so that the rows are held briefly."""
    keys = [key for key, count in moves.messages.items() if count or moves.segments[key]]
    if not keys:
        return
    await tx.execute(
        _WRITE,
        {
            "writer": writer,
            "ids": [key[0] for key in keys],
            "statuses": [str(Status(key[1])) for key in keys],
            "messages": [moves.messages[key] for key in keys],
            "segments": [moves.segments[key] for key in keys],
        },
    )
