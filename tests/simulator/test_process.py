"""The process: how it says it is ready, how it ends, and what it never imports."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from deploy.simulator.launch import ROOT, Simulator, SimulatorError
from tests.simulator.caller import Caller

PARENT = """
import sys, time
from pathlib import Path
from deploy.simulator.launch import Simulator
simulator = Simulator(Path(sys.argv[1]), arguments=sys.argv[2:]).start()
print(simulator.pid, flush=True)
time.sleep(60)
"""


def test_it_prints_one_line_and_ends_on_sigterm(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "deploy.simulator", "--port", "0", "--ledger", str(tmp_path / "ledger")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT) as process:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        process.send_signal(signal.SIGTERM)
        rest, errors = process.communicate(timeout=10)
    assert (process.returncode, rest, errors) == (0, b"", b"")
    assert ready["port"] != ready["control_port"]
    assert ready["pid"] == process.pid


def test_it_starts_without_options_and_says_where_all_is() -> None:
    command = [sys.executable, "-m", "deploy.simulator"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT) as process:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        process.send_signal(signal.SIGTERM)
        rest, errors = process.communicate(timeout=30)
    assert (process.returncode, rest, errors) == (0, b"", b"")
    ledger = Path(ready["ledger"])
    kinds = [json.loads(line)["kind"] for line in ledger.read_text().splitlines()]
    shutil.rmtree(ledger.parent)
    assert kinds == ["started", "stopped"]
    assert ready["port"] > 0


def test_it_ends_cleanly_with_work_in_hand(tmp_path: Path) -> None:
    simulator = Simulator(tmp_path / "ledger", dials={"faults": [{"kind": "hang"}], "callback_delay_ms": 60_000})
    with simulator.start():
        line = Caller(simulator).raw()
        assert simulator.stop() == 0
        line.close()


@pytest.mark.skipif(sys.platform != "linux", reason="asks the kernel for its parent's death")
def test_it_dies_with_its_parent(tmp_path: Path) -> None:
    child = _orphaned(tmp_path, [])
    gone, _ = psutil.wait_procs([child], timeout=5)
    assert gone == [child]


def test_it_stays_when_asked_to(tmp_path: Path) -> None:
    child = _orphaned(tmp_path, ["--outlive-parent"])
    time.sleep(0.3)
    assert child.is_running()
    assert child.status() != psutil.STATUS_ZOMBIE
    child.terminate()
    psutil.wait_procs([child], timeout=5)


def test_a_port_in_use_is_an_error(simulator: Simulator, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SimulatorError, match="before it was ready"):
        Simulator(arguments=[f"--port={simulator.port}"]).start()
    assert "in use" in capfd.readouterr().err


def test_a_ledger_that_cannot_be_written_is_an_error(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SimulatorError, match="before it was ready"):
        Simulator(tmp_path / "no" / "such" / "folder").start()
    assert "No such file" in capfd.readouterr().err


def test_it_imports_nothing_of_what_it_judges() -> None:
    program = (
        "import sys, deploy.simulator.__main__, deploy.simulator.launch;"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    command = [sys.executable, "-c", program]
    loaded = set(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split())
    assert not loaded & {"api", "dispatcher", "shared", "fastapi", "starlette", "uvicorn", "aiohttp", "httpx"}


def _orphaned(tmp_path: Path, arguments: list[str]) -> psutil.Process:
    """A simulator whose parent was killed just now."""
    command = [sys.executable, "-c", PARENT, str(tmp_path / "ledger"), *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
    with suppress(ChildProcessError):
        os.waitpid(child.pid, os.WNOHANG)
    return child
