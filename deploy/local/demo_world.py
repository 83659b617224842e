"""What the demo runs on: embedded servers, a gateway simulator, the api and two dispatchers, all of its own.

Nothing of the environment's `LAPWING_...` settings reaches it, so it cannot touch anybody's data or gateway.
"""

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from deploy.local.demo_client import Client
from deploy.local.demo_errors import DemoFailed
from deploy.local.keys import ADMIN_KEY
from deploy.local.run import API, DISPATCHER, Plan, children_of, is_ready, prepared
from deploy.local.supervisor import Child, Command, Supervisor
from deploy.simulator.launch import Simulator

COMMANDS: Final = (API, Command("dispatcher-1", DISPATCHER.argv), Command("dispatcher-2", DISPATCHER.argv))
READY_SECONDS: Final = 60.0
LOG_LINES_SHOWN: Final = 6

# Few enough at once that a campaign of 1,000 can be watched; in earnest a dispatcher takes hundreds.
_SLOTS: Final = "15"
_LATENCY_MS: Final = 100.0
# A gateway on a bad day. What each fault should come to is told by `demo.py`.
_DIALS: Final[Mapping[str, Any]] = {
    "jitter_ms": 60,
    "undelivered": 0.02,
    "callback_delay_ms": [200, 900],
    "callback_order": "shuffled",
    "callback_duplication": 0.1,
    "faults": [{"kind": "reset", "every": 100}, {"kind": "throttle", "every": 45, "retry_after": 1}],
}


@dataclass(frozen=True, slots=True)
class World:
    """The running demo: who answers, who sends, who is sent to."""

    client: Client
    simulator: Simulator
    children: Sequence[Child]
    state: Path

    def check(self) -> None:
        """Refuse to go on without one of the processes."""
        for child in self.children:
            if not child.running:
                said = _end_of(self.state / f"{child.name}.log")
                raise DemoFailed(f"The {child.name} process ended with code {child.code}:\n{said}")


@contextmanager
def running(state: Path, *, commands: Sequence[Command] = COMMANDS) -> Iterator[World]:
    """Everything up, and everything down at the end, in good order."""
    plan = Plan(
        environment={**_without_settings(os.environ), "LAPWING_BULK_SLOTS": _SLOTS},
        state=state,
        host="127.0.0.1",
        port=0,
        commands=commands,
        durable=False,
        logs=True,
    )
    simulator = Simulator(state / "ledger.jsonl", latency_ms=_LATENCY_MS, dials=dict(_DIALS), arguments=("--seed=1",))
    with simulator, prepared(plan) as base:
        children = children_of(plan, base)
        supervisor = Supervisor(children)
        client = Client(base.host, base.port, key=base.environment[ADMIN_KEY])
        world = World(client, simulator, children, state)
        try:
            supervisor.start()
            give_up = time.monotonic() + READY_SECONDS
            while not is_ready(base):
                world.check()
                if time.monotonic() > give_up:
                    raise DemoFailed(f"The api was not ready within {READY_SECONDS:g} s:\n{_end_of(state / 'api.log')}")
                time.sleep(0.05)
            yield world
        finally:
            supervisor.drain(impatient=lambda: False)


def _without_settings(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if not name.startswith("LAPWING_")}


def _end_of(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines()[-LOG_LINES_SHOWN:] if log.exists() else []
    return "\n".join(f"  {line[:300]}" for line in lines or ["(it said nothing)"])
