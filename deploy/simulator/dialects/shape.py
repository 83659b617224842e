"""A dialect out of a table: how one vendor's requests, answers, receipts and balances are shaped.

Templates are JSON values whose texts hold `{sid}`, `{to}` and the like; a text that is one such name alone keeps
the value's type. Paths are steps into what was sent.
"""

import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from deploy.simulator.checks import BadDial, text, url
from deploy.simulator.contract import FORM, JSON, Ask, Post, Reply, Request, Submission, World
from deploy.simulator.dialects.twilio_words import segments
from deploy.simulator.forms import read_form, read_query
from deploy.simulator.messages import Account, Arrival, Message, Send

Path = Sequence[str | int]


@dataclass(frozen=True)
class Shape:
    """One vendor. The module constants of other dialects are fields here."""

    NAME: str
    send: str  # the path behind our prefix
    credentials: Mapping[str, str]  # headers, or fields, that open the account
    to: Path
    text: Path
    taken: Any
    refused_as: Any
    words: Mapping[str, str]  # the vendor's words for sent, delivered, undelivered and failed
    sender: Path = ()
    callback: Path = ()
    reference: Path = ()
    method: str = "POST"
    sent_as: str = "json"  # form, query
    taken_status: int = 200
    code_status: int | None = None  # with which a code is told, whatever the fault asked for
    code_words: Mapping[int, Mapping[str, Any]] = field(
        default_factory=dict
    )  # what a fault's code stands for: values, or a whole answer
    other_words: Mapping[str, Any] = field(default_factory=dict)  # what any other code stands for
    receipt_as: str = "json"  # form, query
    receipt_fields: Any = None
    inbound_as: str = "json"
    inbound_fields: Any = None
    balance: str = ""
    balance_fields: Any = None
    forbidden: int = 401
    known_by: Path = ()  # the id under which it takes nothing twice: a field of the body, or "?name" of the query
    part: Any = None  # what the answer's list of messages says of each part, where parts have ids and receipts
    known_again: int | None = None  # the code by which it says so; without one it answers as it did before

    @property
    def PREFIX(self) -> bytes:  # noqa: N802 - the contract's
        return self.NAME.encode()

    def new_sid(self, run: str, number: int) -> str:
        return f"{self.NAME}-{run}-{number}"

    def read(self, world: World, request: Request, *, now: float) -> Submission | Ask:
        del now
        path = request.path.decode("latin-1").removeprefix(f"/{self.NAME}")
        method = request.method.decode("latin-1")
        known = {"key": world.account.api_key, "secret": world.account.api_secret}
        if self.balance and (method, path) == ("GET", self.balance.format(**known)):
            return self._guarded(world.account, request, read_form(request.query)) or Ask("balance", self._told(world))
        if (method, path) != (self.method, self.send.format(**known)):
            return Ask("any", Reply(404, b'{"error": "no such page"}', refused=f"{self.NAME}:404"))
        fields = self._fields(request)
        if fields is None:
            return Ask("send", self.refused(400, None))
        return self._guarded(world.account, request, fields) or self._submission(world, request, fields)

    def accepted(self, world: World, messages: Sequence[Message]) -> Reply:
        del world
        message = messages[0]
        send = message.send
        values = {"sid": message.sid, "to": send.to, "reference": send.m or "", "segments": str(send.parts)}
        answer = filled(self.taken, values)
        if self.part is not None:
            answer["messages"] = [filled(self.part, {**values, "sid": part.sid}) for part in message.parts]
        return _reply(self.taken_status, answer)

    def refused(self, status: int, code: int | None) -> Reply:
        """The vendor's refusal; without a code, a failure of its own."""
        name = f"{self.NAME}:{code or status}"
        if code is None:
            return Reply(status, json.dumps({"error": f"status {status}"}).encode(), refused=name)
        words = self.code_words.get(code, {"code": code, **self.other_words})
        shape = words.get("body", self.refused_as)
        answer = _reply(words.get("status") or self.code_status or status, filled(shape, words))
        return answer._replace(refused=name)

    def receipt(self, world: World, message: Message, *, status: str, forged: bool) -> Post:
        """Nothing signs these, so a forged one names a message that never was."""
        del world
        values = {
            "sid": message.sid[::-1] if forged else message.sid,
            "word": self.words[status],
            "to": message.send.to,
            "reference": message.send.m or "",
            "code": message.error_code if status in {"failed", "undelivered"} else 0,
        }
        return _post(
            message.send.callback_url, self.receipt_as, filled(self.receipt_fields, values), self.words[status]
        )

    def inbound(self, world: World, arrival: Arrival, *, url: str, forged: bool) -> Post:
        del world, forged
        values = {"sid": arrival.sid, "from": arrival.sender, "to": arrival.to, "text": arrival.text}
        return _post(url, self.inbound_as, filled(self.inbound_fields, values), "")

    def _fields(self, request: Request) -> Any:
        if self.sent_as == "query":
            return read_form(request.query)
        if self.sent_as == "form":
            return read_form(request.body)
        try:
            return json.loads(request.body)
        except ValueError:
            return None

    def _guarded(self, account: Account, request: Request, fields: Any) -> Ask | None:
        """A refusal, where what opens the account is not there."""
        basic = b64encode(f"{account.api_key}:{account.api_secret}".encode()).decode()
        known = {"key": account.api_key, "secret": account.api_secret, "basic": basic}
        for name, wanted in self.credentials.items():
            given = request.headers.get(name.lower().encode(), b"").decode("latin-1") or at(fields, (name,))
            if given != wanted.format(**known):
                return Ask("auth", self.refused(self.forbidden, None))
        return None

    def _submission(self, world: World, request: Request, fields: Any) -> Submission | Ask:
        try:
            to = text("to", str(at(fields, self.to)))
            message = text("text", at(fields, self.text))
            sender = text("sender", at(fields, self.sender) or "") if self.sender else ""
            callback = url("callback", at(fields, self.callback) or "") if self.callback else ""
        except BadDial:
            return Ask("send", self.refused(400, None))
        if not to.removeprefix("+").isdecimal() or not message:
            return Ask("send", self.refused(400, None))
        query = read_query(callback)
        reference = at(fields, self.reference) if self.reference else None
        send = Send(
            to=to, sender=sender, text=message, callback_url=callback or world.dials.callback_url, a=query.get("a")
        )
        send = send._replace(m=str(reference) if reference else query.get("m"))
        if self.part is not None:
            send = send._replace(parts=int(segments(message)))
        known_by = self._known_by(request, fields)
        again = self.refused(self.taken_status, self.known_again) if known_by and self.known_again else None
        # It is no refusal: the message is there.
        return Submission((send,), known_by=known_by, again=again._replace(refused=None) if again else None)

    def _known_by(self, request: Request, fields: Any) -> str | None:
        first, *rest = self.known_by or ("",)
        if isinstance(first, str) and first.startswith("?") and not rest:
            return read_form(request.query).get(first[1:])
        known_by = at(fields, self.known_by) if self.known_by else None
        return str(known_by) if known_by else None

    def _told(self, world: World) -> Reply:
        left = world.left
        values = {"balance": float(left), "balance_text": f"{left:f}", "currency": world.dials.currency}
        return _reply(200, filled(self.balance_fields, values))


