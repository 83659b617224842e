"""How many retries a gateway is handed: a share of all it is handed, a few always, and more as soon as they arrive."""

from uuid import UUID

import pytest

from shared.domain.breaker import Mark
from shared.domain.retries import AT_LEAST, SHARE, WINDOW_SECONDS, Retries


def message(number: int) -> UUID:
    return UUID(int=number)


def begun(retries: Retries, *, heard: int, now: float = 0.0, asked: int = 10_000) -> int:
    """How many of so many that ask may go at once."""
    count = 0
    for number in range(asked):
        if not retries.allow(heard=heard, now=now):
            break
        retries.begin(message(number))
        count += 1
    return count


@pytest.mark.parametrize(
    ("heard", "most"), [(0, AT_LEAST), (100, AT_LEAST), (10 * AT_LEAST, AT_LEAST), (6_000, 600), (60_000, 6_000)]
)
def test_a_tenth_of_what_it_is_handed_and_a_few_always(heard: int, most: int) -> None:
    assert most == max(AT_LEAST, SHARE * heard)
    assert begun(Retries(), heard=heard) == most


@pytest.mark.parametrize(("mark", "more"), [(Mark.GOOD, AT_LEAST), (Mark.SILENT, AT_LEAST), (Mark.FAILED, 0)])
def test_only_what_was_in_vain_is_used_up(mark: Mark, more: int) -> None:
    retries = Retries()
    assert begun(retries, heard=0) == AT_LEAST
    retries.end([(message(number), mark) for number in range(AT_LEAST)], now=1.0)
    assert begun(retries, heard=0, now=2.0) == more
    assert begun(Retries(failed=retries.failed), heard=0, now=1.1 + WINDOW_SECONDS) == AT_LEAST


def test_what_was_no_retry_is_not_counted() -> None:
    retries = Retries()
    retries.end([(message(number), Mark.FAILED) for number in range(AT_LEAST)], now=0.0)
    assert begun(retries, heard=0) == AT_LEAST
