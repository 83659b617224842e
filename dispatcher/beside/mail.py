"""Beside the path, mail: carry notices to those who want them as letters.

At least once, and never again once the server said that it took one. A dispatcher that dies after that and before it
is written down tells it twice, under the same Message-ID. A server that is away delays letters and nothing else.
"""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from hashlib import sha256
from typing import Final

from dispatcher.door.mail_server import Delivery, Fate, MailServer, NoSession, session
from dispatcher.queries import mails
from dispatcher.queries.mails import Letter
from dispatcher.worker import Worker
from shared.db import is_busy, is_outage

log = logging.getLogger(__name__)

HANDFUL: Final = 10
LEASE: Final = timedelta(minutes=5)
# No letter begins so late that its lease could end while it is on the line.
BEGUN_WITHIN_SECONDS: Final = 180.0
FIRST_WAIT: Final = timedelta(minutes=1)
LONGEST_WAIT: Final = timedelta(hours=1)
# After that it is no news any more; it stays in the list of notices.
NEWS_FOR: Final = timedelta(days=3)
# After a stop, what is on the line may still be taken.
GRACE_SECONDS: Final = 10.0
OUTAGE_SECONDS: Final = 0.5


async def mail(worker: Worker) -> int:
    """Carry one handful of letters; how many there were."""
    server = worker.mail_server
    if server is None:
        return 0
    async with worker.transaction() as tx:
        await mails.give_up_letters(tx, longest=NEWS_FOR)
        letters = await mails.claim_letters(tx, limit=HANDFUL, lease=LEASE)
    if letters:
        await _until_stopped(worker, asyncio.create_task(_carry(worker, server, letters)))
    return len(letters)


async def _until_stopped(worker: Worker, carrying: asyncio.Task[None]) -> None:
    """Wait for it, for as long as the worker lives and a little longer."""
    stopping = asyncio.create_task(worker.stopping.wait())
    try:
        await asyncio.wait({carrying, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not carrying.done():
            await asyncio.wait({carrying}, timeout=GRACE_SECONDS)
    finally:
        stopping.cancel()
        carrying.cancel()
    with suppress(asyncio.CancelledError):
        await carrying


async def _carry(worker: Worker, server: MailServer, letters: Sequence[Letter]) -> None:
    left = list(letters)
    loop = asyncio.get_running_loop()
    begin_by = loop.time() + BEGUN_WITHIN_SECONDS
    try:
        async with session(server) as open_session:
            while left and open_session.is_open and not worker.stopping.is_set() and loop.time() < begin_by:
                delivery = await open_session.deliver(left[0].address, compose(left[0], server))
                await _settle(worker, left.pop(0), delivery)
    except NoSession as error:
        facts = {"count": len(left), "cause": error.cause, "status": error.status}
        log.warning("the mail server cannot be used", extra=facts)
        for letter in left:
            await _settle(worker, letter, Delivery(Fate.LATER, error.why))
    else:
        for letter in left:  # nobody has tried these
            await _settle(worker, letter, None)


async def _settle(worker: Worker, letter: Letter, delivery: Delivery | None) -> None:
    """Write down what became of a letter; the database may be away for a while, and what was taken is not forgotten."""
    if delivery is not None and delivery.fate is not Fate.TAKEN:
        fate = {"notice_id": str(letter.notice_id), "fate": str(delivery.fate), "attempts": letter.attempts + 1}
        log.warning("a notice could not be mailed", extra=fate)
    while True:
        try:
            await _write(worker, letter, delivery)
        except Exception as error:
            if not (is_outage(error) or is_busy(error)):
                raise
            await asyncio.sleep(OUTAGE_SECONDS)
        else:
            return


async def _write(worker: Worker, letter: Letter, delivery: Delivery | None) -> None:
    async with worker.transaction() as tx:
        match delivery:
            case None:
                await mails.put_back(tx, letter, wait=timedelta(), tries=0)
            case Delivery(fate=Fate.TAKEN):
                await mails.settle_taken(tx, letter)
            case Delivery(fate=Fate.REFUSED, why=why):
                await mails.settle_refused(tx, letter, error=why)
            case Delivery(why=why):
                await mails.put_back(tx, letter, wait=wait_after(letter.attempts + 1), error=why)


def wait_after(attempts: int) -> timedelta:
    """How long a letter rests after so many attempts."""
    return min(LONGEST_WAIT, FIRST_WAIT * (1 << min(attempts - 1, 10)))


def compose(letter: Letter, server: MailServer) -> bytes:
    """The letter as it goes over the line; the same one each time it is composed."""
    mail = EmailMessage(policy=SMTP_POLICY)
    mail["From"] = server.sender
    mail["To"] = letter.address
    mail["Subject"] = "".join(c for c in " ".join(letter.title.split()) if c.isprintable())
    mail["Date"] = letter.at
    # Told twice, it is the same letter: most mailboxes show it once.
    mail["Message-ID"] = f"<{sha256(f'{letter.notice_id}/{letter.address}'.encode()).hexdigest()[:32]}@{server.domain}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(
        f"{letter.text}\n\n"
        f"Notice {letter.notice_id} ({letter.kind}), {letter.at:%Y-%m-%d %H:%M} UTC.\n"
        "Lapwing writes to this address because it stands in the configuration of what this is about.\n"
    )
    return mail.as_bytes()
