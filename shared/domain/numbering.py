"""The numbering plans of the world, compiled: what kind of number it is, and in which region.

The tables are those of `phonenumbers`, and so is every answer, at a tenth of its time. Here digits
are judged; what people write is read in `msisdn.py`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Any, Final

from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, SUPPORTED_REGIONS, PhoneMetadata


class Kind(StrEnum):
    """What a number is in its country's plan."""

    PREMIUM_RATE = "premium_rate"
    TOLL_FREE = "toll_free"
    SHARED_COST = "shared_cost"
    VOIP = "voip"
    PERSONAL_NUMBER = "personal_number"
    PAGER = "pager"
    UAN = "uan"
    VOICEMAIL = "voicemail"
    FIXED_LINE_OR_MOBILE = "fixed_line_or_mobile"  # the plan does not tell them apart
    FIXED_LINE = "fixed_line"
    MOBILE = "mobile"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a number belongs. A number of no country (satellite, +800) has no region."""

    region: str | None
    kind: Kind


@dataclass(frozen=True, slots=True)
class _Plan:
    """One region's part of a country code."""

    leading_digits: re.Pattern[str] | None
    kinds: re.Pattern[str]  # the name of the group that matched is the kind
    places: Mapping[str | None, Place]  # by that name

    def place_of(self, national: str) -> Place | None:
        match = self.kinds.fullmatch(national)
        return self.places[match.lastgroup] if match else None


@dataclass(frozen=True, slots=True)
class _Dialling:
    """How numbers are written inside a region."""

    country_code: str
    from_abroad: re.Pattern[str] | None  # 00, 011, ...
    trunk: re.Pattern[str] | None  # 0, 8, 06, ...
    trunk_is_plain: bool  # dropping it is all there is to do
    any_number: re.Pattern[str]


# Numbers set aside for fiction and try-outs. The plans leave them out; nobody has one, so that
# taking them harms nobody and lets an example run.
_FICTIONAL: Final = (
    (re.compile(r"1555[0-9]{7}"), Place("US", Kind.FIXED_LINE_OR_MOBILE)),
    (re.compile(r"447700900[0-9]{3}"), Place("GB", Kind.MOBILE)),
    (re.compile(r"3363998[0-9]{4}"), Place("FR", Kind.MOBILE)),
    (re.compile(r"3532091[0-9]{5}"), Place("IE", Kind.MOBILE)),
)
# Part of a plan, and given to nobody: 555-0100 to 555-0199 of every American area.
_RESERVED: Final = re.compile(r"1[2-9][0-9]{2}55501[0-9]{2}")
_OF_NO_COUNTRY: Final = "001"
_LENGTHS_OF_A_COUNTRY_CODE: Final = (1, 2, 3)


def is_region(code: str) -> bool:
    return code in SUPPORTED_REGIONS


def split(digits: str) -> tuple[str, str] | None:
    """International digits as country code and national number; None for an unknown code."""
    for length in _LENGTHS_OF_A_COUNTRY_CODE:
        code = digits[:length]
        if len(code) == length and int(code) in COUNTRY_CODE_TO_REGION_CODE:
            return code, digits[length:]
    return None


def locate(country_code: str, national: str) -> Place | None:
    """Where a number belongs, or None if no plan has it. `national` is without trunk prefix."""
    for plan in _plans(country_code):
        if plan.leading_digits is None or plan.leading_digits.match(national):
            place = plan.place_of(national)
            if place or plan.leading_digits:
                return place or _fictional(country_code + national)
    return _fictional(country_code + national)


def is_fictional(digits: str) -> bool:
    """Whether international digits are set aside for fiction, so that nobody has the number."""
    return _fictional(digits) is not None or _RESERVED.fullmatch(digits) is not None


def may_hold_trunk(country_code: str, national: str) -> bool:
    """Whether a number may begin with the prefix of national calls, as in +44 0 7700."""
    trunk = _dialling(COUNTRY_CODE_TO_REGION_CODE[int(country_code)][0]).trunk
    return trunk is not None and trunk.match(national) is not None


def has_code_of(digits: str, *, region: str) -> bool:
    """Whether digits begin with the country code of a region."""
    return digits.startswith(_dialling(region).country_code)


def read_national(digits: str, *, region: str) -> tuple[str, str] | None:
    """Digits as dialled in a region, as country code and national number; None if not plain."""
    dialling = _dialling(region)
    if has_code_of(digits, region=region):
        return None
    if dialling.from_abroad and dialling.from_abroad.match(digits):
        return None
    trunk = dialling.trunk.match(digits) if dialling.trunk else None
    if trunk is None:
        return dialling.country_code, digits
    if not dialling.trunk_is_plain or dialling.any_number.fullmatch(digits):
        return None
    return dialling.country_code, digits[trunk.end() :]


def _fictional(digits: str) -> Place | None:
    return next((place for pattern, place in _FICTIONAL if pattern.fullmatch(digits)), None)


@cache
def _plans(country_code: str) -> tuple[_Plan, ...]:
    regions = COUNTRY_CODE_TO_REGION_CODE.get(int(country_code), ())
    return tuple(_plan(region, _metadata(region, country_code)) for region in regions)


@cache
def _dialling(region: str) -> _Dialling:
    country_code = next(str(code) for code, regions in COUNTRY_CODE_TO_REGION_CODE.items() if region in regions)
    metadata = _metadata(region, country_code)
    trunk = _compiled(metadata.national_prefix_for_parsing)
    return _Dialling(
        country_code=country_code,
        from_abroad=_compiled(metadata.international_prefix),
        trunk=trunk,
        trunk_is_plain=(trunk is not None and trunk.groups == 0 and not metadata.national_prefix_transform_rule),
        any_number=re.compile(metadata.general_desc.national_number_pattern),
    )


def _metadata(region: str, country_code: str) -> Any:
    if region == _OF_NO_COUNTRY:
        return PhoneMetadata.metadata_for_nongeo_region(int(country_code), None)
    return PhoneMetadata.metadata_for_region(region, None)


def _compiled(pattern: str | None) -> re.Pattern[str] | None:
    return re.compile(pattern) if pattern else None


def _plan(region: str, metadata: Any) -> _Plan:
    """The kinds in the order of asking, as one pattern with a named group for each."""
    fixed, mobile = _description(metadata.fixed_line), _description(metadata.mobile)
    described = {kind: _description(getattr(metadata, kind, None)) for kind in Kind}
    if metadata.same_mobile_and_fixed_line_pattern:
        described |= {Kind.FIXED_LINE_OR_MOBILE: fixed, Kind.FIXED_LINE: None, Kind.MOBILE: None}
    elif fixed and mobile:
        described[Kind.FIXED_LINE_OR_MOBILE] = rf"(?={fixed}\Z){mobile}"
    choices = "|".join(f"(?P<{kind}>{pattern})" for kind, pattern in described.items() if pattern)
    shown = None if region == _OF_NO_COUNTRY else region
    return _Plan(
        leading_digits=_compiled(metadata.leading_digits),
        kinds=re.compile(rf"(?={_description(metadata.general_desc)}\Z)(?:{choices})"),
        places={kind.value: Place(shown, kind) for kind in Kind},
    )


def _description(description: Any) -> str | None:
    if description is None or description.national_number_pattern is None:
        return None
    pattern = f"(?:{description.national_number_pattern})"
    lengths = description.possible_length
    if not lengths or lengths == (-1,):
        return pattern if not lengths else None
    counts = "|".join(rf"\d{{{length}}}" for length in lengths)
    return rf"(?=(?:{counts})\Z){pattern}"
