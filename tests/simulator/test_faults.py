"""Each fault on the wire, and whether the message was taken: the ledger is asked each time."""

import gzip
import json
import socket
import time
from email.utils import parsedate_to_datetime
from http.client import BadStatusLine, IncompleteRead

import psutil
import pytest

from deploy.simulator.faults import KINDS
from deploy.simulator.launch import Simulator
from deploy.simulator.ledger import accepted, read_ledger
from tests.simulator.caller import Caller, read_all
from tests.simulator.receiver import Receiver

MIB = 1024 * 1024


def taken(simulator: Simulator) -> int:
    found = len(accepted(read_ledger(simulator.ledger_path)))
    assert simulator.stats()["accepted"] == found
    return found


def strike(simulator: Simulator, **rule: object) -> None:
    simulator.set_dials(faults=[rule])


both = pytest.mark.parametrize("accept", [True, False])


@both
def test_hang(simulator: Simulator, caller: Caller, accept: bool) -> None:
    strike(simulator, kind="hang", accept=accept)
    with caller.raw() as line:
        line.settimeout(0.3)
        with pytest.raises(TimeoutError):
            line.recv(1)
        assert simulator.stats()["in_flight"] == 1
    assert taken(simulator) == accept


def test_hang_ends_when_told_to(simulator: Simulator, caller: Caller) -> None:
    strike(simulator, kind="hang", seconds=0.1)
    assert read_all(caller.raw()) == b""
    assert taken(simulator) == 0


def test_slow(simulator: Simulator, caller: Caller) -> None:
    strike(simulator, kind="slow", seconds=0.3)
    begun = time.monotonic()
    assert caller.send().status == 201
    assert time.monotonic() - begun >= 0.3
    assert taken(simulator) == 1


@both
@pytest.mark.parametrize("status", [500, 502, 503])
def test_error(simulator: Simulator, caller: Caller, status: int, accept: bool) -> None:
    strike(simulator, kind="error", status=status, accept=accept)
    answer = caller.send()
    assert answer.status == status
    if status == 500:
        assert answer.json["code"] == 20500
    else:
        assert answer.headers["Content-Type"] == "text/html"
    assert taken(simulator) == accept


def test_reject(simulator: Simulator, caller: Caller) -> None:
    strike(simulator, kind="reject", code=21610)
    answer = caller.send()
    assert (answer.status, answer.json["code"]) == (400, 21610)
    assert taken(simulator) == 0
    assert simulator.stats()["refused"] == {"fault:reject": 1}


@pytest.mark.parametrize(
    ("retry_after", "header"), [(7, "7"), ("absurd", "99999999999"), ("-1", "-1"), ("soon", "soon"), (None, None)]
)
def test_throttle(simulator: Simulator, caller: Caller, retry_after: object, header: str | None) -> None:
    strike(simulator, kind="throttle", **({} if retry_after is None else {"retry_after": retry_after}))
    answer = caller.send()
    assert (answer.status, answer.json["code"], answer.headers.get("Retry-After")) == (429, 20429, header)
    assert taken(simulator) == 0


def test_throttle_with_a_date(simulator: Simulator, caller: Caller) -> None:
    strike(simulator, kind="throttle", retry_after="date")
    moment = parsedate_to_datetime(caller.send().headers["Retry-After"])
    assert abs(moment.timestamp() - time.time()) < 5


def test_drip(simulator: Simulator, caller: Caller) -> None:
    strike(simulator, kind="drip", bytes_per_second=50)
    with caller.raw() as line:
        head, _, body = line.recv(65_536).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 201")
        sizes = [len(line.recv(65_536)) for _ in range(5)]
    assert len(body) + sum(sizes) <= 10
    assert taken(simulator) == 1


@both
def test_reset(simulator: Simulator, caller: Caller, accept: bool) -> None:
    strike(simulator, kind="reset", accept=accept)
    with pytest.raises(ConnectionResetError):
        read_all(caller.raw())
    assert taken(simulator) == accept


@both
def test_close(simulator: Simulator, caller: Caller, accept: bool) -> None:
    strike(simulator, kind="close", accept=accept)
    assert read_all(caller.raw()) == b""
    assert taken(simulator) == accept


def test_cut_body(simulator: Simulator, caller: Caller) -> None:
    strike(simulator, kind="cut_body")
    with pytest.raises(IncompleteRead):
        caller.send()
    assert taken(simulator) == 1


def test_malformed_json(simulator: Simulator, caller: Caller) -> None:
    strike(simulator, kind="malformed_json")
    answer = caller.send()
    assert (answer.status, answer.headers["Content-Type"]) == (201, "application/json")
    with pytest.raises(json.JSONDecodeError):
        _ = answer.json
    assert taken(simulator) == 1


def test_html(simulator: Simulator, caller: Caller) -> None:
    strike(simulator, kind="html")
    answer = caller.send()
    assert (answer.status, answer.headers["Content-Type"]) == (200, "text/html")
    assert answer.raw.startswith(b"<html>")
    assert taken(simulator) == 1


def test_error_body(simulator: Simulator, caller: Caller) -> None:
    strike(simulator, kind="error_body", code=21211)
    answer = caller.send()
    assert (answer.status, answer.json["code"]) == (200, 21211)
    assert taken(simulator) == 0


def test_gzip_bomb(simulator: Simulator, caller: Caller) -> None:
    strike(simulator, kind="gzip_bomb", megabytes=20)
    answer = caller.send()
    assert answer.headers["Content-Encoding"] == "gzip"
    assert len(answer.raw) < MIB / 4
    assert len(gzip.decompress(answer.raw)) == 20 * MIB
    assert taken(simulator) == 1


