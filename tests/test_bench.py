"""What `make bench` does where a figure cannot be had: it says so, and goes on with the others."""

from typing import Any

import pytest

from proof.bench.__main__ import measure_all
from proof.bench.pacing import RATE, WINDOW_SECONDS, size_for
from proof.evidence import Stuck


def test_a_figure_that_cannot_be_had_stops_no_other(capsys: pytest.CaptureFixture[str]) -> None:
    def stuck() -> dict[str, Any]:
        raise Stuck("the campaign was too small; take more messages")

    found = measure_all({"first": stuck, "second": lambda: {"ratios": {"a": 1.0}, "raw": {"b": 2}}})
    assert found == {"ratios": {"a": 1.0}, "raw": {"b": 2}, "not_measured": ["first"]}
    assert "not measured: the campaign was too small; take more messages" in capsys.readouterr().out


@pytest.mark.parametrize("asked", [1, 2_000, 20_000])
def test_the_pace_is_measured_over_more_than_a_window(asked: int) -> None:
    assert size_for(asked) > RATE * WINDOW_SECONDS
    assert size_for(asked) <= 25 * RATE
