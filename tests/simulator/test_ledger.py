"""The ledger as evidence: complete after a SIGKILL, readable after a tear, honest about copies."""

import hashlib
import json
import threading
from http.client import HTTPException
from pathlib import Path

import pytest

from deploy.simulator.launch import Simulator
from deploy.simulator.ledger import UnreadableLedger, accepted, duplicates, read_ledger
from tests.simulator.caller import FROM, TO, Caller


def test_a_line_says_what_rang_which_phone(simulator: Simulator, caller: Caller) -> None:
    url = "http://127.0.0.1:9/status?m=0190-f0&a=3&x=%C3%A9"
    simulator.set_dials(callbacks=False)
    sid = caller.send(Body="Grüße", StatusCallback=url).json["sid"]
    (entry,) = accepted(read_ledger(simulator.ledger_path))
    assert (entry.sid, entry.to, entry.sender) == (sid, TO, FROM)
    assert (entry.m, entry.a, entry.dialect, entry.fault) == ("0190-f0", "3", "twilio", None)
    assert entry.body_sha256 == hashlib.sha256("Grüße".encode()).hexdigest()
    assert entry.body is None
    assert entry.at.tzinfo is not None
    assert "Grüße" not in simulator.ledger_path.read_text()


def test_bodies_are_there_when_asked_for(tmp_path: Path) -> None:
    with Simulator(tmp_path / "ledger.jsonl", ledger_bodies=True) as simulator:
        Caller(simulator).send(Body='Grüße "…" 😀')
        (entry,) = accepted(read_ledger(simulator.ledger_path))
    assert entry.body == 'Grüße "…" 😀'


def test_only_acceptances_when_asked_for(tmp_path: Path) -> None:
    with Simulator(tmp_path / "ledger.jsonl", arguments=["--ledger-only-accepted"]) as simulator:
        caller = Caller(simulator)
        caller.send(Body="")
        caller.send()
    kinds = [entry.kind for entry in read_ledger(tmp_path / "ledger.jsonl")]
    assert kinds == ["started", "accepted", "stopped"]


def test_a_line_is_in_the_file_before_its_answer_is_here(simulator: Simulator, caller: Caller) -> None:
    for _ in range(30):
        sid = caller.send().json["sid"]
        assert sid in simulator.ledger_path.read_text()


@pytest.mark.parametrize("latency_ms", [0, 5])
def test_a_kill_loses_nothing_that_was_answered(tmp_path: Path, latency_ms: int) -> None:
    simulator = Simulator(tmp_path / "ledger.jsonl", latency_ms=latency_ms, dials={"callbacks": False}).start()
    caller = Caller(simulator)
    answered: list[str] = []

    def send_until_it_dies() -> None:
        for number in range(100_000):
            try:
                answer = caller.send(StatusCallback=f"http://127.0.0.1:9/?m={number}")
            except (OSError, HTTPException):
                return
            answered.append(answer.json["sid"])

    threads = [threading.Thread(target=send_until_it_dies) for _ in range(4)]
    for thread in threads:
        thread.start()
    threads[0].join(0.5)
    assert simulator.kill() == -9
    for thread in threads:
        thread.join()
    written = [entry.sid for entry in accepted(read_ledger(simulator.ledger_path))]
    assert len(answered) > 50
    assert set(answered) <= set(written)
    assert len(written) - len(answered) <= len(threads)


def test_a_new_process_goes_on_where_the_killed_one_was(tmp_path: Path) -> None:
    simulator = Simulator(tmp_path / "ledger.jsonl").start()
    port = simulator.port
    first = Caller(simulator).send().json["sid"]
    simulator.kill()
    with simulator.ledger_path.open("ab") as torn:
        torn.write(b'{"kind":"accepted","time":17')
    with simulator.start():
        assert simulator.port == port
        second = Caller(simulator).send().json["sid"]
    entries = read_ledger(simulator.ledger_path)
    assert [entry.kind for entry in entries] == ["started", "accepted", "started", "accepted", "stopped"]
    assert [entry.sid for entry in accepted(entries)] == [first, second]
    assert first != second


@pytest.mark.parametrize("tail", [b'{"kind":"accepted","ti', b'{"kind":"accepted","time":1.0}', b"\x00\xff", b"7\n"])
def test_a_torn_last_line_is_left_out(tmp_path: Path, tail: bytes) -> None:
    path = tmp_path / "ledger.jsonl"
    path.write_bytes(b'{"kind":"accepted","time":1.0,"sid":"SM1"}\n' + tail)
    assert [entry.sid for entry in read_ledger(path)] == ["SM1"]


def test_a_broken_line_in_the_middle_is_no_ledger(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    path.write_bytes(b'{"kind":"acc\n{"kind":"accepted","time":1.0,"sid":"SM1"}\n')
    with pytest.raises(UnreadableLedger, match="line 1"):
        read_ledger(path)


def test_what_is_accepted_twice_is_seen(simulator: Simulator, caller: Caller) -> None:
    simulator.set_dials(callbacks=False)
    for m, times in (("one", 1), ("two", 2), ("three", 3)):
        for attempt in range(times):
            caller.send(StatusCallback=f"http://127.0.0.1:9/?m={m}&a={attempt}")
    expected = {"two": 2, "three": 3}
    assert duplicates(read_ledger(simulator.ledger_path)) == expected
    stats = simulator.stats()
    assert (stats["accepted"], stats["duplicates"], stats["duplicated"]) == (6, expected, 3)


def test_refusals_are_written_too(simulator: Simulator, caller: Caller) -> None:
    caller.send(Body="")
    simulator.set_dials(faults=[{"kind": "hang", "seconds": 0.01}], callbacks=False)
    with pytest.raises(HTTPException):
        caller.send(StatusCallback="http://127.0.0.1:9/?m=one&a=1")
    simulator.stop()
    refused = [entry for entry in read_ledger(simulator.ledger_path) if entry.kind == "refused"]
    assert [(entry.reason, entry.m) for entry in refused] == [("21602", None), ("fault:hang", "one")]


def test_every_line_is_json(simulator: Simulator, caller: Caller) -> None:
    caller.send(From='Quote"s', Body="line\nbreak")
    caller.send(From="Ok", Body="line\nbreak \ud83d".encode("utf-8", "replace").decode())
    for line in simulator.ledger_path.read_text().splitlines():
        assert json.loads(line)["kind"]
