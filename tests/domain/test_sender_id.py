"""Sender IDs: what is taken, as what, and what is refused with which remedy."""

import pytest

from shared.domain.sender_id import InvalidSenderId, SenderId, SenderKind, may_show, parse

NUMERIC, ALPHANUMERIC = SenderKind.NUMERIC, SenderKind.ALPHANUMERIC
SHORT_CODE = SenderKind.SHORT_CODE


@pytest.mark.parametrize(
    ("value", "kind", "stored"),
    [
        pytest.param("+12025550142", NUMERIC, "+12025550142", id="E.164"),
        pytest.param("+1 (202) 555-0142", NUMERIC, "+12025550142", id="a number as people write"),
        pytest.param("+123456789012345", NUMERIC, "+123456789012345", id="15 digits"),
        pytest.param("ACME", ALPHANUMERIC, "ACME", id="a name"),
        pytest.param("Acme Wi Fi", ALPHANUMERIC, "Acme Wi Fi", id="spaces inside"),
        pytest.param("  Acme ", ALPHANUMERIC, "Acme", id="outer spaces go"),
        pytest.param("12345678901", None, None, id="digits need their +"),
        pytest.param("1234567890A", ALPHANUMERIC, "1234567890A", id="one letter makes a name"),
        pytest.param("ABCDEFGHIJK", ALPHANUMERIC, "ABCDEFGHIJK", id="11 characters"),
        pytest.param("ABCDEFGHIJKL", None, None, id="12 characters"),
        pytest.param("123", SHORT_CODE, "123", id="the shortest short code"),
        pytest.param("40404", SHORT_CODE, "40404", id="a short code"),
        pytest.param("12345678", SHORT_CODE, "12345678", id="the longest short code"),
        pytest.param("123456789", None, None, id="9 digits are neither"),
        pytest.param("12", None, None, id="2 digits"),
        pytest.param("", None, None, id="empty"),
        pytest.param("   ", None, None, id="blank"),
        pytest.param("+", None, None, id="a lone +"),
        pytest.param("+0123456789", None, None, id="no country code begins with 0"),
        pytest.param("+1234567890123456", None, None, id="16 digits"),
        pytest.param("-", None, None, id="punctuation alone"),
        pytest.param("H&M", None, None, id="an ampersand"),
        pytest.param("Café", None, None, id="an accent"),
        pytest.param("АСМЕ", None, None, id="Cyrillic look-alikes"),  # noqa: RUF001 - the point
        pytest.param("AC\nME", None, None, id="a line feed inside"),
        pytest.param("AC\0ME", None, None, id="a NUL"),
        pytest.param("٤٠٤٠٤", None, None, id="digits of another script"),
    ],
)
def test_parse(value: str, kind: SenderKind | None, stored: str | None) -> None:
    if kind is None or stored is None:
        with pytest.raises(InvalidSenderId):
            parse(value)
    else:
        assert parse(value) == SenderId(kind, stored)


@pytest.mark.parametrize(
    ("value", "remedy"),
    [
        pytest.param("", "give a number, a name or a short code", id="empty"),
        pytest.param("2025550142", "write a number with + and its country code", id="no +"),
        pytest.param("Lapwing Coffee", "has 14 characters, and handsets show 11", id="too long"),
        pytest.param("Caf\u00e9", r"not '\xe9'; leave it out", id="a stray character"),
        pytest.param("+12", "7 to 15 digits in all", id="too short a number"),
        pytest.param("12", "a short code has 3 to 8", id="too short a short code"),
    ],
)
def test_a_refusal_names_the_field_and_the_remedy(value: str, remedy: str) -> None:
    with pytest.raises(InvalidSenderId) as refusal:
        parse(value)
    assert refusal.value.detail.startswith("sender_id ")
    assert remedy in refusal.value.detail


@pytest.mark.parametrize("value", ["+1 202 555 0142", " Acme 1", "4 04 04"])
def test_what_is_stored_reads_as_itself(value: str) -> None:
    once = parse(value)
    assert parse(once.value) == once


@pytest.mark.parametrize(
    ("value", "country", "may"),
    [
        ("LAPWING", "US", False),
        ("LAPWING", "CA", False),
        ("LAPWING", "GB", True),
        ("LAPWING", None, True),
        ("+12025550142", "US", True),
        ("12345", "US", True),
    ],
)
def test_names_go_where_carriers_take_them(value: str, country: str | None, may: bool) -> None:
    assert may_show(value, country=country) is may
