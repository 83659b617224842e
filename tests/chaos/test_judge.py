"""The judge, fed with ledgers that are made up: it has to cry at each kind of harm, and only then."""

from hashlib import sha256

import pytest

from deploy.simulator.ledger import ACCEPTED, CALLBACK, REFUSED, REPEATED, Entry
from proof.judge import Row, Sum, Verdict, judge
from proof.password_laws import Challenge, Visit, judge_passwords

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


def test_a_repetition_that_the_gateway_knew_rings_no_phone() -> None:
    verdict = judge(PROMISED[:1], [row(0)], [arrival(0), arrival(0, kind=REPEATED)])
    assert verdict.broken() == []
    assert (verdict.arrived, verdict.repeated) == (1, 1)


@pytest.mark.parametrize(
    "ledger",
    [
        pytest.param([arrival(0, kind=REPEATED)], id="of what it never took"),
        pytest.param([arrival(0), arrival(0, kind=REPEATED, m="m9")], id="of a stranger"),
    ],
)
def test_a_repetition_that_nobody_can_account_for(ledger: list[Entry]) -> None:
    assert judge(PROMISED[:1], [row(0, "unconfirmed")], ledger).unaccounted


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


def test_what_was_never_asked_for_was_in_the_hands_of_the_dead() -> None:
    verdict = judge(PROMISED[:2], [row(0, "unconfirmed"), row(1, "unconfirmed")], [])
    assert tuple(verdict.never_asked.values()) == verdict.never_arrived
    assert verdict.broken(held={"m0", "m1"}) == []
    assert len(verdict.broken()) == 1


def test_a_message_dropped_into_doubt_is_seen_however_many_the_dead_held() -> None:
    """What a service would like best: to give up a message of its own accord and let a kill answer for it."""
    verdict = judge(PROMISED, [row(0), row(1, "unconfirmed"), row(2, "unconfirmed")], [arrival(0)])
    (sentence,) = verdict.broken(held={"m0", "m1", "m7", "m8", "m9"})
    assert sentence.startswith("1 unconfirmed that the gateway was never asked for")
    assert NUMBERS[2] in sentence


def test_where_nobody_could_look_what_was_never_asked_for_is_no_more_than_may_have_been_in_flight() -> None:
    verdict = judge(PROMISED, [row(n, "unconfirmed") for n in range(3)], [])
    assert verdict.broken(held={"m0"}, in_flight=2) == []
    assert len(verdict.broken(held={"m0"}, in_flight=1)) == 1
    assert len(verdict.broken(held={"m7", "m8", "m9"}, in_flight=2)) == 1


def test_what_the_gateway_refused_without_saying_so_was_asked_for() -> None:
    verdict = judge(PROMISED[:1], [row(0, "unconfirmed")], [arrival(0, kind=REFUSED)])
    assert verdict.never_arrived == ((STEP, NUMBERS[0]),)
    assert verdict.never_asked == {}
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
        never_asked={},
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


CHALLENGE = Challenge(attempts=4, max_attempts=4, expires_at=100.0)


def handset(message: str, *, code: str = "123456", at: float = 1.0, a: str = "1") -> Entry:
    return Entry(ACCEPTED, at, to=NUMBERS[0], m=message, a=a, body=f"Code {code}.")


def refusal(reason: str) -> Entry:
    return Entry(REFUSED, 1.0, to=NUMBERS[0], m="m0", reason=reason)


def visit(**over: object) -> Visit:
    return Visit("c1", NUMBERS[0], **{"sends": 1, **over})  # type: ignore[arg-type]  # every test names fields of it


def broken_of(
    seen: Visit,
    entries: list[Entry],
    *,
    carried: dict[str, str] | None = None,
    challenges: dict[str, Challenge] | None = None,
    late: frozenset[tuple[str, str]] = frozenset(),
) -> list[str]:
    laws = judge_passwords(
        [seen],
        {"c1": CHALLENGE} if challenges is None else challenges,
        {"m0": "c1"} if carried is None else carried,
        entries,
        late=late,
    )
    return [law for law, found in laws.items() if found]


@pytest.mark.parametrize(
    ("seen", "entries"),
    [
        pytest.param(visit(verified=1), [handset("m0")], id="sent and right"),
        pytest.param(visit(verified=1), [handset("m0"), handset("m0", a="2")], id="in doubt, and sent once more"),
        pytest.param(visit(), [*[refusal("fault:throttle")] * 5, handset("m0")], id="refused aloud, and then sent"),
        pytest.param(visit(), [refusal("fault:hang"), handset("m0", a="2")], id="lost, and sent once more"),
        pytest.param(visit(guesses=4, denied=0), [handset("m0")], id="guessed as often as may be"),
        pytest.param(visit(verified=1, ended_at=5.0), [handset("m0", at=6.5)], id="had just left when it was entered"),
        pytest.param(visit(doubtful=1, denied=1), [handset("m0")], id="used by a request whose answer was lost"),
        pytest.param(visit(cancelled=True, denied=1, ended_at=0.5), [handset("m0")], id="cancelled, and worth nothing"),
    ],
)
def test_it_is_content_with_passwords_that_came(seen: Visit, entries: list[Entry]) -> None:
    assert broken_of(seen, entries) == []


@pytest.mark.parametrize(
    ("law", "seen", "entries"),
    [
        ("acknowledged, and without a message", visit(sends=2), []),
        ("messages that nobody asked for", visit(sends=0), []),
        ("other passwords for a page loaded again", visit(reloaded={"c1", "c2"}), []),
        ("submitted more than twice", visit(), [handset("m0"), handset("m0", a="2"), handset("m0", a="3")]),
        ("submitted more than twice", visit(), [handset("m0"), *[refusal("fault:reset")] * 2]),
        ("several codes", visit(), [handset("m0"), handset("m0", code="654321", a="2")]),
        ("sent without a code", visit(), [handset("m0", code="soon")]),
        ("sent after their end", visit(), [handset("m0", at=102.5)]),
        ("sent after their end", visit(ended_at=5.0), [handset("m0", at=7.5)]),
        ("right twice", visit(verified=2), []),
        ("right, and answered with no", visit(denied=1, guesses=3), []),
        ("right after too many guesses", visit(verified=1, guesses=4), []),
        ("right though cancelled", visit(verified=1, cancelled=True), []),
        ("guesses that were forgotten", visit(guesses=5), []),
    ],
)
def test_harm_to_a_password_has_its_law(law: str, seen: Visit, entries: list[Entry]) -> None:
    assert law in broken_of(seen, entries)


def test_challenges_are_what_their_clients_know() -> None:
    assert broken_of(visit(), [], challenges={"c1": CHALLENGE, "c2": CHALLENGE}) == [
        "challenges that nobody was told of"
    ]
    assert broken_of(visit(), [], challenges={}) == ["vanished"]


def test_what_a_sleeper_had_under_way_may_leave_late_and_nothing_else() -> None:
    entries = [handset("m0", at=200.0, a="2")]
    assert broken_of(visit(), entries, late=frozenset({("m0", "2")})) == []
    assert broken_of(visit(), entries, late=frozenset({("m0", "1")})) == ["sent after their end"]


def test_words_that_a_client_had_sent_again_may_ring_more_often_than_a_message_may() -> None:
    promised = [("", "m0"), ("", "m9")]
    rows = [row(0, step=""), row(0, step="", id="m9")]
    entries = [arrival(0), arrival(0), arrival(0, m="m9")]
    assert judge(promised, rows, entries, allowed=2, rings=4).broken() == []
    assert judge(promised, rows, entries, allowed=2, rings=2).duplicated == (("", "m0"), ("", "m9"))
