"""Claimed messages to one gateway: one call, and for each of them what follows.

Total: whatever goes wrong, what comes back are outcomes that can be settled. How the call is made is in
`dispatcher/path/conversation.py`.
"""

from collections.abc import Hashable, Sequence
from datetime import timedelta
from time import monotonic
from typing import Any, Final
from uuid import UUID

from dispatcher.codes import WithCode
from dispatcher.door.redaction import HIDDEN, codes_in, hide, redact_exchange, secrets_of
from dispatcher.path.conversation import LEASE_MARGIN, LOGIN_ENDED, Said, converse
from dispatcher.queries.claims import Claimed
from dispatcher.queries.repeats import Repeated
from dispatcher.queries.settlements import Settled
from dispatcher.worker import Worker
from shared.adapter import Account, Call, Sms
from shared.domain import routing
from shared.domain.attachment_link import signature_of
from shared.domain.message import Kind, Status, after_outcome
from shared.domain.outcome import Accepted, Fault, Lost, Outcome, OutcomeName, Refused, is_certain_no, name_of
from shared.domain.repeats import may_repeat
from shared.gateways import BATCHED, sandbox

LOGIN_SECONDS: Final = 1.0
GATEWAY_GONE: Final = "gateway_gone"
_OURS: Final = frozenset({LEASE_MARGIN, LOGIN_ENDED, GATEWAY_GONE})  # no fault of the gateway's
_LONGEST: Final = 255
_LARGEST_SMALL: Final = 32_767


Parcel = tuple[Account, list[Claimed]]


def parcels(worker: Worker, intents: Sequence[tuple[Claimed, Account]]) -> list[Parcel]:
    """What goes together: batches for gateways that take them, and every other message by itself."""
    full: list[Parcel] = []
    filling: dict[Hashable, Parcel] = {}
    largest_of: dict[UUID, int] = {}
    now_seconds = worker.now().timestamp()
    for claimed, account in intents:
        gateway_id = account.gateway_id
        largest = largest_of.get(gateway_id)
        if largest is None:
            largest = worker.healths.batch_size(gateway_id, _largest(worker, account))
            largest = largest_of[gateway_id] = worker.paces.batch_size(gateway_id, largest)
        if largest == 1:
            full.append((account, [claimed]))
            continue
        key = _batch_key(worker, account, claimed, now_seconds=now_seconds)
        parcel = filling.get(key)
        if parcel is None or len(parcel[1]) == largest:
            if parcel is not None:
                full.append(parcel)
            parcel = filling[key] = account, []
        parcel[1].append(claimed)
    return [*full, *filling.values()]


def _largest(worker: Worker, account: Account) -> int:
    return worker.book.adapter_of(account).CAPABILITIES.largest_batch


def _batch_key(worker: Worker, account: Account, claimed: Claimed, *, now_seconds: float) -> Hashable:
    batched = BATCHED.get(worker.book.kind_of(account.gateway_id) or "")
    if batched is None:
        return account.gateway_id
    return account.gateway_id, batched.batch_key(account, sms_of(worker, claimed, account, now_seconds=now_seconds))


async def hand_over(
    worker: Worker, lane: str, batch: Sequence[Claimed], account: Account, start_by: float
) -> list[Settled]:
    """Hand claimed messages over in one call, unless `start_by` (monotonic seconds) has passed.

    After that the lease is not ours for long enough, and nothing may leave. There is an outcome for each of them.
    """
    if monotonic() > start_by or not worker.book.knows(account):
        # Claimed too long ago, or its gateway was deleted meanwhile: whoever claims it next chooses anew.
        worker.healths.end_probe(account.gateway_id, [one.id for one in batch])
        return not_handed_over(worker, batch, account)
    now = worker.now()
    messages = [sms_of(worker, claimed, account, now_seconds=now.timestamp()) for claimed in batch]
    latency = worker.gauges.lane_latency(lane)
    for claimed in batch:
        latency.observe((now - claimed.not_before).total_seconds())
    begun = monotonic()
    said = await converse(worker, account, messages, start_by=start_by)
    _listen(worker, said, seconds=monotonic() - begun)
    return settled_by(worker, batch, said)


