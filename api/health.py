"""`/livez`: the process runs. `/readyz`: it can do its work.

Redis being away is told but is no reason to take the process out: Postgres is the truth, and dispatchers look by
themselves. A schema newer than this process is none either: migrations run ahead of the code that needs them.
"""

import asyncio
from typing import Final, Literal

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse
from pydantic import Field

from api.deps import Res
from api.examples import shown
from api.problems import MEDIA_TYPE, document_of
from api.resources import Resources
from api.schemas import Out
from shared.db import reading
from shared.errors import Unavailable
from shared.queries.revision import find_revision, standing_of

router = APIRouter(tags=["operation"])

PATIENCE_SECONDS: Final = 2.0


class Alive(Out):
    model_config = shown({"status": "alive"})

    status: Literal["alive"] = "alive"


class Checks(Out):
    database: Literal["ok", "away"]
    schema_: Literal["ok", "newer", "behind", "unknown"] = Field(alias="schema")
    redis: Literal["ok", "away"]


class Readiness(Out):
    model_config = shown({"status": "ready", "checks": {"database": "ok", "schema": "ok", "redis": "ok"}})

    status: Literal["ready", "degraded"]
    checks: Checks


@router.head("/livez", include_in_schema=False)
@router.get("/livez", summary="Is the process up")
async def livez() -> Alive:
    """The process is up. It asks nobody else, so restart it if this does not answer."""
    return Alive()


@router.head("/readyz", include_in_schema=False)
@router.get(
    "/readyz",
    summary="Can the process do its work",
    response_model=Readiness,
    responses={503: {"description": "Not ready: the database is away, or its schema is behind."}},
)
async def readyz(resources: Res) -> Response:
    """The database answers and its schema is new enough. `degraded` means ready, but without Redis."""
    revision, redis = await asyncio.gather(_revision(resources), resources.doorbell.ping())
    checks = {
        "database": "away" if isinstance(revision, BaseException) else "ok",
        "schema": _schema(revision),
        "redis": "ok" if redis else "away",
    }
    if checks["schema"] not in ("ok", "newer"):
        detail = (
            "The database does not answer."
            if checks["database"] == "away"
            else "The database's schema is behind this process; run the migrations."
        )
        problem = {**document_of(Unavailable, detail=detail), "checks": checks}
        return JSONResponse(problem, status_code=503, media_type=MEDIA_TYPE, headers={"Retry-After": "5"})
    return JSONResponse({"status": "ready" if redis else "degraded", "checks": checks})


async def _revision(resources: Resources) -> str | Exception | None:
    try:
        async with asyncio.timeout(PATIENCE_SECONDS), reading(resources.engine) as tx:
            return await find_revision(tx)
    except Exception as error:  # noqa: BLE001 - whatever keeps the database from answering, it is away
        return error


def _schema(revision: str | Exception | None) -> str:
    return "unknown" if isinstance(revision, Exception) else standing_of(revision)
