"""Which gateway first, which next, and when again."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from shared.domain.outcome import Fault, Lost, Outcome, Refused
from shared.domain.routing import (
    BACKOFF_CAP_SECONDS,
    MAX_ATTEMPTS,
    RETRY_AFTER_CAP_SECONDS,
    UNASKED_AT_ONCE,
    UNASKED_CAP_SECONDS,
    UNASKED_MOST,
    Again,
    Route,
    after_certain_no,
    after_nobody_was_asked,
    choose,
    is_away,
    is_newcomer,
    rest_after,
    rests,
    serves,
)

A, B, C = (UUID(int=number) for number in (1, 2, 3))
NOT_SENT = Lost(may_have_arrived=False, cause="refused_connection")
THROTTLED = Refused(Fault.THROTTLED, "x")


def route(gateway_id: UUID, **over: object) -> Route:
    return Route(gateway_id, "twilio", **over)  # type: ignore[arg-type]  # told by name


PLAIN = [route(A), route(B), route(C)]


@pytest.mark.parametrize(
    ("routes", "sender_id", "location_id", "tried", "chosen"),
    [
        pytest.param(PLAIN, None, None, (), A, id="the operator's first"),
        pytest.param(PLAIN, None, None, (A,), B, id="not one that was tried"),
        pytest.param(PLAIN, None, None, (A, B, C), None, id="all tried"),
        pytest.param([], None, None, (), None, id="none at all"),
        pytest.param([route(A, withdrawn=True), route(B)], None, None, (), B, id="not one that is withdrawn"),
        pytest.param([route(A, empty=True), route(B)], None, None, (), B, id="not one without credit"),
        pytest.param([route(A, empty=True)], None, None, (), None, id="the only one, without credit"),
        pytest.param(
            [route(A), route(B, sender_ids=frozenset({"LAPWING"}))], "LAPWING", None, (), B, id="sender of the second"
        ),
        pytest.param([route(A), route(B)], "LAPWING", None, (), None, id="sender of nobody"),
        pytest.param(
            [route(A, sender_ids=frozenset({"LAPWING"}))], None, None, (), A, id="no sender asked, the gateway's own"
        ),
        pytest.param(
            [route(A, location_ids=frozenset({"harbour"})), route(B)], None, "airport", (), B, id="another location"
        ),
        pytest.param([route(A, location_ids=frozenset({"harbour"}))], None, "harbour", (), A, id="its location"),
        pytest.param(
            [route(A, location_ids=frozenset({"harbour"}))], None, None, (), None, id="no location, and it serves one"
        ),
    ],
)
def test_choice(
    routes: Sequence[Route],
    sender_id: str | None,
    location_id: str | None,
    tried: tuple[UUID, ...],
    chosen: UUID | None,
) -> None:
    assert choose(routes, sender_id=sender_id, location_id=location_id, tried=tried) == chosen


@pytest.mark.parametrize(
    ("routes", "trials", "chosen"),
    [
        pytest.param([route(A, open=True), route(B)], (), B, id="not one that fails"),
        pytest.param([route(A, open=True), route(B)], (A,), A, id="but for a trial"),
        pytest.param([route(A, open=True)], (), None, id="the only one fails: it waits"),
        pytest.param([route(A, open=True, withdrawn=True)], (A,), None, id="no trial of one that is withdrawn"),
        pytest.param([route(A, slow=True), route(B)], (), B, id="slow ones come last"),
        pytest.param([route(A, slow=True), route(B, slow=True)], (), A, id="all are slow: nothing changes"),
        pytest.param([route(A, slow=True), route(B, open=True)], (), A, id="slow is better than failing"),
    ],
)
def test_choice_by_health(routes: Sequence[Route], trials: tuple[UUID, ...], chosen: UUID | None) -> None:
    assert choose(routes, sender_id=None, location_id=None, trials=trials) == chosen


@pytest.mark.parametrize(
    ("routes", "tried", "chosen"),
    [
        pytest.param([route(A), route(B, attachments=True)], (), B, id="only one that takes attachments"),
        pytest.param([route(A), route(B)], (), None, id="none takes any: it is not sent without"),
        pytest.param([route(A, attachments=True), route(B)], (A,), None, id="the only one was tried"),
        pytest.param([route(A, attachments=True, slow=True), route(B)], (), A, id="a slow one, if it is the only one"),
        pytest.param([route(A, attachments=True, withdrawn=True)], (), None, id="not one that is withdrawn"),
    ],
)
def test_choice_with_attachments(routes: Sequence[Route], tried: tuple[UUID, ...], chosen: UUID | None) -> None:
    assert choose(routes, sender_id=None, location_id=None, attachments=True, tried=tried) == chosen


def test_one_that_takes_attachments_takes_plain_messages_too() -> None:
    assert choose([route(A, attachments=True), route(B)], sender_id=None, location_id=None) == A


@pytest.mark.parametrize(
    ("seconds", "left", "away_bulk", "away_urgent"),
    [(None, 0, False, False), (-5, 0, False, False), (10, 10, False, True), (60, 60, True, True)],
)
def test_one_that_asked_for_time(seconds: int | None, left: float, away_bulk: bool, away_urgent: bool) -> None:
    now = datetime(2026, 11, 25, 12, tzinfo=UTC)
    resting = route(A, resting_until=None if seconds is None else now + timedelta(seconds=seconds))
    assert rests(resting, now=now) == left
    assert is_away(resting, now=now, urgent=False) is away_bulk
    assert is_away(resting, now=now, urgent=True) is away_urgent


@pytest.mark.parametrize(
    ("outcome", "in_a_row", "rest"),
    [
        (Refused(Fault.THROTTLED, "x", retry_after=7.0), 5, 7.0),
        (Refused(Fault.THROTTLED, "x", retry_after=1e9), 1, RETRY_AFTER_CAP_SECONDS),
        (Refused(Fault.THROTTLED, "x", retry_after=-1.0), 1, 0.0),
        (Refused(Fault.THROTTLED, "x"), 1, 0.1),
        (Refused(Fault.THROTTLED, "x"), 3, 0.4),
        (Refused(Fault.THROTTLED, "x"), 30, 60.0),
        (Refused(Fault.GATEWAY, "x", retry_after=7.0), 1, 0.0),
        (NOT_SENT, 1, 0.0),
    ],
    ids=str,
)
def test_rest_that_a_gateway_asks_for(outcome: Outcome, in_a_row: int, rest: float) -> None:
    assert rest_after(outcome, in_a_row=in_a_row) == rest


def test_campaigns_give_a_throttled_gateway_time() -> None:
    waits = after_certain_no(THROTTLED, gateway_id=A, tried=(C,), attempt=1, others=(B,), later=(B,), rest=4.0)
    assert waits is not None
    assert waits.tried == (C,)
    assert 4.0 <= waits.delay <= 5.0
    too_long = after_certain_no(THROTTLED, gateway_id=A, tried=(C,), attempt=1, others=(B,), later=(B,), rest=500.0)
    assert too_long == Again(0.0, (C, A))


@pytest.mark.parametrize("over", [{"withdrawn": True}, {"empty": True}], ids=str)
def test_one_that_is_shut_serves_nobody(over: dict[str, bool]) -> None:
    assert route(A, **over).shut
    assert not serves(route(A, **over), sender_id=None, location_id=None)
    assert not route(A).shut


def after(
    outcome: Outcome,
    *,
    attempt: int = 1,
    tried: Sequence[UUID] = (),
    others: Sequence[UUID] = (),
    later: Sequence[UUID] | None = None,
) -> Again | None:
    """`later` are usually the others and those tried before."""
    back = {*others, *tried} if later is None else later
    return after_certain_no(outcome, gateway_id=A, tried=tried, attempt=attempt, others=others, later=back)


@pytest.mark.parametrize("fault", [Fault.MESSAGE, Fault.OPTED_OUT])
@pytest.mark.parametrize("others", [(), (B,)], ids=["alone", "others"])
def test_refusal_of_the_message_is_final(fault: Fault, others: Sequence[UUID]) -> None:
    assert after(Refused(fault, "x"), others=others) is None


@pytest.mark.parametrize("outcome", [Refused(Fault.GATEWAY, "x"), THROTTLED, NOT_SENT], ids=str)
def test_others_are_asked_at_once(outcome: Outcome) -> None:
    assert after(outcome, tried=(C,), others=(B,)) == Again(0.0, (C, A))


def test_withdrawn_account_is_not_remembered_as_tried() -> None:
    assert after(Refused(Fault.ACCOUNT, "x"), tried=(C,), others=(B,)) == Again(0.0, (C,))
    assert after(Refused(Fault.ACCOUNT, "x")) == Again(0.0, ())


def test_only_gateway_that_will_not_take_it() -> None:
    assert after(Refused(Fault.GATEWAY, "x")) is None


@pytest.mark.parametrize("outcome", [Refused(Fault.GATEWAY, "x"), THROTTLED, NOT_SENT], ids=str)
def test_new_round_begins_when_all_were_asked(outcome: Outcome) -> None:
    again = after(outcome, tried=(B,))
    assert again is not None
    assert again.tried == ()


def test_refused_by_all_is_final() -> None:
    """The other one has refused it, too: neither will change its mind."""
    assert after(Refused(Fault.GATEWAY, "x"), attempt=2, tried=(B,), later=()) is None


@pytest.mark.parametrize("outcome", [THROTTLED, NOT_SENT], ids=str)
def test_who_was_out_of_reach_is_asked_again_though_the_other_refused(outcome: Outcome) -> None:
    again = after(outcome, attempt=2, tried=(B,), later=())
    assert again is not None
    assert again.tried == ()


@pytest.mark.parametrize("attempt", range(1, MAX_ATTEMPTS))
def test_only_gateway_out_of_reach_is_asked_again_later(attempt: int) -> None:
    delays = [again.delay for _ in range(50) if (again := after(NOT_SENT, attempt=attempt)) is not None]
    assert len(delays) == 50
    ceiling = min(BACKOFF_CAP_SECONDS, 2.0 ** (attempt - 1))
    assert all(0 <= delay <= ceiling for delay in delays)
    assert max(delays) > ceiling / 2  # the jitter uses its room


@pytest.mark.parametrize("outcome", [Refused(Fault.GATEWAY, "x"), THROTTLED, NOT_SENT], ids=str)
@pytest.mark.parametrize("others", [(), (B,)], ids=["alone", "others"])
def test_attempts_come_to_an_end(outcome: Outcome, others: Sequence[UUID]) -> None:
    assert after(outcome, attempt=MAX_ATTEMPTS, tried=(C,), others=others) is None


@pytest.mark.parametrize(
    ("asked", "least", "most"),
    [
        pytest.param(30.0, 30.0, 31.0, id="as asked"),
        pytest.param(0.0, 0.0, 1.0, id="at once"),
        pytest.param(-5.0, 0.0, 1.0, id="nonsense"),
        pytest.param(1e9, RETRY_AFTER_CAP_SECONDS, RETRY_AFTER_CAP_SECONDS + 1, id="not for ever"),
    ],
)
def test_retry_after_is_honoured(asked: float, least: float, most: float) -> None:
    again = after(Refused(Fault.THROTTLED, "x", retry_after=asked))
    assert again is not None
    assert least <= again.delay <= most


OPEN = route(A, open=True)
HALF_OPEN = route(A, open=True, half_open=True)


@pytest.mark.parametrize(
    ("before", "now", "is_new"),
    [
        pytest.param(None, route(A), True, id="created, or enabled"),
        pytest.param(None, route(A, withdrawn=True), False, id="enabled, and withdrawn"),
        pytest.param(None, OPEN, False, id="enabled, and left alone"),
        pytest.param(route(A), route(A), False, id="as it was"),
        pytest.param(route(A), route(A, slow=True), False, id="slow"),
        pytest.param(route(A, withdrawn=True), route(A), True, id="no longer withdrawn"),
        pytest.param(route(A, empty=True), route(A), True, id="has credit"),
        pytest.param(route(A), route(A, empty=True), False, id="has none"),
        pytest.param(route(A), OPEN, False, id="left alone"),
        pytest.param(OPEN, OPEN, False, id="still left alone"),
        pytest.param(OPEN, HALF_OPEN, True, id="to be tried out"),
        pytest.param(HALF_OPEN, HALF_OPEN, False, id="still to be tried out"),
        pytest.param(HALF_OPEN, route(A), True, id="trusted again"),
        pytest.param(route(A, location_ids=frozenset({"x"})), route(A), True, id="serves other locations"),
        pytest.param(route(A), route(A, sender_ids=frozenset({"LAPWING"})), True, id="has another sender"),
    ],
)
def test_newcomer(before: Route | None, now: Route, is_new: bool) -> None:
    assert is_newcomer(now, before) is is_new


@pytest.mark.parametrize("in_a_row", [1, 2, 3, 4, 10, 200])
def test_who_was_not_asked_is_asked_next_and_not_without_a_pause(in_a_row: int) -> None:
    again = after_nobody_was_asked(tried=(C,), attempt=200, in_a_row=in_a_row)
    assert again is not None
    assert again.tried == (C,)
    if in_a_row <= UNASKED_AT_ONCE:
        assert again.delay == 0.0
    else:
        assert min(UNASKED_CAP_SECONDS / 2, 0.25 * 2 ** (in_a_row - 3)) <= again.delay <= UNASKED_CAP_SECONDS


def test_number_of_an_attempt_fits_its_column() -> None:
    assert after_nobody_was_asked(tried=(), attempt=UNASKED_MOST, in_a_row=1) is None
    assert UNASKED_MOST < 2**15 - MAX_ATTEMPTS
