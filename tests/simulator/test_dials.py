"""Dials: what they refuse and why, and which rule strikes which request."""

import random
from typing import Any

import pytest

from deploy.simulator.checks import BadDial
from deploy.simulator.dials import Dials, turned
from deploy.simulator.faults import KINDS, FaultRule, Faults
from deploy.simulator.launch import ROOT, Simulator, SimulatorError
from tests.simulator.caller import Caller

BAD = [
    pytest.param({"latency": 5}, "latency", id="no such dial"),
    pytest.param({"latency_ms": "5"}, "latency_ms", id="text for a number"),
    pytest.param({"latency_ms": -1}, "latency_ms", id="too small"),
    pytest.param({"latency_ms": True}, "latency_ms", id="flag for a number"),
    pytest.param({"latency_ms": float("nan")}, "latency_ms", id="not a number"),
    pytest.param({"listening": 1}, "listening", id="number for a flag"),
    pytest.param({"callback_loss": 1.5}, "callback_loss", id="no probability"),
    pytest.param({"callback_order": "sideways"}, "callback_order", id="no such order"),
    pytest.param({"callback_copies": 1}, "callback_copies", id="one copy is none"),
    pytest.param({"callback_delay_ms": [5, 1]}, "callback_delay_ms", id="span the wrong way"),
    pytest.param({"callback_delay_ms": [1, 2, 3]}, "callback_delay_ms", id="span of three"),
    pytest.param({"balance": 5}, "balance", id="balance is a text"),
    pytest.param({"balance": "much"}, "balance", id="balance is a number"),
    pytest.param({"price": "dear"}, "price", id="price is a number"),
    pytest.param({"tls": "bad"}, "tls", id="tls is a flag"),
    pytest.param({"inbound_url": "ftp://host/"}, "inbound_url", id="no http"),
    pytest.param({"inbound_url": "http://host/\r\nX: y"}, "inbound_url", id="two lines"),
    pytest.param({"faults": {}}, "faults", id="rules are a list"),
    pytest.param({"faults": ["hang"]}, "faults[0]", id="a rule is an object"),
    pytest.param({"faults": [{"every": 2}]}, "faults[0].kind", id="rule without a kind"),
    pytest.param({"faults": [{"kind": "explode"}]}, "faults[0].kind", id="no such kind"),
    pytest.param({"faults": [{"kind": "hang"}, {"kind": "hang", "every": 0}]}, "faults[1].every", id="every none"),
    pytest.param({"faults": [{"kind": "reset", "status": 500}]}, "faults[0].status", id="not this kind's"),
    pytest.param({"faults": [{"kind": "redirect"}]}, "faults[0].location", id="redirect to nowhere"),
    pytest.param({"faults": [{"kind": "redirect", "location": "/x\r\nA: b"}]}, "faults[0].location", id="split"),
    pytest.param({"faults": [{"kind": "throttle", "retry_after": 1.5}]}, "faults[0].retry_after", id="half"),
    pytest.param([], "dials", id="not an object"),
]


@pytest.mark.parametrize(("wanted", "name"), BAD)
def test_a_bad_dial_is_named(wanted: Any, name: str) -> None:
    with pytest.raises(BadDial) as caught:
        turned(Dials(), wanted)
    assert caught.value.name == name


def test_turning_one_dial_leaves_the_others(simulator: Simulator) -> None:
    before = simulator.dials()
    after = simulator.set_dials(callback_loss=0.5)
    assert after == before | {"callback_loss": 0.5}
    assert simulator.reset_dials() == before


def test_what_is_read_can_be_set(simulator: Simulator) -> None:
    rules = [{"kind": "throttle", "retry_after": 3, "every": 2}, {"kind": "hang", "to": "+1*", "body": "x"}]
    shown = simulator.set_dials(faults=rules)
    assert simulator.set_dials(**shown) == shown


def test_a_bad_dial_is_a_422_and_changes_nothing(simulator: Simulator, caller: Caller) -> None:
    before = simulator.dials()
    answer = caller.request("PUT", "/control/dials", '{"latency_ms": 5, "colour": "red"}')
    assert (answer.status, answer.json["name"]) == (422, "colour")
    assert "latency_ms" in answer.json["detail"]
    assert caller.request("PUT", "/control/dials", "{").status == 422
    assert caller.request("PUT", "/control/colours", "{}").status == 404
    assert simulator.dials() == before


def test_bad_dials_stop_the_start(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SimulatorError, match="ended with 1"):
        Simulator(dials={"colour": "red"}).start()
    assert "colour is no dial" in capfd.readouterr().err


def test_the_readme_names_every_dial_and_kind() -> None:
    readme = (ROOT / "deploy/simulator/README.md").read_text()
    named = {*Dials.__dataclass_fields__, *FaultRule.__dataclass_fields__, *KINDS}
    assert {name for name in named if f"`{name}`" not in readme} == set()


def test_the_first_rule_that_strikes_wins() -> None:
    rules = [FaultRule("hang", to="+1"), FaultRule("reset"), FaultRule("close")]
    faults = Faults(rules, chance=random.Random(1))
    found = faults.pick("send", [("+2", "text")])
    assert found is not None
    assert found.kind == "reset"


def test_probability_is_kept() -> None:
    faults = Faults([FaultRule("reset", probability=0.2)], chance=random.Random(7))
    struck = sum(faults.pick("send", [("+1", "")]) is not None for _ in range(5000))
    assert 900 < struck < 1100


def test_a_counter_counts_only_what_matches() -> None:
    faults = Faults([FaultRule("reset", every=2, to="+1")], chance=random.Random(1))
    struck = [faults.pick("send", [(to, "")]) is not None for to in ("+1", "+2", "+2", "+1", "+1", "+1")]
    assert struck == [False, False, False, True, False, True]


def test_a_batch_is_struck_when_one_of_it_matches() -> None:
    faults = Faults([FaultRule("reset", to="+1", body="a")], chance=random.Random(1))
    assert faults.pick("send", [("+1", "b"), ("+2", "a")]) is None
    assert faults.pick("send", [("+2", "b"), ("+1", "a")]) is not None
