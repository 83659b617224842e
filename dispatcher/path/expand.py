"""Stage 2 of 5, expand: recipients become messages, slice by slice, and the cursor moves in the same transaction.

Before: due.py froze the audience. After: pump.py sends. Ids are derived, so a slice that is made twice meets itself
instead of doubling; memory is one slice, however large the audience.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from time import monotonic
from typing import Any, Final, TypeVar
from uuid import UUID

from asyncpg.pgproto import pgproto
from sqlalchemy.ext.asyncio import AsyncConnection

from dispatcher import failpoints
from dispatcher.beside.quota import NotCovered, cover, hold
from dispatcher.path.reach import ANYBODY, Fate, Reach, reach_of
from dispatcher.queries import campaigns, resends
from dispatcher.queries.campaigns import Recipient, Step
from dispatcher.queries.erasures import share_with_erasures
from dispatcher.queries.tallies import Moves, write_tallies
from dispatcher.queries.tellings import tell_of_rows
from dispatcher.worker import Worker
from shared.domain import campaign_pace as pace
from shared.domain.campaign import HeldReason
from shared.domain.contact import Consent
from shared.domain.message import PRIORITY_OF, Kind, SkipReason, Status
from shared.domain.policy import QuotaUnit
from shared.domain.segments import Measured, measure, per_160
from shared.domain.template import CAMPAIGN_TAGS, Template, TextTooLong, compile_template
from shared.ids import derive_uuid7s
from shared.sealing import hash_msisdn

log = logging.getLogger(__name__)

_T = TypeVar("_T")
Rows = list[tuple[Any, ...]]

# What was rendered ahead is used for so long; a queue may be full for minutes, and then it is rendered again.
FRESH_SECONDS: Final = 2.0
# Nothing is rendered beside the first slice but the second one, and whoever is first should not wait for five thousand.
FIRST_SLICE: Final = 1_000
# Rows rendered before the event loop may see to a password in between.
BREATH: Final = 50
_PRIORITY: Final = PRIORITY_OF[Kind.CAMPAIGN]
_KIND: Final = Kind.CAMPAIGN.value
_WITHDRAWN: Final = Consent.WITHDRAWN.value
_GRANTED: Final = Consent.GRANTED.value
TOO_LONG: Final = "text_too_long"
EMPTY: Final = "text_empty"
MISSING: Final = "tag_missing"


@dataclass(frozen=True, slots=True)
class Slice:
    """Rows for COPY of one step's recipients after the cursor `after`, up to and with `upto`."""

    step: Step
    after: int
    upto: int
    records: Sequence[tuple[Any, ...]] = field(repr=False)
    moves: Moves
    made_at: float
    units: int = 0  # what its messages take from the quota
    segments: int = 0  # and on the air

    def fits(self, step: Step) -> bool:
        """Whether these are still the step's next rows, and fresh: what a contact is called may change."""
        return self.step == replace(step, expanded=self.step.expanded) and (
            self.after == step.expanded and monotonic() - self.made_at < FRESH_SECONDS
        )


class Outweighed(Exception):
    """A slice of this campaign takes more segments than were confirmed."""

    def __init__(self, campaign_id: UUID) -> None:
        super().__init__(str(campaign_id))
        self.campaign_id = campaign_id


async def expand(worker: Worker) -> int:
    """Expand one slice of one campaign message; how many messages it made.

    A campaign without quota is held, and so is one that would take more segments than were confirmed.
    """
    try:
        return await _expand(worker)
    except NotCovered as error:
        await hold(worker, error.campaign_id, HeldReason.QUOTA)
    except Outweighed as error:
        await hold(worker, error.campaign_id, HeldReason.SEGMENTS)
    return 0


