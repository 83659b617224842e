"""MSISDNs: what people write, read into E.164 with its +, or refused with the remedy.

Every number of a country's plan is taken but those that charge the person called: premium rate and
shared cost. Landlines are taken, since many receive texts; short and emergency numbers are no
MSISDNs. Refusals do not repeat the number, so they may be logged.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from phonenumbers import (
    NumberParseException,
    ValidationResult,
    is_possible_number_with_reason,
    national_significant_number,
)
from phonenumbers import parse as read

from shared.domain import numbering
from shared.domain.numbering import Kind
from shared.errors import Invalid


class InvalidMsisdn(Invalid):
    """The phone number cannot be read, or no message may be sent to it."""


class UnknownRegion(InvalidMsisdn):
    """The region is not a country's two-letter code (ISO 3166-1)."""


MAX_RAW_CHARACTERS: Final = 64
REFUSED_KINDS: Final = frozenset({Kind.PREMIUM_RATE, Kind.SHARED_COST})
# Kinds that show no texts, wherever they are; of the others some do (internet telephony, American toll-free numbers).
TEXTLESS: Final = frozenset({Kind.FIXED_LINE, Kind.PAGER, Kind.UAN, Kind.VOICEMAIL})
_MOBILE_KINDS: Final = frozenset({Kind.MOBILE, Kind.FIXED_LINE_OR_MOBILE})

_E164 = re.compile(r"\+[1-9][0-9]{6,14}")
_SCIENTIFIC = re.compile(r"\+?[0-9]+(?:[.,][0-9]+)?[eE]\+?[0-9]+")
_DECIMAL_OF_A_SPREADSHEET = re.compile(r"(\+?[0-9]{7,})[.,]0+")  # 27711234567.0
_TRUNK_IN_PARENTHESES = re.compile(r"\(\s*0\s*\)")  # +44 (0)7700
_QUOTES: Final = "'\"`’‘"  # noqa: RUF001 - how spreadsheets mark a number as text
_SEPARATORS: Final = " \t\r\n-./()[]\N{NO-BREAK SPACE}·−．／（）"  # noqa: RUF001 - as typed
_PLUS_SIGNS: Final = frozenset("+＋﹢")  # noqa: RUF001 - as typed
_SEVERAL: Final = frozenset(",;&|")
_SILENT_CATEGORIES: Final = frozenset({"Zs", "Pd", "Cf"})  # spaces, dashes, marks that nobody sees


_WITHOUT_SEPARATORS: Final = str.maketrans("", "", _SEPARATORS)


@dataclass(frozen=True, slots=True)
class _Reading:
    """One way to understand the digits: where it leads, or why it leads nowhere."""

    msisdn: str | None = None
    kind: Kind | None = None
    problem: str = ""


def parse(raw: str, *, default_region: str | None) -> str:
    """The number in E.164. `default_region` is the country of those without a country code."""
    region = parse_region(default_region) if default_region is not None else None
    problem = ""
    for reading in _readings(raw, region=region):
        if reading.msisdn is not None:
            _check_policy(reading.msisdn, reading.kind)
            return reading.msisdn
        problem = problem or reading.problem
    raise InvalidMsisdn(problem)


def _check_policy(msisdn: str, kind: Kind | None) -> None:
    if not _E164.fullmatch(msisdn):
        raise InvalidMsisdn(
            f"msisdn has {len(msisdn) - 1} digits with its country code, and texts go to those "
            "of 7 to 15; give a mobile number."
        )
    if kind in REFUSED_KINDS:
        raise InvalidMsisdn(
            f"msisdn is a {kind.replace('_', '-')} number, to which no texts are sent; give a mobile number."
        )


def parse_region(code: str) -> str:
    """A region as ISO 3166-1 writes it, in capitals."""
    region = code.strip().upper()
    if not numbering.is_region(region):
        raise UnknownRegion("default_region is not a known country; give its two-letter code, such as ZA or GB.")
    return region


def kind(msisdn: str) -> Kind | None:
    """What an E.164 number is in its country's plan; None if no plan has it."""
    place = _place(msisdn)
    return place.kind if place else None


def is_landline(msisdn: str) -> bool:
    """Whether an E.164 number by its plan is of a kind that shows no texts. Where plans do not tell, it is not."""
    return kind(msisdn) in TEXTLESS


def country_of(msisdn: str) -> str | None:
    """The ISO region of an E.164 number; None for those of no country, and of no plan."""
    place = _place(msisdn)
    return place.region if place else None


def mask(msisdn: str) -> str:
    """A number as logs may hold it: +2547*****01. Of a short one less is shown."""
    if len(msisdn) < 11:
        return f"{msisdn[:2]}*****"
    return f"{msisdn[:5]}*****{msisdn[-2:]}"


@lru_cache(maxsize=1_024)  # who asks for a number's country asks for its kind and its zones, too
def _place(msisdn: str) -> numbering.Place | None:
    parts = numbering.split(msisdn[1:]) if _E164.fullmatch(msisdn) else None
    return numbering.locate(*parts) if parts else None


