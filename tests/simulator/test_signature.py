"""Signatures: the vendor's published vectors, and what really goes over the wire."""

import base64
import hashlib
import hmac

import pytest

from deploy.simulator.launch import Simulator
from deploy.simulator.signature import twilio_signature
from tests.simulator.caller import Caller
from tests.simulator.receiver import Receiver, Told

CALL = [
    ("CallSid", "CA1234567890ABCDE"),
    ("Caller", "+14158675309"),
    ("Digits", "1234"),
    ("From", "+14158675309"),
    ("To", "+18005551212"),
]
OTHER_CALLER = [(name, "+14158675310" if name in {"Caller", "From"} else value) for name, value in CALL]
REPEATED = [("Sid", "CA123"), ("SidAccount", "AC123"), ("Digits", "5678"), ("Digits", "1234"), ("Digits", "1234")]
RECEIPT = [
    ("AccountSid", "AC" + "0" * 32),
    ("From", "+15017250604"),
    ("MessageSid", "SM" + "1" * 32),
    ("MessageStatus", "delivered"),
    ("To", "+15558675310"),
]
HOST = "https://mycompany.com"
QUERY = "/myapp.php?foo=1&bar=2"
BODY_HASH = "&bodySHA256=0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620"

VECTORS = [
    pytest.param("12345", HOST + QUERY, CALL, "RSOYDt4T1cUTdK1PDd93/VVr8B8=", id="https"),
    pytest.param("12345", f"{HOST}:443{QUERY}", CALL, "kvajT1Ptam85bY51eRf/AJRuM3w=", id="https with port"),
    pytest.param("12345", f"http://mycompany.com:80{QUERY}", CALL, "0ZXoZLH/DfblKGATFgpif+LLRf4=", id="http with port"),
    pytest.param("12345", f"http://mycompany.com:1234{QUERY}", CALL, "Zmvh+3yNM1Phv2jhDCwEM3q5ebU=", id="another port"),
    pytest.param("12345", HOST + QUERY, REPEATED, "IK+Dwps556ElfBT0I3Rgjkr1wJU=", id="repeated parameter"),
    pytest.param("12345", HOST + QUERY + BODY_HASH, [], "a9nBmqA0ju/hNViExpshrM61xv4=", id="json body"),
    pytest.param(
        "12345", f"https://example.com{QUERY}", OTHER_CALLER, "L/OH5YylLD5NRKLltdqwSvS0BnU=", id="example host"
    ),
    pytest.param(
        "test-token",
        "https://sms.example.com/webhooks/twilio/status?m=42",
        RECEIPT,
        "X1v/N6xwTHGHaURgjEu2qXFA2wg=",
        id="status callback",
    ),
]


@pytest.mark.parametrize(("token", "url", "params", "signature"), VECTORS)
def test_vectors(token: str, url: str, params: list[tuple[str, str]], signature: str) -> None:
    assert twilio_signature(token, url, params) == signature


def test_the_fragment_is_not_signed() -> None:
    assert twilio_signature("12345", HOST + QUERY + "#rc=5", CALL) == "RSOYDt4T1cUTdK1PDd93/VVr8B8="


@pytest.mark.parametrize(
    ("token", "url", "params"),
    [
        pytest.param("12346", HOST + QUERY, CALL, id="another token"),
        pytest.param("12345", HOST.replace("https", "http") + QUERY, CALL, id="http for https"),
        pytest.param("12345", HOST + QUERY, [*CALL, ("Extra", "")], id="an empty extra parameter"),
        pytest.param("12345", HOST + QUERY, OTHER_CALLER, id="changed parameters"),
    ],
)
def test_any_change_changes_it(token: str, url: str, params: list[tuple[str, str]]) -> None:
    assert twilio_signature(token, url, params) != "RSOYDt4T1cUTdK1PDd93/VVr8B8="


def test_receipts_are_signed_as_posted(simulator: Simulator, caller: Caller, receiver: Receiver) -> None:
    target = "/status/é%20x?m=one&a=1".replace("é", "%C3%A9")
    caller.send(StatusCallback=receiver.url(target) + "#rc=2")
    assert simulator.quiesce()
    assert [told.target for told in receiver.told] == [target, target]
    for told in receiver.told:
        assert told.signature == _expected(simulator.auth_token, receiver.url(target), told)


def test_forged_receipts_are_not(simulator: Simulator, caller: Caller, receiver: Receiver) -> None:
    simulator.set_dials(callback_forged=1)
    caller.send(StatusCallback=receiver.url())
    assert simulator.quiesce()
    assert len(receiver.told) == 2
    for told in receiver.told:
        assert told.signature != _expected(simulator.auth_token, receiver.url(), told)
    assert simulator.stats()["callbacks"]["forged"] == 2


def _expected(token: str, url: str, told: Told) -> str:
    """Written apart from the simulator's own, on names sorted one by one."""
    text = url
    for name in sorted({name for name, _ in told.params}):
        for value in sorted({value for key, value in told.params if key == name}):
            text += name + value
    return base64.b64encode(hmac.new(token.encode(), text.encode(), hashlib.sha1).digest()).decode()
