"""The process itself: its event loop, its collector, and its end when its parent ends."""

import asyncio
import ctypes
import gc
import signal
import sys
from collections.abc import Coroutine

_PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """Ask Linux for a SIGTERM when the thread that started this process ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def tune_collector() -> None:
    """Kept messages are many and hold no cycles: looking through them again and again is waste."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)


def run(main: Coroutine[None, None, None]) -> None:
    """On uvloop where there is one."""
    try:
        import uvloop  # noqa: PLC0415 - absent on Windows, where asyncio's own loop serves
    except ImportError:
        asyncio.run(main)
    else:
        uvloop.run(main)