async def _expand(worker: Worker) -> int:
    """One slice, in one transaction.

    While the database takes in a slice's rows the next one is read and rendered, to be found by the next call.
    """
    ahead = worker.ahead.pop("slice", None)
    async with AsyncExitStack() as beside:
        async with worker.by_key() as tx:
            step = await campaigns.lock_step(tx, backlog=worker.limits.backlog)
            if step is None:
                return 0
            await worker.rules.refresh(tx)
            if await share_with_erasures(tx):
                ahead = None  # it may name somebody who is forgotten since it was read
            if ahead is not None and ahead.fits(step):
                now = ahead
            else:
                now = await make_slice(worker, tx, step, step.expanded, most=pace.slice_of(step.max_per_minute))
            following = await beside.enter_async_context(_begun(_make_next(worker, step, now.upto)))
            await _check_confirmed(tx, step, now)
            if worker.rules.is_limited:
                await cover(worker, tx, step, now.units)
            await campaigns.copy_messages(tx, now.records, resent=step.resend_of is not None or step.is_resent)
            await tell_of_rows(tx, now.records, columns=campaigns.COLUMNS, wanted=worker.wanted)
            await campaigns.move_cursor(tx, step, expanded=now.upto, segments=now.segments)
            await write_tallies(tx, now.moves, writer=worker.writer * 8 + 4)
            failpoints.hit("before_expand_commit")
        failpoints.hit("after_expand_commit")
        worker.ring("bulk")
        if (made := await following) is not None:
            worker.ahead["slice"] = made
    return len(now.records)


async def _check_confirmed(tx: AsyncConnection, step: Step, now: Slice) -> None:
    """Raise where a slice would take the campaign beyond what its owner has seen and confirmed."""
    confirmed = step.confirmed_segments
    if confirmed is not None and await campaigns.count_made(tx, step.campaign_id) + now.segments > confirmed:
        raise Outweighed(step.campaign_id)


@asynccontextmanager
async def _begun(coroutine: Coroutine[Any, Any, _T]) -> AsyncIterator[asyncio.Task[_T]]:
    """Run something beside the block; it does not outlive it."""
    task = asyncio.create_task(coroutine)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait({task})


async def _make_next(worker: Worker, step: Step, after: int) -> Slice | None:
    """The slice after this one; none, where there is none or it could not be read: it will be made in its turn."""
    # Who needs one once more, or is below the cap, depends on what became of others meanwhile: it is seen in its turn.
    is_alone = step.resend_of is None and not step.is_resent and step.max_per_minute is None
    if after >= step.recipients or not is_alone or worker.rules.policy.frequency_cap is not None:
        return None
    try:
        async with worker.by_key() as tx:
            return await make_slice(worker, tx, step, after)
    except Exception as error:  # noqa: BLE001 - whatever it was, the slice's own turn will meet it
        log.warning("a slice was not made ahead", extra={"cause": type(error).__name__})
        return None


async def make_slice(worker: Worker, tx: AsyncConnection, step: Step, after: int, *, most: int | None = None) -> Slice:
    """The messages of a step's recipients after this position, ready to be written; for so many at the most."""
    made_at = monotonic()
    size = worker.limits.expand_slice if after else min(FIRST_SLICE, worker.limits.expand_slice)
    upto = min(after + (size if most is None else min(size, most)), step.recipients)
    recipients = await campaigns.list_recipients(tx, step, after=after, upto=upto)
    resend = None
    if step.resend_of is not None:
        resend = await resends.find_originals(tx, step, recipients)
    elif step.is_resent:
        resend = await resends.find_unsent_elsewhere(tx, step, recipients)
    reach = await reach_of(worker, tx, step, recipients, resend)
    records, made = await _render(worker, step, recipients, reach)
    return Slice(step, after, upto, records, made.moves(step), made_at, made.units, made.segments)


