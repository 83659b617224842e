"""The judge, fed with ledgers that are made up: it has to cry at each kind of harm, and only then."""

from hashlib import sha256

import pytest

from deploy.simulator.ledger import ACCEPTED, CALLBACK, REFUSED, Entry
from proof.judge import Row, Sum, Verdict, judge

STEP = "step-1"
NUMBERS = ("+12025550101", "+12025550102", "+12025550103")
PROMISED = [(STEP, msisdn) for msisdn in NUMBERS]


def row(number: int, status: str = "delivered", **over: str) -> Row:
    values = {"id": f"m{number}", "step": STEP, "msisdn": NUMBERS[number], "status": status}
    return Row(**{**values, **over})  # type: ignore[arg-type]  # every field that a test names is a text


def arrival(number: int, *, kind: str = ACCEPTED, m: str | None = None, text: str = "hello") -> Entry:
    digest = sha256(text.encode()).hexdigest()
    return Entry(kind, 1.0, to=NUMBERS[number], m=m or f"m{number}", a="1", body_sha256=digest)


def test_it_is_content_with_what_was_promised_and_arrived_once() -> None:
    verdict = judge(PROMISED, [row(n) for n in range(3)], [arrival(n) for n in range(3)])
    assert verdict.broken() == []
    assert (verdict.promised, verdict.arrived) == (3, 3)


def test_receipts_and_refusals_are_no_arrivals() -> None:
    ledger = [arrival(0), arrival(0, kind=CALLBACK), arrival(1, kind=REFUSED), arrival(2)]
    verdict = judge(PROMISED, [row(0), row(1, "failed"), row(2)], ledger, endings={"failed": PROMISED})
    assert verdict.broken() == []
    assert verdict.arrived == 2


@pytest.mark.parametrize("rows", [[], [row(0, "queued")], [row(0, "sending")], [row(0, "delivered")]])
def test_a_message_that_never_reached_the_gateway_is_lost(rows: list[Row]) -> None:
    verdict = judge(PROMISED[:1], rows, [])
    assert verdict.lost == ((STEP, NUMBERS[0]),)
    assert any("lost" in sentence for sentence in verdict.broken())


@pytest.mark.parametrize("status", ["unconfirmed", "failed", "cancelled", "expired", "skipped"])
def test_a_message_whose_status_says_that_it_did_not_arrive_is_not_lost(status: str) -> None:
    verdict = judge(PROMISED[:1], [row(0, status)], [])
    assert verdict.lost == ()
    assert len(verdict.never_arrived) == (status == "unconfirmed")


@pytest.mark.parametrize("status", ["failed", "cancelled", "expired", "skipped"])
def test_a_healthy_message_that_is_not_sent_is_unfounded(status: str) -> None:
    verdict = judge(PROMISED[:1], [row(0, status)], [])
    assert verdict.unfounded == ((STEP, NUMBERS[0]),)
    assert len(verdict.broken()) == 1


@pytest.mark.parametrize("status", ["cancelled", "expired", "skipped"])
def test_an_ending_that_the_scenario_names_is_founded_for_whom_it_names(status: str) -> None:
    rows = [row(0, status), row(1, status), row(2)]
    verdict = judge(PROMISED, rows, [arrival(2)], endings={status: PROMISED[:1]})
    assert verdict.unfounded == ((STEP, NUMBERS[1]),)


def test_an_ending_is_founded_by_its_own_name_alone() -> None:
    verdict = judge(PROMISED[:1], [row(0, "expired")], [], endings={"skipped": PROMISED})
    assert verdict.unfounded == ((STEP, NUMBERS[0]),)


def test_what_was_never_asked_for_is_no_more_than_what_was_in_flight() -> None:
    verdict = judge(PROMISED[:2], [row(0, "unconfirmed"), row(1, "unconfirmed")], [])
    assert verdict.never_asked == verdict.never_arrived
    assert verdict.broken(in_flight=2) == []
    assert len(verdict.broken(in_flight=1)) == 1


def test_what_the_gateway_refused_without_saying_so_was_asked_for() -> None:
    verdict = judge(PROMISED[:1], [row(0, "unconfirmed")], [arrival(0, kind=REFUSED)])
    assert verdict.never_arrived == ((STEP, NUMBERS[0]),)
    assert verdict.never_asked == ()
    assert verdict.broken() == []


