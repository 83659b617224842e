"""Mail: every letter at least once, none again that a server took, and whatever a server does is survived.

The servers are real ones on loopback.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import UUID

import pytest
import uvloop
from sqlalchemy import select, text

from dispatcher.beside.mail import LEASE, LONGEST_WAIT, NEWS_FOR, compose, mail, wait_after
from dispatcher.door.mail_server import Delivery, Fate, MailServer, Tls, mail_server, session
from dispatcher.queries import mails
from dispatcher.queries.mails import Letter
from shared.db import begin, build_engine
from shared.domain.notice import Notice, gateway_withdrawn
from shared.log import JsonLines
from shared.models import NoticeEmail
from shared.queries.notices import insert_notice
from tests.dispatcher.postbox import HOST, PASSWORD, USER, Certificate, Postbox, make_certificate, serving
from tests.worlds import HandClock, HandWorker

SENDER = "sms@example.com"
OPS = "ops@example.com"
NOTICE = gateway_withdrawn(UUID(int=1), name="Main", reason="20003")
LOGIN = f"{quote(USER, safe='')}:{quote(PASSWORD, safe='')}@"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture
def postbox() -> Postbox:
    return Postbox()


@pytest.fixture
async def port(postbox: Postbox) -> AsyncIterator[int]:
    """Where the postbox has a plain server."""
    async with serving(postbox) as port:
        yield port


def at(
    worker: HandWorker, port: int, scheme: str = "smtp", *, login: str = "", ca_file: Path | None = None
) -> HandWorker:
    """The worker with a mail server."""
    server = mail_server(f"{scheme}://{login}{HOST}:{port}", sender=SENDER, ca_file=ca_file)
    return replace(worker, mail_server=server)


def with_tls(scheme: str, certificate: Certificate) -> dict[str, Any]:
    """What a server needs for this kind of TLS."""
    return {"starttls" if scheme == "smtp+starttls" else "tls": certificate.context}


async def tell(worker: HandWorker, *addresses: str, notice: Notice = NOTICE) -> UUID:
    async with worker.transaction() as tx:
        return await insert_notice(tx, notice, now=worker.now(), emails=addresses or (OPS,))


async def letters_of(worker: HandWorker) -> list[Any]:
    async with begin(worker.engine) as tx:
        return list((await tx.execute(select(NoticeEmail).order_by(NoticeEmail.address))).all())


async def letter_of(worker: HandWorker) -> Any:
    (letter,) = await letters_of(worker)
    return letter


async def carry_all(worker: HandWorker) -> int:
    """Until nothing is due; how many letters were tried."""
    total = 0
    while count := await mail(worker):
        total += count
    return total


# --- a letter arrives


async def test_plain(worker: HandWorker, postbox: Postbox, port: int, by_hand: HandClock) -> None:
    notice_id = await tell(worker)
    worker = at(worker, port)
    assert [await mail(worker), await mail(worker)] == [1, 0]
    ((address, letter),) = postbox.letters
    assert (address, letter["To"], letter["From"]) == (OPS, OPS, SENDER)
    assert letter["Subject"] == NOTICE.title
    assert letter["Auto-Submitted"] == "auto-generated"
    assert letter["Date"].datetime == worker.now()
    body = letter.get_content()
    assert NOTICE.text in body.replace("\r\n", "\n")
    assert str(notice_id) in body
    row = await letter_of(worker)
    assert (row.sent_at, row.due_at, row.attempts, row.error) == (worker.now(), None, 1, None)
    await by_hand.advance(days=1)
    assert await mail(worker) == 0
    assert len(postbox.letters) == 1


@pytest.mark.parametrize("scheme", ["smtp+starttls", "smtps"])
async def test_with_tls_and_a_login(
    worker: HandWorker, postbox: Postbox, certificate: Certificate, scheme: str
) -> None:
    postbox.needs_login = True
    await tell(worker)
    async with serving(postbox, **with_tls(scheme, certificate)) as port:
        assert await mail(at(worker, port, scheme, login=LOGIN, ca_file=certificate.file)) == 1
    assert (postbox.addresses, postbox.logins) == ([OPS], [USER])
    assert (await letter_of(worker)).sent_at is not None


@pytest.mark.parametrize("scheme", ["smtp+starttls", "smtps"])
def test_on_the_loop_of_production(postbox: Postbox, certificate: Certificate, scheme: str) -> None:
    """Its TLS is another than that of asyncio."""
    postbox.needs_login = True

    async def carry() -> Delivery:
        async with serving(postbox, **with_tls(scheme, certificate)) as port:
            server = mail_server(f"{scheme}://{LOGIN}{HOST}:{port}", sender=SENDER, ca_file=certificate.file)
            async with session(server) as open_session:
                return await open_session.deliver(OPS, b"Subject: Hello\r\n\r\n.\r\nHello.\r\n")

    assert uvloop.run(carry()).fate is Fate.TAKEN
    assert postbox.addresses == [OPS]


async def test_each_address_has_a_letter_of_its_own(worker: HandWorker, postbox: Postbox, port: int) -> None:
    addresses = [f"ops{number:02d}@example.com" for number in range(25)]
    await tell(worker, *addresses)
    assert await carry_all(at(worker, port)) == 25
    assert postbox.addresses == addresses
    assert {letter["To"] for _, letter in postbox.letters} == set(addresses)
    assert len({letter["Message-ID"] for _, letter in postbox.letters}) == 25
    assert postbox.sessions == 3


async def test_without_a_server_notices_are_only_shown(worker: HandWorker) -> None:
    await tell(worker)
    assert await mail(worker) == 0
    assert (await letter_of(worker)).attempts == 0


# --- a server that will not have it


async def test_login_refused_and_mended(
    worker: HandWorker, postbox: Postbox, certificate: Certificate, by_hand: HandClock, caplog: pytest.LogCaptureFixture
) -> None:
    postbox.password = "another"
    await tell(worker, OPS, "boss@example.com")
    async with serving(postbox, tls=certificate.context) as port:
        worker = at(worker, port, "smtps", login=LOGIN, ca_file=certificate.file)
        assert [await mail(worker), await mail(worker)] == [2, 0]
        rows = await letters_of(worker)
        assert {(row.attempts, row.due_at, row.failed_at) for row in rows} == {
            (1, worker.now() + timedelta(minutes=1), None)
        }
        assert all("535" in row.error for row in rows)
        assert postbox.letters == []
        postbox.password = PASSWORD
        await by_hand.advance(minutes=1)
        assert await mail(worker) == 2
    assert sorted(postbox.addresses) == ["boss@example.com", OPS]
    assert {row.error for row in await letters_of(worker)} == {None}
    lines = "".join(JsonLines("test").format(record) for record in caplog.records)
    assert "the mail server cannot be used" in lines
    assert "canary" not in lines + str(rows) + repr(worker.mail_server)


@pytest.mark.parametrize("scheme", ["smtp+starttls", "smtps"])
async def test_certificate_that_is_not_trusted(
    worker: HandWorker, postbox: Postbox, certificate: Certificate, scheme: str
) -> None:
    """Somebody in the middle hears no password and no letter."""
    await tell(worker)
    async with serving(postbox, **with_tls(scheme, certificate)) as port:
        await mail(at(worker, port, scheme, login=LOGIN))
    row = await letter_of(worker)
    assert (postbox.logins, postbox.letters, row.sent_at, row.attempts) == ([], [], None, 1)
    assert "certificate" in row.error.lower()


async def test_server_that_offers_no_tls(
    worker: HandWorker, postbox: Postbox, port: int, certificate: Certificate
) -> None:
    await tell(worker)
    await mail(at(worker, port, "smtp+starttls", login=LOGIN, ca_file=certificate.file))
    row = await letter_of(worker)
    assert (postbox.logins, postbox.letters, row.sent_at, row.attempts) == ([], [], None, 1)
    assert "STARTTLS" in row.error


async def test_server_that_wants_a_login_we_have_not(worker: HandWorker, postbox: Postbox, port: int) -> None:
    """Its operator can mend that, so it is tried again."""
    postbox.needs_login = True
    await tell(worker)
    await mail(at(worker, port))
    row = await letter_of(worker)
    assert (row.failed_at, row.attempts, row.due_at) == (None, 1, worker.now() + timedelta(minutes=1))


async def test_server_down_then_up(worker: HandWorker, postbox: Postbox, by_hand: HandClock) -> None:
    async with serving(postbox) as port:
        pass
    await tell(worker)
    worker = at(worker, port)
    for attempts, minutes in ((1, 1), (2, 2), (3, 4)):
        assert [await mail(worker), await mail(worker)] == [1, 0]
        row = await letter_of(worker)
        assert (row.attempts, row.due_at) == (attempts, worker.now() + timedelta(minutes=minutes))
        assert row.error
        await by_hand.advance(minutes=minutes)
    async with serving(postbox, port=port):
        assert await mail(worker) == 1
        await by_hand.advance(days=1)
        assert await mail(worker) == 0
    assert postbox.addresses == [OPS]
    row = await letter_of(worker)
    assert (row.attempts, row.due_at, row.failed_at, row.error) == (4, None, None, None)


@pytest.mark.parametrize(
    ("said", "is_final"),
    [
        pytest.param("550 5.1.1 No such user", True, id="nobody there"),
        pytest.param("450 4.2.0 Greylisted", False, id="not yet"),
        pytest.param("530 5.7.0 Authentication required", False, id="our own fault"),
    ],
)
async def test_refused_address_does_not_cost_the_others_theirs(
    worker: HandWorker, postbox: Postbox, port: int, by_hand: HandClock, said: str, is_final: bool
) -> None:
    postbox.recipient = lambda address: said if address.startswith("gone") else "250 OK"
    await tell(worker, "first@example.com", "gone@example.com", "last@example.com")
    worker = at(worker, port)
    await carry_all(worker)
    assert postbox.addresses == ["first@example.com", "last@example.com"]
    first, gone, last = await letters_of(worker)
    assert (first.sent_at, last.sent_at, gone.sent_at) == (worker.now(), worker.now(), None)
    assert gone.error == said
    assert (gone.failed_at, gone.due_at) == (
        (worker.now(), None) if is_final else (None, worker.now() + timedelta(minutes=1))
    )
    postbox.recipient = lambda _address: "250 OK"
    await by_hand.advance(minutes=1)
    assert await mail(worker) == (0 if is_final else 1)
    assert ("gone@example.com" in postbox.addresses) is not is_final


@pytest.mark.parametrize(("said", "is_final"), [("554 5.7.1 Spam", True), ("451 4.3.0 Try again", False)])
async def test_refused_letter(worker: HandWorker, postbox: Postbox, port: int, said: str, is_final: bool) -> None:
    postbox.data = lambda _letter: said
    await tell(worker)
    await mail(at(worker, port))
    row = await letter_of(worker)
    assert (row.error, row.attempts, row.failed_at is not None) == (said, 1, is_final)


async def test_refused_sender_is_ours_to_mend(worker: HandWorker, postbox: Postbox, port: int) -> None:
    postbox.sender = "550 5.7.1 Not yours"
    await tell(worker)
    await mail(at(worker, port))
    row = await letter_of(worker)
    assert (row.error, row.failed_at) == (postbox.sender, None)


# --- at least once, and never again once it was taken


@pytest.mark.parametrize("hangs_up_at", [b"DATA", b"QUIT"])
async def test_server_that_hangs_up_after_it_took_one(
    worker: HandWorker, postbox: Postbox, by_hand: HandClock, hangs_up_at: bytes
) -> None:
    """No farewell is needed: what was taken is taken. The others take the next session."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 hello\r\n")
        address = ""
        while line := await reader.readline():
            if line.startswith(b"RCPT"):
                address = line.decode().partition("<")[2].partition(">")[0]
            if line.strip() == b"DATA":
                writer.write(b"354 go on\r\n")
                await reader.readuntil(b"\r\n.\r\n")
                postbox.letters.append((address, None))  # type: ignore[arg-type]  # nobody reads it
            if line.strip() != b"QUIT":
                writer.write(b"250 OK\r\n")
            await writer.drain()
            if line.strip() == hangs_up_at:
                writer.transport.abort()
                return

    server = await asyncio.start_server(serve, HOST, 0)
    addresses = ["first@example.com", "middle@example.com", "last@example.com"]
    await tell(worker, *addresses)
    worker = at(worker, server.sockets[0].getsockname()[1])
    try:
        for _ in range(10):
            await carry_all(worker)
            await by_hand.advance(minutes=10)
    finally:
        server.close()
        await server.wait_closed()
    assert sorted(postbox.addresses) == sorted(addresses)
    assert all(row.sent_at for row in await letters_of(worker))


