"""Who calls, and how far their key reaches.

A key that is unknown, revoked, expired or misspelt looks the same from outside, and takes the same comparison.
"""

import hmac
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Literal

from sqlalchemy.ext.asyncio import AsyncEngine

from api.api_keys import queries
from shared import api_keys
from shared.errors import Forbidden, Unauthenticated

Scope = Literal["send", "read", "manage", "admin"]

# `send` reaches no reading: the key of a splash page must not open the address book. A product that wants both asks
# for both.
REACH: Final[Mapping[str, frozenset[str]]] = {
    "read": frozenset({"read"}),
    "send": frozenset({"send"}),
    "manage": frozenset({"manage", "send", "read"}),
    "admin": frozenset({"admin", "manage", "send", "read"}),
}
ADMIN: Final = "admin"
USE_WRITTEN_EVERY: Final = timedelta(minutes=1)

log = logging.getLogger(__name__)

_NO_DIGEST: Final = bytes(32)
_LONGEST_HEADER: Final = 512


@dataclass(frozen=True, slots=True)
class Caller:
    """`id` is the key's public id, or "admin" for the bootstrap key; `scopes` are all those the key reaches."""

    id: str
    name: str
    scopes: frozenset[str]


@dataclass(frozen=True, slots=True)
class KeyCheck:
    """Looks keys up. `last_used` remembers what was written lately, so that a busy key is one write a minute."""

    engine: AsyncEngine
    admin_key_digest: bytes | None = field(repr=False)
    last_used: dict[str, datetime] = field(default_factory=dict)

    @property
    def _plain(self) -> AsyncEngine:
        """The same pool without transactions: a look-up is one statement, and one trip."""
        return self.engine.execution_options(isolation_level="AUTOCOMMIT")

    async def identify(self, authorization: str | None, *, now: datetime) -> Caller | None:
        """The caller of a request, or None when it carries no good key."""
        token = _bearer(authorization)
        if token is None:
            return None
        if self._is_admin_key(token):
            return Caller(id=ADMIN, name="bootstrap", scopes=REACH["admin"])
        parsed = api_keys.parse(token)
        if parsed is None:
            return None
        public_id, digest = parsed
        async with self._plain.connect() as connection:
            row = await queries.find_live_key(connection, public_id, now=now)
        if not hmac.compare_digest(digest, row.digest if row else _NO_DIGEST) or row is None:
            return None
        scopes = frozenset().union(*(REACH.get(scope, frozenset()) for scope in row.scopes))
        return Caller(id=public_id, name=row.name, scopes=scopes)

    def use_is_worth_writing(self, caller: Caller, *, now: datetime) -> bool:
        """At most once a minute for each key, in each process."""
        if caller.id == ADMIN:
            return False
        last = self.last_used.get(caller.id)
        if last is not None and now - last < USE_WRITTEN_EVERY:
            return False
        self.last_used[caller.id] = now
        return True

    async def write_use(self, caller: Caller, *, now: datetime) -> None:
        """After the answer has left, so nobody waits for it; if it cannot be written, the next minute will do."""
        try:
            async with self._plain.connect() as connection:
                await queries.touch_key(connection, caller.id, now=now, since=now - USE_WRITTEN_EVERY)
        except Exception as error:
            log.warning("use of a key was not written", exc_info=error)

    def _is_admin_key(self, token: str) -> bool:
        if self.admin_key_digest is None:
            return False
        return hmac.compare_digest(api_keys.digest_of(token), self.admin_key_digest)


def require(caller: Caller | None, scope: Scope) -> Caller:
    """The caller, if the key reaches that far."""
    if caller is None:
        raise Unauthenticated(
            "Send a valid API key: `Authorization: Bearer lw_...`. Unknown, expired and revoked keys "
            "are answered alike."
        )
    if scope not in caller.scopes:
        raise MissingScope(scope)
    return caller


class MissingScope(Forbidden):
    """The key is known, but it lacks the scope that this needs."""

    def __init__(self, scope: Scope) -> None:
        super().__init__(f"This needs a key with the scope `{scope}`.")
        self.scope = scope


def _bearer(authorization: str | None) -> str | None:
    if authorization is None or len(authorization) > _LONGEST_HEADER:
        return None
    scheme, _, token = authorization.partition(" ")
    token = token.strip()
    return token if scheme.lower() == "bearer" and token else None
