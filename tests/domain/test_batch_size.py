"""How many share a request: fewer after somebody was counted and not named, and more again with time."""

import pytest

from shared.domain.batch_size import GROWS_AFTER, BatchSize


@pytest.mark.parametrize(
    ("sizes", "left"),
    [
        pytest.param([], 100, id="at first as many as it takes"),
        pytest.param([100], 25, id="fewer"),
        pytest.param([100, 25, 6], 1, id="down to one"),
        pytest.param([100, 100, 100], 25, id="what was under way with more counts for less"),
        pytest.param([1], 100, id="one alone is named by its count"),
        pytest.param([3], 1, id="a few"),
    ],
)
def test_it_shrinks(sizes: list[int], left: int) -> None:
    batches = BatchSize()
    for size in sizes:
        batches.hear(size, unnamed=True, largest=100)
    assert batches.of(100) == left


def test_it_grows_again_with_requests_of_full_size_that_name_everybody() -> None:
    batches = BatchSize()
    batches.hear(100, unnamed=True, largest=100)
    found = []
    for _ in range(3 * GROWS_AFTER):
        batches.hear(1, unnamed=False, largest=100)
        batches.hear(batches.of(100), unnamed=False, largest=100)
        found.append(batches.of(100))
    assert found == [25] * (GROWS_AFTER - 1) + [50] * GROWS_AFTER + [100] * (GROWS_AFTER + 1)
    assert batches == BatchSize()
