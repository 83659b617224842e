"""The OpenAPI document against the answers, property by property: what it promises is held, whatever is sent.

A bounded run is among the tests; `make fuzz` goes on for as long as it is told to, from another seed each time.
Against an api process without a dispatcher, so that nothing which is made up here is ever sent anywhere.
"""

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from tests.api_process import AUTHORIZED, Api, database, start_api

__all__ = ["database", "start_api"]

SECONDS: Final = int(os.environ.get("FUZZ_SECONDS", "0"))
CONFIG: Final = Path(__file__).parent / "schemathesis.toml"


def phases() -> list[str]:
    if SECONDS:
        return ["--phases", "examples,coverage,fuzzing,stateful", "--max-time", str(SECONDS), "--max-examples", "100"]
    return ["--phases", "examples,coverage,fuzzing,stateful", "--max-time", "100", "--max-examples", "3"]


def run(url: str, report: Path, folder: Path) -> dict[str, Any]:
    (header,) = AUTHORIZED.items()
    seed = secrets.randbelow(1 << 31) if SECONDS else 1
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIG), "run", f"{url}/openapi.json"),
        *("-H", ": ".join(header), "--continue-on-failure", "--warnings", "off", "--no-color"),
        *("--seed", str(seed), "--workers", "1", "--request-timeout", "30", "--suppress-health-check", "all"),
        *("--report", "json", "--report-json-path", str(report), *phases()),
    ]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=SECONDS * 2 + 900, check=False)
    assert report.exists(), done.stdout + done.stderr
    told: dict[str, Any] = json.loads(report.read_text())
    told["said"] = done.stdout
    return told


@pytest.mark.timeout(SECONDS * 2 + 1000)
def test_the_service_does_what_its_document_says(start_api: Callable[..., Api], tmp_path: Path) -> None:
    api = start_api(rate_limit="0")
    told = run(api.url, tmp_path / "report.json", tmp_path)
    assert not told["failures"], told["said"]
    assert not told["errors"], told["said"]
    assert told["operations"]["tested"] == told["operations"]["selected"] > 60
    # What no check of the document sees: a failure that was answered well.
    assert '"request failed"' not in api.process.said()