def test_a_message_that_arrived_twice_is_duplicated() -> None:
    verdict = judge(PROMISED[:1], [row(0)], [arrival(0), arrival(0)])
    assert verdict.duplicated == ((STEP, NUMBERS[0]),)
    assert len(verdict.broken()) == 1


def test_one_recipient_under_two_ids_is_duplicated() -> None:
    rows = [row(0), row(0, id="m9")]
    verdict = judge(PROMISED[:1], rows, [arrival(0), arrival(0, m="m9", text="hello again")])
    assert verdict.duplicated == ((STEP, NUMBERS[0]),)
    assert verdict.unpromised == ((STEP, NUMBERS[0]),)


def test_the_same_words_at_the_same_number_are_duplicated_whatever_their_id() -> None:
    promised = [("", "m0"), ("", "m9")]
    rows = [row(0, step=""), row(0, step="", id="m9")]
    verdict = judge(promised, rows, [arrival(0), arrival(0, m="m9")])
    assert verdict.duplicated == (("", "m0"), ("", "m9"))


def test_a_password_may_arrive_twice_but_not_thrice() -> None:
    twice = judge([("", "m0")], [row(0, step="")], [arrival(0)] * 2, allowed=2)
    thrice = judge([("", "m0")], [row(0, step="")], [arrival(0)] * 3, allowed=2)
    assert twice.broken() == []
    assert thrice.duplicated == (("", "m0"),)


@pytest.mark.parametrize("status", ["queued", "sending", "failed", "cancelled", "expired", "skipped"])
def test_an_arrival_that_postgres_denies_is_unaccounted(status: str) -> None:
    verdict = judge(PROMISED[:1], [row(0, status)], [arrival(0)])
    assert verdict.unaccounted == ("m0",)


def test_an_arrival_nobody_knows_of_is_unaccounted() -> None:
    verdict = judge([], [], [arrival(0)])
    assert len(verdict.unaccounted) == 1


@pytest.mark.parametrize("status", ["submitted", "sent", "delivered", "undelivered"])
def test_an_acceptance_that_the_gateway_knows_nothing_of_is_a_phantom(status: str) -> None:
    verdict = judge(PROMISED[:1], [row(0, status)], [])
    assert verdict.phantom == ((STEP, NUMBERS[0]),)


def test_a_row_nobody_asked_for_is_unpromised() -> None:
    verdict = judge(PROMISED[:1], [row(0), row(1)], [arrival(0), arrival(1)])
    assert verdict.unpromised == ((STEP, NUMBERS[1]),)


def test_doubt_about_what_arrived_has_to_end() -> None:
    verdict = judge(PROMISED[:1], [row(0, "unconfirmed")], [arrival(0)])
    assert verdict.doubted == ((STEP, NUMBERS[0]),)
    assert verdict.laws == dict.fromkeys(verdict.laws, 0)
    assert len(verdict.broken()) == 1
    assert verdict.broken(doubted=1) == []


def test_every_law_has_its_sentence() -> None:
    harmed = Verdict(
        promised=1,
        arrived=0,
        lost=(PROMISED[0],),
        duplicated=(PROMISED[0],),
        unaccounted=("m0",),
        phantom=(PROMISED[0],),
        unpromised=(PROMISED[0],),
        unfounded=(PROMISED[0],),
        doubted=(),
        never_arrived=(),
        never_asked=(),
    )
    assert len(harmed.broken()) == len(harmed.laws) == 6


def test_a_report_that_adds_up_and_agrees_is_believed() -> None:
    counts = {"delivered": 2, "failed": 1}
    assert Sum(3, {**counts, "queued": 0}, counts, {**counts, "sending": 0}).broken() == []


@pytest.mark.parametrize(
    ("expected", "reported", "recounted", "tallied"),
    [
        (4, {"sent": 3}, {"sent": 3}, {"sent": 3}),
        (3, {"sent": 3}, {"sent": 3}, {"sent": 2, "queued": 1}),
        (3, {"sent": 3}, {"delivered": 3}, {"delivered": 3}),
    ],
)
def test_a_report_that_does_not_is_not(
    expected: int, reported: dict[str, int], recounted: dict[str, int], tallied: dict[str, int]
) -> None:
    assert len(Sum(expected, reported, recounted, tallied).broken()) == 1
