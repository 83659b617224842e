"""MSISDNs: what people write and what is stored, held against `phonenumbers` for every region."""

import re
from collections.abc import Iterator

import phonenumbers
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from phonenumbers import PhoneNumber, PhoneNumberFormat, PhoneNumberType

from shared.domain.msisdn import InvalidMsisdn, UnknownRegion, country_of, kind, mask, parse, parse_region
from shared.domain.numbering import Kind

REGIONS = sorted(phonenumbers.SUPPORTED_REGIONS)
KIND_OF_TYPE = {getattr(PhoneNumberType, kind.name): kind for kind in Kind}
REFUSED = {PhoneNumberType.PREMIUM_RATE, PhoneNumberType.SHARED_COST}


@pytest.mark.parametrize(
    ("raw", "region", "stored"),
    [
        pytest.param("+447700900123", None, "+447700900123", id="E.164"),
        pytest.param("+447700900123", "ZA", "+447700900123", id="a + wins over the region"),
        pytest.param("+44 7700 900123", None, "+447700900123", id="spaces"),
        pytest.param("+44-7700-900-123", None, "+447700900123", id="dashes"),
        pytest.param("+44.7700.900.123", None, "+447700900123", id="dots"),
        pytest.param("+1 (202) 555-0142", None, "+12025550142", id="parentheses"),
        pytest.param("+44 7700/900123", None, "+447700900123", id="a slash"),
        pytest.param("+44\u00a07700\u00a0900123", None, "+447700900123", id="no-break spaces"),
        pytest.param("+44\u20097700\u3000900123\t", None, "+447700900123", id="exotic spaces"),
        pytest.param("+44\u20117700\u2013900\u2212123", None, "+447700900123", id="exotic dashes"),
        pytest.param("\u202a+447700900123\u202c", None, "+447700900123", id="marks nobody sees"),
        pytest.param("\ufeff+447700900123\r\n", None, "+447700900123", id="byte order mark, CR LF"),
        pytest.param("\uff0b\uff12\uff1771 123 4567", None, "+27711234567", id="wide + and digits"),
        pytest.param(
            "\u0660\u0667\u0661 \u0661\u0662\u0663 \u0664\u0665\u0666\u0667",
            "ZA",
            "+27711234567",
            id="Arabic-Indic digits",
        ),
        pytest.param("+۲۷۷۱۱۲۳۴۵۶۷", None, "+27711234567", id="Persian digits"),
        pytest.param("0044 7700 900123", None, "+447700900123", id="00 without a region"),
        pytest.param("0044 7700 900123", "ZA", "+447700900123", id="00 with another region"),
        pytest.param("0044 7700 900123", "US", "+447700900123", id="00 where people dial 011"),
        pytest.param("011 44 7700 900123", "US", "+447700900123", id="the region's own prefix"),
        pytest.param("tel:+447700900123", None, "+447700900123", id="a link"),
        pytest.param("TEL:0711234567", "ZA", "+27711234567", id="a national link"),
        pytest.param("'+27711234567", None, "+27711234567", id="apostrophe of a spreadsheet"),
        pytest.param("\u2019+27711234567", None, "+27711234567", id="a curly one"),
        pytest.param('"+27711234567"', None, "+27711234567", id="quotes"),
        pytest.param("'0711234567", "ZA", "+27711234567", id="apostrophe, national"),
        pytest.param("27711234567.0", "ZA", "+27711234567", id="a decimal of a spreadsheet"),
        pytest.param("+44 (0)7700 900123", None, "+447700900123", id="trunk 0 in parentheses"),
        pytest.param("0044 (0) 7700 900123", None, "+447700900123", id="00 and trunk 0"),
        pytest.param("+34 (0)612 345 678", None, "+34612345678", id="(0) where no trunk 0 is"),
        pytest.param("+39 (0)6 1234 5678", None, "+390612345678", id="(0) that belongs to it"),
        pytest.param("+44 07700 900123", None, "+447700900123", id="trunk 0 after the code"),
        pytest.param("(0)71 123 4567", "ZA", "+27711234567", id="(0) in a national number"),
        pytest.param("071 123 4567", "ZA", "+27711234567", id="national"),
        pytest.param("71 123 4567", "ZA", "+27711234567", id="national without trunk 0"),
        pytest.param("071 123 4567", " za ", "+27711234567", id="region in small letters"),
        pytest.param("07700 900123", "GB", "+447700900123", id="a fictional national number"),
        pytest.param("(202) 555-0142", "US", "+12025550142", id="national, North America"),
        pytest.param("1 202 555 0142", "US", "+12025550142", id="with the trunk 1"),
        pytest.param("8 912 345-67-89", "RU", "+79123456789", id="with the trunk 8"),
        pytest.param("06 20 123 4567", "HU", "+36201234567", id="with the trunk 06"),
        pytest.param("06 12345678", "IT", "+390612345678", id="Italy keeps its 0"),
        pytest.param("011 15-2345-6789", "AR", "+5491123456789", id="Argentina's 15 becomes 9"),
        pytest.param("27711234567", "ZA", "+27711234567", id="international digits, own country"),
        pytest.param("27711234567", "GB", "+27711234567", id="international digits, other country"),
        pytest.param("4915123456789", "DE", "+4915123456789", id="a mobile that lost its +"),
        pytest.param("4915 123456", "DE", "+494915123456", id="a landline that begins so"),
        pytest.param("+441134960000", None, "+441134960000", id="a landline"),
        pytest.param("+18002345678", None, "+18002345678", id="toll-free"),
        pytest.param("+80012345678", None, "+80012345678", id="of no country"),
        pytest.param("+1 555 123 4567", None, "+15551234567", id="fictional, North America"),
        pytest.param("+33 6 39 98 12 34", None, "+33639981234", id="fictional, France"),
        pytest.param("+353 20 911 2345", None, "+353209112345", id="fictional, Ireland"),
    ],
)
def test_parse(raw: str, region: str | None, stored: str) -> None:
    assert parse(raw, default_region=region) == stored