def not_handed_over(worker: Worker, batch: Sequence[Claimed], account: Account) -> list[Settled]:
    """What was claimed for a gateway and never left, ready to be written."""
    cause = LEASE_MARGIN if worker.book.knows(account) else GATEWAY_GONE
    outcome = Lost(may_have_arrived=False, cause=cause)
    said = Said.of_all((), outcome, account)
    return [_settled(worker, claimed, outcome, said) for claimed in batch]


def settled_by(worker: Worker, batch: Sequence[Claimed], said: Said) -> list[Settled]:
    """What a call comes to for each of its messages, ready to be written."""
    settled = [_settled(worker, claimed, outcome, said) for claimed, outcome in zip(batch, said.outcomes, strict=True)]
    return _with_news(settled, said.batch) if said.call is not None and said.call.url == sandbox.URL else settled


def _listen(worker: Worker, said: Said, *, seconds: float) -> None:
    """What the call says of the gateway itself."""
    gateway_id, first, ids = said.account.gateway_id, said.outcomes[0], [sms.id for sms in said.batch]
    # What was never asked says nothing of a gateway, good or bad: a message that does not fit ends no trial of one.
    is_unasked = isinstance(first, Lost) and first.blameless and said.call is None
    if is_unasked or (isinstance(first, Lost) and first.cause in _OURS):
        worker.healths.end_probe(gateway_id, ids)
        return
    worker.healths.hear(gateway_id, said.outcomes, seconds=seconds, message_ids=ids)
    if said.answer is not None and worker.book.knows(said.account):
        worker.healths.hear_batch(gateway_id, said.outcomes, largest=_largest(worker, said.account))


def _with_news(settled: Sequence[Settled], messages: Sequence[Sms]) -> list[Settled]:
    """What would come later by callbacks: the sandbox calls nobody."""
    return [
        one._replace(news=tuple(sandbox.receipts_of(sms))) if one.status is Status.SUBMITTED else one
        for one, sms in zip(settled, messages, strict=True)
    ]


def sms_of(worker: Worker, claimed: Claimed, account: Account, *, now_seconds: float) -> Sms:
    expires_in = None if claimed.expires_at is None else max(1, int(claimed.expires_at.timestamp() - now_seconds))
    return Sms(
        id=claimed.id,
        attempt=claimed.attempt,
        msisdn=claimed.msisdn,
        text=claimed.text,
        sender_id=worker.book.sender_for(account.gateway_id, claimed.sender_id, claimed.msisdn),
        segments=claimed.segments,
        expires_in=expires_in,
        location_id=claimed.location_id,
        media_urls=worker.media.links(claimed.campaign_message_id, now_seconds=now_seconds),
        code=claimed.code if isinstance(claimed, WithCode) else "",
        alone=claimed.alone,
    )


def _http_status(said: Said, outcome: Outcome) -> int | None:
    if said.answer is not None:
        return said.answer.status
    return outcome.status if isinstance(outcome, Lost) else None


def _settled(worker: Worker, claimed: Claimed, outcome: Outcome, said: Said) -> Settled:
    gateway_id = said.account.gateway_id
    http_status = _http_status(said, outcome)
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
    rest = _rest(worker, gateway_id, outcome)
    doubted = isinstance(claimed, Repeated) or (isinstance(claimed, WithCode) and claimed.is_second)
    again = None if isinstance(claimed, Repeated) else _again(worker, claimed, gateway_id, outcome, rest)
    status = after_outcome(Status.SENDING, outcome, again=again is not None, doubted=doubted)
    return Settled(
        id=claimed.id,
        attempt=claimed.attempt,
        gateway_id=gateway_id,
        status=status,
        outcome=name_of(outcome),
        delay=again.delay if again else 0.0,
        tried=again.tried if again else (),
        http_status=http_status,
        rest=rest,
        lookup_in=_look_again_in(worker, claimed, outcome) if status is Status.UNCONFIRMED else None,
        version=said.account.version,
        blameless=isinstance(outcome, Lost) and outcome.blameless,
        # Kept only where somebody will want to look: an accepted message has nothing to explain.
        exchange=_exchange(said, said.call) if said.call else None,
        **_words_of(outcome, secrets_of(said.account), password=claimed.code if isinstance(claimed, WithCode) else ""),
    )