async def test_server_that_hangs_up_before_it_answers_is_told_the_same_letter_again(
    worker: HandWorker, postbox: Postbox, port: int, by_hand: HandClock
) -> None:
    heard = []

    def hang_up_once(letter: Any) -> str | None:
        heard.append(letter["Message-ID"])
        return None if len(heard) == 1 else "250 OK"

    postbox.data = hang_up_once
    await tell(worker)
    worker = at(worker, port)
    await carry_all(worker)
    assert (await letter_of(worker)).sent_at is None
    await by_hand.advance(minutes=1)
    await carry_all(worker)
    assert (await letter_of(worker)).sent_at is not None
    assert len(heard) == 2
    assert len(set(heard)) == 1


async def test_dispatcher_that_died_with_a_letter_in_hand(
    worker: HandWorker, postbox: Postbox, port: int, by_hand: HandClock
) -> None:
    await tell(worker)
    worker = at(worker, port)
    async with worker.transaction() as tx:
        assert len(await mails.claim_letters(tx, limit=10, lease=LEASE)) == 1
    assert await mail(worker) == 0
    await by_hand.advance(seconds=LEASE.total_seconds())
    assert await mail(worker) == 1
    assert postbox.addresses == [OPS]


async def test_two_dispatchers_carry_each_letter_once(
    worker: HandWorker, another: Callable[..., HandWorker], postbox: Postbox, port: int
) -> None:
    addresses = [f"ops{number:02d}@example.com" for number in range(30)]
    await tell(worker, *addresses)
    await asyncio.gather(carry_all(at(worker, port)), carry_all(at(another(), port)))
    assert sorted(postbox.addresses) == addresses


