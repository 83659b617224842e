"""The simulated gateway: takes or refuses what a dialect read, and lets faults strike.

Every acceptance is in the ledger before its answer leaves: answers are collected for one loop
iteration (with latency: for a millisecond), the ledger is written once, then they go out.
"""

import asyncio
import hashlib
import random
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from deploy.simulator import ledger as book
from deploy.simulator import misbehaviour
from deploy.simulator.certificate import bad_certificate
from deploy.simulator.client import Client, Heard
from deploy.simulator.connection import Connection, encoded
from deploy.simulator.contract import Ask, Dialect, Post, Reply, Request, Submission, World
from deploy.simulator.dials import Dials
from deploy.simulator.faults import FaultRule, Faults
from deploy.simulator.ledger import Ledger
from deploy.simulator.listener import Listener
from deploy.simulator.messages import Message, Send
from deploy.simulator.receipts import Receipts
from deploy.simulator.stats import Stats

ANSWER_FIRST = 0.005
LARGEST_MEDIA = 16 << 20

_Act = tuple[Callable[[bytes], None], bytes]


class Exchange(NamedTuple):
    """One request on its way to an answer; `wait` is its latency in seconds."""

    connection: Connection
    request: Request
    dialect: Dialect
    now: float
    wait: float


class Gateway:
    """One account at one gateway company, in every dialect it is asked in."""

    def __init__(
        self, world: World, *, ledger: Ledger, listener: Listener, dialects: Mapping[bytes, Dialect], seed: int | None
    ) -> None:
        self.world = world
        self.ledger = ledger
        self.listener = listener
        self.dialects = dialects
        self.stats = Stats()
        self._loop = asyncio.get_running_loop()
        self._chance = random.Random(seed)
        self._run = secrets.token_hex(8)
        self._number = 0
        self._first_sid: str | None = None
        self._last_sid: str | None = None
        self._outbox: list[_Act] = []
        self._later: dict[int, list[_Act]] = {}
        self._known: dict[str, Message] = {}
        self.client = Client(self._loop, limits=self._limits)
        self.receipts = Receipts(world, ledger=ledger, stats=self.stats, client=self.client, chance=self._chance)
        self.faults = Faults(world.dials.faults, chance=self._chance)

    def turn(self, dials: Dials) -> None:
        """Put dials in force; the fault counters start anew when the rules were among them."""
        before, self.world.dials = self.world.dials, dials
        if (dials.balance, dials.price) != (before.balance, before.price):
            self.world.taken = self.world.spent = 0
        if dials.faults is not before.faults:
            misbehaviour.prepare(dials.faults)
            self.faults = Faults(dials.faults, chance=self._chance)
        self.listener.set_tls(bad_certificate() if dials.tls else None)
        self.listener.set_open(dials.listening)

    def new_sid(self, dialect: Dialect) -> str:
        self._number += 1
        return dialect.new_sid(self._run, self._number)

    def handle(self, connection: Connection, request: Request) -> None:
        self.stats.requests += 1
        dialect = self.dialects.get(request.path[1:].partition(b"/")[0])
        if dialect is None:
            missing = Reply(404, b'{"error":"no gateway lives at this path"}')
            connection.answer(encoded(missing, keep_alive=request.keep_alive))
            return
        exchange = Exchange(connection, request, dialect, time.time(), self._latency())
        asked = dialect.read(self.world, request, now=exchange.now)
        rule = self._struck_by(asked) if self.faults.rules else None
        if isinstance(asked, Submission):
            self._submit(exchange, asked, rule=rule)
        else:
            self._reply(exchange, asked.reply, rule=rule)

    def expect(self) -> bool:
        """Whether a client that sent `Expect: 100-continue` is told to go on."""
        if not self.faults.rules:
            return True
        rule = self.faults.pick("send", (), only="continue_stall")
        if rule is None:
            return True
        self.stats.faults[rule.kind] += 1
        return False

    def _limits(self) -> tuple[int, float]:
        dials = self.world.dials
        return dials.callback_connections, dials.callback_timeout_ms / 1000

    def _latency(self) -> float:
        dials = self.world.dials
        if dials.jitter_ms:
            return (dials.latency_ms + self._chance.uniform(0, dials.jitter_ms)) / 1000
        return dials.latency_ms / 1000

    def _struck_by(self, asked: Submission | Ask) -> FaultRule | None:
        if isinstance(asked, Submission):
            about = [(send.to, send.text) for send in asked.sends]
            rule = self.faults.pick("send", about)
        else:
            rule = self.faults.pick(asked.operation, ())
        if rule is not None:
            self.stats.faults[rule.kind] += 1
        return rule

    def _submit(self, exchange: Exchange, asked: Submission, *, rule: FaultRule | None) -> None:
        known = self._known.get(asked.known_by or "")
        if known is not None and exchange.now < known.created + self.world.dials.remember_seconds:
            self._repeat(exchange, asked, known, rule=rule)
            return
        messages = [self._make(send, exchange, rule=rule) for send in asked.sends]
        taken = rule is None or rule.accept
        odds = self.world.dials.callback_before_answer
        early = rule is None and bool(odds and messages) and self._chance.random() < odds
        for message in messages:
            if taken:
                self._accept(message, fault=rule.kind if rule else None)
            else:
                self._turn_away(message.send, f"fault:{rule.kind}" if rule else "fault", at=exchange.now)
            if taken and not early:
                self._tell_of_parts(message, exchange.dialect)
            if taken and asked.known_by is not None:
                self._known[asked.known_by] = message
        for send, reason in asked.turned_away:
            self._turn_away(send, reason, at=exchange.now)
        reply = (asked.answer or exchange.dialect.accepted)(self.world, messages)
        if early:
            self._post(0, partial(self._tell_first, exchange, messages, reply), b"")
        else:
            self._reply(exchange, reply, rule=rule)

    def _tell_of_parts(self, message: Message, dialect: Dialect) -> None:
        for part in message.parts:
            self.receipts.start(part, dialect)

    def _repeat(self, exchange: Exchange, asked: Submission, known: Message, *, rule: FaultRule | None) -> None:
        """What it has under that id is not taken once more, whatever becomes of the answer."""
        send = asked.sends[0]
        self.stats.repeated += 1
        self.ledger.note(book.REPEATED, at=exchange.now, sid=known.sid, to=send.to, m=send.m, a=send.a)
        self._reply(exchange, asked.again or exchange.dialect.accepted(self.world, [known]), rule=rule)

    def _make(self, send: Send, exchange: Exchange, *, rule: FaultRule | None) -> Message:
        dials = self.world.dials
        sid = self.new_sid(exchange.dialect)
        if rule is not None and rule.kind == "duplicate_sid":
            sid = self._last_sid or sid
        elif rule is not None and rule.kind == "reused_sid":
            sid = self._first_sid or sid
        low, high = dials.callback_delay_ms
        span, draw = high - low, self._chance.random
        # Never before the answer by mere chance: that is what a dial is for.
        sent_at = exchange.now + exchange.wait + ANSWER_FIRST + (low + span * draw()) / 1000
        ended_at = sent_at + (low + span * draw()) / 1000
        ends_as = "delivered"
        if dials.failed or dials.undelivered:
            roll = self._chance.random()
            if roll < dials.failed:
                ends_as = "failed"
            elif roll < dials.failed + dials.undelivered:
                ends_as = "undelivered"
        error = None if ends_as == "delivered" else dials.error_code
        name = exchange.dialect.NAME
        return Message(sid, send, name, exchange.now, sent_at, ended_at, ends_as, error)

    def _accept(self, message: Message, *, fault: str | None) -> None:
        send = message.send
        self._first_sid = self._first_sid or message.sid
        self._last_sid = message.sid
        self.world.archive.add(message)
        self.world.taken += 1
        self.world.spent += send.segments
        self.stats.count_accepted(send.m)
        self.ledger.accepted(
            (message.sid, send.to, send.sender or send.service, send.m, send.a),
            at=message.created,
            text=send.text,
            dialect=message.dialect,
            fault=fault,
            media=send.media,
        )
        if send.media and self.world.dials.fetch_media:
            for url in send.media:
                post = Post(url, b"", method="GET", largest=LARGEST_MEDIA)
                self.client.post(post, partial(self._fetched, message, url))

    def _fetched(self, message: Message, url: str, heard: Heard) -> None:
        """What came of a message's media: the bytes by their hash, or why there are none."""
        self.ledger.note(
            book.MEDIA,
            at=time.time(),
            sid=message.sid,
            m=message.send.m,
            url=url,
            result=str(heard.status),
            reason=heard.detail or None,
            body_sha256=hashlib.sha256(heard.body).hexdigest(),
        )

    def _turn_away(self, send: Send, reason: str, *, at: float) -> None:
        self.stats.refused[reason] += 1
        self.ledger.note(book.REFUSED, at=at, to=send.to, m=send.m, a=send.a, reason=reason)

    def _tell_first(self, exchange: Exchange, messages: Sequence[Message], reply: Reply, _: bytes) -> None:
        """Send every receipt, and answer when the last one is settled."""
        left = len(messages)

        def told() -> None:
            nonlocal left
            left -= 1
            if left == 0:
                self._reply(exchange, reply, rule=None)

        for message in messages:
            self.receipts.start(message, exchange.dialect, done=told)

    def _reply(self, exchange: Exchange, reply: Reply, *, rule: FaultRule | None) -> None:
        if reply.refused is not None:
            self.stats.refused[reply.refused] += 1
            self.ledger.note(book.REFUSED, at=exchange.now, reason=reply.refused)
        if rule is not None:
            scene = misbehaviour.Scene(
                self._loop, self.listener, exchange.connection, exchange.request.keep_alive, exchange.dialect, reply
            )
            self._post(exchange.wait, partial(misbehaviour.perform, rule, scene), b"")
            return
        data = encoded(reply, keep_alive=exchange.request.keep_alive)
        self._post(exchange.wait, exchange.connection.answer, data)

    def _post(self, wait: float, act: Callable[[bytes], None], data: bytes) -> None:
        """Act after the ledger is written: this iteration, or in the millisecond `wait` ends."""
        if wait <= 0:
            if not self._outbox:
                self._loop.call_soon(self._settle)
            self._outbox.append((act, data))
            return
        moment = int((self._loop.time() + wait) * 1000) + 1
        acts = self._later.get(moment)
        if acts is None:
            acts = self._later[moment] = []
            self._loop.call_at(moment / 1000, self._settle_later, moment)
        acts.append((act, data))

    def _settle(self) -> None:
        outbox, self._outbox = self._outbox, []
        self._act(outbox)

    def _settle_later(self, moment: int) -> None:
        self._act(self._later.pop(moment))

    def _act(self, acts: Sequence[_Act]) -> None:
        self.ledger.flush()
        for act, data in acts:
            act(data)
