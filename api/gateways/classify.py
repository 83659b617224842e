"""What a gateway's answer would come to: pasted in, read by the adapter, told in words. Nothing is sent or stored."""

from typing import Any, Final
from uuid import UUID

from fastapi import APIRouter
from pydantic import Field, SecretStr
from sqlalchemy.ext.asyncio import AsyncConnection

from api.deps import CanManage, Now, Res
from api.examples import shown
from api.gateways import examples, queries
from api.gateways.configure import checked_settings
from api.gateways.schemas import Key
from api.idempotency import AskingRoute
from api.problems import problems
from api.resources import Resources
from api.schemas import Body, Out
from shared.adapter import Account, Answer, Capabilities, Sms
from shared.db import reading
from shared.domain.outcome import Accepted, Fault, Lost, Outcome, OutcomeName, Refused, is_certain_no, name_of
from shared.domain.repeats import may_repeat
from shared.errors import Invalid, Unavailable
from shared.gateways import SCRIPTED, adapter_for
from shared.ids import uuid7
from shared.scripts.failures import Reason, ScriptFailed

router = APIRouter(prefix="/gateways", tags=["gateways"], route_class=AskingRoute)

_NOT_ITS_FAULT: Final = frozenset({Reason.UNAVAILABLE, Reason.RESTING})
_SAMPLE: Final = "Your table is ready."
_THEN: Final = {
    Fault.MESSAGE: "The message fails; no other gateway is asked.",
    Fault.OPTED_OUT: "The message fails, and its number joins the opt-outs.",
    Fault.ACCOUNT: "The gateway is withdrawn until it is enabled again; the next one takes the message.",
    Fault.GATEWAY: "The next gateway takes the message; without one it fails.",
    Fault.THROTTLED: "The message is handed over again, later or by the next gateway.",
}


class AnswerIn(Body):
    """An HTTP answer as it came."""

    status: int = Field(ge=100, le=599)
    headers: dict[str, str] = Field(default_factory=dict, max_length=100)
    body: str = Field(default="", max_length=65_536)


class ClassifyIn(Body):
    """An answer, and whose it is: a gateway's that is configured, or that of settings not saved yet."""

    model_config = shown(examples.CLASSIFY)

    answer: AnswerIn
    gateway_id: UUID | None = None
    kind: str | None = Field(default=None, description="With `settings`, in place of `gateway_id`.")
    preset: str | None = None
    settings: dict[Key, Any] = Field(default_factory=dict)
    secrets: dict[Key, SecretStr] = Field(default_factory=dict, description="Not kept.")


class ClassifyOut(Out):
    model_config = shown(examples.CLASSIFIED)

    outcome: OutcomeName = Field(description="`lost` may have arrived; `not_sent` certainly did not.")
    handed_over_again: bool = Field(description="Whether another try may follow by itself.")
    then: str = Field(description="What follows, in words.")
    fault: Fault | None = None
    code: str | None = None
    detail: str | None = None
    reference: str | None = None
    segments: int | None = None
    retry_after: float | None = Field(default=None, description="Seconds the gateway asks to be left alone.")


@router.post("/classify", responses=problems(404, 422))
async def classify_answer(body: ClassifyIn, _: CanManage, now: Now, res: Res) -> ClassifyOut:
    """How an answer to a hand-over of one message would be read: by the script's `read`, else by the settings."""
    async with reading(res.engine) as tx:  # a script is waited for without a connection
        kind, account = await _account(tx, body)
    sms = Sms(id=uuid7(now), attempt=1, msisdn="+12025550142", text=_SAMPLE)
    headers = {name.lower(): value for name, value in body.answer.headers.items()}
    heard = Answer(body.answer.status, headers, body.answer.body.encode("utf-8", "replace"))
    adapter = adapter_for(kind, account)
    try:
        outcome = await _by_script(kind, account, sms, heard, res)
    except ScriptFailed as failure:
        if failure.reason in _NOT_ITS_FAULT:
            raise Unavailable("The script could not be asked just now; send this again.") from failure
        outcome = Lost(may_have_arrived=True, cause="script_failed")
        return _told(outcome, adapter.CAPABILITIES, detail=str(failure))
    return _told(outcome or adapter.read_send([sms], heard)[0], adapter.CAPABILITIES)


async def _by_script(kind: str, account: Account, sms: Sms, heard: Answer, res: Resources) -> Outcome | None:
    """As the script reads it; None where there is none, or it leaves it to the settings. Raises ScriptFailed."""
    scripted = SCRIPTED.get(kind)
    script = scripted.script_of(account) if scripted is not None else None
    if scripted is None or script is None:
        return None
    try:
        told: object = await res.scripts.call(script, "read", scripted.answer_input(account, sms, heard))
    except ScriptFailed as failure:
        if failure.reason is not Reason.MISSING_FUNCTION:
            raise
        return None
    return scripted.read_from_script(sms, heard, told)


async def _account(tx: AsyncConnection, body: ClassifyIn) -> tuple[str, Account]:
    if (body.gateway_id is None) == (body.kind is None):
        raise Invalid("gateway_id or kind must be given, and not both.", pointer="/gateway_id")
    if body.gateway_id is not None:
        row = await queries.get_gateway(tx, body.gateway_id)
        return row.kind, Account(gateway_id=row.id, settings=row.settings, secrets={})
    assert body.kind is not None
    settings = checked_settings(body.kind, preset=body.preset, settings=body.settings, secrets=body.secrets)
    return body.kind, Account(gateway_id=uuid7(), settings=settings, secrets={})


def _told(outcome: Outcome, can: Capabilities, *, detail: str | None = None) -> ClassifyOut:
    match outcome:
        case Accepted(reference=reference, segments=segments):
            then = f"The message is submitted; {'receipts follow' if can.receipts else 'no receipts of it are read'}."
            return _out(outcome, then, again=False, reference=reference, segments=segments)
        case Refused(fault=fault, code=code, detail=detail, retry_after=retry_after):
            again = fault not in {Fault.MESSAGE, Fault.OPTED_OUT}
            said = {"code": code, "detail": detail or None, "retry_after": retry_after}
            return _out(outcome, _THEN[fault], again=again, fault=fault, **said)
        case Lost(cause=cause) if is_certain_no(outcome):
            return _out(outcome, "It is handed over again.", again=True, code=cause, detail=detail)
        case Lost(cause=cause) if can.repeats is not None and may_repeat(outcome):
            then = (
                "The message is unconfirmed, and is handed to this gateway again under the same id, which it takes "
                f"once: at most {can.repeats.most} times, within {can.repeats.window} seconds."
            )
            return _out(outcome, then, again=True, code=cause, detail=detail)
        case Lost(cause=cause):
            then = "The message is unconfirmed until a receipt or a look-up tells; it is not sent again by itself."
            return _out(outcome, then, again=False, code=cause, detail=detail)


def _out(outcome: Outcome, then: str, *, again: bool, **said: Any) -> ClassifyOut:
    return ClassifyOut(outcome=name_of(outcome), handed_over_again=again, then=then, **said)
