"""What the receipts of its parts make of a message."""

import pytest

from shared.domain.message import Status
from shared.domain.parts import after_parts


@pytest.mark.parametrize(
    ("parts", "delivered", "failed", "left_at"),
    [
        pytest.param(1, 1, 0, Status.DELIVERED, id="the only one"),
        pytest.param(3, 3, 0, Status.DELIVERED, id="all of them"),
        pytest.param(3, 1, 0, Status.SENT, id="one of three"),
        pytest.param(3, 2, 1, Status.UNDELIVERED, id="one did not arrive"),
        pytest.param(3, 0, 1, Status.UNDELIVERED, id="and of the others nothing is known"),
        pytest.param(3, 3, 1, Status.DELIVERED, id="it arrived after all"),
        pytest.param(0, 1, 0, Status.DELIVERED, id="of a message that nobody counted"),
        pytest.param(2, 3, 0, Status.DELIVERED, id="more than were counted"),
    ],
)
def test_after_parts(parts: int, delivered: int, failed: int, left_at: Status) -> None:
    assert after_parts(parts=parts, delivered=delivered, failed=failed) is left_at
