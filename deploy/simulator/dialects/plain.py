"""A plain HTTP gateway, the kind an operator describes in a form: JSON in, JSON out, no key.

It takes one message a request and posts unsigned receipts to `callback_url` when given one.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from deploy.simulator.checks import BadDial, text, url
from deploy.simulator.contract import JSON, Ask, Post, Reply, Request, Submission, World
from deploy.simulator.forms import read_form, read_query
from deploy.simulator.messages import Arrival, Message, Send

NAME = "plain"
PREFIX = b"plain"


def new_sid(run: str, number: int) -> str:
    return f"{run}-{number}"


def read(world: World, request: Request, *, now: float) -> Submission | Ask:
    del now
    if request.path == b"/plain/send" and request.method == b"POST":
        return _read_send(request)
    if request.path == b"/plain/send" and request.method == b"GET":
        return _submission(read_form(request.query))
    if request.path == b"/plain/balance" and request.method == b"GET":
        body = {"balance": f"{world.left:f}", "currency": world.dials.currency}
        return Ask("balance", Reply(200, json.dumps(body).encode()))
    return Ask("any", _error(404, "no such page"))


def accepted(world: World, messages: Sequence[Message]) -> Reply:
    del world
    return Reply(200, json.dumps({"id": messages[0].sid, "status": "OK"}).encode())


def refused(status: int, code: int | None) -> Reply:
    return _error(status, f"error {code}" if code else f"status {status}")


def receipt(world: World, message: Message, *, status: str, forged: bool) -> Post:
    """Nothing signs a plain receipt, so a forged one names a message that never was."""
    del world
    sid = message.sid[::-1] if forged else message.sid
    body: dict[str, Any] = {"id": sid, "status": status, "to": message.send.to}
    if message.error_code and status in {"failed", "undelivered"}:
        body["error"] = message.error_code
    return Post(message.send.callback_url, json.dumps(body).encode(), JSON)


def inbound(world: World, arrival: Arrival, *, url: str, forged: bool) -> Post:
    del world, forged
    body = {"id": arrival.sid, "from": arrival.sender, "to": arrival.to, "text": arrival.text}
    return Post(url, json.dumps(body).encode(), JSON)


def _read_send(request: Request) -> Submission | Ask:
    if request.headers.get(b"content-type", b"").startswith(b"application/x-www-form"):
        return _submission(read_form(request.body))
    try:
        fields = json.loads(request.body)
    except ValueError:
        return Ask("send", _error(400, "the body is not JSON"))
    if not isinstance(fields, dict):
        return Ask("send", _error(400, "the body is not a JSON object"))
    return _submission(fields)


def _submission(fields: Mapping[str, object]) -> Submission | Ask:
    try:
        to = text("to", fields.get("to"))
        message = text("message", fields.get("message"))
        sender = text("from", fields.get("from", ""))
        callback_url = url("callback_url", fields.get("callback_url", ""))
        reference = text("reference", fields.get("reference", ""))
    except BadDial as bad:
        return Ask("send", _error(400, str(bad)))
    if not to or not message:
        return Ask("send", _error(400, "to and message must not be empty"))
    query = read_query(callback_url)
    send = Send(to=to, sender=sender, text=message, callback_url=callback_url)
    return Submission((send._replace(m=reference or query.get("m"), a=query.get("a")),))


def _error(status: int, reason: str) -> Reply:
    body = json.dumps({"status": "ERROR", "error": reason}).encode()
    return Reply(status, body, refused=f"plain:{status}")
