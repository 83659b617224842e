"""`python -m proof.chaos`: every scenario in turn, judged; exit code 1 when any law is broken."""

import argparse
import json
import os
import secrets
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Final

from proof.chaos import (
    bells,
    clients,
    commands,
    database,
    deploys,
    fallback,
    faults,
    kills,
    passwords,
    pauses,
    repeats,
    steps,
)
from proof.chaos.tables import as_json, describe, totals
from proof.chaos.trial import Finding, Plan

SCENARIOS: Final[Mapping[str, Callable[[Plan], Finding]]] = MappingProxyType(
    {
        "steps": steps.run,
        "kills": kills.run,
        "batches": kills.run_batches,
        "pauses": pauses.run,
        "bells": bells.run,
        "database": database.run,
        "faults": faults.run,
        "fallback": fallback.run,
        "repeats": repeats.run,
        "commands": commands.run,
        "deploys": deploys.run,
        "clients": clients.run,
        "passwords": passwords.run,
    }
)


def main(arguments: Sequence[str] | None = None) -> int:
    options = _options(arguments)
    plan = Plan(kills=options.kills, seed=options.seed, scale=options.scale, keep=options.keep, say=_say)
    _say(f"seed {plan.seed}; the same one makes the same choices again\n")
    findings = []
    for name in options.scenarios:
        findings.append(_run(name, plan))
        _say(describe(findings[-1]) + "\n")
    place = options.state / "chaos.json"
    options.state.mkdir(parents=True, exist_ok=True)
    document = {"seed": plan.seed, "kills": plan.kills, "scenarios": [as_json(one) for one in findings]}
    place.write_text(json.dumps(document, indent=2) + "\n")
    _say(f"figures: {place}")
    _say(totals(findings))
    return 1 if any(finding.broken for finding in findings) else 0


def _run(name: str, plan: Plan) -> Finding:
    """A scenario that cannot be brought to its end has broken something, too."""
    begun = time.monotonic()
    _say(f"{name} ...")
    try:
        finding = SCENARIOS[name](plan)
    except Exception as failure:  # noqa: BLE001 - the other scenarios are still worth running
        finding = Finding(name, "trial", broken=[f"{type(failure).__name__}: {failure}"])
    finding.seconds = time.monotonic() - begun
    return finding


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m proof.chaos", description=__doc__)
    parser.add_argument("scenarios", nargs="*", default=list(SCENARIOS), help=", ".join(SCENARIOS))
    parser.add_argument("--kills", type=int, default=200, help="random kill -9 in all")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1_000_000), help="of every random choice")
    parser.add_argument("--scale", type=float, default=1.0, help="of the campaigns' sizes; small ones prove less")
    parser.add_argument("--keep", action="store_true", help="keep the worlds' directories, with logs and ledgers")
    parser.add_argument("--state", type=Path, default=Path(os.environ.get("LAPWING_STATE_DIR") or ".lapwing"))
    options = parser.parse_args(arguments)
    unknown = set(options.scenarios) - SCENARIOS.keys()
    if unknown:
        parser.error(f"no scenario is called {', '.join(sorted(unknown))}; there are {', '.join(SCENARIOS)}")
    if options.kills < 1 or not 0 < options.scale <= 10:
        parser.error("--kills is at least 1, and --scale between 0 and 10")
    return options


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
