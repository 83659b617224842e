"""Receipts over real sockets: order, loss, copies, timing, and an owner who is away for a while."""

import time
from collections import Counter

import pytest

from deploy.simulator.launch import Simulator
from deploy.simulator.ledger import CALLBACK, Entry, read_ledger
from tests.simulator.caller import FROM, TO, Caller
from tests.simulator.receiver import Receiver


def told_lines(simulator: Simulator) -> list[Entry]:
    return [entry for entry in read_ledger(simulator.ledger_path) if entry.kind == CALLBACK]


def test_sent_then_delivered(simulator: Simulator, caller: Caller, receiver: Receiver) -> None:
    sid = caller.send(StatusCallback=receiver.url("/status?m=0190&a=2")).json["sid"]
    assert simulator.quiesce()
    assert receiver.statuses() == ["sent", "delivered"]
    for told in receiver.told:
        assert told.target == "/status?m=0190&a=2"
        fields = told.fields
        assert fields["MessageSid"] == fields["SmsSid"] == sid
        assert fields["MessageStatus"] == fields["SmsStatus"]
        assert (fields["To"], fields["From"], fields["AccountSid"]) == (TO, FROM, simulator.account_sid)
        assert "ErrorCode" not in fields
    assert receiver.told[1].fields["RawDlrDoneDate"].isdecimal()
    assert simulator.stats()["callbacks"]["sent"] == 2
    lines = told_lines(simulator)
    assert [(line.sid, line.status, line.result, line.m, line.a) for line in lines] == [
        (sid, "sent", "sent", "0190", "2"),
        (sid, "delivered", "sent", "0190", "2"),
    ]


@pytest.mark.parametrize(
    ("dials", "statuses"),
    [
        pytest.param({"undelivered": 1, "error_code": 30006}, ["sent", "undelivered"], id="undelivered"),
        pytest.param({"failed": 1, "error_code": 30006}, ["failed"], id="failed"),
    ],
)
def test_bad_ends(
    simulator: Simulator, caller: Caller, receiver: Receiver, dials: dict[str, int], statuses: list[str]
) -> None:
    simulator.set_dials(**dials)
    caller.send(StatusCallback=receiver.url())
    assert simulator.quiesce()
    assert receiver.statuses() == statuses
    assert receiver.told[-1].fields["ErrorCode"] == "30006"


def test_a_service_says_queued_too(simulator: Simulator, caller: Caller, receiver: Receiver) -> None:
    simulator.set_dials(callback_queued=True)
    caller.send(From="", MessagingServiceSid="MG" + "0" * 32, StatusCallback=receiver.url())
    assert simulator.quiesce()
    assert receiver.statuses() == ["queued", "sent", "delivered"]


def test_never(simulator: Simulator, caller: Caller, receiver: Receiver) -> None:
    simulator.set_dials(callbacks=False)
    caller.send(StatusCallback=receiver.url())
    time.sleep(0.1)
    assert (receiver.told, simulator.stats()["callbacks"]["queued"]) == ([], 0)


def test_delay(simulator: Simulator, caller: Caller, receiver: Receiver) -> None:
    simulator.set_dials(callback_delay_ms=[150, 200])
    begun = time.monotonic()
    caller.send(StatusCallback=receiver.url())
    assert not simulator.quiesce(timeout=0.05)
    assert simulator.quiesce()
    assert 0.3 <= time.monotonic() - begun < 2


def test_reversed(simulator: Simulator, caller: Caller, receiver: Receiver) -> None:
    simulator.set_dials(callback_order="reversed")
    caller.send(StatusCallback=receiver.url())
    assert simulator.quiesce()
    assert receiver.statuses() == ["delivered", "sent"]


def test_shuffled(simulator: Simulator, caller: Caller, receiver: Receiver) -> None:
    simulator.set_dials(callback_order="shuffled")
    for number in range(30):
        caller.send(StatusCallback=receiver.url(f"/{number}"))
    assert simulator.quiesce()
    orders = Counter(
        tuple(told.fields["MessageStatus"] for told in receiver.told if told.target == f"/{number}")
        for number in range(30)
    )
    assert set(orders) == {("sent", "delivered"), ("delivered", "sent")}


def test_copies(simulator: Simulator, caller: Caller, receiver: Receiver) -> None:
    simulator.set_dials(callback_duplication=1, callback_copies=3)
    caller.send(StatusCallback=receiver.url())
    assert simulator.quiesce()
    assert receiver.statuses() == ["sent"] * 3 + ["delivered"] * 3


