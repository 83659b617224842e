"""SMSPortal's webhooks over real sockets: each style, the user's header, the signature, and who forges them."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Sequence
from typing import Any

import pytest

from deploy.simulator.launch import Simulator
from tests.simulator.caller import TO
from tests.simulator.receiver import Receiver, Told
from tests.simulator.test_smsportal import DIGITS, ID, send

KEY = "a-signature-key"


def tell(simulator: Simulator, receiver: Receiver, target: str = "/status", **dials: Any) -> Sequence[Told]:
    """Send one message, and everything that is told of it."""
    simulator.set_dials(status_url=receiver.url(target), **dials)
    assert send(simulator, {"content": "Hello there"}).status == 200
    assert simulator.quiesce()
    return receiver.told


def test_v1(simulator: Simulator, receiver: Receiver) -> None:
    told = tell(simulator, receiver, "/status?x=1", webhook_style="v1")
    assert [(one.method, one.fields["Status"], one.fields["x"]) for one in told] == [
        ("GET", "SUBMITD", "1"),
        ("GET", "DELIVRD", "1"),
    ]
    fields = told[1].fields
    assert (fields["CustomerID"], fields["Phonenumber"], fields["Data"]) == (f"{ID}.1", DIGITS, "Hello there")
    assert time.strptime(fields["SentDataTime"], "%d/%b/%Y %H:%M:%S")
    assert int(fields["EventID"])
    assert "content-length" not in told[0].headers


def test_v2(simulator: Simulator, receiver: Receiver) -> None:
    event = None
    for one, status in zip(tell(simulator, receiver), ("SUBMITD", "DELIVRD"), strict=True):
        assert (one.method, one.headers["content-type"]) == ("POST", "text/plain")
        fields = json.loads(one.raw)
        assert (fields["Status"], fields["UserReference"], fields["Msisdn"]) == (status, f"{ID}.1", DIGITS)
        assert (fields["MsgCount"], fields["Mcc"], fields["Mnc"]) == (1, 655, "01")
        assert abs(fields["Received"] - time.time()) < 60
        assert event in {None, fields["EventId"]}
        event = fields["EventId"]


def test_v3(simulator: Simulator, receiver: Receiver) -> None:
    told = tell(simulator, receiver, webhook_style="v3")
    fields = json.loads(told[1].raw)
    assert (fields["status"], fields["customerId"], fields["phoneNumber"]) == ("DELIVRD", f"{ID}.1", DIGITS)
    assert told[1].headers["content-type"] == "application/json"


def test_v3_by_a_template_of_the_user_s(simulator: Simulator, receiver: Receiver) -> None:
    told = tell(
        simulator, receiver, webhook_style="v3", receipt_template='{"s":"@@Status@@","n":@@Id@@,"?":"@@Nobody@@"}'
    )
    assert json.loads(told[0].raw) | {"n": 0} == {"s": "SUBMITD", "n": 0, "?": ""}


def test_v3_by_get(simulator: Simulator, receiver: Receiver) -> None:
    told = tell(simulator, receiver, "/s?c=@@CustomerId@@&s=@@Status@@&t=@@SentData@@", webhook_style="v3")
    assert [(one.method, one.target) for one in told] == [
        ("GET", f"/s?c={ID}.1&s={status}&t=Hello%20there") for status in ("SUBMITD", "DELIVRD")
    ]


@pytest.mark.parametrize("word", ["UNDELIV", "EXPIRED", "BLIST", "NOROUTE", "CANCELLED"])
def test_bad_ends(simulator: Simulator, receiver: Receiver, word: str) -> None:
    told = tell(simulator, receiver, undelivered=1, undelivered_word=word)
    assert [json.loads(one.raw)["Status"] for one in told] == ["SUBMITD", word]


def test_what_never_left_has_no_route(simulator: Simulator, receiver: Receiver) -> None:
    (one,) = tell(simulator, receiver, failed=1)
    assert json.loads(one.raw)["Status"] == "NOROUTE"


def test_without_an_address_nothing_is_told(simulator: Simulator, receiver: Receiver) -> None:
    assert send(simulator, {}).status == 200
    assert simulator.quiesce()
    assert simulator.stats()["callbacks"]["sent"] == 0


@pytest.mark.parametrize("style", ["v1", "v2", "v3"])
@pytest.mark.parametrize("form", ["hex", "base64"])
def test_a_signature_covers_time_method_address_and_body(
    simulator: Simulator, receiver: Receiver, style: str, form: str
) -> None:
    for one in tell(simulator, receiver, webhook_style=style, signature_key=KEY, signature_form=form):
        assert one.headers["x-smsportal-signature"] == _expected(receiver, one, form)
        assert abs(int(one.headers["x-smsportal-timestamp"]) - time.time()) < 60


def test_forged_signatures_do_not_fit(simulator: Simulator, receiver: Receiver) -> None:
    for one in tell(simulator, receiver, signature_key=KEY, callback_forged=1):
        assert one.headers["x-smsportal-signature"] != _expected(receiver, one, "hex")
        assert json.loads(one.raw)["UserReference"] == f"{ID}.1"


def test_the_header_of_the_user_s_choice(simulator: Simulator, receiver: Receiver) -> None:
    assert {one.headers["x-mark"] for one in tell(simulator, receiver, webhook_header="X-Mark: secret")} == {"secret"}
    receiver.told.clear()
    forged = tell(simulator, receiver, callback_forged=1)
    assert {one.headers["x-mark"] for one in forged} == {"secret-forged"}


def test_where_nothing_shows_who_it_is_a_forger_names_a_message_that_never_was(
    simulator: Simulator, receiver: Receiver
) -> None:
    for one in tell(simulator, receiver, callback_forged=1):
        assert json.loads(one.raw)["UserReference"] == f"{ID}.1"[::-1]


@pytest.mark.parametrize(
    ("style", "names"),
    [
        ("v1", ("Phonenumber", "IncomingData", "IncomingID")),
        ("v2", ("Msisdn", "Message", "Id")),
        ("v3", ("sourcePhoneNumber", "incomingData", "id")),
    ],
)
def test_inbound(simulator: Simulator, receiver: Receiver, style: str, names: tuple[str, str, str]) -> None:
    simulator.set_dials(webhook_style=style, signature_key=KEY)
    text = 'Yes, "please"\n& thanks'
    said = simulator.inbound(sender=TO, to="+27600000000", text=text, dialect="smsportal", url=receiver.url("/in"))
    (one,) = receiver.told
    fields = one.fields if style == "v1" else json.loads(one.raw)
    assert [str(fields[name]) for name in names] == [DIGITS, text, said["sid"]]
    assert one.headers["x-smsportal-signature"] == _expected(receiver, one, "hex")


def _expected(receiver: Receiver, told: Told, form: str) -> str:
    """As the vendor describes it, written on its own."""
    stamp = told.headers["x-smsportal-timestamp"]
    text = f"v1:{stamp}|{told.method}|{receiver.url(told.target)}|{told.raw.decode()}"
    digest = hmac.new(KEY.encode(), text.encode(), hashlib.sha256)
    return digest.hexdigest() if form == "hex" else base64.b64encode(digest.digest()).decode()
