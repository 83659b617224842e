"""Real dispatchers are killed with events on the line: every event arrives, in its message's order, under one id.

Messages are sent before there is any dispatcher, which is not to keep the first one from starting.
"""

import json
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from standardwebhooks.webhooks import Webhook

from proof.world import Shape, World
from tests.factories import make_msisdn

pytestmark = pytest.mark.timeout(300)

MESSAGES = 40
STEPS = ("before_fan_out_commit", "after_webhook_claim:2", "after_webhook_answer:3", "before_webhook_commit:4")


class Receiver(BaseHTTPRequestHandler):
    """Takes what is signed; `got` is of the server."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        Webhook(self.server.secret).verify(body, headers)  # type: ignore[attr-defined]  # ours, set below
        self.server.got.append((headers["webhook-id"], json.loads(body)))  # type: ignore[attr-defined]  # the same
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Tests print nothing."""


@contextmanager
def receiving() -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    server.got = []  # type: ignore[attr-defined]  # what came, in its order
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_every_event_arrives_in_order_whatever_is_killed() -> None:
    with receiving() as server, World(Shape(dispatchers=0, latency_ms=5.0)) as world:
        url = f"http://127.0.0.1:{server.server_port}/"
        made = world.api.post("/v1/webhooks", {"url": url, "events": ["message.*"]})
        server.secret = made["secret"]  # type: ignore[attr-defined]  # what the receiver checks with
        ids = [
            world.api.post("/v1/messages", {"msisdn": make_msisdn(number), "text": "Hello."})["id"]
            for number in range(MESSAGES)
        ]
        # All is sent before anybody is killed: what a kill keeps from leaving would stay unconfirmed, without an event.
        world.start_dispatcher(LANES="urgent,bulk")
        give_up = time.monotonic() + 120
        while world.count("SELECT count(*) FROM messages WHERE status = 'delivered'") < MESSAGES:
            assert time.monotonic() < give_up
            time.sleep(0.1)
        world.stop_dispatchers()
        assert server.got == []  # type: ignore[attr-defined]  # ours, set above
        for step in STEPS:
            died = world.start_dispatcher(wait=False, LANES="webhooks", FAILPOINTS=step)
            assert died.wait() == 137, step
            # What it held is free again at once, and nobody has to wait for a minute.
            freed = "UPDATE webhook_deliveries SET due_at = now(), leased_until = NULL WHERE leased_until IS NOT NULL"
            world.postgres.ask(freed, database="lapwing")
        world.start_dispatcher()
        arrived = arrivals(server)
        give_up = time.monotonic() + 120
        while not all(arrived.get(id_, [""])[-1] == "message.delivered" for id_ in ids):
            assert time.monotonic() < give_up, arrived
            time.sleep(0.1)
            arrived = arrivals(server)
    assert set(arrived) == set(ids)
    assert {tuple(types) for types in arrived.values()} <= {
        ("message.submitted", "message.delivered"),
        ("message.submitted", "message.sent", "message.delivered"),
        ("message.sent", "message.delivered"),
        ("message.delivered",),
    }
    assert len(server.got) > sum(map(len, arrived.values())), "no kill met an event on the line"  # type: ignore[attr-defined]  # ours


def test_a_new_webhook_misses_nothing_that_happens_after_its_answer() -> None:
    """Dispatchers keep in memory who wants to be told; a message that is sent at once is told of all the same."""
    with receiving() as server, World(Shape(dispatchers=2, latency_ms=1.0)) as world:
        url = f"http://127.0.0.1:{server.server_port}/"
        sent: list[str] = []
        for number in range(6):
            made = world.api.post("/v1/webhooks", {"url": url, "events": ["message.submitted"]})
            server.secret = made["secret"]  # type: ignore[attr-defined]  # what the receiver checks with
            sent.append(world.api.post("/v1/messages", {"msisdn": make_msisdn(number), "text": "Hello."})["id"])
            give_up = time.monotonic() + 60
            while sent[-1] not in arrivals(server):
                assert time.monotonic() < give_up, f"the event of message {number + 1} was not told"
                time.sleep(0.05)
            world.api.request("DELETE", f"/v1/webhooks/{made['id']}")
            # Long enough for the dispatchers to know that nobody wants to be told any more.
            time.sleep(1.5)


def arrivals(server: ThreadingHTTPServer) -> dict[str, list[str]]:
    """What came of each message, in the order in which it first came: an event's id is told apart from its copies."""
    seen: set[str] = set()
    found: dict[str, list[str]] = defaultdict(list)
    for id_, told in list(server.got):  # type: ignore[attr-defined]  # ours, set above
        if id_ not in seen:
            seen.add(id_)
            found[told["data"]["id"]].append(told["type"])
    return found
