"""Twilio's Programmable Messaging, as its users see it.

https://www.twilio.com/docs/messaging/api/message-resource
"""

import json
import re
import time
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit

from deploy.simulator.contract import Ask, Post, Reply, Request, Submission, World
from deploy.simulator.dialects import twilio_words as words
from deploy.simulator.dialects.twilio_list import page
from deploy.simulator.forms import read_all, read_form, read_query, write_form
from deploy.simulator.messages import Account, Arrival, Message, Send
from deploy.simulator.signature import twilio_signature

NAME = "twilio"
PREFIX = b"2010-04-01"
MOST_MEDIA = 10

_MSISDN: Final = re.compile(r"\+?[1-9]\d{6,14}")
_SENDER: Final = re.compile(r"\+?\d{3,15}|(?=.*[A-Za-z])[A-Za-z0-9 ]{1,11}")
_SERVICE: Final = re.compile(r"MG[0-9a-f]{32}")


def new_sid(run: str, number: int) -> str:
    return f"SM{run}{number:016x}"


def read(world: World, request: Request, *, now: float) -> Submission | Ask:
    root = _root(world.account.sid)
    path = request.path
    if request.headers.get(b"authorization") not in _keys(world.account) and not _authorized(world.account, request):
        return Ask("auth", refused(401, 20003))
    if path == root + b"Messages.json":
        if request.method == b"POST":
            return _read_send(world, request.body)
        return _get(request, "lookup") or Ask("lookup", page(world, request, now=now))
    if path == root + b"Balance.json":
        return _get(request, "balance") or Ask("balance", _balance(world))
    if path.startswith(root + b"Messages/") and path.endswith(b".json"):
        return _get(request, "lookup") or Ask("lookup", _one(world, request, now=now))
    return Ask("any", refused(404, 20404))


def accepted(world: World, messages: Sequence[Message]) -> Reply:
    message = messages[0]
    return Reply(201, words.message_json(world.account.sid, message, now=message.created))


def refused(status: int, code: int | None) -> Reply:
    """Twilio's error body; without a code, what it says at that status."""
    code = code or {429: 20429, 503: 20503}.get(status, 20500)
    text = words.ERRORS.get(code, "The request was refused")
    body = {"code": code, "message": text, "more_info": f"https://www.twilio.com/docs/errors/{code}", "status": status}
    headers: tuple[tuple[bytes, bytes], ...] = ()
    if status == 401:
        headers = ((b"WWW-Authenticate", b'Basic realm="Twilio API"'),)
    return Reply(status, json.dumps(body).encode(), headers=headers, refused=str(code))


