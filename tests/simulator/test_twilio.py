"""The Twilio dialect over real sockets: sends, refusals, look-ups, balance, inbound."""

import re
import time
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import pytest

from deploy.simulator.launch import Simulator, SimulatorError
from deploy.simulator.ledger import MEDIA, accepted, read_ledger
from tests.simulator.caller import FORM, FROM, TO, Answer, Caller, basic, filled
from tests.simulator.receiver import Receiver

SERVICE = "MG" + "0" * 32


def test_a_send_is_answered_like_twilio(caller: Caller) -> None:
    answer = caller.send(Body="Grüße für €5 & <more>")
    message = answer.json
    assert answer.status == 201
    assert re.fullmatch(r"SM[0-9a-f]{32}", message["sid"])
    assert (message["to"], message["from"], message["body"]) == (TO, FROM, "Grüße für €5 & <more>")
    assert (message["status"], message["error_code"], message["date_sent"]) == ("queued", None, None)
    assert message["uri"] == f"{caller.account}/Messages/{message['sid']}.json"


def test_every_sid_is_new(caller: Caller) -> None:
    assert len({caller.send().json["sid"] for _ in range(20)}) == 20


def test_a_service_picks_its_sender_later(simulator: Simulator, caller: Caller) -> None:
    sent = caller.send(From="", MessagingServiceSid=SERVICE).json
    assert (sent["from"], sent["messaging_service_sid"], sent["status"]) == (None, SERVICE, "accepted")
    time.sleep(0.05)
    assert caller.get(sent["uri"]).json["from"].startswith("+1")


@pytest.mark.parametrize(
    ("text", "segments"),
    [
        ("a" * 160, "1"),
        ("a" * 161, "2"),
        ("€" * 80, "1"),
        ("€" * 81, "2"),
        ("ж" * 70, "1"),
        ("ж" * 71, "2"),
        ("😀" * 36, "2"),
    ],
)
def test_segments_are_counted(steady: Simulator, text: str, segments: str) -> None:
    assert Caller(steady).send(Body=text).json["num_segments"] == segments


REFUSALS = [
    pytest.param({"To": ""}, 21604, id="no To"),
    pytest.param({"To": "hello"}, 21211, id="To is no number"),
    pytest.param({"From": ""}, 21603, id="no sender"),
    pytest.param({"From": "much too long a name"}, 21212, id="sender too long"),
    pytest.param({"From": TO}, 21266, id="To is From"),
    pytest.param({"Body": ""}, 21602, id="no body"),
    pytest.param({"Body": "a" * 1601}, 21617, id="body too long"),
    pytest.param({"StatusCallback": "/relative"}, 21609, id="relative callback"),
    pytest.param({"StatusCallback": "http://no_underscores.example/"}, 21609, id="callback host"),
    pytest.param({"StatusCallback": "http://host.example/" + "a" * 4000}, 21609, id="long callback"),
    pytest.param({"ValidityPeriod": "36001"}, 30045, id="validity"),
    pytest.param({"From": "", "MessagingServiceSid": "MG1"}, 21701, id="no such service"),
    pytest.param({"From": "+15005550001"}, 21212, id="magic From 1"),
    pytest.param({"From": "+15005550007"}, 21606, id="magic From 7"),
    pytest.param({"From": "+15005550008"}, 21611, id="magic From 8"),
    pytest.param({"To": "+15005550001"}, 21211, id="magic To 1"),
    pytest.param({"To": "+15005550002"}, 21612, id="magic To 2"),
    pytest.param({"To": "+15005550003"}, 21408, id="magic To 3"),
    pytest.param({"To": "+15005550004"}, 21610, id="magic To 4"),
    pytest.param({"To": "+15005550009"}, 21614, id="magic To 9"),
]


@pytest.mark.parametrize(("fields", "code"), REFUSALS)
def test_refusals(steady: Simulator, fields: dict[str, str], code: int) -> None:
    before = steady.stats()
    answer = Caller(steady).send(**fields)
    assert (answer.status, answer.json["code"], answer.json["status"]) == (400, code, 400)
    assert answer.json["more_info"] == f"https://www.twilio.com/docs/errors/{code}"
    assert answer.json["message"]
    after = steady.stats()
    assert after["accepted"] == before["accepted"]
    assert after["refused"] == before["refused"] | {str(code): before["refused"].get(str(code), 0) + 1}


def test_magic_numbers_can_be_turned_off(simulator: Simulator, caller: Caller) -> None:
    simulator.set_dials(magic_numbers=False)
    assert caller.send(To="+15005550004").status == 201


