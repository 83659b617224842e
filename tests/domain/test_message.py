"""The law of one message: every status and every event has an answer, and evidence merges in any order."""

from functools import reduce
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.contact import Consent
from shared.domain.message import (
    ANSWERABLE,
    EVIDENCE,
    MOVES,
    OPEN,
    PRIORITY_OF,
    PUMPED,
    RANK,
    RESENDABLE,
    Kind,
    MessageNotCancellable,
    MessageNotResendable,
    Status,
    after_lease,
    after_outcome,
    after_receipt,
    check_agreed,
    check_cancellable,
    check_resendable,
    sources_of,
)
from shared.domain.outcome import Accepted, Fault, Lost, Outcome, Refused

Q, SE, SU, ST = Status.QUEUED, Status.SENDING, Status.SUBMITTED, Status.SENT
DE, UN, FA, UC = Status.DELIVERED, Status.UNDELIVERED, Status.FAILED, Status.UNCONFIRMED
EX, SK, CA = Status.EXPIRED, Status.SKIPPED, Status.CANCELLED

# current: what becomes of it when it is told submitted, sent, undelivered, delivered
RECEIPTS = {
    Q: (SU, ST, UN, DE),
    SE: (SU, ST, UN, DE),
    UC: (SU, ST, UN, DE),
    FA: (SU, ST, UN, DE),
    EX: (SU, ST, UN, DE),
    SK: (SU, ST, UN, DE),
    CA: (SU, ST, UN, DE),
    SU: (SU, ST, UN, DE),
    ST: (ST, ST, UN, DE),
    UN: (UN, UN, UN, DE),
    DE: (DE, DE, DE, DE),
}
TOLD = (SU, ST, UN, DE)


@pytest.mark.parametrize(
    ("current", "told", "after"),
    [
        pytest.param(current, told, after, id=f"{current} told {told}")
        for current, row in RECEIPTS.items()
        for told, after in zip(TOLD, row, strict=True)
    ],
)
def test_receipt(current: Status, told: Status, after: Status) -> None:
    assert after_receipt(current, told) is after


def test_table_of_receipts_is_whole() -> None:
    assert set(RECEIPTS) == set(Status)
    assert set(TOLD) == EVIDENCE


@pytest.mark.parametrize("current", Status)
@pytest.mark.parametrize("told", Status)
def test_receipt_is_never_an_error(current: Status, told: Status) -> None:
    after = after_receipt(current, told)
    assert RANK[after] == max(RANK[current], RANK[told])
    if told not in EVIDENCE:
        assert after is current


@given(st.sampled_from(Status), st.lists(st.sampled_from(TOLD), max_size=8), st.randoms(use_true_random=False))
def test_receipts_merge_in_any_order_and_number(start: Status, told: list[Status], random: object) -> None:
    """Commutative, associative, idempotent: shuffled, doubled, in batches, the end is the same."""
    end = reduce(after_receipt, told, start)
    doubled = told + told
    random.shuffle(doubled)  # type: ignore[attr-defined]  # hypothesis' Random
    assert reduce(after_receipt, doubled, start) is end
    for cut in range(len(told) + 1):
        merged = reduce(after_receipt, told[cut:], reduce(after_receipt, told[:cut], start))
        assert merged is end
        if told[cut:]:
            assert after_receipt(reduce(after_receipt, told[:cut], start), max(told[cut:], key=RANK.get)) is end  # type: ignore[arg-type]  # get of a whole mapping


@pytest.mark.parametrize("told", Status)
def test_delivered_is_never_taken_back(told: Status) -> None:
    assert after_receipt(Status.DELIVERED, told) is Status.DELIVERED


ACCEPTED = Accepted("SM1")
LOST = Lost(may_have_arrived=True, cause="read_timeout")
NOT_SENT = Lost(may_have_arrived=False, cause="refused_connection")
FINAL = [Refused(Fault.MESSAGE, "x"), Refused(Fault.OPTED_OUT, "x")]
PASSING: list[Refused | Lost] = [
    Refused(Fault.ACCOUNT, "x"),
    Refused(Fault.GATEWAY, "x"),
    Refused(Fault.THROTTLED, "x"),
    NOT_SENT,
]
OUTCOMES: list[Outcome] = [ACCEPTED, LOST, *FINAL, *PASSING]


@pytest.mark.parametrize("current", sorted(ANSWERABLE))
@pytest.mark.parametrize(
    ("outcome", "again", "after"),
    [
        pytest.param(ACCEPTED, True, SU, id="accepted"),
        pytest.param(ACCEPTED, False, SU, id="accepted, nobody else left"),
        pytest.param(LOST, True, UC, id="lost is never handed over again"),
        pytest.param(LOST, False, UC, id="lost, nobody else left"),
        *(pytest.param(one, again, FA, id=f"{one.fault}, again={again}") for one in FINAL for again in (True, False)),
        *(pytest.param(one, True, Q, id=f"{one} and somebody left") for one in PASSING),
        *(pytest.param(one, False, FA, id=f"{one} and nobody left") for one in PASSING),
    ],
)
def test_answer_that_is_the_last_word(current: Status, outcome: Outcome, after: Status, *, again: bool) -> None:
    assert after_outcome(current, outcome, again=again) is after
    assert after in MOVES[current] | {current}


