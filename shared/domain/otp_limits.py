"""How many passwords for whom, and how much they may cost: the usual limits, and what an operator changes. Pure.

A limit has several speeds: one that stops a burst, one that stops a slow drip.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv6Address, ip_address
from types import MappingProxyType
from typing import Any, Final

from shared.domain.speed import Speed
from shared.errors import Invalid

HOUR: Final = 3600
DAY: Final = 86_400


class Scope(StrEnum):
    """What passwords are counted by."""

    NUMBER = "number"
    PREFIX = "prefix"  # a number without its last four digits
    IP = "ip"  # of IPv6, the /64 that one subscriber has
    SESSION = "session"
    PROFILE = "profile"
    DEPLOYMENT = "deployment"


USUAL: Final[Mapping[Scope, tuple[Speed, ...]]] = MappingProxyType(
    {
        Scope.NUMBER: (Speed(5, 600), Speed(10, DAY)),
        Scope.PREFIX: (Speed(30, 600), Speed(60, HOUR), Speed(200, DAY)),
        # A whole venue may stand behind one address.
        Scope.IP: (Speed(30, 600), Speed(300, DAY)),
        Scope.SESSION: (Speed(5, 600), Speed(10, DAY)),
        Scope.PROFILE: (Speed(120, 60), Speed(2_000, HOUR)),
        Scope.DEPLOYMENT: (Speed(300, 60), Speed(5_000, HOUR)),
    }
)
# A prefix that converts badly still gets one now and then, so that it can show that it got better.
THROTTLED: Final = (Speed(1, 60), Speed(10, HOUR))

USUAL_HOUR_SEGMENTS: Final = 2_000
USUAL_DAY_SEGMENTS: Final = 20_000
# Wrong codes in a row for one number, over all its challenges. A hundred is what NIST SP 800-63B allows at most.
USUAL_FAILURES: Final = 20
FAILURES_SECONDS: Final = DAY


class InvalidAddress(Invalid):
    """The client's address is neither an IPv4 nor an IPv6 address."""


@dataclass(frozen=True, slots=True)
class Limits:
    """All that holds for one profile."""

    speeds: Mapping[Scope, tuple[Speed, ...]]
    hour_segments: int = USUAL_HOUR_SEGMENTS
    day_segments: int = USUAL_DAY_SEGMENTS
    failures: int = USUAL_FAILURES


def limits_of(deployment: Mapping[str, Any], profile: Mapping[str, Any]) -> Limits:
    """The usual limits, changed by the deployment's, and those of its own scopes by the profile's."""
    stored = {**deployment, **{scope: told for scope, told in profile.items() if scope != Scope.DEPLOYMENT}}
    return Limits(
        speeds={scope: _speeds(stored.get(scope)) or USUAL[scope] for scope in Scope},
        hour_segments=int(deployment.get("hour_segments", USUAL_HOUR_SEGMENTS)),
        day_segments=int(deployment.get("day_segments", USUAL_DAY_SEGMENTS)),
        failures=int(deployment.get("failures", USUAL_FAILURES)),
    )


def _speeds(stored: Any) -> tuple[Speed, ...]:
    return tuple(Speed(int(one["count"]), int(one["seconds"])) for one in stored or ())


def read_address(raw: str) -> str:
    """What an address is counted by: itself, or of IPv6 the network that one subscriber has."""
    try:
        address = ip_address(raw.strip())
    except ValueError:
        raise InvalidAddress(
            "client_ip is the address of the person's device, such as 203.0.113.7 or 2001:db8::1; no port, no network."
        ) from None
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return f"{IPv6Address(int(address) >> 64 << 64)}/64"
    return str(address)
