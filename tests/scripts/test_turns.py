"""Whose script is next, without a process or a clock."""

from dataclasses import dataclass

import pytest

from shared.scripts.failures import STOPPED, Reason
from shared.scripts.turns import Rules, Turns


@dataclass(frozen=True, slots=True)
class Job:
    owner: str
    number: int = 0
    script: str = "s"
    function: str = "build"
    size: int = 10
    is_wanted: bool = True


def turns(workers: int = 2, *jobs: Job) -> Turns[Job]:
    made: Turns[Job] = Turns(workers, Rules(strikes=3, rest=30.0))
    for job in jobs:
        made.add(job)
    return made


def trust(of: Turns[Job], owner: str) -> None:
    of.add(Job(owner))
    assert of.take() == [Job(owner)]
    for _ in range(50):
        of.note(owner, None, seconds=0.0005, now=0.0)
    of.release(owner)


def test_owners_take_turns() -> None:
    queue = turns(1, *(Job("a", number) for number in range(3)), Job("b"), Job("c"))
    order = []
    while jobs := queue.take():
        order += [job.owner for job in jobs]
        queue.release(jobs[0].owner)
    assert order == ["a", "b", "c", "a", "a"]


def test_nobody_holds_the_last_worker() -> None:
    queue = turns(2)
    trust(queue, "a")
    trust(queue, "b")
    for number in range(40):
        queue.add(Job("a", number))
    assert {job.owner for job in queue.take()} == {"a"}
    assert queue.take() == []
    queue.add(Job("b"))
    assert queue.take() == [Job("b")]


def test_the_doubtful_share_what_is_left_of_the_workers() -> None:
    queue = turns(3, Job("a"), Job("a"), Job("b"), Job("c"))
    assert [queue.take(), queue.take(), queue.take()] == [[Job("a")], [Job("b")], []]
    queue.note("a", None, seconds=0.001, now=0.0)
    assert queue.take() == [Job("c")]


def test_a_single_worker_serves_everybody() -> None:
    queue = turns(1, Job("a"))
    assert queue.take() == [Job("a")]


def test_the_trusted_and_quick_share_an_order() -> None:
    queue = turns(2)
    trust(queue, "a")
    for number in range(20):
        queue.add(Job("a", number))
    assert [job.number for job in queue.take()] == list(range(16))


BOUNDARIES = [
    pytest.param(Job("a", 1, script="t"), id="another script"),
    pytest.param(Job("a", 1, function="read"), id="another function"),
    pytest.param(Job("a", 1, size=300_000), id="a large one"),
]


@pytest.mark.parametrize("second", BOUNDARIES)
def test_an_order_is_of_one_function_and_small(second: Job) -> None:
    queue = turns(2)
    trust(queue, "a")
    queue.add(Job("a"))
    queue.add(second)
    assert queue.take() == [Job("a")]
    queue.release("a")
    assert queue.take() == [second]


def test_the_slow_go_one_by_one() -> None:
    queue = turns(2)
    trust(queue, "a")
    for _ in range(10):
        queue.note("a", None, seconds=0.04, now=0.0)
    queue.add(Job("a", 1))
    queue.add(Job("a", 2))
    assert queue.take() == [Job("a", 1)]


def test_who_has_left_is_passed_over() -> None:
    queue = turns(2, Job("a", 1, is_wanted=False), Job("a", 2))
    assert queue.take() == [Job("a", 2)]


@pytest.mark.parametrize("reason", sorted(STOPPED))
def test_three_stops_in_a_row_are_a_rest(reason: Reason) -> None:
    queue = turns(2, Job("a"), Job("a", 1))
    queue.take()
    assert queue.note("a", reason, seconds=0.25, now=1.0) == ()
    assert queue.note("a", reason, seconds=0.25, now=2.0) == ()
    assert queue.rests("a", 2.0) == 0.0
    assert queue.note("a", reason, seconds=0.25, now=3.0) == (Job("a", 1),)
    assert queue.rests("a", 4.0) == 29.0
    assert queue.rests("b", 4.0) == 0.0


def test_after_a_rest_it_is_tried_once() -> None:
    queue = turns(2, Job("a"))
    queue.take()
    for _ in range(3):
        queue.note("a", Reason.OVER_TIME, seconds=0.25, now=0.0)
    assert queue.rests("a", 30.0) == 0.0
    queue.note("a", Reason.OVER_TIME, seconds=0.25, now=31.0)
    assert queue.rests("a", 32.0) == 29.0


@pytest.mark.parametrize("reason", [None, *sorted(set(Reason) - STOPPED)])
def test_any_answer_in_time_ends_the_row(reason: Reason | None) -> None:
    queue = turns(2, Job("a"))
    queue.take()
    for stop in (Reason.OVER_TIME, Reason.OVER_TIME, reason, Reason.OVER_TIME, Reason.OVER_TIME):
        queue.note("a", stop, seconds=0.1, now=0.0)
    assert queue.rests("a", 0.0) == 0.0


def test_a_stop_costs_the_trust() -> None:
    queue = turns(2)
    trust(queue, "a")
    queue.add(Job("a", 1))
    queue.take()
    queue.note("a", Reason.OVER_TIME, seconds=0.25, now=0.0)
    queue.add(Job("b"))
    assert queue.take() == []  # both would be doubtful, and only one may
    queue.release("a")
    assert queue.take() == [Job("b")]


def test_what_was_not_served_is_next() -> None:
    queue = turns(2)
    trust(queue, "a")
    for number in range(5):
        queue.add(Job("a", number))
    batch = queue.take()
    queue.add(Job("a", 5))
    queue.release("a", batch[1:])
    assert [job.number for job in queue.take()] == [1, 2, 3, 4, 5]


def test_clear_gives_back_all_that_wait() -> None:
    queue = turns(2, Job("a"), Job("b"))
    assert queue.clear() == [Job("a"), Job("b")]
    assert queue.take() == []


def test_the_book_of_owners_stays_short() -> None:
    queue = turns(1)
    for number in range(2_500):
        queue.add(Job(f"owner {number}"))
        [job] = queue.take()
        queue.release(job.owner)
    assert len(queue._owners) <= 1_000