async def test_claim_skips_what_another_is_claiming(worker: HandWorker) -> None:
    """It neither waits for the other nor takes the same."""
    await tell(worker, OPS, "boss@example.com")
    async with worker.transaction() as tx, worker.transaction() as another_tx:
        (first,) = await mails.claim_letters(tx, limit=1, lease=LEASE)
        (second,) = await mails.claim_letters(another_tx, limit=2, lease=LEASE)
    assert {first.address, second.address} == {OPS, "boss@example.com"}


async def test_what_was_taken_is_not_forgotten_while_the_database_is_away(
    worker: HandWorker, postbox: Postbox, port: int, migrated_url: str
) -> None:
    engine = build_engine(migrated_url, application_name="a dispatcher's", ping=False)

    async def cut_off(_letter: Any) -> str:
        async with begin(worker.engine) as tx:
            await tx.execute(
                text(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'a dispatcher''s'"
                )
            )
        return "250 OK"

    postbox.data = cut_off
    await tell(worker)
    try:
        assert await mail(replace(at(worker, port), engine=engine)) == 1
    finally:
        await engine.dispose()
    assert (await letter_of(worker)).sent_at is not None
    assert postbox.addresses == [OPS]


async def test_late_refusal_does_not_undo_what_another_dispatcher_did(worker: HandWorker, by_hand: HandClock) -> None:
    await tell(worker)
    async with worker.transaction() as tx:
        (ours,) = await mails.claim_letters(tx, limit=1, lease=LEASE)
    await by_hand.advance(seconds=LEASE.total_seconds())
    async with worker.transaction() as tx:
        (theirs,) = await mails.claim_letters(tx, limit=1, lease=LEASE)
        await mails.settle_refused(tx, ours, error="550")
        await mails.put_back(tx, ours, wait=timedelta())
    assert (await letter_of(worker)).due_at == theirs.lease_until
    async with worker.transaction() as tx:
        await mails.settle_taken(tx, theirs)
        await mails.settle_refused(tx, ours, error="550")
    row = await letter_of(worker)
    assert (row.sent_at, row.failed_at, row.error) == (worker.now(), None, None)