def receipt(world: World, message: Message, *, status: str, forged: bool) -> Post:
    account, send = world.account.sid, message.send
    fields = [
        ("SmsSid", message.sid),
        ("SmsStatus", status),
        ("MessageStatus", status),
        ("To", send.to),
        ("MessageSid", message.sid),
        ("AccountSid", account),
        ("ApiVersion", "2010-04-01"),
    ]
    if send.service:
        fields.append(("MessagingServiceSid", send.service))
    fields.append(("From", send.sender or words.SERVICE_SENDER))
    if status in {"undelivered", "failed"} and message.error_code:
        fields.append(("ErrorCode", str(message.error_code)))
    if status in {"undelivered", "delivered"}:
        fields.append(("RawDlrDoneDate", _minute(int(message.ended_at // 60))))
    return _signed(world.account, send.callback_url, fields, forged=forged)


def inbound(world: World, arrival: Arrival, *, url: str, forged: bool) -> Post:
    fields = [
        ("ToCountry", "US"),
        ("SmsMessageSid", arrival.sid),
        ("NumMedia", "0"),
        ("SmsSid", arrival.sid),
        ("SmsStatus", "received"),
        ("Body", arrival.text),
        ("To", arrival.to),
        ("NumSegments", words.segments(arrival.text)),
        ("MessageSid", arrival.sid),
        ("AccountSid", world.account.sid),
        ("From", arrival.sender),
        ("ApiVersion", "2010-04-01"),
    ]
    if arrival.opt_out_type is not None:
        fields.append(("OptOutType", arrival.opt_out_type))
    return _signed(world.account, url, fields, forged=forged)


def _signed(account: Account, url: str, fields: list[tuple[str, str]], *, forged: bool) -> Post:
    token = account.auth_token + "-forged" if forged else account.auth_token
    signature = twilio_signature(token, url, fields)
    headers = {"X-Twilio-Signature": signature, "User-Agent": "TwilioProxy/1.1", "Accept": "*/*"}
    return Post(url, write_form(fields), headers=headers)


@lru_cache(maxsize=64)
def _minute(minute: int) -> str:
    return time.strftime("%y%m%d%H%M", time.gmtime(minute * 60))


@lru_cache
def _root(account_sid: str) -> bytes:
    return f"/2010-04-01/Accounts/{account_sid}/".encode()


@lru_cache
def _keys(account: Account) -> frozenset[bytes]:
    """The Authorization headers that open the account, as most clients write them."""
    pairs = ((account.sid, account.auth_token), (account.api_key, account.api_secret))
    return frozenset(b"Basic " + b64encode(f"{user}:{key}".encode()) for user, key in pairs)


def _authorized(account: Account, request: Request) -> bool:
    """The same, for clients that write the header in another way."""
    scheme, _, given = request.headers.get(b"authorization", b"").strip().partition(b" ")
    try:
        spelled = b"Basic " + b64encode(b64decode(given.strip(), validate=True))
    except ValueError:
        return False
    return scheme.lower() == b"basic" and spelled in _keys(account)


def _get(request: Request, operation: str) -> Ask | None:
    return None if request.method == b"GET" else Ask(operation, refused(405, 20004))


def _balance(world: World) -> Reply:
    body = {"account_sid": world.account.sid, "balance": f"{world.left:f}", "currency": world.dials.currency}
    return Reply(200, json.dumps(body).encode())


def _one(world: World, request: Request, *, now: float) -> Reply:
    sid = request.path.rpartition(b"/")[2].removesuffix(b".json").decode("ascii", "replace")
    message = world.archive.find(sid)
    if message is None or message.dialect != NAME:
        return refused(404, 20404)
    return Reply(200, words.message_json(world.account.sid, message, now=now))


def _read_send(world: World, body: bytes) -> Submission | Ask:
    form = read_form(body)
    send = Send(
        to=form.get("To", ""),
        sender=form.get("From", ""),
        text=form.get("Body", ""),
        service=form.get("MessagingServiceSid", ""),
        callback_url=form.get("StatusCallback", ""),
        media=read_all(body, "MediaUrl") if "MediaUrl" in form else (),
    )
    code = _fault_of(send, form) or _refusal_of(world, send)
    if code is not None:
        return Ask("send", refused(400, code))
    if send.callback_url:
        query = read_query(send.callback_url)
        send = send._replace(m=query.get("m"), a=query.get("a"))
    return Submission((send,))


def _fault_of(send: Send, form: Mapping[str, str]) -> int | None:
    """What is wrong with the request itself."""
    if not send.to:
        return 21604
    if not _MSISDN.fullmatch(send.to):
        return 21211
    return _sender_fault(send) or _content_fault(send, form)


def _sender_fault(send: Send) -> int | None:
    if not send.sender and not send.service:
        return 21603
    if send.service and not _SERVICE.fullmatch(send.service):
        return 21701
    if send.sender and not _is_sender(send.sender):
        return 21212
    return 21266 if send.sender == send.to else None


@lru_cache
def _is_sender(sender: str) -> bool:
    return _SENDER.fullmatch(sender) is not None


def _content_fault(send: Send, form: Mapping[str, str]) -> int | None:
    if not send.text and not form.get("MediaUrl") and not form.get("ContentSid"):
        return 21602
    if len(send.text) > 1600:
        return 21617
    if send.media and (code := _media_fault(send.media)):
        return code
    if send.callback_url and not _is_callable(send.callback_url):
        return 21609
    validity = form.get("ValidityPeriod")
    if validity and not (validity.isdecimal() and 1 <= int(validity) <= 36000):
        return 30045
    return None


def _media_fault(media: Sequence[str]) -> int | None:
    if len(media) > MOST_MEDIA:
        return 21623
    return None if all(map(_is_callable, media)) else 21620


def _is_callable(url: str) -> bool:
    return (
        len(url) <= 4000 and url.isascii() and url.isprintable() and " " not in url and _has_host(url.partition("?")[0])
    )


@lru_cache
def _has_host(url: str) -> bool:
    """The part that is the same for every message of an account, so it is looked at once."""
    try:
        parts = urlsplit(url)
        host = parts.hostname if parts.port != 0 else None
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(host) and "_" not in (host or "")


def _refusal_of(world: World, send: Send) -> int | None:
    """What the numbers themselves provoke."""
    if world.dials.magic_numbers:
        code = words.MAGIC_FROM.get(send.sender) or words.MAGIC_TO.get(send.to)
        if code is not None:
            return code
    if world.dials.opt_outs and world.archive.is_opted_out(send.to, send.sender or send.service):
        return 21610
    return None
