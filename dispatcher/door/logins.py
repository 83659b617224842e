"""Tokens of accounts that have to log in first: got once a process, whoever asks, and renewed before they end.

Nothing is handed over while a login is under way or has failed, so its failure is a certain no for those who wait.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from time import monotonic
from typing import Final
from uuid import UUID

from dispatcher.door.transport import Transport
from shared.adapter import ACCESS_TOKEN, Account, Answer, LoginFirst, LoginRefused, UnreadableAnswer, retry_after_of
from shared.domain.outcome import Fault, Lost, Outcome, Refused
from shared.domain.routing import RETRY_AFTER_CAP_SECONDS
from shared.gateways import LOGINS

log = logging.getLogger(__name__)

RENEW_AT: Final = 0.9  # of a token's life
# A login that failed is not tried again for so long, however many messages ask.
PAUSE_SECONDS: Final = 1.0
# So many tokens in a row that were refused, and none taken between them: it is not the token.
REFUSED_TOKENS: Final = 2

_FAILED: Final = Lost(may_have_arrived=False, cause="login_failed")
_THROTTLED: Final = Refused(Fault.THROTTLED, "login_throttled", "the gateway asks for time before the next login")
_TOO_MANY: Final = 429
_REFUSED: Final = Refused(Fault.ACCOUNT, "login_refused", "the gateway does not take the account's credentials")


@dataclass(slots=True)
class _Held:
    """What the last login of an account came to; times by the loop's own clock."""

    account: Account
    ready: Account | Outcome
    renew_at: float
    ends_at: float


