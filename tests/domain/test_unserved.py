"""Messages that nobody takes: why, and when that is news."""

from uuid import UUID

import pytest

from shared.domain.notice import Kind, Severity
from shared.domain.routing import Route
from shared.domain.unserved import Cause, Unserved, Waiting, find_unserved, gateway_found, gateway_missing

ONE = UUID(int=1)
PLAIN = Waiting(None, None, 2, long=True)
NAMED = Waiting("LAPWING", "cafe", 3, long=False)


@pytest.mark.parametrize(
    ("routes", "waiting", "cause"),
    [
        pytest.param([], [], None, id="nothing waits"),
        pytest.param([], [PLAIN], Cause.NONE_ENABLED, id="no gateway"),
        pytest.param([Route(ONE, "twilio", withdrawn=True)], [PLAIN], Cause.ALL_SHUT, id="withdrawn"),
        pytest.param([Route(ONE, "twilio", empty=True)], [PLAIN], Cause.ALL_SHUT, id="empty"),
        pytest.param([Route(ONE, "twilio")], [PLAIN], None, id="served"),
        pytest.param([Route(ONE, "twilio", open=True)], [PLAIN], None, id="one that fails comes back"),
        pytest.param([Route(ONE, "twilio")], [PLAIN, NAMED], Cause.NONE_SUITED, id="not the sender"),
        pytest.param(
            [Route(ONE, "twilio", sender_ids=frozenset({"LAPWING"}), location_ids=frozenset({"hotel"}))],
            [NAMED],
            Cause.NONE_SUITED,
            id="not the location",
        ),
    ],
)
def test_cause(routes: list[Route], waiting: list[Waiting], cause: Cause | None) -> None:
    found = find_unserved(routes, waiting)
    assert (found.cause if found else None) is cause


def test_only_who_is_not_served_is_told_of() -> None:
    found = find_unserved([Route(ONE, "twilio")], [PLAIN, NAMED])
    assert found is not None
    assert found.waiting == (NAMED,)
    assert not found.is_news  # nobody of them has waited for long


@pytest.mark.parametrize(
    ("told", "now", "again"),
    [
        (None, Cause.NONE_SUITED, True),
        (Cause.NONE_SUITED, Cause.NONE_ENABLED, True),
        (Cause.NONE_SUITED, Cause.NONE_SUITED, False),
        (Cause.NONE_ENABLED, Cause.ALL_SHUT, False),
    ],
)
def test_only_what_is_worse_is_told_again(told: Cause | None, now: Cause, *, again: bool) -> None:
    assert Unserved(now, (PLAIN,)).is_worse_than(told) is again


@pytest.mark.parametrize("cause", Cause)
def test_words(cause: Cause) -> None:
    notice = gateway_missing(Unserved(cause, (PLAIN, NAMED)))
    assert (notice.kind, notice.severity) == (Kind.GATEWAY_MISSING, Severity.CRITICAL)
    assert notice.text.startswith("5 passwords or other single messages are due, and ")
    assert "nable" in notice.text
    assert notice.data == {"cause": cause, "messages": 5, "sender_ids": ["LAPWING"], "location_ids": ["cafe"]}
    assert gateway_found().subject == notice.subject
