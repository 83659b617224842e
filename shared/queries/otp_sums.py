"""Figures of passwords by hour: counted once where nothing of them changes any more, and counted anew where it may.

Both ways ask the same of a challenge, so a figure is the same whichever way it came.
"""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.domain.otp_figures import Span

AnyRow = Row[Any]

# Of the message that was sent last: that is whose code was entered, as far as can be told.
_GATEWAY: Final = """
    JOIN LATERAL (
        SELECT om.message_id FROM otp_messages om WHERE om.otp_id = o.id ORDER BY om.message_id DESC LIMIT 1) latest
    ON true
    JOIN messages m ON m.id = latest.message_id AND m.gateway_id IS NOT NULL"""
_SECONDS: Final = "extract(epoch FROM o.used_at - o.created_at)"
# What a figure is told by: the column, what has to be joined for it, and whose challenges count.
_SCOPES: Final[Mapping[str, tuple[str, str, str]]] = MappingProxyType(
    {
        "country": ("o.country", "", ""),
        "gateway": ("m.gateway_id::text", _GATEWAY, ""),
        "second": (f"floor({_SECONDS})::int::text", "", "AND o.used_at IS NOT NULL"),
    }
)
_COUNTED: Final = f"""
    count(*) AS started, count(*) FILTER (WHERE o.used_at IS NOT NULL) AS verified,
    coalesce(sum(o.sends), 0) AS sends,
    coalesce(sum(greatest(0, o.attempts - (o.used_at IS NOT NULL)::int)), 0) AS wrong,
    coalesce(sum({_SECONDS}), 0) AS seconds
"""
_EACH_HOUR: Final = "date_bin('1 hour', o.created_at, TIMESTAMPTZ '2000-01-01 00:00:00+00')"

_COUNT: Final = {
    scope: text(f"""
    INSERT INTO otp_sums (scope, hour, profile_id, value, started, verified, sends, wrong, seconds)
    SELECT '{scope}', {_EACH_HOUR}, o.profile_id, {column}, {_COUNTED}
    FROM otps o {joined}
    WHERE o.created_at >= :since AND o.created_at < :until AND o.test_code IS NULL {which}
    GROUP BY 2, 3, 4
    ON CONFLICT (scope, hour, profile_id, value) DO UPDATE
    SET started = excluded.started, verified = excluded.verified, sends = excluded.sends, wrong = excluded.wrong,
        seconds = excluded.seconds
    """)
    for scope, (column, joined, which) in _SCOPES.items()
}

_BEGIN = text("""
    INSERT INTO otp_counting (id, counted_until)
    SELECT 1, coalesce((SELECT min(created_at) FROM otps), :until) ON CONFLICT (id) DO NOTHING
""")
_LOCK = text("SELECT counted_until FROM otp_counting WHERE id = 1 FOR UPDATE SKIP LOCKED")
_MOVE = text("UPDATE otp_counting SET counted_until = :until WHERE id = 1")
_COUNTED_UNTIL = text("SELECT counted_until FROM otp_counting")

_ANEW: Final = {
    scope: f"""
        SELECT {column}, {_COUNTED}
        FROM otps o {joined}
        WHERE o.created_at >= {{since}} AND o.created_at < {{until}} AND o.test_code IS NULL {which}
          AND (CAST(:profile_id AS uuid) IS NULL OR o.profile_id = :profile_id)
        GROUP BY 1"""
    for scope, (column, joined, which) in _SCOPES.items()
}
_SUMS: Final = {
    scope: text(f"""
    SELECT value, sum(started)::bigint AS started, sum(verified)::bigint AS verified, sum(sends)::bigint AS sends,
           sum(wrong)::bigint AS wrong, sum(seconds)::float8 AS seconds
    FROM (
        SELECT s.value, s.started, s.verified, s.sends, s.wrong, s.seconds FROM otp_sums s
        WHERE s.scope = '{scope}' AND s.hour >= :counted_from AND s.hour < :counted_until
          AND (CAST(:profile_id AS uuid) IS NULL OR s.profile_id = :profile_id)
        UNION ALL {anew.format(since=":since", until=":counted_from")}
        UNION ALL {anew.format(since=":counted_until", until=":until")}) each
    GROUP BY value
    """)
    for scope, anew in _ANEW.items()
}

_DELETE = text("DELETE FROM otp_sums WHERE hour < :before")


async def lock_counting(tx: AsyncConnection, *, begin: datetime) -> datetime | None:
    """Up to when hours are counted; None while another counts. `begin` is where it begins if there is nothing yet."""
    await tx.execute(_BEGIN, {"until": begin})
    until: datetime | None = await tx.scalar(_LOCK)
    return until


async def count_hours(tx: AsyncConnection, *, since: datetime, until: datetime) -> None:
    """Count full hours for good; again it is the same."""
    for statement in _COUNT.values():
        await tx.execute(statement, {"since": since, "until": until})
    await tx.execute(_MOVE, {"until": until})


async def find_counted_until(tx: AsyncConnection) -> datetime | None:
    until: datetime | None = await tx.scalar(_COUNTED_UNTIL)
    return until


async def list_sums(tx: AsyncConnection, scope: str, span: Span, *, profile_id: UUID | None) -> list[AnyRow]:
    """Figures by `country`, by `gateway`, or by the `second` after the start in which the code was entered."""
    given = {
        "since": span.since,
        "until": span.until,
        "counted_from": span.counted_from,
        "counted_until": span.counted_until,
        "profile_id": profile_id,
    }
    return list(await tx.execute(_SUMS[scope], given))


async def delete_old_sums(tx: AsyncConnection, *, before: datetime) -> int:
    return (await tx.execute(_DELETE, {"before": before})).rowcount