def test_loss(simulator: Simulator, caller: Caller, receiver: Receiver) -> None:
    simulator.set_dials(callback_loss=0.5)
    for _ in range(40):
        caller.send(StatusCallback=receiver.url())
    assert simulator.quiesce()
    counts = simulator.stats()["callbacks"]
    assert counts["dropped"] + counts["sent"] == 80
    assert 15 < counts["dropped"] < 65
    assert len(receiver.told) == counts["sent"]
    assert Counter(line.result for line in told_lines(simulator)) == {
        "sent": counts["sent"],
        "dropped": counts["dropped"],
    }


def test_before_the_answer(simulator: Simulator, caller: Caller, receiver: Receiver) -> None:
    simulator.set_dials(callback_before_answer=1, callback_delay_ms=60_000)
    sid = caller.send(StatusCallback=receiver.url()).json["sid"]
    assert [told.fields["MessageSid"] for told in receiver.told] == [sid, sid]
    assert receiver.statuses() == ["sent", "delivered"]


def test_never_before_the_answer_by_chance(simulator: Simulator, caller: Caller, receiver: Receiver) -> None:
    simulator.set_dials(latency_ms=150, callback_delay_ms=20)
    caller.send(StatusCallback=receiver.url())
    assert receiver.told == []
    assert simulator.quiesce()
    assert len(receiver.told) == 2


def test_an_error_is_tried_again(simulator: Simulator, caller: Caller) -> None:
    with Receiver([503, 500]) as receiver:
        caller.send(StatusCallback=receiver.url())
        assert simulator.quiesce()
        assert receiver.statuses() == ["sent", "sent", "sent", "delivered"]
    counts = simulator.stats()["callbacks"]
    assert (counts["sent"], counts["retried"], counts["lost"]) == (2, 2, 0)


def test_a_refusal_is_final(simulator: Simulator, caller: Caller) -> None:
    with Receiver([403]) as receiver:
        caller.send(StatusCallback=receiver.url())
        assert simulator.quiesce()
        assert receiver.statuses() == ["sent", "delivered"]
    counts = simulator.stats()["callbacks"]
    assert (counts["sent"], counts["refused"], counts["retried"]) == (1, 1, 0)


def test_receipts_outlive_a_restart_of_their_owner(simulator: Simulator, caller: Caller) -> None:
    simulator.set_dials(callback_retry_ms=100)
    with Receiver() as first:
        caller.send(StatusCallback=first.url("/0"))
        assert simulator.quiesce()
        port = first.port
    for number in range(1, 20):
        caller.send(StatusCallback=f"http://127.0.0.1:{port}/{number}")
    time.sleep(0.3)
    with Receiver(port=port) as second:
        assert simulator.quiesce()
        assert Counter(told.target for told in second.told) == {f"/{number}": 2 for number in range(1, 20)}
    counts = simulator.stats()["callbacks"]
    assert (counts["sent"], counts["lost"]) == (40, 0)
    assert counts["retried"] > 0


def test_what_nobody_takes_is_counted_lost(simulator: Simulator, caller: Caller) -> None:
    with Receiver() as gone:
        url = gone.url()
    simulator.set_dials(callback_retries=2, callback_retry_ms=10)
    for _ in range(50):
        caller.send(StatusCallback=url)
    assert simulator.quiesce()
    counts = simulator.stats()["callbacks"]
    assert (counts["sent"], counts["lost"], counts["retried"]) == (0, 100, 200)
    assert {line.result for line in told_lines(simulator)} == {"lost"}


def test_the_queue_is_bounded(simulator: Simulator, caller: Caller, receiver: Receiver) -> None:
    simulator.set_dials(callback_queue=4, callback_delay_ms=100)
    for _ in range(5):
        caller.send(StatusCallback=receiver.url())
    assert simulator.stats()["callbacks"]["queued"] == 4
    assert simulator.quiesce()
    counts = simulator.stats()["callbacks"]
    assert (counts["sent"], counts["lost"]) == (4, 6)


def test_an_owner_who_never_answers(simulator: Simulator, caller: Caller) -> None:
    simulator.set_dials(callback_timeout_ms=100, callback_retries=0)
    with Receiver(pause=1.0) as silent:
        caller.send(StatusCallback=silent.url())
        assert simulator.quiesce(5)
    assert simulator.stats()["callbacks"]["lost"] == 2
    assert {line.reason for line in told_lines(simulator)} == {"no answer in time"}


def test_many_receipts_over_few_connections(simulator: Simulator, caller: Caller, receiver: Receiver) -> None:
    simulator.set_dials(callback_connections=4, callback_delay_ms=200)
    for number in range(100):
        caller.send(StatusCallback=receiver.url(f"/{number}"))
    assert simulator.quiesce()
    assert len(receiver.told) == 200
    assert simulator.stats()["callbacks"]["retried"] == 0
