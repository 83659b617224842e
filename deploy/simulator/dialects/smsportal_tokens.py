"""Who may come in at SMSPortal: the API key by Basic auth, or a token that was given for it.

Tokens hold their own end, so that nothing has to be kept.
"""

import hmac
from base64 import b64decode
from functools import lru_cache
from typing import Final

from deploy.simulator.contract import World
from deploy.simulator.messages import Account

_MISSING: Final = "AuthenticationHeader.Missing"
_INVALID: Final = "AuthenticationToken.Invalid"
_EXPIRED: Final = "AuthenticationToken.Expired"


def new(world: World, *, now: float) -> dict[str, object]:
    seconds = world.dials.token_seconds
    ends = f"{world.dials.token_series}.{now + seconds:.3f}"
    minutes = seconds / 60
    return {
        "token": f"{ends}.{_mark(world.account, ends)}",
        "schema": "JWT",
        "expiresInMinutes": int(minutes) if minutes.is_integer() else minutes,
    }


def fault_of(world: World, authorization: bytes, *, now: float, only: bytes | None) -> str | None:
    """What is wrong with an Authorization header; None if it opens the account. `only` names the scheme to take."""
    scheme, _, given = authorization.strip().partition(b" ")
    if not given:
        return _MISSING
    if scheme.lower() == b"basic":
        return None if _is_key(world.account, given.strip()) else "InvalidCredentials"
    if scheme.lower() != b"bearer" or only is not None:
        return _MISSING
    return _token_fault(world, given.strip().decode("ascii", "replace"), now=now)


def _token_fault(world: World, token: str, *, now: float) -> str | None:
    ends, _, mark = token.rpartition(".")
    if not ends or not hmac.compare_digest(_mark(world.account, ends).encode(), mark.encode()):
        return _INVALID
    series, _, moment = ends.partition(".")
    return None if series == str(world.dials.token_series) and now < float(moment) else _EXPIRED


@lru_cache(maxsize=1024)
def _mark(account: Account, ends: str) -> str:
    return hmac.digest(account.api_secret.encode(), ends.encode(), "sha256").hex()


@lru_cache(maxsize=64)
def _is_key(account: Account, given: bytes) -> bool:
    try:
        return b64decode(given, validate=True) == f"{account.api_key}:{account.api_secret}".encode()
    except ValueError:
        return False
