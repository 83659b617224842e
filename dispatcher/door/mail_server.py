"""The door to the mail server: one session, one letter at a time, and what became of each.

The only module that knows SMTP. No password goes out in the clear, and no certificate is trusted unchecked.
"""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from aiosmtplib import SMTP, SMTPDataError, SMTPException, SMTPRecipientRefused, SMTPResponseException

from shared.domain.email_address import is_address

CONNECT_SECONDS: Final = 10.0
COMMAND_SECONDS: Final = 15.0
# A server may look at a letter for viruses before it takes it. One that is given up here may be told twice.
TAKE_SECONDS: Final = 60.0
FAREWELL_SECONDS: Final = 2.0
_LONGEST_WORDS: Final = 200
# Refused because of who we are, not because of the letter: its operator can mend that.
_OURS: Final = frozenset({530, 534, 535, 538})


class Tls(StrEnum):
    NONE = "smtp"
    STARTTLS = "smtp+starttls"
    IMPLICIT = "smtps"


_PORTS: Final = {Tls.NONE: 25, Tls.STARTTLS: 587, Tls.IMPLICIT: 465}


class Fate(StrEnum):
    """What became of a letter."""

    TAKEN = "taken"  # the server has it, and it is never told again
    LATER = "later"
    REFUSED = "refused"  # for good


class NoSession(Exception):
    """There is no session to be had now; `why` is for the operator, `cause` for the log."""

    def __init__(self, error: Exception) -> None:
        super().__init__(words_of(error))
        self.why = words_of(error)
        self.cause = type(error).__name__
        self.status: int | None = getattr(error, "code", None)


@dataclass(frozen=True, slots=True)
class Delivery:
    fate: Fate
    why: str = ""


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where letters are handed to, and as whom."""

    host: str
    port: int
    tls: Tls
    sender: str
    user: str | None = None
    password: str = field(default="", repr=False)
    context: ssl.SSLContext | None = None

    @property
    def domain(self) -> str:
        return self.sender.rpartition("@")[2]


def mail_server(url: str, *, sender: str | None, ca_file: Path | None = None) -> MailServer:
    """The server that the settings name; ValueError names the setting that is wrong."""
    try:
        parts = urlsplit(url)
        tls, host, port = Tls(parts.scheme), parts.hostname, parts.port
    except ValueError:
        raise ValueError(
            "LAPWING_SMTP_URL: is no address of a mail server; write smtp://host, smtp+starttls://host or smtps://host"
        ) from None
    if not host or parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ValueError("LAPWING_SMTP_URL: names a host and a port only, as in smtps://user:password@host:465")
    if parts.username and tls is Tls.NONE:
        raise ValueError("LAPWING_SMTP_URL: smtp:// would tell the password to the whole line; take smtp+starttls://")
    if sender is None or not is_address(sender):
        raise ValueError("LAPWING_MAIL_FROM: LAPWING_SMTP_URL needs a sender's address, such as sms@example.com")
    return MailServer(
        host=host,
        port=_PORTS[tls] if port is None else port,
        tls=tls,
        sender=sender,
        user=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password or ""),
        context=None if tls is Tls.NONE else _trusting(ca_file),
    )


def _trusting(ca_file: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:  # a file that is not there, or holds no certificate
        raise ValueError(f"LAPWING_SMTP_CA_FILE: cannot be used ({type(error).__name__})") from None


class Session:
    """A connection that letters are handed over on, one after the other."""

    def __init__(self, client: SMTP, server: MailServer) -> None:
        self._client = client
        self._server = server

    @property
    def is_open(self) -> bool:
        return self._client.is_connected

    async def deliver(self, address: str, letter: bytes) -> Delivery:
        """Hand one letter over. Never raises for what the server says or fails to say."""
        try:
            await self._client.mail(self._server.sender, timeout=COMMAND_SECONDS)
            await self._client.rcpt(address, timeout=COMMAND_SECONDS)
            await self._client.data(letter, timeout=TAKE_SECONDS)
        except (SMTPRecipientRefused, SMTPDataError) as refusal:
            final = refusal.code >= 500 and refusal.code not in _OURS
            delivery = Delivery(Fate.REFUSED if final else Fate.LATER, words_of(refusal))
        except (SMTPException, OSError) as error:
            delivery = Delivery(Fate.LATER, words_of(error))
        else:
            return Delivery(Fate.TAKEN)
        with suppress(SMTPException, OSError):  # then the session is over, and its owner sees that
            await self._client.rset(timeout=COMMAND_SECONDS)
        return delivery


@asynccontextmanager
async def session(server: MailServer) -> AsyncIterator[Session]:
    """A session at the server, logged in; raises NoSession where there is none to be had."""
    client = SMTP(
        hostname=server.host,
        port=server.port,
        local_hostname=server.domain,
        username=server.user,
        password=server.password if server.user else None,
        use_tls=server.tls is Tls.IMPLICIT,
        start_tls=server.tls is Tls.STARTTLS,
        tls_context=server.context,
        timeout=CONNECT_SECONDS,
    )
    try:
        try:
            await client.connect()
        except (SMTPException, OSError) as error:
            raise NoSession(error) from error
        yield Session(client, server)
        if client.is_connected:
            with suppress(SMTPException, OSError):  # what was taken stays taken, whatever the farewell
                await client.quit(timeout=FAREWELL_SECONDS)
    finally:
        client.close()


def words_of(error: Exception) -> str:
    """Why it went wrong, for its owner; what a server says is its own words, cut short."""
    if isinstance(error, SMTPResponseException):
        words = f"{error.code} {error.message}"
    elif isinstance(error, SMTPException):
        words = error.message
    else:
        words = str(error) or type(error).__name__
    return " ".join(words.replace("\0", "").split())[:_LONGEST_WORDS]