def _look_again_in(worker: Worker, claimed: Claimed, outcome: Outcome) -> float | None:
    """Seconds until its gateway is asked about it, or given it once more."""
    waits = worker.limits.lookup_waits
    if isinstance(claimed, Repeated):
        return waits[min(claimed.repeat, len(waits) - 1)] if may_repeat(outcome) else None
    return None if is_certain_no(outcome) else waits[0]


def _rest(worker: Worker, gateway_id: UUID, outcome: Outcome) -> float:
    """Seconds of rest that the gateway asked for with this answer; nothing more is handed to it until then."""
    if not isinstance(outcome, Refused) or outcome.fault is not Fault.THROTTLED:
        return 0.0
    rest = worker.healths.hear_later(gateway_id, outcome)
    worker.book.let_rest(gateway_id, until=worker.now() + timedelta(seconds=rest))
    return rest


def _again(worker: Worker, claimed: Claimed, gateway_id: UUID, outcome: Outcome, rest: float) -> routing.Again | None:
    if not is_certain_no(outcome):
        return None
    tried = claimed.tried or ()
    # No fault of the gateway's: the same one is asked again.
    if isinstance(outcome, Lost) and outcome.cause in routing.NOBODY_ASKED:
        in_a_row = claimed.unasked_in_a_row + 1
        return routing.after_nobody_was_asked(tried=tried, attempt=claimed.attempt, in_a_row=in_a_row)
    asked = claimed.attempt - claimed.unasked
    if isinstance(outcome, Lost) and outcome.cause == LOGIN_ENDED and asked < routing.MAX_ATTEMPTS:
        return routing.Again(LOGIN_SECONDS, tuple(tried))
    attachments = worker.media.goes_with(claimed.campaign_message_id)
    later = {
        route.gateway_id
        for route in worker.book.routes
        if route.gateway_id != gateway_id
        and route.gateway_id not in (claimed.refused or ())
        and routing.serves(route, sender_id=claimed.sender_id, location_id=claimed.location_id, attachments=attachments)
    }
    return routing.after_certain_no(
        outcome,
        gateway_id=gateway_id,
        tried=tried,
        attempt=asked,
        others=later.difference(tried),
        later=later,
        rest=rest if claimed.kind == Kind.CAMPAIGN else None,
    )


def _words_of(outcome: Refused | Lost, secrets: Sequence[str], *, password: str) -> dict[str, Any]:
    match outcome:
        case Refused(fault=fault, code=code, detail=detail):
            if password:
                code, detail = code.replace(password, HIDDEN), detail.replace(password, HIDDEN)
            words = _storable(hide(detail, secrets)) or None
            return {"fault": str(fault), "code": _storable(hide(code, secrets)), "detail": words}
        case Lost(cause=cause):
            return {"code": _storable(cause)}


def _exchange(said: Said, call: Call) -> dict[str, Any]:
    private = [
        words
        for sms in said.batch
        for words in (sms.text, sms.msisdn, sms.code, *codes_in(sms.text), *map(signature_of, sms.media_urls))
    ]
    return redact_exchange(call, said.answer, private=private, secrets=secrets_of(said.account))


def _storable(words: str | None) -> str | None:
    """A gateway's words as Postgres keeps them: neither NUL nor half a character, and not without end."""
    if words is None:
        return None
    return words.replace("\0", "").encode("utf-8", "replace").decode()[:_LONGEST]


def _small(number: int | None) -> int | None:
    return number if number is not None and 0 <= number <= _LARGEST_SMALL else None
