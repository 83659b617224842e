"""`make bench`: measures, prints a table, and writes `bench.json` into the state directory.

Timings on a shared machine are noisy; what counts is the ratio of two figures of one run.
"""

import argparse
import json
import os
import platform
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from proof.bench import audience, batching, expanding, lists, pacing, paging, passwords, scale, sending, urgent
from proof.evidence import Stuck

# The figure, what is asked of it, and whether more is better.
GOALS: Final[dict[str, tuple[float, bool]]] = {
    "single_ratio": (0.80, True),
    "batch_ratio": (4.0, True),
    "batch_ratio_of_two": (4.0, True),
    "batch_ratio_on_few_lines": (4.0, True),
    "pace_excess_ratio": (1.02, False),
    "expand_ratio": (0.5, True),
    "urgent_p99_ratio": (3.0, False),
    "otp_p99_ratio": (3.0, False),
    "otp_fallback_seconds": (1.0, False),
    "scale_cost_ratio": (1.1, False),
    "scale_rss_ratio": (1.3, False),
    "import_rss_ratio": (1.3, False),
    "import_api_rss_ratio": (1.3, False),
    "audience_count_seconds": (1.0, False),
    "estimate_cost_ratio": (1.1, False),
    "estimate_rss_ratio": (1.3, False),
    "receipts_ratio": (2.0, True),
    "deep_page_ratio": (1.5, False),
    "campaigns_page_ratio": (1.5, False),
}


def main() -> None:
    options = _options()
    small = min(10_000, options.messages)
    measures: dict[str, Callable[[], dict[str, Any]]] = {
        "sending": lambda: sending.measure(options.messages),
        "batching": lambda: batching.measure(options.messages),
        "pacing": lambda: pacing.measure(options.messages),
        "urgent": lambda: urgent.measure(4 * options.messages),
        "passwords": lambda: passwords.measure(4 * options.messages),
        "expanding": lambda: expanding.measure(options.messages),
        "scale": lambda: scale.measure(small, max(options.large, 2 * small)),
        "audience": lambda: audience.measure(options.contacts),
        "paging": lambda: paging.measure(options.log_rows),
        "lists": lambda: lists.measure(options.log_rows),
    }
    found = measure_all({name: measures[name] for name in options.only or measures})
    found["sizes"] = {
        "messages": options.messages,
        "large": max(options.large, 2 * small),
        "small": small,
        "log_rows": options.log_rows,
        "contacts": options.contacts,
    }
    found["machine"] = {
        "cores": os.cpu_count(),
        "processor": platform.machine(),
        "python": platform.python_version(),
        "system": platform.system(),
    }
    _print_table(found["ratios"])
    _write(found)
    if found["not_measured"]:
        raise SystemExit(f"Not measured: {', '.join(found['not_measured'])}.")


def measure_all(measures: Mapping[str, Callable[[], dict[str, Any]]]) -> dict[str, Any]:
    """The figures of all; one that comes to nothing (a campaign too small for it) is told, and the others go on."""
    found: dict[str, Any] = {"ratios": {}, "raw": {}, "not_measured": []}
    for name, measure in measures.items():
        print(f"measuring {name} ...", flush=True)
        begun = time.monotonic()
        try:
            figures = measure()
        except Stuck as stuck:
            found["not_measured"].append(name)
            print(f"  not measured: {stuck}", flush=True)
            continue
        found["ratios"] |= figures["ratios"]
        found["raw"] |= figures["raw"]
        print(f"  {time.monotonic() - begun:.0f} s  {json.dumps(figures['raw'])}", flush=True)
    return found


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m proof.bench", description=__doc__)
    parser.add_argument("--messages", type=int, default=20_000, help="recipients of a campaign")
    parser.add_argument("--large", type=int, default=200_000, help="recipients and rows at scale")
    parser.add_argument("--contacts", type=int, default=1_000_000, help="contacts of whom half are a target group")
    parser.add_argument("--log-rows", type=int, default=1_000_000, help="messages, and campaigns, to page through")
    parser.add_argument("--only", action="append", help="measure only this; may be repeated")
    return parser.parse_args()


def _print_table(ratios: dict[str, float]) -> None:
    print(f"\n{'figure':24}{'measured':>10}{'goal':>10}")
    for name, ratio in ratios.items():
        goal, more = GOALS[name]
        met = ratio >= goal if more else ratio <= goal
        sign = ">=" if more else "<="
        print(f"{name:24}{ratio:>10.2f}{sign:>6} {goal:<5g}{'' if met else 'missed'}")


def _write(found: dict[str, Any]) -> None:
    state = Path(os.environ.get("LAPWING_STATE_DIR", ".lapwing"))
    state.mkdir(parents=True, exist_ok=True)
    path = state / "bench.json"
    path.write_text(json.dumps(found, indent=2) + "\n")
    print(f"\nwritten to {path}")


if __name__ == "__main__":
    main()
