"""Who calls, from where, and how far their key reaches.

Only who holds the secret of a key is told what is wrong with it: that it is revoked, expired or of no use from there.
A key that is unknown and one with another's id look the same from outside, and take the same comparison.
"""

import hmac
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import ClassVar, Final, Literal

from sqlalchemy.ext.asyncio import AsyncEngine

from api.api_keys import queries
from api.api_keys.queries import HeldKey
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


class MalformedKey(Unauthenticated):
    """What was sent as an API key cannot be one: it is cut short, or a character of it is wrong."""

    remedy: ClassVar[str] = "Copy the whole key again from where it is kept, from `lw_` to its last character."


class KeyRevoked(Unauthenticated):
    """The key was revoked, for good."""

    remedy: ClassVar[str] = (
        "Take its successor, or ask an administrator for a new one; a revoked key never works again."
    )


class KeyExpired(Unauthenticated):
    """The key has reached its end."""

    remedy: ClassVar[str] = "Take its successor, or ask an administrator for a new one or a later end."


class AddressNotAllowed(Forbidden):
    """The key is in order, but may not be used from this address."""

    remedy: ClassVar[str] = (
        "Call from one of the key's networks, or have its `networks` changed; `detail` names the address."
    )


class MissingScope(Forbidden):
    """The key is known, but it lacks the scope that this needs."""

    remedy: ClassVar[str] = "Use a key with the scope that `detail` names; `GET /v1/me` tells which yours has."

    def __init__(self, scope: Scope, has: Iterable[str]) -> None:
        reach = ", ".join(f"`{each}`" for each in sorted(has))
        super().__init__(f"This needs a key with the scope `{scope}`; this one has {reach or 'none'}.")
        self.scope = scope


@dataclass(frozen=True, slots=True)
class Caller:
    """`id` is the key's public id, or "admin" for the bootstrap key; `scopes` are all those the key reaches.

    A key and those that it was rotated from and to are one line, and one caller: `line` names it, and `keys` are all of
    them.
    """

    id: str
    name: str
    scopes: frozenset[str]
    line: str
    keys: frozenset[str]
    rate_limit: int | None = None  # requests a minute; the deployment's without it

    @property
    def may_read(self) -> bool:
        """A key that may not knows of what its line made, and of nobody else's."""
        return "read" in self.scopes


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

    async def identify(self, authorization: str | None, *, address: str | None, now: datetime) -> Caller | None:
        """The caller of a request, or None when it carries no key; raises when the key is of no use."""
        token = _bearer(authorization)
        if token is None:
            if authorization is not None and authorization.startswith("lw_"):
                raise Unauthenticated("Write the word Bearer before the key: `Authorization: Bearer lw_...`.")
            return None
        if self._is_admin_key(token):
            return Caller(id=ADMIN, name="bootstrap", scopes=REACH["admin"], line=ADMIN, keys=frozenset({ADMIN}))
        parsed = api_keys.parse(token)
        if parsed is None:
            raise MalformedKey(_what_is_wrong_with(token))
        public_id, digest = parsed
        async with self._plain.connect() as connection:
            key = await queries.find_key(connection, public_id)
        if not hmac.compare_digest(digest, key.digest if key else _NO_DIGEST) or key is None:
            raise Unauthenticated(
                "This API key is not known here; it may be of another deployment. Ask an administrator for one of "
                "this deployment."
            )
        _check_live(public_id, key, now)
        _check_address(key.networks, address)
        scopes = frozenset().union(*(REACH.get(scope, frozenset()) for scope in key.scopes))
        return Caller(
            id=public_id,
            name=key.name,
            scopes=scopes,
            line=key.line or public_id,
            keys=frozenset({public_id, *key.keys}),
            rate_limit=key.rate_limit,
        )

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


def require(caller: Caller | None, scope: Scope | None) -> Caller:
    """The caller, if the key reaches that far; any key does without a scope."""
    if caller is None:
        raise Unauthenticated("Send an API key: `Authorization: Bearer lw_...`.")
    if scope is not None and scope not in caller.scopes:
        raise MissingScope(scope, caller.scopes)
    return caller


def _bearer(authorization: str | None) -> str | None:
    if authorization is None or len(authorization) > _LONGEST_HEADER:
        return None
    scheme, _, token = authorization.partition(" ")
    token = token.strip()
    return token if scheme.lower() == "bearer" and token else None


def _what_is_wrong_with(token: str) -> str:
    """In words that tell nothing but what who sent it can see."""
    if not token.startswith("lw_") or len(token) != api_keys.LENGTH:
        return (
            f"This is no whole API key: it has {len(token)} characters, and a key has {api_keys.LENGTH} and begins "
            "with `lw_`. Copy all of it."
        )
    return (
        "A character of this API key is not as it was issued: its checksum does not fit. Copy it again from where "
        "it is kept."
    )


def _check_live(public_id: str, key: HeldKey, now: datetime) -> None:
    if key.revoked_at is not None:
        raise KeyRevoked(f"The key {public_id} was revoked at {key.revoked_at:%Y-%m-%dT%H:%M:%SZ}. Take another one.")
    if key.expires_at is not None and key.expires_at <= now:
        raise KeyExpired(f"The key {public_id} expired at {key.expires_at:%Y-%m-%dT%H:%M:%SZ}. Take another one.")


def _check_address(networks: Sequence[str], address: str | None) -> None:
    if not networks:
        return
    caller = _plain_address(address)
    if caller is None or not any(caller in ip_network(network) for network in networks):
        raise AddressNotAllowed(
            f"This key may not be used from {caller or 'an unknown address'}. Call from one of its networks, or have "
            "the key's `networks` changed."
        )


def _plain_address(text: str | None) -> IPv4Address | IPv6Address | None:
    """An IPv4 address that came through an IPv6 socket is itself."""
    try:
        address = ip_address(text or "")
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address
