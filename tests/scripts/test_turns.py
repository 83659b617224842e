"""Whose turn it is, without a clock or a process."""

from dataclasses import dataclass

from shared.scripts.failures import Reason
from shared.scripts.turns import Rules, Turns


@dataclass(eq=False)
class Job:
    owner: str
    script: str = "s"
    function: str = "build"
    size: int = 1
    is_wanted: bool = True


def turns_of(*owners: str, workers: int = 2, jobs: int = 40) -> Turns[Job]:
    turns: Turns[Job] = Turns(workers, Rules(strikes=2, rest=30))
    for owner in owners:
        for _ in range(jobs):
            turns.add(Job(owner))
    return turns


def owner_of(batch: list[Job]) -> str:
    return batch[0].owner if batch else ""


def test_who_is_not_known_gets_one_call_at_a_time_and_leaves_a_worker() -> None:
    turns = turns_of("mad", "worse")
    assert [len(turns.take()), len(turns.take())] == [1, 0]


def test_trust_is_earned_by_an_answer_and_lost_by_a_stop() -> None:
    turns = turns_of("good")
    for _ in range(5):
        turns.take()
        turns.note("good", None, seconds=0.0001, now=0)
        turns.release("good")
    assert len(turns.take()) > 1
    turns.note("good", Reason.OVER_TIME, seconds=0.25, now=0)
    turns.release("good")
    assert len(turns.take()) == 1


def test_no_owner_holds_the_last_worker_and_each_has_its_turn() -> None:
    turns = turns_of("a", "b")
    for owner in "ab":
        turns.take()
        turns.note(owner, None, seconds=0.001, now=0)
        turns.release(owner)
    assert [owner_of(turns.take()) for _ in range(3)] == ["a", "b", ""]


def test_who_is_stopped_too_often_rests_and_is_tried_again() -> None:
    turns = turns_of("mad")
    for dropped in (0, 38):
        turns.take()
        assert len(turns.note("mad", Reason.OVER_MEMORY, seconds=0.1, now=100)) == dropped
        turns.release("mad")
    assert (turns.rests("mad", 100), turns.rests("mad", 130), turns.rests("other", 100)) == (30, 0, 0)
    assert turns.take() == []


def test_an_answer_between_two_stops_forgives_the_first() -> None:
    turns = turns_of("odd")
    for reason in (Reason.OVER_TIME, Reason.RUNTIME, Reason.OVER_TIME):
        turns.take()
        turns.note("odd", reason, seconds=0.1, now=0)
        turns.release("odd")
    assert turns.rests("odd", 0) == 0


def test_calls_that_nobody_waits_for_are_passed_over() -> None:
    turns = turns_of("a", jobs=0)
    for is_wanted in (False, False, True):
        turns.add(Job("a", is_wanted=is_wanted))
    [job] = turns.take()
    assert job.is_wanted


def test_the_unserved_come_first_again() -> None:
    turns = turns_of("a", jobs=0)
    first, second = Job("a"), Job("a")
    turns.add(first)
    turns.take()
    turns.add(second)
    turns.release("a", [first])
    assert turns.take() == [first]


def test_idle_owners_are_forgotten() -> None:
    turns: Turns[Job] = Turns(2, Rules())
    for n in range(5_000):
        turns.add(Job(f"owner {n}"))
        turns.take()
        turns.release(f"owner {n}")
    assert len(turns._owners) <= 1_000
