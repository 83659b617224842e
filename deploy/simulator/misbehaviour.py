"""What each kind of fault does on the wire, once the ledger knows whether the message was taken."""

import asyncio
import secrets
import time
import zlib
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass
from email.utils import formatdate
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from deploy.simulator.connection import Connection, encoded
from deploy.simulator.contract import Dialect, Reply
from deploy.simulator.faults import FaultRule
from deploy.simulator.listener import Listener

MIB = 1024 * 1024
_PAGE = (
    b"<html><head><title>%d</title></head><body><center><h1>%d</h1></center><hr><center>nginx</center></body></html>\n"
)
_ABSURD = "99999999999"
_running: set[asyncio.Task[None]] = set()


@dataclass(frozen=True, slots=True)
class Scene:
    """Where a fault plays; `reply` is what an honest gateway would have answered."""

    loop: asyncio.AbstractEventLoop
    listener: Listener
    connection: Connection
    keep_alive: bool
    dialect: Dialect
    reply: Reply

    def answer(self, reply: Reply) -> None:
        self.connection.answer(encoded(reply, keep_alive=self.keep_alive))

    def play(self, story: Coroutine[None, None, None]) -> None:
        task = self.loop.create_task(story)
        _running.add(task)
        task.add_done_callback(_running.discard)


def perform(rule: FaultRule, scene: Scene, _: bytes) -> None:
    if scene.connection.is_open:
        _ACTS[rule.kind](rule, scene)


def prepare(rules: Iterable[FaultRule]) -> None:
    """Make what takes long to make before a request waits for it."""
    for rule in rules:
        if rule.kind == "gzip_bomb":
            bomb(rule.megabytes)


@lru_cache(maxsize=4)
def bomb(megabytes: int) -> bytes:
    """A gzip body of so many MiB of zeros, about a thousandth as long."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    zeros = bytes(MIB)
    return b"".join(packer.compress(zeros) for _ in range(megabytes)) + packer.flush()


def _answer(_: FaultRule, scene: Scene) -> None:
    scene.answer(scene.reply)


def _stop_listening(rule: FaultRule, scene: Scene) -> None:
    scene.answer(scene.reply)
    scene.listener.close_for(rule.seconds)


def _hang(rule: FaultRule, scene: Scene) -> None:
    if rule.seconds:
        scene.loop.call_later(rule.seconds, scene.connection.close)


def _slow(rule: FaultRule, scene: Scene) -> None:
    scene.loop.call_later(rule.seconds, scene.answer, scene.reply)


def _error(rule: FaultRule, scene: Scene) -> None:
    """A 500 in the gateway's own words; other statuses come from a proxy before it."""
    if rule.status == 500:
        scene.answer(scene.dialect.refused(rule.status, None))
    else:
        scene.answer(Reply(rule.status, _PAGE % (rule.status, rule.status), b"text/html"))


def _reject(rule: FaultRule, scene: Scene) -> None:
    scene.answer(scene.dialect.refused(rule.status, rule.code))


def _throttle(rule: FaultRule, scene: Scene) -> None:
    reply = scene.dialect.refused(429, None)
    if rule.retry_after is not None:
        value = rule.retry_after
        if value == "date":
            value = formatdate(time.time() + 2, usegmt=True)
        elif value == "absurd":
            value = _ABSURD
        reply = reply._replace(headers=((b"Retry-After", value.encode("latin-1", "replace")),))
    scene.answer(reply)


def _drip(rule: FaultRule, scene: Scene) -> None:
    scene.play(_dripping(rule, scene))


async def _dripping(rule: FaultRule, scene: Scene) -> None:
    """The head at once, the body a byte at a time."""
    head = encoded(scene.reply._replace(body=b""), keep_alive=False, length=len(scene.reply.body))
    scene.connection.write(head)
    for byte in scene.reply.body:
        await asyncio.sleep(1 / rule.bytes_per_second)
        if not scene.connection.is_open:
            return
        scene.connection.write(bytes((byte,)))
    scene.connection.close()


def _reset(_: FaultRule, scene: Scene) -> None:
    scene.connection.reset()


def _close(_: FaultRule, scene: Scene) -> None:
    scene.connection.close()


def _cut_body(_: FaultRule, scene: Scene) -> None:
    body = scene.reply.body
    half = scene.reply._replace(body=body[: len(body) // 2])
    scene.connection.write(encoded(half, keep_alive=True, length=len(body)))
    scene.connection.close()


def _malformed_json(_: FaultRule, scene: Scene) -> None:
    scene.answer(scene.reply._replace(body=scene.reply.body[: len(scene.reply.body) * 2 // 3]))


def _html(rule: FaultRule, scene: Scene) -> None:
    scene.answer(Reply(rule.status, _PAGE % (rule.status, rule.status), b"text/html"))


def _error_body(rule: FaultRule, scene: Scene) -> None:
    scene.answer(scene.dialect.refused(400, rule.code)._replace(status=200))


def _gzip_bomb(rule: FaultRule, scene: Scene) -> None:
    headers = ((b"Content-Encoding", b"gzip"),)
    scene.answer(scene.reply._replace(body=bomb(rule.megabytes), headers=headers))


def _huge_body(rule: FaultRule, scene: Scene) -> None:
    scene.play(_pouring(rule, scene))


async def _pouring(rule: FaultRule, scene: Scene) -> None:
    """The true answer, then blanks, as fast as they are read: valid JSON to its last byte."""
    blanks = b" " * 65_536
    left = rule.megabytes * MIB
    scene.connection.write(encoded(scene.reply, keep_alive=False, length=left))
    left -= len(scene.reply.body)
    while left > 0 and await scene.connection.drained():
        scene.connection.write(blanks[:left])
        left -= len(blanks)
        await asyncio.sleep(0)
    scene.connection.close()


def _redirect(rule: FaultRule, scene: Scene) -> None:
    place = rule.location.encode("latin-1", "replace")
    scene.answer(Reply(rule.status, b"", headers=((b"Location", place),)))


def _continue_stall(rule: FaultRule, scene: Scene) -> None:
    scene.connection.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    _hang(rule, scene)


def _garbage(_: FaultRule, scene: Scene) -> None:
    scene.connection.write(b"\x00\xff" + secrets.token_bytes(510))
    scene.connection.close()


_ACTS: Final[Mapping[str, Callable[[FaultRule, Scene], None]]] = MappingProxyType(
    {
        "stop_listening": _stop_listening,
        "hang": _hang,
        "slow": _slow,
        "error": _error,
        "reject": _reject,
        "throttle": _throttle,
        "drip": _drip,
        "reset": _reset,
        "close": _close,
        "cut_body": _cut_body,
        "malformed_json": _malformed_json,
        "html": _html,
        "error_body": _error_body,
        "gzip_bomb": _gzip_bomb,
        "huge_body": _huge_body,
        "redirect": _redirect,
        "continue_stall": _continue_stall,
        "duplicate_sid": _answer,
        "reused_sid": _answer,
        "garbage": _garbage,
    }
)
