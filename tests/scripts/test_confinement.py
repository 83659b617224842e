"""What a confined process cannot do any more, tried in one."""

import platform
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TRIED = {
    "open a file": "open('/etc/passwd')",
    "write a file": "open('/tmp/lapwing-script', 'w')",
    "list a folder": "os.listdir('/')",
    "open a socket": "socket.socket()",
    "open a local socket": "socket.socketpair()",
    "fork": "os.fork()",
    "become another program": "os.execv('/bin/true', ['true'])",
    "send a signal": "os.kill(os.getppid(), 0)",
    "limit its parent": "resource.prlimit(os.getppid(), resource.RLIMIT_CPU)",
    "open a pipe": "os.pipe()",
    "copy a file descriptor": "os.dup(1)",
    "change the folder": "os.chdir('/')",
}
STILL = {
    "compute": "sum(range(1000))",
    "take memory": "len(bytearray(8_000_000))",
    "read the clock": "time.process_time()",
    "grant itself time": "grant_processor_time()",
}

HEAD = """
import os, resource, socket, time
from shared.scripts.confinement import confine, filter_system_calls, grant_processor_time
filtered = {by}()
try:
    {what}
except OSError as error:
    print(filtered, "refused")
else:
    print(filtered, "done")
"""


def run(what: str, *, by: str = "confine") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", HEAD.format(by=by, what=what)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)


filtered_here = pytest.mark.skipif(
    not sys.platform.startswith("linux") or platform.machine() not in {"x86_64", "aarch64"},
    reason="system calls are filtered on Linux only",
)


@filtered_here
@pytest.mark.parametrize("by", ["filter_system_calls", "confine"])
@pytest.mark.parametrize("what", TRIED)
def test_it_cannot(what: str, by: str) -> None:
    assert run(TRIED[what], by=by).stdout.split() == ["True", "refused"]


@filtered_here
@pytest.mark.parametrize("what", STILL)
def test_it_still_can(what: str) -> None:
    assert run(STILL[what]).stdout.split() == ["True", "done"]


LIMITS = {"CORE": "(0, 0)", "FSIZE": "(0, 0)", "NPROC": "(0, 0)", "NOFILE": "(3, 3)"}


@pytest.mark.parametrize("name", LIMITS)
def test_limits_hold_without_a_filter(name: str) -> None:
    assert LIMITS[name] in run(f"print(resource.getrlimit(resource.RLIMIT_{name}))").stdout


@filtered_here
def test_memory_has_an_end() -> None:
    assert "MemoryError" in run("bytearray(200_000_000)").stderr


def test_processor_time_has_an_end() -> None:
    ended = run("grant_processor_time()\n    while True: pass")
    assert ended.returncode == -signal.SIGXCPU
