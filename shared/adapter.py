"""The contract between a gateway's dialect and the machinery that sends.

An adapter is a module of pure functions: it builds requests and reads answers, and does no I/O. mypy holds each
module in `shared/gateways/` to the protocols below.
"""

import re
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from email.utils import parsedate_to_datetime
from functools import cached_property
from typing import Any, Final, Protocol, runtime_checkable
from urllib.parse import parse_qsl
from uuid import UUID

from shared.bodies import is_json
from shared.domain.message import Status
from shared.domain.outcome import Lost, Outcome
from shared.domain.repeats import Repeats
from shared.errors import Invalid


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a kind of gateway can do; policy asks this instead of naming kinds.

    `client_reference` means that our message id comes back in receipts; `lookup` that a message of unknown fate
    can be asked for; `repeats` that it takes nothing twice under the id that we send; `receipts_per_part` that each
    part of a long message has a receipt and a reference of its own; `either_address` that receipts and inbound messages
    can be told apart by what they say, so that each address takes both.
    """

    largest_batch: int = 1
    receipts: bool = False
    client_reference: bool = False
    lookup: bool = False
    attachments: bool = False
    balance: bool = False
    alphanumeric_senders: bool = False
    repeats: Repeats | None = None
    receipts_per_part: bool = False
    either_address: bool = False


@dataclass(frozen=True, slots=True)
class Account:
    """One configured gateway, as an adapter may see it."""

    gateway_id: UUID
    settings: Mapping[str, Any]
    secrets: Mapping[str, str] = field(repr=False)
    status_url: str = ""
    inbound_url: str = ""
    version: datetime | None = None  # when its owner changed it last: an answer may be to a call of before


@dataclass(frozen=True, slots=True)
class Sms:
    """One message on its way to a gateway. `expires_in` is in seconds."""

    id: UUID
    attempt: int
    msisdn: str = field(repr=False)
    text: str = field(repr=False)
    sender_id: str | None = None
    segments: int = 1
    expires_in: int | None = None
    location_id: str | None = None
    media_urls: tuple[str, ...] = field(default=(), repr=False)  # whoever has one may fetch what is behind it
    code: str = field(default="", repr=False)  # the part of the text that may not be recorded even by itself
    alone: bool = False  # a request was refused with it among others: by itself it takes nobody with it


@dataclass(frozen=True, slots=True)
class Call:
    """An HTTP request as a value. `verify_tls` is false only where an owner switched the check off."""

    method: str
    url: str = field(repr=False)  # of a GET, it holds the number and the text
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    body: bytes = field(default=b"", repr=False)
    verify_tls: bool = True


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer as a value; header names in lower case."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def content_type(self) -> str:
        return self.headers.get("content-type", "")


@dataclass(frozen=True)  # no slots: what is parsed is parsed once
class Callback:
    """A request from a gateway. `url` is built from our public URL and the raw query, never from `Host`.

    `received_at` is our clock, for adapters whose gateway signs a time: they have none of their own.
    """

    method: str
    url: str = field(repr=False)  # holds the token
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)
    received_at: datetime | None = None

    @cached_property
    def query(self) -> list[tuple[str, str]]:
        _, _, query = self.url.partition("?")
        return parse_qsl(query, keep_blank_values=True)

    @cached_property
    def form(self) -> list[tuple[str, str]]:
        """The fields of a form; none of a document that is only called one, as some gateways do."""
        if not self.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
            return []
        if self.body.lstrip()[:1] in {b"{", b"["} and is_json(self.body):
            return []
        return parse_qsl(self.body.decode("utf-8", "replace"), keep_blank_values=True)


@dataclass(frozen=True, slots=True)
class Receipt:
    """News of one message: named by our id, by the gateway's reference, or by both.

    `at` is the gateway's own clock, kept as data and never used for order.
    """

    status: Status
    message_id: UUID | None = None
    attempt: int | None = None
    reference: str | None = None
    code: str | None = None
    opted_out: bool = False
    at: datetime | None = None
    segments: int | None = None


@dataclass(frozen=True, slots=True)
class Inbound:
    """A message from a handset. `handled` says the gateway answers opt-out words by itself.

    `sent_at` is the gateway's own clock, kept as data and never used for order.
    """

    msisdn: str
    text: str = field(repr=False)
    to: str = ""
    reference: str | None = None
    keyword: str | None = None
    handled: bool = False
    sent_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """What a gateway hears after a callback that was kept."""

    media_type: str | None = None
    body: bytes = b""
    status: int = 200


@dataclass(frozen=True, slots=True)
class Balance:
    """Credit at a gateway, in its own unit (a currency code, or `credits`)."""

    amount: Decimal
    unit: str


@dataclass(frozen=True, slots=True)
class Login:
    """What a gateway gave for an account's credentials, and for how long it takes it."""

    token: str = field(repr=False)
    lifetime_seconds: float