def test_huge_body_is_streamed(simulator: Simulator, caller: Caller) -> None:
    strike(simulator, kind="huge_body", megabytes=100)
    with caller.raw() as line:
        line.recv(1000)
        time.sleep(0.3)
        assert _resident(simulator.pid) < 80 * MIB
        size = 1000
        while chunk := line.recv(MIB):
            size += len(chunk)
    assert size > 100 * MIB
    assert taken(simulator) == 1


def test_redirect(simulator: Simulator, caller: Caller) -> None:
    strike(simulator, kind="redirect", location="http://127.0.0.1:9/elsewhere")
    answer = caller.send()
    assert (answer.status, answer.headers["Location"]) == (307, "http://127.0.0.1:9/elsewhere")
    assert taken(simulator) == 0


def test_continue_stall(simulator: Simulator, caller: Caller) -> None:
    strike(simulator, kind="continue_stall")
    with caller.raw() as line:
        line.settimeout(0.3)
        assert line.recv(65_536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        with pytest.raises(TimeoutError):
            line.recv(1)
    with caller.raw(expect=True) as line:
        line.settimeout(0.3)
        with pytest.raises(TimeoutError):
            line.recv(1)
    assert taken(simulator) == 0


def test_who_expects_is_told_to_continue(caller: Caller) -> None:
    with caller.raw(expect=True) as line:
        assert line.recv(65_536) == b"HTTP/1.1 100 Continue\r\n\r\n"


def test_duplicate_and_reused_sids(simulator: Simulator, caller: Caller) -> None:
    first, second = caller.send().json["sid"], caller.send().json["sid"]
    strike(simulator, kind="duplicate_sid")
    assert caller.send().json["sid"] == second
    strike(simulator, kind="reused_sid")
    assert caller.send().json["sid"] == first
    entries = accepted(read_ledger(simulator.ledger_path))
    assert [entry.sid for entry in entries] == [first, second, second, first]
    assert [entry.fault for entry in entries] == [None, None, "duplicate_sid", "reused_sid"]


def test_garbage(simulator: Simulator, caller: Caller) -> None:
    strike(simulator, kind="garbage")
    with pytest.raises(BadStatusLine):
        caller.send()
    assert taken(simulator) == 1


def test_stop_listening_by_rule(simulator: Simulator, caller: Caller) -> None:
    strike(simulator, kind="stop_listening", seconds=0.4, limit=1)
    idle = socket.create_connection(("127.0.0.1", simulator.port), timeout=2)
    assert caller.send().status == 201
    time.sleep(0.05)
    with pytest.raises(ConnectionRefusedError):
        caller.send()
    assert read_all(idle) == b""
    time.sleep(0.5)
    assert caller.send().status == 201
    assert taken(simulator) == 2


def test_stop_listening_by_dial(simulator: Simulator, caller: Caller) -> None:
    simulator.set_dials(listening=False)
    time.sleep(0.05)
    with pytest.raises(ConnectionRefusedError):
        caller.send()
    simulator.set_dials(listening=True)
    time.sleep(0.05)
    assert caller.send().status == 201


def test_a_rule_for_look_ups(simulator: Simulator, caller: Caller) -> None:
    strike(simulator, kind="error", operation="lookup", status=503)
    assert caller.send().status == 201
    assert caller.get(f"{caller.account}/Messages.json").status == 503
    assert caller.get(f"{caller.account}/Balance.json").status == 200


def test_rules_by_number_and_by_body(simulator: Simulator, caller: Caller) -> None:
    simulator.set_dials(
        faults=[
            {"kind": "error", "status": 500, "to": "+1202555*", "body": "magic"},
            {"kind": "error", "status": 503, "to": "+447700900123"},
        ]
    )
    assert caller.send(Body="no match").status == 201
    assert caller.send(Body="some magic word").status == 500
    assert caller.send(Body="some magic word", To="+12125550142").status == 201
    assert caller.send(To="+447700900123").status == 503


def test_every_third_and_at_most_two(simulator: Simulator, caller: Caller) -> None:
    strike(simulator, kind="error", every=3, limit=2)
    statuses = [caller.send().status for _ in range(12)]
    assert [number for number, status in enumerate(statuses, start=1) if status == 500] == [3, 6]
    assert simulator.stats()["faults"] == {"error": 2}


def test_an_accepted_message_is_told_of_whatever_went_wrong(
    simulator: Simulator, caller: Caller, receiver: Receiver
) -> None:
    strike(simulator, kind="reset")
    with pytest.raises(ConnectionResetError):
        read_all(caller.raw(StatusCallback=receiver.url()))
    assert simulator.quiesce()
    assert receiver.statuses() == ["sent", "delivered"]


def test_latency_and_jitter(simulator: Simulator, caller: Caller) -> None:
    simulator.set_dials(latency_ms=80, jitter_ms=40)
    begun = time.monotonic()
    caller.send()
    assert 0.08 <= time.monotonic() - begun < 1


def test_every_kind_is_tried_here() -> None:
    tried = {name.removeprefix("test_") for name in globals() if name.startswith("test_")}
    untried = {kind for kind in KINDS if not any(name.startswith(kind) for name in tried)}
    assert untried <= {"reused_sid", "duplicate_sid"}
    assert "duplicate_and_reused_sids" in tried


def _resident(pid: int) -> int:
    return psutil.Process(pid).memory_info().rss