@pytest.mark.parametrize("current", sorted(set(Status) - ANSWERABLE))
@pytest.mark.parametrize("outcome", OUTCOMES, ids=str)
@pytest.mark.parametrize("again", [True, False], ids=["again", "never again"])
def test_answer_that_comes_too_late_changes_nothing(current: Status, outcome: Outcome, *, again: bool) -> None:
    assert after_outcome(current, outcome, again=again) is current


@pytest.mark.parametrize("current", Status)
def test_lease_that_ran_out_is_never_queued(current: Status) -> None:
    after = after_lease(current)
    assert after is (Status.UNCONFIRMED if current is Status.SENDING else current)


def test_moves_are_whole_and_lead_somewhere_else() -> None:
    assert set(MOVES) == set(Status)
    assert all(status not in targets for status, targets in MOVES.items())


def test_every_receipt_is_a_move() -> None:
    for current, told in product(Status, EVIDENCE):
        after = after_receipt(current, told)
        assert after is current or after in MOVES[current], f"{current} told {told}"


@pytest.mark.parametrize("outcome", OUTCOMES)
@pytest.mark.parametrize("again", [True, False])
def test_what_another_gateway_may_have_is_in_doubt_until_one_takes_it(outcome: Outcome, *, again: bool) -> None:
    """A refusal of the second try says nothing of the first."""
    left = after_outcome(SE, outcome, again=again, doubted=True)
    assert left is (Status.SUBMITTED if isinstance(outcome, Accepted) else UC)


def test_moves_hold_nothing_that_no_event_makes() -> None:
    """Each arrow of the table has an event; one that nothing follows would be a lie in the README's picture."""
    by_claim = {(Q, one) for one in (SE, EX, SK, CA)}
    by_expand_or_settle = {(Q, FA)}
    by_receipt = {(c, after_receipt(c, t)) for c, t in product(Status, EVIDENCE)}
    by_answer = {(c, after_outcome(c, o, again=a)) for c, o, a in product(ANSWERABLE, OUTCOMES, (True, False))}
    by_lease = {(SE, UC)}
    by_restart = {(CA, Q)}
    by_restore = {(Q, UC)}
    by_second_try = {(UC, SE)}
    by_owner = by_restart | by_restore
    made = by_claim | by_expand_or_settle | by_receipt | by_answer | by_lease | by_owner | by_second_try
    assert {(c, t) for c, targets in MOVES.items() for t in targets} == {(c, t) for c, t in made if c is not t}


@pytest.mark.parametrize("target", Status)
def test_sources_turn_the_table_around(target: Status) -> None:
    assert sources_of(target) == {status for status in Status if target in MOVES[status]}


@pytest.mark.parametrize("status", Status)
def test_only_a_queued_one_can_be_called_back(status: Status) -> None:
    if status is Status.QUEUED:
        check_cancellable(status)
        return
    with pytest.raises(MessageNotCancellable, match=status.value):
        check_cancellable(status)


@pytest.mark.parametrize("status", Status)
def test_only_one_that_ended_without_arriving_can_be_sent_again(status: Status) -> None:
    if status in RESENDABLE:
        check_resendable(status)
        return
    with pytest.raises(MessageNotResendable, match=status.value):
        check_resendable(status)


@pytest.mark.parametrize("status", Status)
def test_test_is_made_anew_and_never_sent_again(status: Status) -> None:
    """A resend would go to whatever gateway comes first."""
    with pytest.raises(MessageNotResendable, match="test the gateway once more"):
        check_resendable(status, Kind.TEST)


def test_what_may_be_sent_again_is_over_and_has_not_arrived() -> None:
    assert not RESENDABLE & (OPEN | {Status.SUBMITTED, Status.SENT, Status.DELIVERED})
    assert Status.SKIPPED not in RESENDABLE  # not sent on purpose


def test_every_kind_has_its_turn() -> None:
    assert set(PRIORITY_OF) == set(Kind)
    assert min(Kind, key=lambda kind: PRIORITY_OF[kind]) is Kind.OTP
    assert max(PUMPED, key=lambda kind: PRIORITY_OF[kind]) is Kind.CAMPAIGN
    # a queue of its own: no pump asks for this priority
    assert PRIORITY_OF[Kind.TEST] not in {PRIORITY_OF[kind] for kind in PUMPED}


@pytest.mark.parametrize(
    ("consents", "required", "refused"),
    [
        pytest.param([], False, False, id="nobody asked"),
        pytest.param([], True, True, id="nobody asked who had to"),
        pytest.param([Consent.GRANTED], True, False, id="granted"),
        pytest.param([Consent.UNKNOWN], False, False, id="unknown"),
        pytest.param([Consent.WITHDRAWN], False, True, id="taken back"),
        pytest.param([Consent.GRANTED, Consent.WITHDRAWN], False, True, id="whoever has the number now took it back"),
        pytest.param([Consent.GRANTED, Consent.UNKNOWN], True, True, id="one of two"),
    ],
)
def test_a_campaigns_words_need_consent_again(consents: list[Consent], required: bool, refused: bool) -> None:
    if not refused:
        check_agreed(consents, required=required)
        return
    with pytest.raises(MessageNotResendable, match="consent"):
        check_agreed(consents, required=required)
