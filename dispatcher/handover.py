"""One message to one gateway: build the call, pass the door, read the answer, decide what follows.

Total: whatever goes wrong, what comes back is an outcome that can be settled. An exception nobody foresaw counts as
lost, because by then bytes may have left.
"""

import logging
from time import monotonic
from typing import Any, Final
from uuid import UUID

from dispatcher import failpoints
from dispatcher.queries.claims import Claimed
from dispatcher.queries.settlements import Settled
from dispatcher.redaction import redact_exchange
from dispatcher.worker import Worker
from shared.adapter import Account, Adapter, Answer, Call, Sms
from shared.domain import routing
from shared.domain.message import Status, after_outcome
from shared.domain.outcome import Accepted, Lost, Outcome, OutcomeName, Refused, is_certain_no, name_of
from shared.gateways import sandbox

log = logging.getLogger(__name__)

LEASE_MARGIN: Final = "lease_margin"
_LONGEST: Final = 255
_LARGEST_SMALL: Final = 32_767


async def hand_over(worker: Worker, lane: str, claimed: Claimed, account: Account, start_by: float) -> Settled:
    """Hand a claimed message over, unless `start_by` (monotonic seconds) has passed.

    After that the lease is not ours for long enough, and nothing may leave.
    """
    call: Call | None = None
    answer: Answer | None = None
    if monotonic() > start_by:
        outcome: Outcome = Lost(may_have_arrived=False, cause=LEASE_MARGIN)
    else:
        try:
            now = worker.now()
            worker.gauges.lane_latency(lane).observe((now - claimed.not_before).total_seconds())
            sms = _sms_of(claimed, now_seconds=now.timestamp())
            adapter = worker.book.adapter_of(account)
            call = adapter.build_send(account, [sms])
        except Exception:
            log.exception("a call could not be built", extra={"message_id": str(claimed.id)})
            outcome = Lost(may_have_arrived=False, cause="build_failed")
        else:
            outcome, answer = await _pass_the_door(worker, account, adapter, sms, call)
            if call.url == sandbox.URL and isinstance(outcome, Accepted):
                settled = _settled(worker, claimed, account, outcome, call, answer)
                return settled._replace(news=tuple(sandbox.receipts_of(sms)))
    return _settled(worker, claimed, account, outcome, call, answer)


async def _pass_the_door(
    worker: Worker, account: Account, adapter: Adapter, sms: Sms, call: Call
) -> tuple[Outcome, Answer | None]:
    begun = monotonic()
    failpoints.hit("before_send")
    try:
        if call.url == sandbox.URL:
            heard: Answer | Lost = sandbox.answer(call)
        else:
            heard = await worker.transport.perform(call, deadline=worker.limits.deadline)
        worker.gauges.hand_over(worker.book.name_of(account.gateway_id)).observe(monotonic() - begun)
        if isinstance(heard, Lost):
            return heard, None
        return adapter.read_send([sms], heard)[0], heard
    except Exception:
        log.exception("a hand-over went wrong", extra={"message_id": str(sms.id)})
        return Lost(may_have_arrived=True, cause="unforeseen"), None


def _sms_of(claimed: Claimed, *, now_seconds: float) -> Sms:
    expires_in = None if claimed.expires_at is None else max(1, int(claimed.expires_at.timestamp() - now_seconds))
    return Sms(
        id=claimed.id,
        attempt=claimed.attempt,
        msisdn=claimed.msisdn,
        text=claimed.text,
        sender_id=claimed.sender_id,
        segments=claimed.segments,
        expires_in=expires_in,
        location_id=claimed.location_id,
    )


def _settled(
    worker: Worker, claimed: Claimed, account: Account, outcome: Outcome, call: Call | None, answer: Answer | None
) -> Settled:
    gateway_id = account.gateway_id
    http_status = answer.status if answer else None
    if isinstance(outcome, Accepted):
        return Settled(
            id=claimed.id,
            attempt=claimed.attempt,
            gateway_id=gateway_id,
            status=Status.SUBMITTED,
            outcome=OutcomeName.ACCEPTED,
            reference=_storable(outcome.reference),
            http_status=http_status,
            segments=_small(outcome.segments),
        )
    again = _again(worker, claimed, gateway_id, outcome)
    status = after_outcome(Status.SENDING, outcome, again=again is not None)
    return Settled(
        id=claimed.id,
        attempt=claimed.attempt,
        gateway_id=gateway_id,
        status=status,
        outcome=name_of(outcome),
        delay=again.delay if again else 0.0,
        tried=again.tried if again else (),
        http_status=http_status,
        lookup_in=worker.limits.lookup_waits[0] if status is Status.UNCONFIRMED else None,
        # Kept only where somebody will want to look: an accepted message has nothing to explain.
        exchange=_exchange(claimed, account, call, answer) if call else None,
        **_words_of(outcome),
    )


def _again(worker: Worker, claimed: Claimed, gateway_id: UUID, outcome: Outcome) -> routing.Again | None:
    if not is_certain_no(outcome):
        return None
    if isinstance(outcome, Lost) and outcome.cause == LEASE_MARGIN:
        return routing.Again(0.0, tuple(claimed.tried or ()))
    tried = claimed.tried or ()
    others = {
        route.gateway_id
        for route in worker.book.routes
        if route.gateway_id != gateway_id
        and route.gateway_id not in tried
        and routing.serves(route, sender_id=claimed.sender_id, location_id=claimed.location_id)
    }
    return routing.after_certain_no(outcome, gateway_id=gateway_id, tried=tried, attempt=claimed.attempt, others=others)


def _words_of(outcome: Refused | Lost) -> dict[str, Any]:
    match outcome:
        case Refused(fault=fault, code=code, detail=detail):
            return {"fault": str(fault), "code": _storable(code), "detail": _storable(detail) or None}
        case Lost(cause=cause):
            return {"code": _storable(cause)}


def _exchange(claimed: Claimed, account: Account, call: Call, answer: Answer | None) -> dict[str, Any]:
    return redact_exchange(call, answer, private=(claimed.text, claimed.msisdn, *account.secrets.values()))


def _storable(words: str | None) -> str | None:
    """A gateway's words as Postgres keeps them: neither NUL nor half a character, and not without end."""
    if words is None:
        return None
    return words.replace("\0", "").encode("utf-8", "replace").decode()[:_LONGEST]


def _small(number: int | None) -> int | None:
    return number if number is not None and 0 <= number <= _LARGEST_SMALL else None
