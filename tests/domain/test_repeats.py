"""After which answers a message in doubt may be handed to the same gateway once more."""

import pytest

from shared.domain.outcome import Accepted, Fault, Lost, Outcome, Refused
from shared.domain.repeats import may_repeat


@pytest.mark.parametrize(
    ("outcome", "may"),
    [
        pytest.param(Lost(may_have_arrived=True, cause="read_timeout"), True, id="in doubt as before"),
        pytest.param(Lost(may_have_arrived=False, cause="refused_connection"), True, id="it did not get there"),
        pytest.param(Refused(Fault.THROTTLED, "429"), True, id="later"),
        pytest.param(Accepted("R1"), False, id="taken"),
        *(
            pytest.param(Refused(fault, "x"), False, id=f"refused: {fault}")
            for fault in Fault
            if fault is not Fault.THROTTLED
        ),
    ],
)
def test_may_repeat(outcome: Outcome, may: bool) -> None:
    assert may_repeat(outcome) is may
