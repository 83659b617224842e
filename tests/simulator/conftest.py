"""Worlds for the simulator's tests: a running simulator, its client, somebody to tell."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.simulator.launch import Simulator
from tests.simulator.caller import Caller
from tests.simulator.receiver import Receiver


@pytest.fixture
def simulator(tmp_path: Path) -> Iterator[Simulator]:
    dials = {"callback_delay_ms": [1, 5], "callback_retry_ms": 50}
    with Simulator(tmp_path / "ledger.jsonl", dials=dials) as running:
        yield running


@pytest.fixture(scope="module")
def steady(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    """One for all tests of a module: for those that leave its dials alone."""
    with Simulator(tmp_path_factory.mktemp("steady") / "ledger.jsonl") as running:
        yield running


@pytest.fixture
def caller(simulator: Simulator) -> Caller:
    return Caller(simulator)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as listening:
        yield listening
