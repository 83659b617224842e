"""The name that was probably meant: by its letters, whatever their case, or none."""

import pytest

from shared.domain.nearest import find_nearest

KNOWN = ("name", "Ort", "birthday", "last_visit")


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        pytest.param("nmae", "name", id="two letters swapped"),
        pytest.param("ort", "Ort", id="another case"),
        pytest.param("birtday", "birthday", id="a letter short"),
        pytest.param("lastVisit", "last_visit", id="another manner"),
        pytest.param("colour", None, id="nothing like it"),
        pytest.param("", None, id="nothing"),
    ],
)
def test_finds_what_was_meant(written: str, meant: str | None) -> None:
    assert find_nearest(written, KNOWN) == meant


def test_knows_nothing_where_nothing_is_known() -> None:
    assert find_nearest("name", ()) is None