def filled(template: Any, values: Mapping[str, Any]) -> Any:
    """The template with its names replaced, at every depth."""
    if isinstance(template, dict):
        return {name: filled(value, values) for name, value in template.items()}
    if isinstance(template, list):
        return [filled(value, values) for value in template]
    if not isinstance(template, str):
        return template
    alone = template[1:-1]
    return values[alone] if template == f"{{{alone}}}" and alone in values else template.format(**values)


def at(fields: Any, path: Path) -> Any:
    for step in path:
        if isinstance(step, int) and isinstance(fields, list) and step < len(fields):
            fields = fields[step]
        elif isinstance(step, str) and isinstance(fields, dict):
            fields = fields.get(step)
        else:
            return None
    return fields


def _reply(status: int, body: Any) -> Reply:
    if isinstance(body, str):
        return Reply(status, body.encode(), b"text/plain")
    return Reply(status, json.dumps(body).encode())


def _post(place: str, told_as: str, fields: Any, word: str) -> Post:
    """`%d` in the address is Kannel's place for the word; others add their fields to it."""
    if told_as == "json":
        return Post(place, json.dumps(fields).encode(), JSON)
    pairs = urlencode(fields or {})
    if told_as == "form":
        return Post(place, pairs.encode(), FORM)
    place = place.replace("%d", word)
    if pairs:
        place += f"{'&' if '?' in place else '?'}{pairs}"
    return Post(place, b"", method="GET")