def _unwrapped(raw: str) -> str:
    """The number without what spreadsheets and links put around it."""
    if len(raw) > MAX_RAW_CHARACTERS:
        raise InvalidMsisdn(f"msisdn has {len(raw)} characters; give one number of at most 15 digits.")
    text = raw.strip().strip(_QUOTES).strip()
    if text[:4].lower() == "tel:":
        text = text[4:]
    if _SCIENTIFIC.fullmatch(text):
        raise InvalidMsisdn(
            "msisdn is in scientific notation (such as 4.477E+11), so its last digits are lost; "
            "format the column as text in the spreadsheet and export it again."
        )
    decimal = _DECIMAL_OF_A_SPREADSHEET.fullmatch(text)
    return decimal[1] if decimal else text


def _digits(text: str) -> str:
    """ASCII digits, after a + if there is one, without everything people put between them."""
    bare = text.translate(_WITHOUT_SEPARATORS)
    if bare.isascii() and bare.removeprefix("+").isdigit():
        return bare
    kept: list[str] = []
    for character in bare:
        digit = unicodedata.decimal(character, None)
        if digit is not None:
            kept.append(str(digit))
        elif character in _PLUS_SIGNS and not kept:
            kept.append("+")
        elif unicodedata.category(character) not in _SILENT_CATEGORIES:
            raise InvalidMsisdn(_why_refused(character))
    digits = "".join(kept)
    if digits in {"", "+"}:
        raise InvalidMsisdn("msisdn holds no digits; give a phone number such as +12025550142.")
    return digits


def _why_refused(character: str) -> str:
    if character.isalpha():
        return "msisdn holds letters; write every digit of one number and leave out names and extensions."
    if character in _SEVERAL or character in _PLUS_SIGNS:
        return f"msisdn holds {character!r} inside, as if there were two numbers; give one number, with its + in front."
    return f"msisdn holds the character {character!a}; leave it out."


def _readings(raw: str, *, region: str | None) -> Iterator[_Reading]:
    """The ways to understand what was written. The first one that leads to a number wins."""
    if _E164.fullmatch(raw):
        yield _international(raw[1:])
        return
    text = _unwrapped(raw)
    yield from _readings_of_digits(_digits(text), region=region)
    without_trunk = _TRUNK_IN_PARENTHESES.sub("", text)
    if without_trunk != text:
        yield from _readings_of_digits(_digits(without_trunk), region=region)


def _readings_of_digits(digits: str, *, region: str | None) -> Iterator[_Reading]:
    if digits.startswith("+"):
        yield _international(digits[1:])
    elif digits.startswith("00"):
        yield _international(digits[2:])
        if region:
            yield _national(digits, region=region)
    elif region:
        national, international = _national(digits, region=region), None
        if national.kind not in _MOBILE_KINDS and numbering.has_code_of(digits, region=region):
            # In Germany 49151... is a mobile number that lost its +; the landline is 049151...
            international = _international(digits)
            if international.kind in _MOBILE_KINDS:
                yield international
        yield national
        yield international or _international(digits)
    else:
        yield _Reading(
            problem="msisdn has no country code; write it as + and the country code "
            "(such as +12025550142), or set default_region, of the request where it takes one or of the policy."
        )


def _international(digits: str) -> _Reading:
    parts = numbering.split(digits)
    if parts and not numbering.may_hold_trunk(*parts):
        place = numbering.locate(*parts)
        if place:
            return _Reading(f"+{digits}", place.kind)
    return _read_slowly(f"+{digits}", region=None)


def _national(digits: str, *, region: str) -> _Reading:
    parts = numbering.read_national(digits, region=region)
    place = numbering.locate(*parts) if parts else None
    if parts and place:
        return _Reading(f"+{parts[0]}{parts[1]}", place.kind)
    return _read_slowly(digits, region=region)


def _read_slowly(digits: str, *, region: str | None) -> _Reading:
    """The reading of `phonenumbers`, which knows every country's prefixes and rewritings."""
    try:
        number = read(digits, region)
    except NumberParseException as refusal:
        return _Reading(problem=_unreadable(digits, refusal, region=region))
    country_code, national = str(number.country_code), national_significant_number(number)
    place = numbering.locate(country_code, national)
    if place:
        return _Reading(f"+{country_code}{national}", place.kind)
    match is_possible_number_with_reason(number):
        case ValidationResult.TOO_SHORT | ValidationResult.IS_POSSIBLE_LOCAL_ONLY:
            problem = "is too short"
        case ValidationResult.TOO_LONG:
            problem = "is too long"
        case ValidationResult.INVALID_LENGTH:
            problem = "has the wrong number of digits"
        case _:
            problem = "is not in the numbering plan"
    where = f"for {region}" if region else f"for country code +{country_code}"
    return _Reading(problem=f"msisdn {problem} {where}; check its digits.")


def _unreadable(digits: str, refusal: NumberParseException, *, region: str | None) -> str:
    if refusal.error_type == NumberParseException.INVALID_COUNTRY_CODE and region is None:
        if digits.startswith("+0"):
            return (
                "msisdn has a 0 where its country code begins, and no country code does so; "
                "write + and the country code (such as +12025550142)."
            )
        return "msisdn begins with a country code that does not exist; check its first digits."
    if refusal.error_type == NumberParseException.TOO_LONG:
        return "msisdn is too long; give one number of at most 15 digits."
    return "msisdn is too short; write every digit of the number."