@dataclass(frozen=True, slots=True)
class Wanted:
    """A message whose fate is asked for: what was handed over, and between which moments."""

    msisdn: str = field(repr=False)
    text: str = field(repr=False)
    sender_id: str | None
    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class Candidate:
    """A message at the gateway that may be the wanted one."""

    reference: str
    status: Status
    code: str | None = None


@dataclass(frozen=True, slots=True)
class LookedUp:
    """What a look-up brought. Without `complete`, absence and uniqueness prove nothing."""

    candidates: Sequence[Candidate]
    complete: bool


class UnreadableCallback(Invalid):
    """The request is not one that this gateway would send."""


class ForgedCallback(UnreadableCallback):
    """The request's signature does not fit; nothing of it was recorded."""


class UnreadableAnswer(Invalid):
    """The gateway's answer to a question (not to a hand-over) could not be read."""


class LoginRefused(UnreadableAnswer):
    """The gateway does not know the account's credentials, or does not let them in."""


class CannotBuild(Invalid):
    """A message, or a question, that does not fit into the account's settings; others may."""


class UnfitScript(Invalid):
    """What a gateway's script returned is no call that could be made."""


class Adapter(Protocol):
    """What every gateway's module offers.

    `read_send` is total: whatever comes back, each message of the batch gets an outcome.
    """

    @property
    def KIND(self) -> str: ...  # noqa: N802 - a module constant, not a method

    @property
    def CAPABILITIES(self) -> Capabilities: ...  # noqa: N802 - as above

    @property
    def INBOUND_REPLY(self) -> Reply: ...  # noqa: N802 - as above

    def check_settings(self, settings: Mapping[str, Any], secrets: Mapping[str, str]) -> Mapping[str, Any]:
        """The settings as they will be stored; raises Invalid, naming the field."""
        ...

    def build_send(self, account: Account, batch: Sequence[Sms]) -> Call: ...

    def read_send(self, batch: Sequence[Sms], answer: Answer) -> Sequence[Outcome]: ...

    def read_callback(self, account: Account, callback: Callback) -> Sequence[Receipt]: ...

    def read_inbound(self, account: Account, callback: Callback) -> Sequence[Inbound]: ...


@runtime_checkable
class Metered(Protocol):
    """A gateway that can be asked for its credit."""

    def build_balance(self, account: Account) -> Call: ...

    def read_balance(self, answer: Answer) -> Balance: ...


@runtime_checkable
class Searchable(Protocol):
    """A gateway that can be asked what became of a message."""

    def build_lookup(self, account: Account, wanted: Wanted) -> Call: ...

    def read_lookup(self, wanted: Wanted, answer: Answer) -> LookedUp: ...


@runtime_checkable
class Batched(Protocol):
    """A gateway whose requests say for all their messages what an Sms says for itself."""

    def batch_key(self, account: Account, sms: Sms) -> Hashable:
        """Messages with equal keys may share a call; build_send refuses others together."""
        ...


@runtime_checkable
class AccountWide(Protocol):
    """A vendor that tells all news of an account, by our message and attempt, at one address, whoever shares it."""

    def account_at_vendor(self, account: Account) -> Hashable: ...


