"""`GET /problems/{slug}`: what a problem's `type` means, for whoever follows it."""

from typing import Annotated

from fastapi import APIRouter, Path

from api.examples import shown
from api.problems import IdempotencyKeyReused, known_kinds, meaning_of, problems, remedy_of, status_of, title_of
from api.schemas import Out
from shared.errors import NotFound

router = APIRouter(prefix="/problems", tags=["problems"])


class ProblemKind(Out):
    model_config = shown(
        {
            "type": "/problems/idempotency-key-reused",
            "title": "Idempotency key reused",
            "status": 422,
            "meaning": meaning_of(IdempotencyKeyReused),
            "remedy": remedy_of(IdempotencyKeyReused),
        }
    )

    type: str
    title: str
    status: int
    meaning: str
    remedy: str


@router.get("")
async def list_problem_kinds() -> list[ProblemKind]:
    """Every kind of problem there is."""
    return [_shown(slug) for slug in known_kinds()]


@router.get("/{slug}", responses=problems(404))
async def read_problem_kind(
    slug: Annotated[
        str,
        Path(max_length=100, description="The last part of a problem's `type`.", examples=["idempotency-key-reused"]),
    ],
) -> ProblemKind:
    """What one kind of problem means."""
    if slug not in known_kinds():
        raise NotFound("There is no kind of problem of that name.")
    return _shown(slug)


def _shown(slug: str) -> ProblemKind:
    kind = known_kinds()[slug]
    return ProblemKind(
        type=f"/problems/{slug}",
        title=title_of(kind),
        status=status_of(kind),
        meaning=meaning_of(kind),
        remedy=remedy_of(kind),
    )
