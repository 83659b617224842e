"""Days and numbers as people write them: what has one reading, and what has two."""

import pytest

from shared.domain.contact import InvalidContact
from shared.domain.written import read_day, read_number


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("31.12.2026", "2026-12-31"),
        ("1.2.2026", "2026-02-01"),
        ("01. 02. 2026", "2026-02-01"),
        ("31.12.2026 00:00", "2026-12-31"),
        ("2026-12-31", "2026-12-31"),
        ("2026-12-31T00:00:00", "2026-12-31"),
        ("2026/1/2", "2026-01-02"),
        ("2026.01.02", "2026-01-02"),
        ("31.12.2026 14:30", "31.12.2026 14:30"),  # no day: left to whoever knows what it must be
        ("soon", "soon"),
    ],
)
def test_days(text: str, day: str) -> None:
    assert read_day(text, name="The field born") == day


@pytest.mark.parametrize("text", ["02/03/2026", "31/12/2026", "2-3-2026", "02/03/26", "31.12.26"])
def test_days_of_two_readings(text: str) -> None:
    with pytest.raises(InvalidContact, match=r"^born .* 31\.12\.2026"):
        read_day(text, name="born")


@pytest.mark.parametrize("decimal_comma", [True, False])
@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("12", "12"),
        ("12.5", "12.5"),
        ("3,5", "3.5"),
        ("-3,50", "-3.50"),
        ("0,125", "0.125"),  # nobody writes thousands with a nought
        ("0.125", "0.125"),
        ("1234,567", "1234.567"),
        ("1234.567", "1234.567"),
        ("1.234,56", "1234.56"),
        ("1,234.56", "1234.56"),
        ("1.234.567", "1234567"),
        ("1,234,567", "1234567"),
        ("1.234.567,8", "1234567.8"),
        ("1 234,56", "1234.56"),
        ("1\N{NO-BREAK SPACE}234\N{NARROW NO-BREAK SPACE}567", "1234567"),
        ("1'234.50", "1234.50"),
        ("12,34,567", "12,34,567"),
        ("1.23.456", "1.23.456"),
        ("many", "many"),
    ],
)
def test_numbers(text: str, number: str, decimal_comma: bool) -> None:
    assert read_number(text, name="x", decimal_comma=decimal_comma) == number


@pytest.mark.parametrize(
    ("text", "decimal_comma", "number"),
    [
        pytest.param("1,234", True, "1.234", id="a decimal comma, by the file"),
        pytest.param("1.234", False, "1.234", id="a point, as in JSON"),
        pytest.param("1.234", True, None, id="a point where commas are decimal"),
        pytest.param("1,234", False, None, id="a comma where nothing says so"),
        pytest.param("-12,345", False, None, id="below nought"),
    ],
)
def test_a_single_group_of_three(text: str, decimal_comma: bool, number: str | None) -> None:
    if number is not None:
        assert read_number(text, name="x", decimal_comma=decimal_comma) == number
        return
    with pytest.raises(InvalidContact, match="two ways"):
        read_number(text, name="x", decimal_comma=decimal_comma)