def test_media_needs_no_body(caller: Caller) -> None:
    assert caller.send(Body="", MediaUrl="https://host.example/voucher.png").status == 201


def test_an_api_key_opens_the_account(simulator: Simulator, caller: Caller) -> None:
    caller.authorization = basic(simulator.api_key, simulator.api_secret).replace("Basic ", "basic  ")
    assert caller.send().status == 201


@pytest.mark.parametrize("authorization", [basic("AC", "wrong"), "Bearer token", "Basic !", ""])
def test_strangers_are_turned_away(steady: Simulator, authorization: str) -> None:
    before = steady.stats()["accepted"]
    caller = Caller(steady)
    caller.authorization = authorization
    answer = caller.send()
    assert (answer.status, answer.json["code"]) == (401, 20003)
    assert answer.headers["WWW-Authenticate"].startswith("Basic")
    assert steady.stats()["accepted"] == before


def test_pages_that_are_not_there(steady: Simulator) -> None:
    caller = Caller(steady)
    assert caller.get("/2010-04-01/Accounts/AC1/Messages.json").json["code"] == 20404
    assert caller.get(f"{caller.account}/Messages/SM{'0' * 32}.json").json["code"] == 20404
    assert caller.get("/somewhere").status == 404
    headers = {"Authorization": caller.authorization}
    assert caller.request("DELETE", f"{caller.account}/Messages.json", headers=headers).status == 405


def test_a_message_lives_its_life(simulator: Simulator, caller: Caller) -> None:
    simulator.set_dials(callback_delay_ms=[150, 150], undelivered=1, error_code=30005)
    sent = caller.send().json
    seen = []
    until = time.monotonic() + 3
    while time.monotonic() < until and "undelivered" not in seen:
        found = caller.get(sent["uri"]).json
        if found["status"] not in seen:
            seen.append(found["status"])
        time.sleep(0.02)
    assert seen == ["queued", "sent", "undelivered"]
    assert (found["error_code"], found["sid"]) == (30005, sent["sid"])
    assert found["date_sent"] is not None


def test_the_list_is_filtered_and_newest_first(simulator: Simulator, caller: Caller) -> None:
    first = caller.send().json["sid"]
    second = caller.send(From="Lapwing").json["sid"]
    caller.send(To="+12025550143")
    time.sleep(0.05)
    assert _sids(caller, {"To": TO}) == [second, first]
    assert _sids(caller, {"To": TO, "From": FROM}) == [first]
    assert len(_sids(caller, {})) == 3
    assert _sids(caller, {"To": "+12025550199"}) == []


def test_the_list_by_date_sent(simulator: Simulator, caller: Caller) -> None:
    sent = caller.send().json["sid"]
    time.sleep(0.05)
    now = datetime.now(UTC)
    day = now.strftime("%Y-%m-%d")
    before, after = now - timedelta(seconds=30), now + timedelta(seconds=30)
    span = {"DateSent>": before.strftime("%Y-%m-%dT%H:%M:%SZ"), "DateSent<": after.isoformat()}
    assert _sids(caller, span) == [sent]
    assert _sids(caller, {"DateSent": day}) == [sent]
    assert _sids(caller, {"DateSent>": after.isoformat()}) == []
    assert _sids(caller, {"DateSent<": before.isoformat()}) == []
    assert caller.get(f"{caller.account}/Messages.json?DateSent=yesterday").status == 400
    simulator.set_dials(callback_delay_ms=60_000)
    waiting = caller.send(To="+12025550143").json["sid"]
    assert _sids(caller, {"DateSent": day}) == [sent]
    assert waiting in _sids(caller, {})


def test_the_list_has_pages(caller: Caller) -> None:
    sent = [caller.send(Body=f"number {number}").json["sid"] for number in range(5)]
    found, uri, pages = ([], f"{caller.account}/Messages.json?{urlencode({'To': TO, 'PageSize': 2})}", 0)
    while uri:
        page = caller.get(uri).json
        found += [message["sid"] for message in page["messages"]]
        uri, pages = page["next_page_uri"], pages + 1
    assert found == sent[::-1]
    assert (pages, page["page"], page["previous_page_uri"] is not None) == (3, 2, True)


def test_the_archive_is_bounded(simulator: Simulator) -> None:
    with Simulator(arguments=["--keep-messages=3"]) as small:
        caller = Caller(small)
        sent = [caller.send(Body=f"number {number}").json["sid"] for number in range(5)]
        assert _sids(caller, {}) == sent[:1:-1]
        assert _sids(caller, {"To": TO}) == sent[:1:-1]


