"""The zygote's line: whoever asks hears their own answer, while one thread kills and another lets a process sleep."""

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from proof.processes import ZYGOTE, Process, keep
from proof.zygote import Forked, Zygote

ASKED = 400
THREADS = 8
UNFIT = {"LAPWING_DATABASE_URL": "no"}  # it ends by itself, with code 2


def connected(path: Path) -> Zygote:
    give_up = time.monotonic() + 30
    while True:
        try:
            return Zygote(path)
        except OSError:
            assert time.monotonic() < give_up
            time.sleep(0.02)


def started(zygote: Zygote, log: Path) -> Forked:
    return zygote.start(UNFIT, log=log)


def killed_one(zygote: Zygote, log: Path) -> Forked:
    """A process that a signal ended: one that had ended by itself before the signal came is no such thing."""
    for _ in range(50):
        forked = started(zygote, log)
        os.kill(forked.pid, signal.SIGKILL)
        assert forked.wait(seconds=30)
        if forked.code != 2:
            return forked
    raise AssertionError("fifty of them ended before they could be killed")


def test_every_thread_hears_its_own_answer(tmp_path: Path) -> None:
    log = tmp_path / "zygote.log"
    process = Process(keep((*ZYGOTE, str(tmp_path / "line")), environment={}, log=log), log=log)
    try:
        zygote = connected(tmp_path / "line")
        killed, ended = killed_one(zygote, tmp_path / "killed.log"), started(zygote, tmp_path / "ended.log")
        assert ended.wait(seconds=30)
        pids = [killed.pid, ended.pid] * (ASKED // 2)
        with ThreadPoolExecutor(THREADS) as threads:
            told = list(threads.map(lambda pid: zygote.ask({"code": pid}), pids, timeout=30))
        zygote.close()
        assert told == [137, 2] * (ASKED // 2)
    finally:
        process.end()
