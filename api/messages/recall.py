"""All that one person would still get, called back by one command."""

from fastapi import APIRouter
from pydantic import Field

from api import example_world as world
from api.deps import Bell, CanManage, Deeds, Now, Res, Tx
from api.examples import shown
from api.idempotency import IdempotentRoute
from api.messages import queries
from api.problems import problems
from api.regions import usual_region
from api.schemas import Body, Out
from shared.domain import msisdn as numbers
from shared.errors import Invalid

router = APIRouter(prefix="/messages", tags=["messages"], route_class=IdempotentRoute)


class RecallIn(Body):
    model_config = shown({"msisdn": world.MSISDN})

    msisdn: str = Field(max_length=64, description="Whose messages.")


class RecalledOut(Out):
    model_config = shown({"messages": 2})

    messages: int = Field(description="How many were queued; they become `cancelled` within a second.")


@router.post("/cancel", responses=problems(numbers.InvalidMsisdn))
async def cancel_messages_of(
    wanted: RecallIn, tx: Tx, _caller: CanManage, now: Now, res: Res, bell: Bell, deeds: Deeds
) -> RecalledOut:
    """Call back every message to one number that is still queued, of campaigns and alone.

    One that is at a gateway's door just now is not sent again if the gateway does not take it. It is no opt-out:
    messages that are made later are sent.
    """
    try:
        msisdn = numbers.parse(wanted.msisdn, default_region=await usual_region(tx, res.default_region))
    except Invalid as refusal:
        raise refusal.at("/msisdn") from None
    messages = await queries.request_cancel_of(tx, msisdn, now)
    await deeds.write("messages.cancelled", ("messages", None), {"messages": messages})
    bell.ring("bulk")
    return RecalledOut(messages=messages)