async def _render(worker: Worker, step: Step, recipients: Sequence[Recipient], reach: Reach) -> tuple[Rows, "_Made"]:
    """Rows for COPY, in the order of `campaigns.COLUMNS`; of what is sent once more, with what it stands for."""
    policy, resend = worker.rules.policy, reach.resend
    template = compile_template(step.text, known=CAMPAIGN_TAGS)
    columns = _Columns(worker, step)
    records: Rows = []
    required = policy.require_consent
    longest, most, is_limited = policy.max_segments, policy.max_chars or None, reach.is_limited
    blocks = worker.rules.is_limited and policy.quota_unit is QuotaUnit.PER_160
    made = _Made()
    for place, recipient in enumerate(recipients, start=1):
        if place % BREATH == 0:
            await asyncio.sleep(0)
        status, failure, text = _fill(template, step, recipient)
        measured = measure(text)
        if measured.segments > longest or (most is not None and measured.characters > most):
            status, failure = Status.FAILED, TOO_LONG
        skipped, not_before = reach.of(recipient) if is_limited else ANYBODY
        consent = recipient.consent_status
        if consent == _WITHDRAWN or recipient.msisdn[0] != "+" or (required and consent != _GRANTED):
            skipped = SkipReason.NO_CONSENT  # since the audience was frozen, or the person was erased
        if skipped is not None:
            status, failure = Status.SKIPPED, None
        row = columns.row(recipient, (status, failure, skipped, not_before), text, measured)
        records.append(row if resend is None else (*row, resend.get(recipient.msisdn)))
        if status is Status.QUEUED:
            made.queued += 1
            made.segments += measured.segments
            made.units += per_160(text) if blocks else measured.segments
        else:
            made.note(status, measured.segments)
    return records, made


class _Made:
    """What a slice comes to. The usual case in two numbers, for it is added to thousands of times."""

    def __init__(self) -> None:
        self.queued = 0
        self.segments = 0
        self.units = 0
        self._others: dict[Status, tuple[int, int]] = {}

    def note(self, status: Status, segments: int) -> None:
        messages, so_far = self._others.get(status, (0, 0))
        self._others[status] = (messages + 1, so_far + segments)

    def moves(self, step: Step) -> Moves:
        moves = Moves()
        made = self._others | ({Status.QUEUED: (self.queued, self.segments)} if self.queued else {})
        for status, (messages, segments) in made.items():
            moves.add(step.id, was=None, now=status, messages=messages, segments=segments)
        return moves


def _fill(template: Template, step: Step, recipient: Recipient) -> tuple[Status, str | None, str]:
    """One recipient's text. One too long, empty, or with a hole fails that one message and stops nobody else's."""
    values = {
        "msisdn": recipient.msisdn,
        "name": recipient.name,
        "external_id": recipient.external_id,
        "location_id": recipient.location_id,
        "time_zone": recipient.time_zone,
        "fields": recipient.fields or {},
        "campaign": {"name": step.campaign_name},
    }
    try:
        text, missing = template.fill(values)
    except TextTooLong:
        return Status.FAILED, TOO_LONG, step.text
    if missing:  # nobody lacked anything when the campaign was started
        return Status.FAILED, MISSING, step.text
    # Nothing but tags, and no value for any of them: there is nothing to send.
    return (Status.QUEUED, None, text) if text.strip() else (Status.FAILED, EMPTY, step.text)


class _Columns:
    """Rows for COPY. What all of a slice have in common is worked out once: this is the expansion's inner loop."""

    def __init__(self, worker: Worker, step: Step) -> None:
        self._step = step
        self._now = worker.now()
        self._pepper = worker.pepper
        self._id_of = derive_uuid7s(step.expanding_at, step.id.bytes)

    def row(self, recipient: Recipient, fate: Fate, text: str, measured: Measured) -> tuple[Any, ...]:
        """In the order of `campaigns.COLUMNS`. The driver's own ids are made and written at a fraction of the cost."""
        step, msisdn = self._step, recipient.msisdn
        status, failure, skip_reason, not_before = fate
        return (
            pgproto.UUID(self._id_of(recipient.position, msisdn.encode())),
            _KIND,
            status,
            _PRIORITY,
            msisdn,
            hash_msisdn(self._pepper, msisdn),
            text,
            measured.encoding,
            measured.segments,
            step.sender_id,
            step.campaign_id,
            step.id,
            recipient.contact_id,
            recipient.location_id,
            # Not before the step itself began: two clocks may differ, and the database's decides what is due.
            max(step.expanding_at, not_before) if not_before else step.expanding_at,
            step.send_by,
            failure,
            skip_reason,
            step.created_by,
            self._now,
            self._now,
        )
