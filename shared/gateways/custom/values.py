"""What stands in the open places: of one message, by one account's settings."""

import re
from base64 import b64encode
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from phonenumbers import NumberParseException, PhoneNumberFormat, format_number, parse

from shared.adapter import ACCESS_TOKEN, Account, Sms
from shared.domain.segments import measure
from shared.gateways.custom.placeholders import CannotFill, Slot
from shared.ids import time_of

NUMBER_FORMATS: Final = ("e164", "digits", "national")
PER_SECOND: Final[Mapping[str, tuple[int, int]]] = MappingProxyType(
    {"milliseconds": (1000, 1), "seconds": (1, 1), "minutes": (1, 60), "hours": (1, 3600), "days": (1, 86_400)}
)
# Splynx's two days: what is said where a gateway must be told something and the message has no end.
_VALID_FOR: Final = 172_800
_LARGEST_ID: Final = (1 << 63) - 1
_NOT_DIGITS = re.compile(r"[^0-9]")


def value_of(account: Account, sms: Sms) -> Callable[[Slot], str]:
    """How this message fills a place."""

    def value(slot: Slot) -> str:
        return _VALUES[slot.name](account, sms, slot.words)

    return value


def secret_of(account: Account, words: tuple[str, ...]) -> str:
    """A secret, or two of them as Basic authentication joins them."""
    try:
        named = [account.secrets[word] for word in words]
    except KeyError as missing:
        raise CannotFill(f"There is no secret named {missing.args[0]}; add it to the gateway's secrets.") from None
    return named[0] if len(named) == 1 else b64encode(":".join(named).encode()).decode()


def sender_of(account: Account, sms: Sms) -> str:
    return sms.sender_id or account.settings.get("sender_id") or ""


def location_of(account: Account, sms: Sms) -> str:
    """Powerlynx's `%LOCATION%` is the sender too, so without a location it is that."""
    return sms.location_id or account.settings.get("location") or sender_of(account, sms)


def in_format(number: str, form: str) -> str:
    """A number in E.164 as the gateway wants it; what is none stays as it is."""
    if not number.startswith("+") or form == "e164":
        return number
    if form == "digits":
        return number[1:]
    try:
        return _NOT_DIGITS.sub("", format_number(parse(number), PhoneNumberFormat.NATIONAL))
    except NumberParseException:
        return number[1:]


def number_of(account: Account, number: str, words: tuple[str, ...] = ()) -> str:
    named = next((word for word in words if word in NUMBER_FORMATS), None)
    if named is None:
        named = "digits" if "number" in words else account.settings.get("number_format") or "e164"
    return in_format(number, named)


def callback_url_of(account: Account, sms: Sms) -> str:
    """Where this message's receipts go; its id and attempt ride along and come back."""
    return f"{account.status_url}?m={sms.id}&a={sms.attempt}"


def encoding_of(account: Account, sms: Sms) -> str:
    words: Mapping[str, Any] = account.settings.get("encodings") or {}
    name = str(measure(sms.text).encoding)
    return str(words.get(name, {"gsm7": "text", "ucs2": "unicode"}[name]))


def validity_of(account: Account, sms: Sms) -> int:
    """How long the gateway may try, in its own unit: never longer than the message lives, at least one."""
    rule: Mapping[str, Any] = account.settings.get("validity") or {}
    times, per = PER_SECOND[rule.get("unit", "seconds")]
    seconds = sms.expires_in if sms.expires_in is not None else rule.get("default", _VALID_FOR)
    seconds = min(seconds, rule.get("most", seconds))
    return max(1, int(seconds) * times // per)


def id_number_of(sms: Sms) -> int:
    """Our id as a number of at most 19 digits, the same on every attempt: what gateways tell repetitions by."""
    return sms.id.int & _LARGEST_ID


_Value = Callable[[Account, Sms, tuple[str, ...]], str]
_VALUES: Final[Mapping[str, _Value]] = MappingProxyType(
    {
        "TO": lambda account, sms, words: number_of(account, sms.msisdn, words),
        "FROM": lambda account, sms, words: number_of(account, sender_of(account, sms), words),
        "MESSAGE": lambda _account, sms, _words: sms.text,
        # The names in links are percent-encoded, so no comma is part of one.
        "MEDIA": lambda _account, sms, _words: ",".join(sms.media_urls),
        "LOCATION": lambda account, sms, _words: location_of(account, sms),
        "ID": lambda _account, sms, _words: str(sms.id),
        "ID_NUMBER": lambda _account, sms, _words: str(id_number_of(sms)),
        "ATTEMPT": lambda _account, sms, _words: str(sms.attempt),
        "CALLBACK_URL": lambda account, sms, _words: callback_url_of(account, sms),
        "ENCODING": lambda account, sms, _words: encoding_of(account, sms),
        "SEGMENTS": lambda _account, sms, _words: str(sms.segments),
        "VALIDITY": lambda account, sms, _words: str(validity_of(account, sms)),
        "CREATED_AT": lambda _account, sms, _words: time_of(sms.id).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "SECRET": lambda account, _sms, words: secret_of(account, words),
        "BASIC": lambda account, _sms, words: secret_of(account, words),
        "TOKEN": lambda account, _sms, _words: secret_of(account, (ACCESS_TOKEN,)),
    }
)
