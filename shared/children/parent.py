"""The parent's end: start a child without our settings, hear its frames, and put an end to it."""

import asyncio
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from shared.children.frames import HEADER, Frame

_ROOT: Final = Path(__file__).resolve().parents[2]
_BUFFER_BYTES: Final = 1 << 20
_LONGEST_FRAME: Final = (1 << 32) - 1

# What Python may need to find itself. Whatever else is set is ours, secrets among it.
_PASSED_ON: Final = ("PATH", "LD_LIBRARY_PATH", "PYTHONHOME", "PYTHONPATH", "PYTHONDONTWRITEBYTECODE", "TZ", "TMPDIR")


class ChildDied(Exception):
    """The child is gone, or has broken its word."""


def environment_of_a_child() -> Mapping[str, str]:
    return {name: os.environ[name] for name in _PASSED_ON if name in os.environ}


async def start_child(module: str, *, quiet: bool = False) -> Process:
    """A process of ours, by its module. It has two pipes and no other file of ours; `quiet` takes its errors away."""
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        module,
        stdin=PIPE,
        stdout=PIPE,
        stderr=DEVNULL if quiet else None,
        cwd=_ROOT,
        env=environment_of_a_child(),
        limit=_BUFFER_BYTES,
    )


async def end_child(process: Process) -> None:
    """Nothing is asked of it any more: it is killed, and does not stay as a zombie."""
    if process.stdin is not None:
        process.stdin.close()
    with suppress(ProcessLookupError):
        process.kill()
    await process.wait()


async def next_frame(process: Process, *, most: int = _LONGEST_FRAME) -> Frame:
    """What the child says next; raises ChildDied if that is nothing, or longer than `most`."""
    if process.stdout is None:
        raise ChildDied
    try:
        kind, size = HEADER.unpack(await process.stdout.readexactly(HEADER.size))
        if size > most:
            raise ChildDied
        return kind, await process.stdout.readexactly(size)
    except (asyncio.IncompleteReadError, ConnectionError) as error:
        raise ChildDied from error
