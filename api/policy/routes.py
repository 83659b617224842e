"""The policy over HTTP: one document, read by whoever may read, replaced or changed by an admin."""

from fastapi import APIRouter
from sqlalchemy.ext.asyncio import AsyncConnection

from api.admission import GuardedRoute
from api.deps import CanAdmin, CanRead, Deeds, DeedsOf, Reader, Tx
from api.examples import answered
from api.policy.schemas import CHANGED, PolicyOut, Rules, RulesPatch
from api.problems import problems
from shared.domain import policy as law
from shared.domain.keywords import find_unfit
from shared.domain.policy import Policy
from shared.errors import FieldError, Invalid
from shared.queries.policy import Kept, get_kept, lock_policy, write_policy

router = APIRouter(prefix="/policy", tags=["policy"], route_class=GuardedRoute)


class InvalidKeywords(Invalid):
    """A word for stop, start or help cannot be one: it is empty, too long, or means something else already."""


@router.get("")
async def get_policy(tx: Reader, _: CanRead) -> PolicyOut:
    """The sending rules in force, those that nobody set included."""
    return _shown(await get_kept(tx))


@router.put("", responses=problems(InvalidKeywords))
async def set_policy(body: Rules, tx: Tx, _: CanAdmin, deeds: Deeds) -> PolicyOut:
    """Set all sending rules: what is not named takes its default. To change some and keep the others, use PATCH.

    What is under way keeps what it was started with.
    """
    was = await lock_policy(tx)
    return await _keep(tx, was, body.to_policy(), deeds)


@router.patch("", responses={**problems(InvalidKeywords), **answered(CHANGED)})
async def change_policy(body: RulesPatch, tx: Tx, _: CanAdmin, deeds: Deeds) -> PolicyOut:
    """Change the rules that are named and keep all others; null takes a rule's default.

    Each rule is changed as a whole, but for the switches under `activated`, which are turned one by one. What is under
    way keeps what it was started with.
    """
    was = await lock_policy(tx)
    return await _keep(tx, was, body.onto(was), deeds)


async def _keep(tx: AsyncConnection, was: Policy, policy: Policy, deeds: DeedsOf) -> PolicyOut:
    """Put the policy in force and write down what is different, if anything is."""
    _refuse_unfit(policy)
    changes = law.difference(was, policy)
    if changes:
        await write_policy(tx, policy, caller=deeds.caller, now=deeds.now)
        await deeds.write("policy.changed", ("policy", None), changes)
    return _shown(await get_kept(tx))


def _refuse_unfit(policy: Policy) -> None:
    """Raise for words that cannot be keywords, each by its own place."""
    unfit = [FieldError(f"/keywords{error.pointer}", error.detail) for error in find_unfit(policy.keywords)]
    if unfit:
        detail = unfit[0].detail if len(unfit) == 1 else f"{len(unfit)} words cannot be keywords."
        raise InvalidKeywords(detail, errors=unfit)


def _shown(kept: Kept) -> PolicyOut:
    return PolicyOut(**law.write(kept.policy), updated_at=kept.updated_at, updated_by=kept.updated_by)
