"""Real processes for scripts; each test has its own and ends them."""

from collections.abc import AsyncIterator

import pytest

from shared.scripts.scripts import Scripts


@pytest.fixture
async def scripts() -> AsyncIterator[Scripts]:
    made = Scripts()
    yield made
    await made.close()