class Logins:
    """One for a process, beside its transport. `kind_of` names the kind of a gateway by its id."""

    def __init__(
        self,
        transport: Transport,
        *,
        kind_of: Callable[[UUID], str | None],
        deadline: float,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._transport = transport
        self._kind_of = kind_of
        self._deadline = deadline
        self._clock = clock
        self._held: dict[UUID, _Held] = {}
        self._why: dict[UUID, str] = {}  # the last login of an account came to nothing
        self._refused: dict[UUID, tuple[Account, int]] = {}  # tokens in a row
        self._under_way: dict[UUID, tuple[Account, asyncio.Task[Account | Outcome]]] = {}
        self._tasks: set[asyncio.Task[Account | Outcome]] = set()

    async def ready_account(self, account: Account) -> Account | Outcome:
        """The account as calls are built from it; or the outcome of all that cannot be handed over without a login.

        An account that needs none comes back as it is. That outcome is always a certain no. Where the gateway asked
        for time, it says for how long yet, and the gateway is not asked before.
        """
        gateway = self._gateway_of(account)
        if gateway is None:
            return account
        held = self._held.get(account.gateway_id)
        now = self._clock()
        if held is not None and now < max(held.ends_at, held.renew_at) and _is_same(held.account, account):
            if now >= held.renew_at:
                self._begin(account, gateway)  # nobody waits for it: the token is good for a while
            elif now >= held.ends_at:
                return replace(_THROTTLED, retry_after=held.renew_at - now)  # asked for while the token was good
            return _with_rest(held.ready, held.ends_at - now)
        return await asyncio.shield(self._begin(account, gateway))

    def has_ended(self, ready: Account, answer: Answer) -> bool:
        """Whether an answer refuses a call for its token alone.

        If so, the token is forgotten: ask `ready_account` again, build the call anew and perform it. Whoever comes with
        the same token later gets the new one. Where that one is refused like the one before, the account is at fault,
        whatever the gateway calls it: its answer is for the adapter to read.
        """
        gateway = self._gateway_of(ready)
        if gateway is None:
            return False
        if not gateway.has_login_ended(ready, answer):
            self._refused.pop(ready.gateway_id, None)
            return False
        held = self._held.get(ready.gateway_id)
        if held is None or held.ready is not ready:
            return True  # of a token that is forgotten already
        del self._held[ready.gateway_id]
        of, before = self._refused.get(ready.gateway_id, (held.account, 0))
        refused = before + 1 if _is_same(of, held.account) else 1
        self._refused[ready.gateway_id] = held.account, refused
        return refused < REFUSED_TOKENS

    def why_not(self, account: Account) -> str | None:
        """Why the account's last login came to nothing, for its owner; None if it did not."""
        return self._why.get(account.gateway_id)

    async def aclose(self) -> None:
        """End logins that are still under way; before the transport is closed."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _gateway_of(self, account: Account) -> LoginFirst | None:
        gateway = LOGINS.get(self._kind_of(account.gateway_id) or "")
        return gateway if gateway is not None and gateway.needs_login(account) else None

    def _begin(self, account: Account, gateway: LoginFirst) -> asyncio.Task[Account | Outcome]:
        """The login under way for this account as it is configured now, begun if there is none."""
        under_way = self._under_way.get(account.gateway_id)
        if under_way is not None and _is_same(under_way[0], account):
            return under_way[1]
        task = asyncio.create_task(self._log_in(account, gateway))
        self._under_way[account.gateway_id] = account, task
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _log_in(self, account: Account, gateway: LoginFirst) -> Account | Outcome:
        try:
            ready, lifetime = await self._asked(account, gateway)
        except Exception:
            log.exception("a login went wrong", extra={"gateway_id": str(account.gateway_id)})
            ready, lifetime = _FAILED, PAUSE_SECONDS
        under_way = self._under_way.get(account.gateway_id)
        if under_way is not None and under_way[1] is asyncio.current_task():  # else it is configured anew by now
            del self._under_way[account.gateway_id]
            self._keep(account, ready, lifetime=lifetime)
        return ready

    async def _asked(self, account: Account, gateway: LoginFirst) -> tuple[Account | Outcome, float]:
        heard = await self._transport.perform(gateway.build_login(account), deadline=self._deadline)
        told = {"gateway_id": str(account.gateway_id)}
        if isinstance(heard, Lost):
            self._why[account.gateway_id] = f"The login got no answer ({heard.cause})."
            log.warning("login failed", extra={**told, "cause": heard.cause})
            return _FAILED, PAUSE_SECONDS
        try:
            login = gateway.read_login(account, heard)
        except LoginRefused as refusal:
            self._why[account.gateway_id] = refusal.detail
            log.warning("login refused", extra={**told, "http_status": heard.status})
            return _REFUSED, PAUSE_SECONDS
        except UnreadableAnswer as unreadable:
            log.warning("login failed", extra={**told, "http_status": heard.status})
            if heard.status == _TOO_MANY:
                return self._throttled(account, heard)
            self._why[account.gateway_id] = unreadable.detail
            return _FAILED, PAUSE_SECONDS
        self._why.pop(account.gateway_id, None)
        return replace(account, secrets={**account.secrets, ACCESS_TOKEN: login.token}), login.lifetime_seconds

    def _throttled(self, account: Account, heard: Answer) -> tuple[Outcome, float]:
        self._why[account.gateway_id] = "The gateway answered HTTP 429 to the login: it gets the time that it asks for."
        asked = retry_after_of(heard.headers)
        pause = PAUSE_SECONDS if asked is None else min(max(asked, PAUSE_SECONDS), RETRY_AFTER_CAP_SECONDS)
        return replace(_THROTTLED, retry_after=asked), pause

    def _keep(self, account: Account, ready: Account | Outcome, *, lifetime: float) -> None:
        now = self._clock()
        held = self._held.get(account.gateway_id)
        failed = not isinstance(ready, Account)
        if failed and held is not None and now < held.ends_at and _is_same(held.account, account):
            held.renew_at = now + lifetime  # the token so far is still good
            return
        renew_at = now + (lifetime if failed else lifetime * RENEW_AT)
        self._held[account.gateway_id] = _Held(account, ready, renew_at, now + lifetime)


def _with_rest(ready: Account | Outcome, left: float) -> Account | Outcome:
    """A wish for time counts from when it was said, however often it is told."""
    if isinstance(ready, Refused) and ready.retry_after is not None:
        return replace(ready, retry_after=left)
    return ready


def _is_same(one: Account, other: Account) -> bool:
    return one is other or one == other
