"""The whole service as `make run` starts it, for tests of what people paste: a fixture to import."""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
READY_SECONDS = 90.0


@dataclass(frozen=True, slots=True)
class Service:
    url: str
    key: str


@pytest.fixture
def service() -> Iterator[Service]:
    """`make run` as a stranger starts it: an empty state directory, any free port."""
    home = Path(tempfile.mkdtemp(prefix="lapwing-served-"))
    said = home / "said"
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("LAPWING_")}
    with said.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "deploy.local.run"],
            cwd=ROOT,
            env={**inherited, "LAPWING_STATE_DIR": str(home / "state"), "LAPWING_PORT": "0"},
            stdout=out,
            stderr=out,
        )
    try:
        yield _await_ready(process, said)
    finally:
        process.send_signal(signal.SIGINT)
        try:
            code = process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise
        finally:
            shutil.rmtree(home, ignore_errors=True)
    assert code == 0


def _await_ready(process: subprocess.Popen[bytes], said: Path) -> Service:
    give_up = time.monotonic() + READY_SECONDS
    while True:
        text = said.read_text()
        url = re.search(r"Lapwing is ready: (\S+)/docs", text)
        key = re.search(r"Admin key, shown this once: (\S+)", text)
        if url and key:
            return Service(url[1], key[1])
        assert process.poll() is None, text
        assert time.monotonic() < give_up, text
        time.sleep(0.05)
