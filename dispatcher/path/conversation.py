"""One call to a gateway, from its login to the reading of its answer.

Total: whatever goes wrong, each message of the batch gets an outcome. An exception nobody foresaw counts as lost once
the door was passed, because by then bytes may have left, and as a certain no before.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Final

from dispatcher import failpoints
from dispatcher.door.transport import Cause
from dispatcher.worker import Worker
from shared.adapter import SCRIPT_FAILED, Account, Answer, Call, CannotBuild, Scripted, Sms, UnfitScript
from shared.domain.outcome import Lost, Outcome
from shared.gateways import LOGINS, SCRIPTED, sandbox
from shared.scripts.failures import Reason, ScriptFailed

log = logging.getLogger(__name__)

Read = Callable[[Sequence[Sms], Answer], Sequence[Outcome]]

LEASE_MARGIN: Final = Cause.LEASE_MARGIN
LOGIN_ENDED: Final = "login_ended"
_ENDED: Final = Lost(may_have_arrived=False, cause=LOGIN_ENDED)

# A script that has no `read` says so each time it is asked; it is asked once.
_HAS_NO_SAY: Final = frozenset({Reason.MISSING_FUNCTION})


@dataclass(frozen=True, slots=True)
class Said:
    """What a call came to: an outcome for each message, and the exchange for the record.

    `account` is the one that the call was built from: its secrets are those to keep out of the record, and so are the
    texts and numbers of the whole `batch`. `why` is for the owner: what went wrong with their own script.
    """

    batch: Sequence[Sms] = field(repr=False)
    outcomes: Sequence[Outcome]
    account: Account
    call: Call | None = field(default=None, repr=False)
    answer: Answer | None = field(default=None, repr=False)
    why: str | None = None

    @classmethod
    def of_all(cls, batch: Sequence[Sms], outcome: Outcome, account: Account, call: Call | None = None) -> "Said":
        return cls(batch, [outcome] * len(batch), account, call)


async def converse(worker: Worker, account: Account, batch: Sequence[Sms], *, start_by: float) -> Said:
    """Log in where that is needed, build the call, pass the door, read the answer."""
    kind = worker.book.kind_of(account.gateway_id) or ""
    ready = account
    if kind in LOGINS:
        logged_in = await worker.logins.ready_account(account)
        if not isinstance(logged_in, Account):
            return Said(batch, [logged_in] * len(batch), account, why=worker.logins.why_not(account))
        ready = logged_in
    scripted = SCRIPTED.get(kind)
    script = scripted.script_of(ready) if scripted is not None else None
    built = await _built(worker, ready, batch, scripted, script)
    if isinstance(built, Said):
        return built
    call, read = built
    # The login or the script may have taken long.
    if monotonic() > start_by:
        return Said.of_all(batch, Lost(may_have_arrived=False, cause=LEASE_MARGIN), ready)
    said = await _pass_the_door(worker, ready, batch, call, start_by=start_by, read=read)
    if said.answer is not None and said.outcomes[0] != _ENDED and scripted is not None and script is not None:
        return await _read_by_script(worker, scripted, script, batch[0], said)
    return said


async def _built(
    worker: Worker, account: Account, batch: Sequence[Sms], scripted: Scripted | None, script: str | None
) -> tuple[Call, Read] | Said:
    """The call, and who reads its answer; or what it comes to that there is none: a certain no, for nothing left."""
    try:
        adapter = worker.book.adapter_of(account)  # the gateway may be deleted while it is on the line
        if scripted is not None and script is not None:
            return await _build_by_script(worker, scripted, script, account, batch[0]), adapter.read_send
        return adapter.build_send(account, batch), adapter.read_send
    except (ScriptFailed, UnfitScript) as failure:
        log.warning("a script failed", extra={"gateway_id": str(account.gateway_id), "cause": str(failure)})
        return Said(batch, [SCRIPT_FAILED] * len(batch), account, why=str(failure))
    except CannotBuild as refusal:
        # It does not fit into the settings; the gateway was not asked, and others may fit.
        told = {"message_id": str(batch[0].id), "gateway_id": str(account.gateway_id), "cause": refusal.detail}
        log.warning("a call could not be built", extra=told)
        unfit = Lost(may_have_arrived=False, cause="build_failed", blameless=True)
        return Said(batch, [unfit] * len(batch), account, why=refusal.detail)
    except Exception:
        log.exception("a call could not be built", extra={"message_id": str(batch[0].id)})
        return Said.of_all(batch, Lost(may_have_arrived=False, cause="build_failed"), account)


async def _pass_the_door(
    worker: Worker, account: Account, batch: Sequence[Sms], call: Call, *, start_by: float, read: Read
) -> Said:
    begun = monotonic()
    failpoints.hit("before_send")
    try:
        if call.url == sandbox.URL:
            heard: Answer | Lost = sandbox.answer(call)
        else:
            heard = await worker.transport.perform(call, deadline=worker.limits.deadline, start_by=start_by)
        worker.gauges.hand_over(worker.book.name_of(account.gateway_id)).observe(monotonic() - begun)
        if isinstance(heard, Lost):
            return Said.of_all(batch, heard, account, call)
        if worker.logins.has_ended(account, heard):
            return Said(batch, [_ENDED] * len(batch), account, call, heard)
        outcomes = [outcome for outcome, _ in zip(read(batch, heard), batch, strict=True)]
        return Said(batch, outcomes, account, call, heard)
    except Exception:
        log.exception("a hand-over went wrong", extra={"message_id": str(batch[0].id)})
        return Said.of_all(batch, Lost(may_have_arrived=True, cause="unforeseen"), account, call)


async def _build_by_script(worker: Worker, scripted: Scripted, script: str, account: Account, sms: Sms) -> Call:
    given = scripted.script_input(account, sms)
    told: object = await worker.scripts.call(script, "build", given, owner=str(account.gateway_id))
    return scripted.call_from_script(account, sms, told)


async def _read_by_script(worker: Worker, scripted: Scripted, script: str, sms: Sms, said: Said) -> Said:
    """The answer as the script reads it; as the settings do, where it has no say. A failure leaves it in doubt."""
    assert said.answer is not None
    answer = said.answer
    why: str | None = None
    try:
        # Turns of its own: a `read` that never ends would otherwise be forgiven for each `build` that does.
        given = scripted.answer_input(said.account, sms, answer)
        told: object = await worker.scripts.call(script, "read", given, owner=f"{said.account.gateway_id} read")
        outcome = scripted.read_from_script(sms, answer, told)
    except ScriptFailed as failure:
        if failure.reason in _HAS_NO_SAY:
            return said
        log.warning("a script failed", extra={"gateway_id": str(said.account.gateway_id), "cause": str(failure)})
        outcome, why = Lost(may_have_arrived=True, cause="script_failed"), str(failure)
    except Exception:
        log.exception("an answer was not read", extra={"message_id": str(sms.id)})
        outcome = Lost(may_have_arrived=True, cause="unforeseen")
    return said if outcome is None else Said(said.batch, [outcome], said.account, said.call, answer, why)