@pytest.mark.parametrize(
    ("raw", "region", "says"),
    [
        pytest.param("0711234567", None, "no country code", id="national without a region"),
        pytest.param("27711234567", None, "no country code", id="digits without + or region"),
        pytest.param(
            "27711234567",
            None,
            "or set default_region, of the request where it takes one or of the policy",
            id="... and its remedy",
        ),
        pytest.param("", "ZA", "holds no digits", id="empty"),
        pytest.param("  \t", "ZA", "holds no digits", id="blank"),
        pytest.param("+", None, "holds no digits", id="a lone +"),
        pytest.param("()-", "ZA", "holds no digits", id="punctuation"),
        pytest.param("unknown", "ZA", "holds letters", id="a word"),
        pytest.param("1-800-FLOWERS", "US", "holds letters", id="a vanity number"),
        pytest.param("+27711234567 ext 5", None, "leave out names and extensions", id="extension"),
        pytest.param("+27711234567x5", None, "holds letters", id="short extension"),
        pytest.param("Anna +27711234567", None, "holds letters", id="with a name"),
        pytest.param("+2771I234567", None, "holds letters", id="an I for a 1"),
        pytest.param("4.47700900123E+11", "GB", "scientific notation", id="spreadsheet exponent"),
        pytest.param("4,477E+11", "GB", "scientific notation", id="... with a decimal comma"),
        pytest.param("4.477e11", None, "format the column as text", id="... and its remedy"),
        pytest.param("+27711234567,+27711234568", None, "two numbers", id="two with a comma"),
        pytest.param("+27711234567;+27711234568", None, "two numbers", id="two with a semicolon"),
        pytest.param("+27711234567 +27711234568", None, "two numbers", id="two with a space"),
        pytest.param("0711234567/0711234568", "ZA", "too long", id="two with a slash"),
        pytest.param("++27711234567", None, "two numbers", id="two plus signs"),
        pytest.param("#27711234567", "ZA", "'#'; leave it out", id="a stray character"),
        pytest.param("+2771\x001234567", None, r"'\x00'; leave it out", id="a NUL"),
        pytest.param("+27711234567\U0001f600", None, "leave it out", id="an emoji"),
        pytest.param("+0027711234567", None, "no country code does so", id="+00"),
        pytest.param("+0711234567", "ZA", "no country code does so", id="+0"),
        pytest.param("+999123456789", None, "country code that does not exist", id="no such code"),
        pytest.param("+44 7700 9", None, "too short for country code +44", id="too short"),
        pytest.param("+989601", None, "of 7 to 15", id="in a plan, but no E.164"),
        pytest.param("+2", None, "", id="hardly a beginning"),
        pytest.param("555-0142", "US", "too short for US", id="a local number"),
        pytest.param("911", "US", "too short", id="emergency"),
        pytest.param("112", "DE", "", id="emergency, Europe"),
        pytest.param("40404", "US", "too short", id="short code"),
        pytest.param("+27711234567890", None, "too long", id="too long"),
        pytest.param("0711234567890", "ZA", "too long for ZA", id="too long, national"),
        pytest.param("+3758101220939", None, "not in the", id="trunk 8 of Belarus, and a stub"),
        pytest.param("01255550", "IL", "", id="a landline that dials abroad"),
        pytest.param("1" * 30, "ZA", "too long", id="far too long"),
        pytest.param("1" * 5000, "ZA", "at most 15 digits", id="a page of digits"),
        pytest.param("+1 123 456 7890", None, "not in the numbering plan", id="not in the plan"),
        pytest.param("0000000000", "ZA", "", id="zeros"),
        pytest.param("+1 900 234 5678", None, "premium-rate", id="premium rate"),
        pytest.param("0900 123 4567", "GB", "", id="premium rate, national"),
        pytest.param("0860 123 456", "ZA", "shared-cost", id="shared cost"),
        pytest.param("+979123456789", None, "premium-rate", id="premium rate of no country"),
    ],
)
def test_refusals(raw: str, region: str | None, says: str) -> None:
    with pytest.raises(InvalidMsisdn) as refusal:
        parse(raw, default_region=region)
    assert refusal.value.detail.startswith("msisdn ")
    assert says in refusal.value.detail


