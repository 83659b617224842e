"""SMSPortal's webhooks, in the style that its user chose in the portal: here, by dials.

https://docs.smsportal.com/docs/webhook-types-and-variables
"""

import json
import re
import time
from base64 import b64encode
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Final
from urllib.parse import quote

from deploy.simulator.contract import JSON, Post, World
from deploy.simulator.forms import write_form
from deploy.simulator.messages import Arrival, Message
from deploy.simulator.signature import smsportal_signature

SIGNATURE_HEADER: Final = "X-SMSPortal-Signature"
TIMESTAMP_HEADER: Final = "X-SMSPortal-Timestamp"

_WORDS: Final[Mapping[str, str]] = MappingProxyType(
    {"queued": "STAGED", "sent": "SUBMITD", "delivered": "DELIVRD", "failed": "NOROUTE"}
)
_VARIABLE = re.compile("@@([A-Za-z]+)@@")
_MCC, _MNC = "655", "01"

Values = Mapping[str, str | int]


def receipt(world: World, message: Message, *, status: str, forged: bool) -> Post:
    send = message.send
    own = f"{send.m or ''}.{send.a}" if send.a else send.m or ""
    told = int(message.ended_at if status not in {"queued", "sent"} else message.sent_at)
    values: Values = {
        "CustomerId": own[::-1] if forged and not _shows_who(world) else own,
        "EventId": send.batch,
        "Id": int(message.sid),
        "Mcc": int(_MCC),
        "Mnc": _MNC,
        "PhoneNumber": send.to[1:],
        "ReceivedDateTime": _date(told),
        "ReceivedUtc": told,
        "SentData": send.text[:157],
        "SentDataPartsCount": send.segments,
        "SentDataType": "SMS",
        "SentDateTime": _date(int(message.created)),
        "Status": _WORDS.get(status, world.dials.undelivered_word),
    }
    return _shown(world, _written(world, _RECEIPT, values, url=send.callback_url), forged=forged)


def inbound(world: World, arrival: Arrival, *, url: str, forged: bool) -> Post:
    now = int(time.time())
    values: Values = {
        "CustomerId": "",
        "EventId": 0,
        "Id": int(arrival.sid) if arrival.sid.isdecimal() else 0,
        "IncomingData": arrival.text,
        "IncomingDateTime": _date(now),
        "ReceivedUtc": now,
        "SourcePhoneNumber": arrival.sender.removeprefix("+"),
        "To": arrival.to.removeprefix("+"),
    }
    return _shown(world, _written(world, _REPLY, values, url=url), forged=forged)


# The names that the first two styles have for the variables of the third.
_RECEIPT: Final = (
    {
        "ID": "Id",
        "EventID": "EventId",
        "Phonenumber": "PhoneNumber",
        "DataType": "SentDataType",
        "Data": "SentData",
        "SentDataTime": "ReceivedDateTime",
        "Status": "Status",
        "CustomerID": "CustomerId",
    },
    {
        "Status": "Status",
        "EventId": "EventId",
        "Mcc": "Mcc",
        "Mnc": "Mnc",
        "MsgCount": "SentDataPartsCount",
        "Msisdn": "PhoneNumber",
        "Received": "ReceivedUtc",
        "UserReference": "CustomerId",
    },
)
_REPLY: Final = (
    {
        "IncomingID": "Id",
        "Phonenumber": "SourcePhoneNumber",
        "IncomingData": "IncomingData",
        "IncomingDataTime": "IncomingDateTime",
        "EventID": "EventId",
        "CustomerID": "CustomerId",
    },
    {
        "To": "To",
        "Id": "Id",
        "EventId": "EventId",
        "Msisdn": "SourcePhoneNumber",
        "Message": "IncomingData",
        "Received": "ReceivedUtc",
        "UserReference": "CustomerId",
    },
)


def _written(world: World, names: tuple[Mapping[str, str], Mapping[str, str]], values: Values, *, url: str) -> Post:
    style, (first, second) = world.dials.webhook_style, names
    if style == "v1":
        query = write_form([(name, str(values[variable])) for name, variable in first.items()]).decode("ascii")
        return Post(f"{url}{'&' if '?' in url else '?'}{query}", b"", method="GET")
    if style == "v2":
        # JSON, and called plain text.
        body = json.dumps({name: values[variable] for name, variable in second.items()})
        return Post(url, body.encode(), b"text/plain")
    if "@@" in url:
        return Post(_VARIABLE.sub(lambda found: quote(str(values.get(found[1], "")), safe=""), url), b"", method="GET")
    template = world.dials.receipt_template if names is _RECEIPT else world.dials.reply_template
    body = _VARIABLE.sub(lambda found: json.dumps(str(values.get(found[1], "")))[1:-1], template)
    return Post(url, body.encode(), JSON)


def _shows_who(world: World) -> bool:
    return bool(world.dials.signature_key or world.dials.webhook_header)


def _shown(world: World, post: Post, *, forged: bool) -> Post:
    """With the header of the user's choice and the signature, where there are such; a forger has neither right."""
    dials = world.dials
    headers: dict[str, str] = {}
    if dials.webhook_header:
        name, _, value = dials.webhook_header.partition(": ")
        headers[name] = value + "-forged" if forged else value
    if dials.signature_key:
        timestamp = str(int(time.time()))
        key = dials.signature_key + "-forged" if forged else dials.signature_key
        digest = smsportal_signature(key, (post.method, post.url, post.body), timestamp=timestamp)
        headers[TIMESTAMP_HEADER] = timestamp
        headers[SIGNATURE_HEADER] = digest.hex() if dials.signature_form == "hex" else b64encode(digest).decode()
    return Post(post.url, post.body, post.content_type, headers, post.method)


@lru_cache(maxsize=64)
def _date(second: int) -> str:
    return time.strftime("%d/%b/%Y %H:%M:%S", time.gmtime(second))