async def test_old_news_is_not_mailed(worker: HandWorker, postbox: Postbox, port: int, by_hand: HandClock) -> None:
    """A mail server that is named after months is not told all that happened before."""
    await tell(worker)
    await by_hand.advance(seconds=NEWS_FOR.total_seconds() + 1)
    assert await mail(at(worker, port)) == 0
    row = await letter_of(worker)
    assert (row.failed_at, row.due_at) == (worker.now(), None)
    assert "too long" in row.error
    assert postbox.sessions == 0


# --- a stop


async def test_stop_does_not_wait_for_a_server_that_says_nothing(
    worker: HandWorker, postbox: Postbox, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dispatcher.beside.mail.GRACE_SECONDS", 0.1)
    begun = asyncio.Event()

    async def never(_letter: Any) -> str:
        begun.set()
        await asyncio.Event().wait()
        return "250 OK"

    postbox.data = never
    await tell(worker)
    worker = at(worker, port)
    carrying = asyncio.create_task(mail(worker))
    await begun.wait()
    worker.stop()
    async with asyncio.timeout(10):
        await carrying
    row = await letter_of(worker)
    assert (row.sent_at, row.due_at) == (None, worker.now() + LEASE)


async def test_stop_waits_for_the_letter_on_the_line_and_gives_the_others_back(
    worker: HandWorker, postbox: Postbox, port: int
) -> None:
    def stop(_letter: Any) -> str:
        worker.stop()
        return "250 OK"

    postbox.data = stop
    await tell(worker, "first@example.com", "second@example.com")
    assert await mail(at(worker, port)) == 2
    assert postbox.addresses == ["first@example.com"]
    first, second = await letters_of(worker)
    assert (first.sent_at, first.attempts) == (worker.now(), 1)
    assert (second.due_at, second.attempts) == (worker.now(), 0)


# --- words


def letter(worker: HandWorker, **over: Any) -> Letter:
    facts = {
        "notice_id": UUID(int=7),
        "address": OPS,
        "attempts": 0,
        "lease_until": worker.now(),
        "kind": "balance_low",
    }
    return Letter(**(facts | {"title": "T", "text": "Words.", "at": worker.now()} | over))


SERVER = MailServer(HOST, 25, Tls.NONE, SENDER)


@pytest.mark.parametrize(
    "title",
    [
        pytest.param("Gateway x\r\nBcc: victim@example.com is low", id="a line too many"),
        pytest.param("Gateway x\u2028Bcc: victim@example.com", id="a line in Unicode"),
        pytest.param("Gateway Zürich 🐦 " + "long " * 60, id="not ASCII, and long"),
    ],
)
async def test_name_of_a_gateway_is_no_header(worker: HandWorker, title: str) -> None:
    composed = compose(letter(worker, title=title), SERVER)
    head = composed.partition(b"\r\n\r\n")[0]
    assert b"\nBcc" not in head
    assert head.isascii()
    assert all(len(line) <= 998 for line in composed.split(b"\r\n"))


async def test_same_letter_each_time_and_another_for_another(worker: HandWorker) -> None:
    assert compose(letter(worker), SERVER) == compose(letter(worker, attempts=3), SERVER)
    assert compose(letter(worker), SERVER) != compose(letter(worker, address="boss@example.com"), SERVER)


def test_waits_grow_to_an_hour() -> None:
    waits = [wait_after(attempts) for attempts in range(1, 12)]
    assert waits[:3] == [timedelta(minutes=minutes) for minutes in (1, 2, 4)]
    assert waits == sorted(waits)
    assert wait_after(10_000) == LONGEST_WAIT


async def test_log_names_nobody(
    worker: HandWorker, postbox: Postbox, port: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    postbox.recipient = lambda address: f"550 <{address}> unknown"
    await tell(worker)
    await mail(at(worker, port))
    lines = [JsonLines("test").format(record) for record in caplog.records if record.name.startswith("dispatcher")]
    assert any("a notice could not be mailed" in line for line in lines)
    assert not [line for line in lines if OPS in line]


# --- settings


@pytest.mark.parametrize(
    ("url", "read"),
    [
        pytest.param("smtp://mail.example.com", ("mail.example.com", 25, Tls.NONE, None, ""), id="plain"),
        pytest.param("smtp://[::1]:2525/", ("::1", 2525, Tls.NONE, None, ""), id="a port and an address"),
        pytest.param(
            "smtp+starttls://me%40example.com:p%40ss%2F%25@mail.example.com",
            ("mail.example.com", 587, Tls.STARTTLS, "me@example.com", "p@ss/%"),
            id="login, with what is special in it",
        ),
        pytest.param("SMTPS://me:x@mail.example.com", ("mail.example.com", 465, Tls.IMPLICIT, "me", "x"), id="TLS"),
    ],
)
def test_server_of_the_settings(url: str, read: tuple[Any, ...]) -> None:
    server = mail_server(url, sender=SENDER)
    assert (server.host, server.port, server.tls, server.user, server.password) == read
    assert (server.context is None) is (server.tls is Tls.NONE)
    assert server.domain == "example.com"


@pytest.mark.parametrize(
    ("url", "sender", "setting"),
    [
        pytest.param("mail.example.com", SENDER, "LAPWING_SMTP_URL", id="no scheme"),
        pytest.param("https://mail.example.com", SENDER, "LAPWING_SMTP_URL", id="another scheme"),
        pytest.param("smtp://", SENDER, "LAPWING_SMTP_URL", id="no host"),
        pytest.param("smtp://mail.example.com:mail", SENDER, "LAPWING_SMTP_URL", id="no port"),
        pytest.param("smtp://mail.example.com/inbox", SENDER, "LAPWING_SMTP_URL", id="a path"),
        pytest.param("smtp://mail.example.com?from=x", SENDER, "LAPWING_SMTP_URL", id="a query"),
        pytest.param("smtp://me:canary@mail.example.com", SENDER, "LAPWING_SMTP_URL", id="a password in the clear"),
        pytest.param("smtps://me:canary@mail.example.com", None, "LAPWING_MAIL_FROM", id="no sender"),
        pytest.param("smtps://me:canary@mail.example.com", "Us <sms@example.com>", "LAPWING_MAIL_FROM", id="a name"),
    ],
)
def test_settings_that_are_wrong_are_named(url: str, sender: str | None, setting: str) -> None:
    with pytest.raises(ValueError, match=f"^{setting}: ") as refusal:
        mail_server(url, sender=sender)
    assert "canary" not in str(refusal.value)


@pytest.mark.parametrize("content", [None, "no certificate"], ids=["no file", "no certificate"])
def test_certificates_that_cannot_be_used(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_text(content)
    with pytest.raises(ValueError, match=r"^LAPWING_SMTP_CA_FILE: "):
        mail_server("smtps://mail.example.com", sender=SENDER, ca_file=file)
