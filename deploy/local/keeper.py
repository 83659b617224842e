"""The parent of one process, so that it never outlives whoever started it.

Its standard input is a pipe the starter holds: a number is a signal to pass on, the end of it means
that the starter is gone. A death signal alone would not do: it is tied to the *thread* that forked,
is lost when the child changes its user, and exists on Linux only. Runs by path under `python -I -S`
and imports nothing of ours, so that it stands within milliseconds.
"""

import ctypes
import json
import os
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

PR_SET_PDEATHSIG = 1


def death_signal(number: int) -> Callable[[], None] | None:
    """In case the keeper is killed. Set after the change of user, which would clear it."""
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl

    def set_it() -> None:
        prctl(PR_SET_PDEATHSIG, number, 0, 0, 0)

    return set_it


def spawn(order: dict[str, Any]) -> subprocess.Popen[bytes]:
    become: dict[str, Any] = {}
    if order["uid"] is not None:
        become = {"user": order["uid"], "group": order["gid"], "extra_groups": []}
    return subprocess.Popen(
        order["command"],
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr,
        cwd=order["cwd"],
        umask=0o077,
        preexec_fn=death_signal(order["farewell"]),  # noqa: PLW1509 - one thread only
        **become,
    )


def part(kept: subprocess.Popen[bytes], order: dict[str, Any]) -> None:
    """The starter is gone: end in good order, then by force, and clear what was temporary."""
    kept.send_signal(order["farewell"])
    try:
        kept.wait(order["grace"])
    except subprocess.TimeoutExpired:
        kept.kill()
        kept.wait()
    for path in order["discard"]:
        shutil.rmtree(path, ignore_errors=True)


def keep(kept: subprocess.Popen[bytes], order: dict[str, Any], *, ended: int) -> None:
    while kept.poll() is None:
        readable, _, _ = select.select([0, ended], [], [])
        if ended in readable:
            os.read(ended, 512)
        if 0 not in readable:
            continue
        words = os.read(0, 512)
        if not words:
            part(kept, order)
        for word in words.split():
            kept.send_signal(int(word))


def main() -> int:
    order = json.loads(sys.argv[1])
    ended, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    for woken_by in (signal.SIGCHLD, signal.SIGINT, signal.SIGHUP):
        signal.signal(woken_by, lambda *_: None)
    try:
        kept = spawn(order)
    except (OSError, subprocess.SubprocessError) as failure:
        sys.stderr.write(f"cannot start {order['command'][0]}: {failure}\n")
        return 127
    signal.signal(signal.SIGTERM, lambda *_: kept.send_signal(order["farewell"]))
    os.write(1, f"{kept.pid}\n".encode())
    os.close(1)
    keep(kept, order, ended=ended)
    code = kept.wait()
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main())
