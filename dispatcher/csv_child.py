"""The parent's end of the process that reads CSV: frames out, frames in, and its end.

A frame is a letter, a length in four bytes, and that many bytes; `csv_process.py` has the letters.
"""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final

from dispatcher.csv_process import CHUNK, END, HEADER, READ, REFUSED, SURVEY, Frame
from dispatcher.csv_text import UnreadableFile

_ROOT: Final = Path(__file__).resolve().parent.parent
_BUFFER_BYTES: Final = 1 << 20
_SILENCE_SECONDS: Final = 120.0


class ReaderDied(Exception):
    """The child is gone, or has not said anything for minutes."""


class CsvChild:
    """One reader. What it is asked is answered in order; it does one thing at a time."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def survey(self) -> None:
        await self._send(SURVEY, b"")

    async def read(self, layout: Mapping[str, Any], *, default_region: str | None, after_row: int) -> None:
        order = {"layout": layout, "default_region": default_region, "after_row": after_row}
        await self._send(READ, json.dumps(order).encode())

    async def feed(self, data: bytes) -> None:
        await self._send(CHUNK, data)

    async def end(self) -> None:
        await self._send(END, b"")

    async def answer(self) -> Frame:
        """The next frame; a refusal of the file is raised."""
        stdout = self._process.stdout
        if stdout is None:
            raise ReaderDied
        try:
            async with asyncio.timeout(_SILENCE_SECONDS):
                kind, size = HEADER.unpack(await stdout.readexactly(HEADER.size))
                payload = await stdout.readexactly(size)
        except (asyncio.IncompleteReadError, ConnectionError, TimeoutError) as error:
            raise ReaderDied from error
        if kind == REFUSED:
            raise UnreadableFile(payload.decode())
        return kind, payload

    async def _send(self, kind: bytes, payload: bytes) -> None:
        stdin = self._process.stdin
        if stdin is None:
            raise ReaderDied
        try:
            stdin.write(HEADER.pack(kind, len(payload)))
            stdin.write(payload)
            async with asyncio.timeout(_SILENCE_SECONDS):
                await stdin.drain()
        except (ConnectionError, TimeoutError) as error:
            raise ReaderDied from error


@asynccontextmanager
async def csv_child() -> AsyncIterator[CsvChild]:
    """A reader for the length of the block. It gets none of our settings: it needs no secrets."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("LAPWING_")}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "dispatcher.csv_process",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        cwd=_ROOT,
        env=environment,
        limit=_BUFFER_BYTES,
    )
    try:
        yield CsvChild(process)
    finally:
        if process.stdin is not None:
            process.stdin.close()
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
