"""Beside the path: uploaded CSV files become contacts, or opt-outs.

Before: the api stored a file in pieces. After: its rows are contacts or opt-outs, or rejections with a reason.

A file is read twice: once to learn how it is to be read and that it can be, once to store its rows, a batch a
transaction. A killed dispatcher's import is taken up after the last batch that was committed. The reading itself
happens in a child process, since the loop here has passwords to send.
"""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Final, Protocol

from dispatcher import failpoints
from dispatcher.imports.child import CsvChild, ReaderDied, csv_child
from dispatcher.imports.opt_outs import as_opt_outs
from dispatcher.imports.process import BATCH, DONE, OPT_OUTS, SURVEYED, WANTED
from dispatcher.imports.text import UnreadableFile
from dispatcher.queries import imports
from dispatcher.queries.imports import HeldImport, LostLease, UnstorableBatch, WritableBatch
from shared.children.frames import Frame
from shared.db import Transaction
from shared.queries.contact_fields import find_fields, list_defined_keys
from shared.queries.opt_outs import NewOptOut
from shared.sealing import hash_msisdn

log = logging.getLogger(__name__)

_UNREADABLE: Final = (
    "The file could not be read after row {row}; the rows before it are imported. "
    "Split the file there and upload the rest."
)
_UNSTORABLE: Final = (
    "What follows row {row} could not be stored; the rows before it are imported. The dispatcher's log says why."
)


class Worker(Protocol):
    """What this stage needs of the dispatcher it runs in."""

    @property
    def stopping(self) -> asyncio.Event: ...
    @property
    def transaction(self) -> Transaction: ...
    @property
    def pepper(self) -> bytes: ...
    def now(self) -> datetime: ...


async def run_imports(worker: Worker) -> int:
    """Work on imports until none waits, one at a time; how many were brought to an end."""
    ended = 0
    while not worker.stopping.is_set():
        async with worker.transaction() as tx:
            held = await imports.claim_import(tx, now=worker.now())
        if held is None:
            break
        ended += await _run(worker, held)
    return ended


async def _run(worker: Worker, held: HeldImport) -> bool:
    """One import, to its end or as far as we may; whether it has ended."""
    log.info("import begins", extra={"import_id": str(held.id), "after_row": held.cursor_row})
    try:
        ended = await _read_with_patience(worker, held)
    except UnreadableFile as refusal:
        return await _fail(worker, held, str(refusal))
    except UnstorableBatch:
        log.exception("import cannot be stored", extra={"import_id": str(held.id)})
        return await _fail(worker, held, _UNSTORABLE.format(row=held.cursor_row))
    except LostLease:
        log.warning("import was taken over", extra={"import_id": str(held.id)})
        return False
    if not ended:
        async with worker.transaction() as tx:
            await imports.release_import(tx, held)
    return ended


async def _read_with_patience(worker: Worker, held: HeldImport) -> bool:
    """A reader that dies gets a successor; one that dies on the same rows again has met what it cannot read."""
    died_after: int | None = None
    while True:
        try:
            async with csv_child() as child:
                return await _read(worker, held, child)
        except ReaderDied:
            log.warning("import's reader died", extra={"import_id": str(held.id)})
            if died_after == held.cursor_row:
                raise UnreadableFile(_UNREADABLE.format(row=held.cursor_row)) from None
            died_after = held.cursor_row


async def _read(worker: Worker, held: HeldImport, child: CsvChild) -> bool:
    if held.layout is None:
        async with worker.transaction() as tx:
            defined = await list_defined_keys(tx)
        await child.survey(defined=defined)
        async for kind, payload in _answers(worker, held, child):
            if kind == SURVEYED:
                await _record_survey(worker, held, payload)
    if held.layout is None:
        return False
    async with worker.transaction() as tx:
        known = await find_fields(tx, imports.field_keys(held.layout))
    await child.read(
        held.layout,
        kind=held.kind,
        default_region=held.default_region,
        definitions=known.definitions.values(),
        after_row=held.cursor_row,
    )
    ended = False
    async for kind, payload in _answers(worker, held, child):
        if kind == BATCH:
            await _write(worker, held, payload)
        elif kind == DONE:
            async with worker.transaction() as tx:
                await imports.complete_import(tx, held, now=worker.now())
            log.info("import completed", extra={"import_id": str(held.id)})
            ended = True
    return ended


async def _answers(worker: Worker, held: HeldImport, child: CsvChild) -> AsyncIterator[Frame]:
    """What the child makes of the file, fed to it piece by piece; ends early when the dispatcher stops."""
    position = 0
    while not worker.stopping.is_set():
        kind, payload = await child.answer()
        if kind != WANTED:
            yield kind, payload
            if kind in {SURVEYED, DONE}:
                return
            continue
        async with worker.transaction() as tx:
            data = await imports.read_chunk(tx, held, position=position, now=worker.now())
        position += 1
        await (child.end() if data is None else child.feed(data))


async def _record_survey(worker: Worker, held: HeldImport, payload: bytes) -> None:
    survey = json.loads(payload)
    layout = as_opt_outs(survey["layout"]) if held.kind == OPT_OUTS else survey["layout"]
    async with worker.transaction() as tx:
        await imports.record_survey(tx, held, layout=layout, rows=survey["rows"], now=worker.now())


async def _write(worker: Worker, held: HeldImport, payload: bytes) -> None:
    outline, rows, rejections = payload.split(b"\n", 2)
    batch = WritableBatch(**json.loads(outline), rejections=rejections.decode())
    async with worker.transaction() as tx:
        if held.kind == OPT_OUTS:
            await imports.write_opt_outs(tx, held, batch, _opt_outs_of(worker, rows), now=worker.now())
        else:
            await imports.write_contacts(tx, held, batch, rows.decode(), pepper=worker.pepper, now=worker.now())
        failpoints.hit("before_import_commit")
    failpoints.hit("after_import_commit")
    held.cursor_row = batch.last_row


def _opt_outs_of(worker: Worker, rows: bytes) -> list[NewOptOut]:
    return [
        NewOptOut(
            msisdn, hash_msisdn(worker.pepper, msisdn), "import", sender_ids=None if sender is None else (sender,)
        )
        for msisdn, sender in json.loads(rows)
    ]


async def _fail(worker: Worker, held: HeldImport, reason: str) -> bool:
    try:
        async with worker.transaction() as tx:
            await imports.fail_import(tx, held, error=reason, now=worker.now())
    except LostLease:
        return False
    log.info("import failed", extra={"import_id": str(held.id)})
    return True
