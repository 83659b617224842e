"""The parent's end of the process that reads CSV: frames out, frames in, and its end.

`process.py` has the letters of the frames, `shared/children/` what every child of ours has in common.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import Any, Final

from dispatcher.imports.process import CHUNK, END, READ, REFUSED, SURVEY
from dispatcher.imports.text import UnreadableFile
from shared.children.frames import Frame, frame_of
from shared.children.parent import ChildDied, end_child, next_frame, start_child
from shared.domain.contact_field import Definition

_SILENCE_SECONDS: Final = 120.0


class ReaderDied(Exception):
    """The child is gone, or has not said anything for minutes."""


class CsvChild:
    """One reader. What it is asked is answered in order; it does one thing at a time."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def survey(self, *, defined: Collection[str]) -> None:
        await self._send(SURVEY, json.dumps(sorted(defined)).encode())

    async def read(
        self,
        layout: Mapping[str, Any],
        *,
        kind: str,
        default_region: str | None,
        definitions: Collection[Definition],
        after_row: int,
    ) -> None:
        order = {
            "kind": kind,
            "layout": layout,
            "default_region": default_region,
            "definitions": [asdict(definition) for definition in definitions],
            "after_row": after_row,
        }
        await self._send(READ, json.dumps(order).encode())

    async def feed(self, data: bytes) -> None:
        await self._send(CHUNK, data)

    async def end(self) -> None:
        await self._send(END, b"")

    async def answer(self) -> Frame:
        """The next frame; a refusal of the file is raised."""
        try:
            async with asyncio.timeout(_SILENCE_SECONDS):
                kind, payload = await next_frame(self._process)
        except (ChildDied, TimeoutError) as error:
            raise ReaderDied from error
        if kind == REFUSED:
            raise UnreadableFile(payload.decode())
        return kind, payload

    async def _send(self, kind: bytes, payload: bytes) -> None:
        stdin = self._process.stdin
        if stdin is None:
            raise ReaderDied
        try:
            stdin.write(frame_of(kind, payload))
            async with asyncio.timeout(_SILENCE_SECONDS):
                await stdin.drain()
        except (ConnectionError, TimeoutError) as error:
            raise ReaderDied from error


@asynccontextmanager
async def csv_child() -> AsyncIterator[CsvChild]:
    """A reader for the length of the block. It gets none of our settings: it needs no secrets."""
    process = await start_child("dispatcher.imports.process")
    try:
        yield CsvChild(process)
    finally:
        await end_child(process)