@pytest.mark.parametrize("region", ["XX", "", "ZAF", "27", "001", "South Africa", "\0"])
def test_unknown_regions(region: str) -> None:
    with pytest.raises(UnknownRegion, match="default_region"):
        parse("0711234567", default_region=region)


def test_a_region_is_stored_in_capitals() -> None:
    assert parse_region(" gb") == "GB"


def test_a_refusal_does_not_repeat_the_number() -> None:
    for raw in ("+1 900 234 5678", "+44 7700 9", "071 123 4567", "+27711234567,+27711234568"):
        with pytest.raises(InvalidMsisdn) as refusal:
            parse(raw, default_region=None)
        for part in raw.replace(",", " ").split()[1:]:
            assert part not in refusal.value.detail


def examples(number_type: int) -> Iterator[tuple[str, PhoneNumber]]:
    for region in REGIONS:
        number = phonenumbers.example_number_for_type(region, number_type)
        if number is not None:
            yield region, number


def e164(number: PhoneNumber) -> str:
    return phonenumbers.format_number(number, PhoneNumberFormat.E164)


MOBILES = [pytest.param(region, number, id=region) for region, number in examples(PhoneNumberType.MOBILE)]


def test_there_is_a_mobile_number_for_nearly_every_region() -> None:
    assert len(MOBILES) >= 240


@pytest.mark.parametrize(("region", "number"), MOBILES)
def test_a_mobile_number_of_every_region_is_read(region: str, number: PhoneNumber) -> None:
    stored = e164(number)
    assert parse(stored, default_region=None) == stored
    assert parse(stored[1:], default_region=region) == stored
    assert parse(f"00{stored[1:]}", default_region=None) == stored
    international = phonenumbers.format_number(number, PhoneNumberFormat.INTERNATIONAL)
    assert parse(international, default_region=None) == stored
    national = phonenumbers.format_number(number, PhoneNumberFormat.NATIONAL)
    assert parse(national, default_region=region) == stored
    assert parse("".join(filter(str.isdigit, national)), default_region=region) == stored


@pytest.mark.parametrize("number_type", [pytest.param(each, id=kind.value) for each, kind in KIND_OF_TYPE.items()])
def test_kind_and_country_are_those_of_phonenumbers(number_type: int) -> None:
    for region, number in examples(number_type):
        stored = e164(number)
        if len(stored) < 8:
            continue  # too short for E.164
        assert kind(stored) is KIND_OF_TYPE[phonenumbers.number_type(number)], region
        assert country_of(stored) == phonenumbers.region_code_for_number(number), region


def reference(raw: str, region: str | None) -> str | None:
    """What `phonenumbers` alone makes of a number, without our fast path."""
    try:
        number = phonenumbers.parse(raw, region)
    except phonenumbers.NumberParseException:
        return None
    stored = e164(number)
    taken = (
        phonenumbers.is_valid_number(number)
        and phonenumbers.number_type(number) not in REFUSED
        and 7 <= len(stored) - 1 <= 15
    )
    return stored if taken else None


def parsed(raw: str, region: str | None) -> str | None:
    try:
        return parse(raw, default_region=region)
    except InvalidMsisdn:
        return None


FICTIONAL = ("+1555", "+447700900", "+3363998", "+3532091")
CALLING_CODES = sorted(phonenumbers.COUNTRY_CODE_TO_REGION_CODE)


@given(st.sampled_from(CALLING_CODES), st.from_regex(r"[0-9]{4,12}", fullmatch=True))
@example(54, "91123456789")
@example(54, "1123456789")
@example(52, "15512345678")
@example(225, "0123456789")
@example(375, "8101220939")
def test_the_fast_path_reads_international_numbers_as_phonenumbers_does(code: int, national: str) -> None:
    raw = f"+{code}{national}"
    found = parsed(raw, None)
    assert found == reference(raw, None) or (found or "").startswith(FICTIONAL)