# Where build_send and the questions find the token of an account that had to log in.
ACCESS_TOKEN: Final = "access_token"  # noqa: S105 - a name, no secret


@runtime_checkable
class LoginFirst(Protocol):
    """A gateway that may want a login first: its other calls then carry the token under ACCESS_TOKEN in `secrets`."""

    def needs_login(self, account: Account) -> bool: ...

    def build_login(self, account: Account) -> Call: ...

    def read_login(self, account: Account, answer: Answer) -> Login:
        """Raises LoginRefused where the credentials are at fault, UnreadableAnswer for anything else."""
        ...

    def has_login_ended(self, account: Account, answer: Answer) -> bool:
        """Whether an answer to another call refuses it for its token alone, so that a new login may mend it."""
        ...


@runtime_checkable
class Replying(Protocol):
    """An adapter whose gateway wants to hear more than silence after a receipt."""

    @property
    def RECEIPT_REPLY(self) -> Reply: ...  # noqa: N802 - as INBOUND_REPLY


class ConfiguredAdapter(Adapter, Metered, Replying, Protocol):
    """An adapter that one account's settings made."""


@runtime_checkable
class Configured(Protocol):
    """A kind whose dialect is its owner's: what an answer means stands in the account's settings."""

    def of(self, account: Account) -> ConfiguredAdapter: ...


@runtime_checkable
class Warned(Protocol):
    """A kind whose settings can be allowed and still unwise."""

    def warnings(self, settings: Mapping[str, Any]) -> Sequence[str]: ...


@runtime_checkable
class Scripted(Protocol):
    """A kind whose owner may write the call as a script. The script runs elsewhere; here is what it gets and may say.

    A script that fails before the call leaves nothing sent: `SCRIPT_FAILED`. What `call_from_script` cannot take, it
    refuses by UnfitScript, which means the same. `read_from_script` returns None where the script has no opinion.
    """

    def script_of(self, account: Account) -> str | None: ...

    def script_input(self, account: Account, sms: Sms) -> Mapping[str, Any]: ...

    def call_from_script(self, account: Account, sms: Sms, told: object) -> Call: ...

    def answer_input(self, account: Account, sms: Sms, answer: Answer) -> Mapping[str, Any]: ...

    def read_from_script(self, sms: Sms, answer: Answer, told: object) -> Outcome | None: ...


SCRIPT_FAILED: Final = Lost(may_have_arrived=False, cause="script_failed")

_LONGEST_WAIT: Final = 3600.0  # no gateway is believed that wants to be left alone for longer
_SECONDS = re.compile(r"[0-9]{1,9}(\.[0-9]+)?")
_URL = re.compile(r"https?://\S+", re.IGNORECASE)
_DIGITS = re.compile(r"\+?[0-9](?:[ ().-]{0,2}[0-9]){5,}")


def http_date(value: Any) -> datetime | None:
    """The moment a date of RFC 2822 or HTTP names; None if it names none."""
    try:
        moment = parsedate_to_datetime(value)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (TypeError, ValueError, IndexError, AttributeError, OverflowError):
        return None


def retry_after_of(headers: Mapping[str, str]) -> float | None:
    """The seconds to wait by Retry-After; a date in it is counted from the answer's own Date."""
    value = headers.get("retry-after", "").strip()
    if _SECONDS.fullmatch(value):
        return min(float(value), _LONGEST_WAIT)
    until, since = http_date(value), http_date(headers.get("date"))
    if until is None or since is None:
        return None
    return min(max((until - since).total_seconds(), 0.0), _LONGEST_WAIT)


def redacted(words: str, batch: Sequence[Sms] = (), *, most: int = 200) -> str:
    """A gateway's words without what they often quote: texts, numbers, addresses with our token."""
    for sms in batch:
        for private in (sms.text, sms.msisdn, sms.code):
            words = words.replace(private, "[...]") if len(private) > 3 else words
    return _DIGITS.sub("[number]", _URL.sub("[url]", words))[:most]
