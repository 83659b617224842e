"""Whose messages a STOP and a START are about."""

import pytest

from shared.domain.opt_out import left_after_start, sender_meant, sender_of
from shared.domain.policy import OptOutScope

ALL, SENDER = OptOutScope.ALL, OptOutScope.SENDER
A, B = "+12025550100", "+12025550101"


@pytest.mark.parametrize(
    ("to", "sender"),
    [
        pytest.param("+12025550100", "+12025550100", id="a number"),
        pytest.param("12025550100", "+12025550100", id="a number without its plus"),
        pytest.param(" +1 (202) 555-0100 ", "+12025550100", id="a number as people write it"),
        pytest.param("32075", "32075", id="a short code"),
        pytest.param("CAFE", "CAFE", id="a name"),
        pytest.param("0202 555 0100", None, id="a number without its country"),
        pytest.param("", None, id="nothing"),
        pytest.param("whatsapp:+12025550100", None, id="another channel"),
        pytest.param("MG" + "0" * 32, None, id="a service of the gateway's"),
    ],
)
def test_sender_written_to(to: str, sender: str | None) -> None:
    assert sender_of(to) == sender
    assert sender_meant(SENDER, to) == (None if sender is None else (sender,))
    assert sender_meant(ALL, to) is None


def test_not_told_to_whom_is_to_everybody() -> None:
    assert sender_meant(SENDER, None) is None


@pytest.mark.parametrize("by_handset", [pytest.param(True, id="said by STOP"), pytest.param(False, id="by an owner")])
@pytest.mark.parametrize("held", [pytest.param(None, id="to all"), pytest.param((A, B), id="to two")])
def test_start_ends_everything_where_senders_are_one(held: tuple[str, ...] | None, by_handset: bool) -> None:
    assert left_after_start(ALL, held, meant=None, by_handset=by_handset) == ()


@pytest.mark.parametrize(
    ("held", "meant", "by_handset", "left"),
    [
        pytest.param((A,), (A,), True, (), id="the only one"),
        pytest.param((A, B), (A,), True, (B,), id="one of two"),
        pytest.param((B,), (A,), True, (B,), id="another one"),
        pytest.param((A, B), None, True, (A, B), id="nobody knows which"),
        pytest.param((A,), (A,), False, (), id="the person has the last word on a sender"),
        pytest.param(None, (A,), True, (), id="a STOP to all, from before"),
        pytest.param(None, (A,), False, None, id="a no to all that an owner keeps"),
        pytest.param(None, None, True, None, id="a no to all, and nobody knows which"),
    ],
)
def test_start_to_one_sender(
    held: tuple[str, ...] | None, meant: tuple[str, ...] | None, by_handset: bool, left: tuple[str, ...] | None
) -> None:
    assert left_after_start(SENDER, held, meant=meant, by_handset=by_handset) == left
