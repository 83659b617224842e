"""Mail servers for the tests: real ones, on loopback, that keep what they take and answer as a test scripts."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from shared.clock import utc_now

HOST = "127.0.0.1"
USER, PASSWORD = "lapwing@example.com", "canary: a p@ssword/with %"


@dataclass
class Postbox:
    """What a server took, and what it says: a function of the address to RCPT, of the letter to DATA."""

    letters: list[tuple[str, EmailMessage]] = field(default_factory=list)
    logins: list[str] = field(default_factory=list)
    sessions: int = 0
    password: str = PASSWORD
    needs_login: bool = False
    sender: str = "250 OK"
    recipient: Callable[[str], str] = lambda _address: "250 OK"
    data: Callable[[EmailMessage], Any] = lambda _letter: "250 OK"

    @property
    def addresses(self) -> list[str]:
        return [address for address, _ in self.letters]

    def authenticate(self, _server: SMTP, _session: Session, _envelope: Envelope, _how: str, given: Any) -> AuthResult:
        assert isinstance(given, LoginPassword)
        self.logins.append(given.login.decode())
        good = (given.login.decode(), given.password.decode()) == (USER, self.password)
        return AuthResult(success=good, handled=False)

    async def handle_EHLO(  # noqa: N802 - aiosmtpd's name
        self, _server: SMTP, session: Session, _envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        self.sessions += 1
        session.host_name = hostname
        return responses

    async def handle_MAIL(  # noqa: N802 - aiosmtpd's name
        self, _server: SMTP, session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if self.needs_login and not session.authenticated:
            return "530 5.7.0 Authentication required"
        envelope.mail_from = address
        return self.sender

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        answer = self.recipient(address)
        if answer.startswith("2"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 - as above
        assert isinstance(envelope.content, bytes)
        letter = BytesParser(_class=EmailMessage, policy=default).parsebytes(envelope.content)
        answer = self.data(letter)
        if asyncio.iscoroutine(answer):
            answer = await answer
        if answer is None:  # hangs up
            assert server.transport is not None
            server.transport.close()
            return "250 Never heard"
        if answer.startswith("2"):
            self.letters += [(address, letter) for address in envelope.rcpt_tos]
        return str(answer)


@asynccontextmanager
async def serving(
    postbox: Postbox, *, tls: ssl.SSLContext | None = None, starttls: ssl.SSLContext | None = None, port: int = 0
) -> AsyncIterator[int]:
    """A server until the end of the block; the port it listens at."""

    def protocol() -> SMTP:
        return SMTP(
            postbox,
            hostname="mail.example.com",
            tls_context=starttls,
            require_starttls=starttls is not None,
            auth_require_tls=starttls is not None,
            authenticator=postbox.authenticate,
            loop=asyncio.get_running_loop(),
        )

    open_: list[SMTP] = []

    def remembered() -> SMTP:
        open_.append(protocol())
        return open_[-1]

    server = await asyncio.get_running_loop().create_server(remembered, HOST, port, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for one in open_:
            if one.transport is not None:
                one.transport.abort()  # type: ignore[attr-defined]  # a stream's
        await server.wait_closed()
        await asyncio.sleep(0.05)  # connections see their end


@dataclass(frozen=True)
class Certificate:
    """A certificate that signs itself, for this machine's loopback."""

    file: Path
    context: ssl.SSLContext


def make_certificate(folder: Path) -> Certificate:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mail.example.com")])
    now = utc_now()
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(HOST))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file, key_file = folder / "mail.pem", folder / "mail.key"
    file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file, key_file)
    return Certificate(file, context)