def test_the_balance_is_a_text(simulator: Simulator, caller: Caller) -> None:
    simulator.set_dials(balance="-0.05", currency="EUR")
    body = caller.get(f"{caller.account}/Balance.json").json
    assert body == {"account_sid": simulator.account_sid, "balance": "-0.05", "currency": "EUR"}


def test_an_inbound_message_is_posted(simulator: Simulator, receiver: Receiver) -> None:
    answer = simulator.inbound(
        sender=TO, to=FROM, text="STOP", opt_out_type="STOP", url=receiver.url("/inbound"), copies=2
    )
    assert (answer["status"], len(receiver.told)) == (204, 2)
    fields = receiver.told[0].fields
    assert (fields["From"], fields["To"], fields["Body"]) == (TO, FROM, "STOP")
    assert (fields["OptOutType"], fields["MessageSid"]) == ("STOP", answer["sid"])
    assert fields["SmsStatus"] == "received"


def test_stop_blocks_until_start(simulator: Simulator, caller: Caller, receiver: Receiver) -> None:
    simulator.set_dials(inbound_url=receiver.url("/inbound"))
    simulator.inbound(sender=TO, to=FROM, text=" Stop ")
    assert caller.send().json["code"] == 21610
    assert caller.send(To="+12025550143").status == 201
    simulator.inbound(sender=TO, to=FROM, text="START")
    assert caller.send().status == 201


def test_an_inbound_message_needs_a_place(simulator: Simulator) -> None:
    with pytest.raises(SimulatorError, match="url is needed"):
        simulator.inbound(sender=TO, to=FROM, text="hello")


def test_many_requests_on_one_connection(caller: Caller) -> None:
    body = urlencode(filled({})).encode()
    head = (
        f"POST {caller.account}/Messages.json HTTP/1.1\r\nHost: simulator\r\nAuthorization: {caller.authorization}\r\n"
        f"Content-Type: {FORM}\r\nContent-Length: {len(body)}\r\n"
    ).encode()
    line = caller.raw()
    line.sendall((head + b"\r\n" + body) * 2 + head + b"Connection: close\r\n\r\n" + body)
    heard = b"".join(iter(lambda: line.recv(65_536), b""))
    line.close()
    assert heard.count(b"HTTP/1.1 201 Created") == 4


def test_what_is_not_http_is_refused(caller: Caller) -> None:
    line = caller.raw()
    line.recv(65_536)
    line.sendall(b"\x16\x03\x01 hello\r\n\r\n")
    assert line.recv(65_536).startswith(b"HTTP/1.1 400")
    line.close()


def _sids(caller: Caller, query: dict[str, str]) -> list[str]:
    answer = caller.get(f"{caller.account}/Messages.json?{urlencode(query)}")
    assert answer.status == 200
    return [message["sid"] for message in answer.json["messages"]]


def send_media(caller: Caller, media: list[str]) -> Answer:
    form = urlencode({**filled({}), "MediaUrl": media}, doseq=True)
    headers = {"Authorization": caller.authorization, "Content-Type": FORM}
    return caller.request("POST", f"{caller.account}/Messages.json", form, headers=headers)


def test_what_goes_with_a_message_is_in_the_ledger(simulator: Simulator, caller: Caller) -> None:
    media = [f"https://files.example.com/{number}?a=1&b=2" for number in range(10)]
    answer = send_media(caller, media)
    assert (answer.status, answer.json["num_media"]) == (201, "10")
    caller.send()
    assert [entry.media for entry in accepted(read_ledger(simulator.ledger_path))] == [media, None]


@pytest.mark.parametrize(
    ("media", "code"),
    [
        pytest.param(["https://files.example.com/1"] * 11, 21623, id="too many"),
        pytest.param(["no address"], 21620, id="no address"),
    ],
)
def test_media_that_are_refused(steady: Simulator, media: list[str], code: int) -> None:
    answer = send_media(Caller(steady), media)
    assert (answer.status, answer.json["code"]) == (400, code)


def test_media_are_fetched_if_the_dial_says_so(simulator: Simulator, caller: Caller) -> None:
    simulator.set_dials(fetch_media=True)
    gone = "http://127.0.0.1:9/nobody"  # nobody listens at the port of discard
    send_media(caller, [gone])
    give_up = time.monotonic() + 30
    while not (found := [entry for entry in read_ledger(simulator.ledger_path) if entry.kind == MEDIA]):
        assert time.monotonic() < give_up
        time.sleep(0.02)
    assert (found[0].url, found[0].result) == (gone, "0")
    assert "could not connect" in (found[0].reason or "")
