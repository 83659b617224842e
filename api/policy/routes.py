"""The policy over HTTP: one document, read by whoever may read, replaced by an admin."""

from fastapi import APIRouter

from api.deps import CanAdmin, CanRead, Now, Reader, RequestId, Tx
from api.policy.schemas import PolicyOut, Rules
from api.problems import problems
from shared.domain import policy as law
from shared.domain.keywords import find_unfit
from shared.domain.policy import Policy
from shared.errors import FieldError, Invalid
from shared.queries import audit
from shared.queries.policy import Kept, get_kept, lock_policy, write_policy

router = APIRouter(prefix="/policy", tags=["policy"])


class InvalidKeywords(Invalid):
    """A word for stop, start or help cannot be one: it is empty, too long, or means something else already."""


@router.get("")
async def get_policy(tx: Reader, _: CanRead) -> PolicyOut:
    """The sending rules in force, those that nobody set included."""
    return _shown(await get_kept(tx))


@router.put("", responses=problems(InvalidKeywords))
async def set_policy(body: Rules, tx: Tx, caller: CanAdmin, now: Now, request_id: RequestId) -> PolicyOut:
    """Set the sending rules. What is not named takes its default; what is under way keeps what it was started with."""
    was = await lock_policy(tx)
    policy = body.to_policy()
    _refuse_unfit(policy)
    changes = law.difference(was, policy)
    if changes:
        await write_policy(tx, policy, caller=caller.id, now=now)
        await audit.record(
            tx,
            caller=caller.id,
            action="policy.changed",
            subject=("policy", None),
            detail=changes,
            now=now,
            request_id=request_id,
        )
    return _shown(await get_kept(tx))


def _refuse_unfit(policy: Policy) -> None:
    """Raise for words that cannot be keywords, each by its own place."""
    unfit = [FieldError(f"/keywords{error.pointer}", error.detail) for error in find_unfit(policy.keywords)]
    if unfit:
        detail = unfit[0].detail if len(unfit) == 1 else f"{len(unfit)} words cannot be keywords."
        raise InvalidKeywords(detail, errors=unfit)


def _shown(kept: Kept) -> PolicyOut:
    return PolicyOut(**law.write(kept.policy), updated_at=kept.updated_at, updated_by=kept.updated_by)