@pytest.mark.parametrize("region", ["AR", "BR", "CI", "DE", "GB", "HU", "IT", "MX", "RU", "US"])
def test_near_misses_of_real_numbers_are_judged_as_phonenumbers_does(region: str) -> None:
    for number_type in KIND_OF_TYPE:
        number = phonenumbers.example_number_for_type(region, number_type)
        if number is None:
            continue
        stored = e164(number)
        for at in range(len(stored) - 1, 1, -1):
            for digit in "0159":
                raw = stored[:at] + digit + stored[at + 1 :]
                assert parsed(raw, None) == reference(raw, None), raw


def patterns(region: str) -> list[str]:
    """The shapes of a region's numbers, as its plan describes them."""
    metadata = phonenumbers.PhoneMetadata.metadata_for_region(region, None)
    described = (getattr(metadata, kind.value, None) for kind in Kind)
    return [each.national_number_pattern for each in described if each is not None]


@settings(max_examples=200, deadline=None)
@given(st.data(), st.sampled_from(REGIONS), st.sampled_from(["", "", "0", "1", "8", "9"]))
def test_numbers_of_every_plan_are_judged_as_phonenumbers_does(data: st.DataObject, region: str, trunk: str) -> None:
    pattern = data.draw(st.sampled_from([each for each in patterns(region) if each]))
    national = data.draw(st.from_regex(re.compile(pattern, re.ASCII), fullmatch=True))
    international = f"+{phonenumbers.country_code_for_region(region)}{trunk}{national}"
    assert parsed(international, None) == reference(international, None)
    written = trunk + national
    own_code = str(phonenumbers.country_code_for_region(region))
    if not written.startswith(("00", own_code)):
        expected, found = reference(written, region), parsed(written, region)
        assert found == expected or (expected is None and found == parsed(f"+{written}", None))


@given(st.sampled_from(REGIONS), st.from_regex(r"[0-9]{4,12}", fullmatch=True))
@example("JP", "00777012")
@example("GB", "00441134960000")
def test_a_national_reading_of_phonenumbers_is_ours_too(region: str, digits: str) -> None:
    expected = reference(digits, region)
    own_code = str(phonenumbers.country_code_for_region(region))
    if expected is not None and not digits.startswith(("00", own_code)):
        assert parsed(digits, region) == expected


@given(st.text(st.characters(codec=None), max_size=80), st.sampled_from([None, "ZA", "US", "AR"]))
def test_every_text_is_read_or_refused(raw: str, region: str | None) -> None:
    stored = parsed(raw, region)
    if stored is not None:
        assert parse(stored, default_region=None) == stored


@given(st.text("+0123456789 -()./'xeE٣\u00a0", max_size=24), st.sampled_from([None, "ZA", "US"]))
def test_every_number_like_text_is_read_or_refused(raw: str, region: str | None) -> None:
    stored = parsed(raw, region)
    if stored is not None:
        assert parse(stored, default_region=None) == stored


@pytest.mark.parametrize(
    ("msisdn", "region", "of_kind"),
    [
        pytest.param("+27711234567", "ZA", Kind.MOBILE, id="mobile"),
        pytest.param("+12025550142", "US", Kind.FIXED_LINE_OR_MOBILE, id="either"),
        pytest.param("+14165550142", "CA", Kind.FIXED_LINE_OR_MOBILE, id="a shared country code"),
        pytest.param("+441134960000", "GB", Kind.FIXED_LINE, id="landline"),
        pytest.param("+447700900123", "GB", Kind.MOBILE, id="fictional"),
        pytest.param("+80012345678", None, Kind.TOLL_FREE, id="of no country"),
        pytest.param("+11234567890", None, None, id="in no plan"),
        pytest.param("27711234567", None, None, id="not E.164"),
        pytest.param("", None, None, id="empty"),
    ],
)
def test_kind_and_country(msisdn: str, region: str | None, of_kind: Kind | None) -> None:
    assert country_of(msisdn) == region
    assert kind(msisdn) is of_kind


@pytest.mark.parametrize(
    ("msisdn", "masked"),
    [
        pytest.param("+254700000001", "+2547*****01", id="as logs hold it"),
        pytest.param("+12025550142", "+1202*****42", id="North America"),
        pytest.param("+2903123456", "+2903*****56", id="the shortest shown so"),
        pytest.param("+290312345", "+2*****", id="of a short one nothing is told"),
        pytest.param("", "*****", id="empty"),
    ],
)
def test_mask(msisdn: str, masked: str) -> None:
    assert mask(msisdn) == masked
