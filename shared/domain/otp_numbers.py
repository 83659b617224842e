"""Whom a password may be sent to: kinds of numbers, countries, and numbers only for trying out. Pure."""

from collections.abc import Collection
from typing import Final

from shared.domain import msisdn as numbers
from shared.domain import numbering
from shared.domain.msisdn import InvalidMsisdn
from shared.domain.numbering import Kind
from shared.errors import Invalid

# Where a text reaches a person. Landlines, pagers and the like would only cost; internet telephony is the fraudster's
# cheapest supply of numbers.
REACHABLE: Final = frozenset({Kind.MOBILE, Kind.FIXED_LINE_OR_MOBILE})
# A prefix is a number without its last four digits: what one range-holder sells.
_SUBSCRIBER_DIGITS: Final = 4
_OF_NO_COUNTRY: Final = "001"


class OtpCountryNotAllowed(Invalid):
    """Passwords of this profile are not sent to numbers of that country."""


class InvalidTestNumber(Invalid):
    """A test number has to be one that is set aside for fiction: a fixed code must let in nobody's real number."""


def check_reachable(msisdn: str) -> None:
    """Refuse numbers that no password can be read at, and those that charge for it."""
    kind = numbers.kind(msisdn)
    if kind not in REACHABLE:
        told = f"a {kind.replace('_', '-')} number" if kind else "in no numbering plan"
        raise InvalidMsisdn(f"msisdn is {told}, and passwords go to mobile numbers only; give one.")


def check_country(msisdn: str, allowed: Collection[str]) -> None:
    """Refuse numbers of other countries than those allowed; without any, all are."""
    if allowed and country_of(msisdn) not in allowed:
        raise OtpCountryNotAllowed(
            "msisdn belongs to a country that passwords are not sent to; give a number of "
            f"{', '.join(sorted(allowed)[:20])}, or have allowed_countries of the profile changed."
        )


def country_of(msisdn: str) -> str:
    """The ISO region; `001` for numbers of no country."""
    return numbers.country_of(msisdn) or _OF_NO_COUNTRY


def prefix_of(msisdn: str) -> str:
    return msisdn[:-_SUBSCRIBER_DIGITS]


def allowed_countries(listed: Collection[str] | None, *, region: str | None, deployment: str | None) -> frozenset[str]:
    """Where a profile's passwords may go: its list, else its own country, else the deployment's, else everywhere."""
    if listed is not None:
        return frozenset(listed)
    home = region or deployment
    return frozenset({home}) if home else frozenset()


def check_test_number(msisdn: str) -> None:
    if not numbering.is_fictional(msisdn.removeprefix("+")):
        raise InvalidTestNumber(
            "A test number is one that nobody can have, such as +447700900123 or +12025550142; a real number's owner "
            "could be impersonated with its fixed code."
        )
