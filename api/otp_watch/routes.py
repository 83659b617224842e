"""What keeps abuse down, over HTTP: conversion, blocks and how to lift one, limits."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Path, Query

from api.deps import CanAdmin, CanManage, CanRead, Deeds, Now, Page, Reader, Tx
from api.examples import answered
from api.idempotency import IdempotentRoute
from api.otp_profiles import queries as profiles
from api.otp_watch import examples, queries
from api.otp_watch.schemas import BlockOut, LimitsIn, LimitsOut, PartOut, StatsOut
from api.paging import PageOut, page_of
from api.places import id_of
from api.problems import problems
from api.schemas import Moment
from shared.domain import otp_figures as figures
from shared.domain.otp_limits import Scope, limits_of
from shared.errors import Invalid
from shared.queries import otp_sums as sums

router = APIRouter(prefix="/otp", tags=["otp"], route_class=IdempotentRoute)

BlockId = Annotated[UUID, Path(description="The block's id.")]
_LONGEST: Final = timedelta(days=31)
_MOST_PARTS: Final = 20
_EARLIEST: Final = datetime(2000, 1, 1, tzinfo=UTC)


@router.get("/stats", responses=problems(422))
async def get_otp_stats(
    tx: Reader,
    _caller: CanRead,
    now: Now,
    profile: Annotated[str | None, Query(max_length=100, description="Only this profile's, by its name.")] = None,
    since: Annotated[Moment | None, Query(description="From then on; without it, the last 24 hours.")] = None,
    until: Annotated[Moment | None, Query(description="Up to then; without it, now.")] = None,
) -> StatsOut:
    """How many passwords were sent and how many were used, as a whole, by country, by prefix and by gateway."""
    end = until or now
    begin = since or max(end, _EARLIEST) - timedelta(hours=24)
    if not begin < end or end - begin > _LONGEST:
        raise Invalid("since must be before until, and by 31 days at most.", pointer="?since")
    profile_id = None
    if profile is not None:
        row = await profiles.find_by_name(tx, profile)
        if row is None:
            raise Invalid(f"There is no profile {profile!r}; GET /v1/otp-profiles lists them.", pointer="?profile")
        profile_id = row.id
    return StatsOut(since=begin, until=end, **await _figures(tx, begin, end, profile_id))


async def _figures(tx: Reader, since: datetime, until: datetime, profile_id: UUID | None) -> dict[str, Any]:
    span = figures.span_of(since, until, counted_until=await sums.find_counted_until(tx))
    countries, gateways, seconds = [
        await sums.list_sums(tx, scope, span, profile_id=profile_id) for scope in ("country", "gateway", "second")
    ]
    prefixes = await queries.count_by_prefix(tx, since=since, until=until, profile_id=profile_id, limit=_MOST_PARTS)
    started, verified = (sum(getattr(row, name) for row in countries) for name in ("started", "verified"))
    median = figures.median_of(figures.Took(int(row.value), row.verified, row.seconds) for row in seconds)
    return {
        "started": started,
        "verified": verified,
        "conversion": _share(verified, started),
        "sends": sum(row.sends for row in countries),
        "wrong_codes": sum(row.wrong for row in countries),
        "median_seconds_to_verify": None if median is None else round(median, 3),
        "countries": _most(countries),
        "prefixes": [_part(row) for row in prefixes],
        "gateways": _most(gateways),
    }


def _most(rows: Sequence[queries.AnyRow]) -> list[PartOut]:
    return [_part(row) for row in sorted(rows, key=lambda row: (-row.started, row.value))[:_MOST_PARTS]]


@router.get("/blocks", responses=problems(422))
async def list_otp_blocks(
    tx: Reader,
    _caller: CanRead,
    page: Page,
    now: Now,
    active: Annotated[bool, Query(description="`true` shows only those that hold at this moment.")] = False,
) -> PageOut[BlockOut]:
    """Prefixes and countries whose passwords are not used, the newest first."""
    rows = await queries.list_blocks(tx, active_at=now if active else None, before=id_of(page), limit=page.limit + 1)
    shown, cursor = page_of(rows, page, place=lambda row: {"id": row.id})
    return PageOut(items=[_block(row, now) for row in shown], next_cursor=cursor)


@router.post("/blocks/{block_id}/unblock", responses={**problems(404), **answered(examples.LIFTED)})
async def unblock_otp(block_id: BlockId, tx: Tx, caller: CanManage, now: Now, deeds: Deeds) -> BlockOut:
    """Lift a block: these are your own people. What was sent before is not held against them any more."""
    row = await queries.lock_block(tx, block_id)
    if row.lifted_at is None:
        row = await queries.lift_block(tx, block_id, caller=caller.id, now=now)
        detail = {"scope": row.scope, "value": row.value, "state": row.state}
        await deeds.write("otp_block.lifted", ("otp_block", block_id), detail)
    return _block(row, now)


@router.get("/limits")
async def get_otp_limits(tx: Reader, _caller: CanRead) -> LimitsOut:
    """How many passwords may be sent for whom, and how much they may cost."""
    return await _limits(tx)


@router.put("/limits", responses=problems(422))
async def set_otp_limits(body: LimitsIn, tx: Tx, caller: CanAdmin, now: Now, deeds: Deeds) -> LimitsOut:
    """Set the deployment's limits. What is not named takes its usual value."""
    was = await queries.get_stored_limits(tx)
    limits = body.model_dump(exclude_unset=True, exclude_none=True)
    if limits != was:
        await queries.write_limits(tx, limits, caller=caller.id, now=now)
        names = sorted({*was, *limits})
        before, after = ({name: rules.get(name) for name in names} for rules in (was, limits))
        await deeds.write_difference("otp_limits.changed", ("otp_limits", None), before, after)
    return await _limits(tx)


async def _limits(tx: Reader) -> LimitsOut:
    row = await queries.get_limits_row(tx)
    limits = limits_of(row.limits if row else {}, {})
    speeds: dict[str, Any] = {
        scope.value: [{"count": speed.count, "seconds": speed.seconds} for speed in limits.speeds[scope]]
        for scope in Scope
    }
    return LimitsOut(
        **speeds,
        hour_segments=limits.hour_segments,
        day_segments=limits.day_segments,
        failures=limits.failures,
        updated_at=row.updated_at if row else None,
        updated_by=row.updated_by if row else None,
    )


def _block(row: queries.AnyRow, now: datetime) -> BlockOut:
    active = row.lifted_at is None and row.until > now
    return BlockOut.model_validate({**row._mapping, "is_active": active})  # noqa: SLF001 - SQLAlchemy's public name


def _part(row: queries.AnyRow) -> PartOut:
    share = _share(row.verified, row.started)
    return PartOut(value=row.value, started=row.started, verified=row.verified, conversion=share)


def _share(verified: int, started: int) -> float | None:
    return round(verified / started, 4) if started else None
