"""A text's size over HTTP: what it would cost, and which characters make it dear."""

from fastapi import APIRouter

from api.deps import CanRead
from api.idempotency import AskingRoute
from api.problems import problems
from api.texts.schemas import MeasuredOut, TextIn, measured

router = APIRouter(prefix="/texts", tags=["templates"], route_class=AskingRoute)


@router.post("/measure", responses=problems(422))
async def measure_text(body: TextIn, _caller: CanRead) -> MeasuredOut:
    """Encoding, characters and segments of a text as it would be sent, and the look-alikes that make it longer.

    Curly quotes, dashes, ellipses, unusual spaces, marks that nobody sees and letters of another alphabet in a Latin
    word each force the whole text into UCS-2: each is named with its place and what to write instead.
    """
    return MeasuredOut(**measured(body.text))
