"""What an operator is told about the quota: most of it is used, all of it is. Limits in, notices out. Pure."""

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Final
from uuid import UUID

from shared.domain.notice import Kind, Notice
from shared.domain.quota import Limit, Period, start_of

# The quota as a whole, as the subject of a notice.
QUOTA: Final = ("quota", UUID("0197c0de-0000-7000-8000-00000000d0f2"))
NEAR: Final = 0.8
# What makes two notices the same news: a period that begins anew, or another grant, is news again.
SAME: Final = ("period", "since", "granted")


def of_limits(limits: Sequence[Limit], *, today: date) -> Iterator[Notice]:
    """The news of each period that has a grant, however often it was told."""
    for limit in limits:
        if limit.available <= 0:
            yield _exhausted(limit, today)
        elif limit.used >= NEAR * limit.granted:
            yield _low(limit, today)


def _low(limit: Limit, today: date) -> Notice:
    return Notice(
        Kind.QUOTA_LOW,
        QUOTA,
        f"Most of {_of(limit.period)} is used",
        f"{limit.used} of {limit.granted} units are reserved or used; {limit.available} are left. What does not fit is "
        "refused, and campaigns that need more are held. An admin grants more under /v1/quota/grants.",
        _data(limit, today),
    )


def _exhausted(limit: Limit, today: date) -> Notice:
    begins_anew = "" if limit.period is Period.TOTAL else f" until the next {limit.period} begins"
    return Notice(
        Kind.QUOTA_EXHAUSTED,
        QUOTA,
        f"All of {_of(limit.period)} is used",
        f"All {limit.granted} units are reserved or used. Messages are refused{begins_anew}, passwords among them. An "
        "admin grants more under /v1/quota/grants.",
        _data(limit, today),
    )


def _of(period: Period) -> str:
    return "the quota" if period is Period.TOTAL else f"the quota of this {period}"


def _data(limit: Limit, today: date) -> dict[str, str | int | None]:
    since = start_of(limit.period, today)
    return {
        "period": limit.period.value,
        "since": since.isoformat() if since else None,
        "granted": limit.granted,
        "used": limit.used,
        "available": limit.available,
    }
