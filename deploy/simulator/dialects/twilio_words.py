"""Twilio's words: error texts, magic numbers, and a message as JSON."""

from collections.abc import Mapping
from email.utils import formatdate
from functools import lru_cache
from json.encoder import encode_basestring_ascii as quoted
from types import MappingProxyType
from typing import Final

from deploy.simulator.messages import Message

SERVICE_SENDER = "+12025550100"

ERRORS: Final[Mapping[int, str]] = MappingProxyType(
    {
        20003: "Authenticate",
        20004: "Method not allowed",
        20404: "The requested resource was not found",
        20429: "Too Many Requests",
        20500: "An internal server error has occurred",
        20503: "Service unavailable",
        21211: "The 'To' number is not a valid phone number.",
        21212: "The 'From' number is not a valid phone number, shortcode, or alphanumeric sender ID.",
        21266: "'To' and 'From' number cannot be the same",
        21408: "Permission to send an SMS has not been enabled for the region indicated by the 'To' number.",
        21602: "Message body is required.",
        21603: "A 'From' phone number is required.",
        21604: "A 'To' phone number is required.",
        21606: "The 'From' phone number provided is not a valid, message-capable Twilio phone "
        "number for this destination.",
        21609: "The 'StatusCallback' URL is not a valid URL.",
        21610: "Attempt to send to unsubscribed recipient",
        21611: "This 'From' number has exceeded the maximum number of queued messages",
        21612: "The 'To' phone number is not currently reachable via SMS",
        21614: "'To' number is not a valid mobile number",
        21617: "The concatenated message body exceeds the 1600 character limit",
        21620: "Invalid media URL(s)",
        21623: "Number of media files exceeds allowed limit",
        21701: "The Messaging Service does not exist",
        30045: "The ValidityPeriod is out of range",
    }
)
MAGIC_FROM: Final[Mapping[str, int]] = MappingProxyType(
    {"+15005550001": 21212, "+15005550007": 21606, "+15005550008": 21611}
)
MAGIC_TO: Final[Mapping[str, int]] = MappingProxyType(
    {"+15005550001": 21211, "+15005550002": 21612, "+15005550003": 21408, "+15005550004": 21610, "+15005550009": 21614}
)

_GSM7: Final = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    "ÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENSION: Final = frozenset("\f^{}\\[~]|€")


def segments(text: str) -> str:
    """About how many segments a text costs, as the text Twilio writes it in."""
    if text.isascii() and len(text) <= 70:
        return "1"
    letters = set(text)
    if letters <= _GSM7 | _EXTENSION:
        length = len(text) + sum(text.count(letter) for letter in letters & _EXTENSION)
        single, part = 160, 153
    else:
        length = len(text.encode("utf-16-le")) // 2
        single, part = 70, 67
    return "1" if length <= single else str(-(-length // part))


def message_json(account: str, message: Message, *, now: float) -> bytes:
    """The Message resource. Written by hand: json.dumps would cost a third of the request."""
    send, sid = message.send, message.sid
    status = message.status(now)
    begun = status not in {"queued", "accepted"}
    sender = send.sender or (SERVICE_SENDER if begun else "")
    code = message.error_code if status in {"failed", "undelivered"} else None
    root = f"/2010-04-01/Accounts/{account}/Messages/{sid}"
    created = _date(int(message.created))
    sent = f'"{_date(int(message.sent_at))}"' if begun else "null"
    return (
        f'{{"account_sid": "{account}", "api_version": "2010-04-01", "body": {quoted(send.text)}, '
        f'"date_created": "{created}", "date_sent": {sent}, "date_updated": "{created}", '
        f'"direction": "outbound-api", "error_code": {code or "null"}, "error_message": null, '
        f'"from": {quoted(sender) if sender else "null"}, '
        f'"messaging_service_sid": {quoted(send.service) if send.service else "null"}, '
        f'"num_media": "{len(send.media)}", "num_segments": "{segments(send.text)}", "price": null, '
        f'"price_unit": "USD", "sid": "{sid}", "status": "{status}", '
        f'"subresource_uris": {{"media": "{root}/Media.json"}}, "to": {quoted(send.to)}, '
        f'"uri": "{root}.json"}}'
    ).encode("ascii")


@lru_cache(maxsize=4096)
def _date(second: int) -> str:
    return formatdate(second).replace("-0000", "+0000")
