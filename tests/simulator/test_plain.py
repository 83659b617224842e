"""The plain dialect: small, and yet told, faulted and written down like any other."""

import json

import pytest

from deploy.simulator.launch import Simulator
from deploy.simulator.ledger import accepted, read_ledger
from tests.simulator.caller import FORM, FROM, TO, Caller
from tests.simulator.receiver import Receiver


def test_a_send(simulator: Simulator, caller: Caller) -> None:
    answer = caller.request("POST", "/plain/send", json.dumps({"to": TO, "message": "hello", "reference": "one"}))
    assert (answer.status, answer.json["status"]) == (200, "OK")
    (entry,) = accepted(read_ledger(simulator.ledger_path))
    assert (entry.sid, entry.to, entry.m, entry.dialect) == (answer.json["id"], TO, "one", "plain")


def test_a_send_by_query_and_by_form(simulator: Simulator, caller: Caller) -> None:
    assert caller.request("GET", "/plain/send?to=%2B12025550142&message=hello+you").status == 200
    form = caller.request("POST", "/plain/send", "to=%2B12025550142&message=hi", headers={"Content-Type": FORM})
    assert form.status == 200
    assert simulator.stats()["accepted"] == 2


@pytest.mark.parametrize("body", ["", "[]", "{", '{"to": "+12025550142"}', '{"to": 1, "message": "x"}'])
def test_refusals(steady: Simulator, body: str) -> None:
    answer = Caller(steady).request("POST", "/plain/send", body)
    assert (answer.status, answer.json["status"]) == (400, "ERROR")
    assert steady.stats()["accepted"] == 0


def test_receipts_are_json(simulator: Simulator, caller: Caller, receiver: Receiver) -> None:
    simulator.set_dials(undelivered=1)
    body = {"to": TO, "message": "hello", "callback_url": receiver.url("/dlr?m=one&a=1")}
    sid = caller.request("POST", "/plain/send", json.dumps(body)).json["id"]
    assert simulator.quiesce()
    told = [json.loads(told.raw) for told in receiver.told]
    assert told == [
        {"id": sid, "status": "sent", "to": TO},
        {"id": sid, "status": "undelivered", "to": TO, "error": 30008},
    ]
    assert accepted(read_ledger(simulator.ledger_path))[0].m == "one"


def test_inbound_and_balance(simulator: Simulator, caller: Caller, receiver: Receiver) -> None:
    simulator.inbound(sender=TO, to=FROM, text="hello", dialect="plain", url=receiver.url("/in"))
    assert json.loads(receiver.told[0].raw)["text"] == "hello"
    assert caller.request("GET", "/plain/balance").json["balance"] == "100.00"


def test_the_balance_falls_by_the_price(simulator: Simulator, caller: Caller) -> None:
    simulator.set_dials(price="0.075")
    for _ in range(2):
        caller.request("POST", "/plain/send", json.dumps({"to": TO, "message": "hello"}))
    assert caller.request("GET", "/plain/balance").json["balance"] == "99.850"
    twilio = caller.get(f"/2010-04-01/Accounts/{simulator.account_sid}/Balance.json").json
    assert twilio["balance"] == "99.850"
    simulator.set_dials(balance="1")
    assert caller.request("GET", "/plain/balance").json["balance"] == "1.000"


def test_faults_strike_here_too(simulator: Simulator, caller: Caller) -> None:
    simulator.set_dials(faults=[{"kind": "error", "status": 500, "accept": True}])
    assert caller.request("POST", "/plain/send", json.dumps({"to": TO, "message": "hello"})).status == 500
    assert simulator.stats()["accepted"] == 1
