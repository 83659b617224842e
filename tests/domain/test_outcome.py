"""What a hand-over came to: each has a name, and is certain or not."""

import pytest

from shared.domain.outcome import Accepted, Fault, Lost, Outcome, OutcomeName, Refused, is_certain_no, name_of

TABLE = [
    pytest.param(Accepted("SM1", 1), OutcomeName.ACCEPTED, False, id="accepted"),
    pytest.param(Accepted(), OutcomeName.ACCEPTED, False, id="accepted without a reference"),
    *(pytest.param(Refused(fault, "x"), OutcomeName.REFUSED, True, id=f"refused: {fault}") for fault in Fault),
    pytest.param(Lost(may_have_arrived=True, cause="read_timeout"), OutcomeName.LOST, False, id="lost"),
    pytest.param(Lost(may_have_arrived=False, cause="refused_connection"), OutcomeName.NOT_SENT, True, id="not sent"),
]


@pytest.mark.parametrize(("outcome", "name", "certain"), TABLE)
def test_name_and_certainty(outcome: Outcome, name: OutcomeName, *, certain: bool) -> None:
    assert name_of(outcome) is name
    assert is_certain_no(outcome) is certain
