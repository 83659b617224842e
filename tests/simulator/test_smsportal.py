"""The SMSPortal dialect over real sockets: batches and what becomes of each message, logins, balance, refusals."""

import json
import time
from typing import Any

import pytest

from deploy.simulator.launch import Simulator
from deploy.simulator.ledger import accepted, duplicates, read_ledger
from tests.simulator.caller import TO, Answer, Caller, basic
from tests.simulator.receiver import Receiver

ID = "0199d4c2-0000-7000-8000-00000000000a"
DIGITS = TO.removeprefix("+")


def key(simulator: Simulator) -> str:
    return basic(simulator.api_key, simulator.api_secret)


def ask(simulator: Simulator, path: str, *, method: str = "GET", authorization: str | None = None) -> Answer:
    given = key(simulator) if authorization is None else authorization
    return Caller(simulator).request(method, f"/smsportal{path}", headers={"Authorization": given} if given else {})


def send(
    simulator: Simulator,
    *messages: dict[str, Any],
    version: str = "/v3",
    authorization: str | None = None,
    **options: Any,
) -> Answer:
    """Send good messages, but for the fields given."""
    batch = [{"content": "Hello", "destination": DIGITS, "customerId": f"{ID}.1"} | message for message in messages]
    return Caller(simulator).request(
        "POST",
        f"/smsportal{version}/BulkMessages",
        json.dumps({"messages": batch} | ({"sendOptions": options} if options else {})),
        headers={"Authorization": authorization or key(simulator), "Content-Type": "application/json"},
    )


def test_a_batch_is_one_answer_and_many_lines(simulator: Simulator) -> None:
    batch = [{"destination": f"1202555{n:04}", "customerId": f"id-{n}.{n}"} for n in range(100)]
    answer = send(simulator, *batch, senderId="Cafe Ada", validityPeriod=2)
    assert answer.status == 200
    found = answer.json["sendResponse"]
    assert (answer.json["statusCode"], answer.json["errors"]) == (200, [])
    assert (found["messages"], found["parts"], found["errorReport"]["faults"]) == (100, 100, [])
    lines = accepted(read_ledger(simulator.ledger_path))
    assert [(line.to, line.m, line.a) for line in lines] == [(f"+1202555{n:04}", f"id-{n}", str(n)) for n in range(100)]
    assert {(line.sender, line.dialect) for line in lines} == {("Cafe Ada", "smsportal")}
    assert len({line.sid for line in lines}) == 100
    assert all(int(line.sid or "") < 2**63 for line in lines)


def test_events_differ_and_fit_a_number_of_json(simulator: Simulator) -> None:
    events = {send(simulator, {}).json["sendResponse"]["eventId"] for _ in range(20)}
    assert len(events) == 20
    assert all(0 < event < 2**53 for event in events)


def test_each_version_has_its_shape(steady: Simulator) -> None:
    first = send(steady, {}, version="/v1").json
    assert (first["Messages"], first["ErrorReport"]["OptedOuts"], first["CostBreakdown"][0]["Quantity"]) == (1, 0, 1)
    assert send(steady, {}, version="/v2").json["messages"] == 1
    for version in ("/V3", ""):
        assert send(steady, {}, version=version).json["sendResponse"]["messages"] == 1


def test_names_of_fields_have_any_case(simulator: Simulator) -> None:
    body = {"Messages": [{"Content": "Hello", "Destination": DIGITS, "CustomerId": "one.2"}]}
    headers = {"Authorization": key(simulator)}
    assert (
        Caller(simulator).request("POST", "/smsportal/v3/bulkmessages", json.dumps(body), headers=headers).status == 200
    )
    (line,) = accepted(read_ledger(simulator.ledger_path))
    assert (line.m, line.a) == ("one", "2")


def test_parts_are_those_of_all_messages(steady: Simulator) -> None:
    found = send(steady, {"content": "a" * 161}, {"content": "ж" * 71}, {}).json["sendResponse"]
    assert (found["messages"], found["parts"]) == (3, 5)


def test_the_bad_of_a_batch_are_refused_by_themselves(simulator: Simulator) -> None:
    answer = send(
        simulator,
        {"customerId": "good.1"},
        {"customerId": "bad.1", "destination": "+12"},
        {"customerId": "empty.1", "content": ""},
        {"customerId": "long.1", "content": "a" * 1601},
        {"customerId": "far.1", "destination": "15005550002"},
        {"customerId": "no.1", "destination": "15005550004"},
    )
    found = answer.json["sendResponse"]
    report = found["errorReport"]
    assert (answer.status, found["messages"]) == (200, 1)
    assert [(fault["customerId"], fault["rawDestination"], fault["status"]) for fault in report.pop("faults")] == [
        ("bad.1", "+12", "InvalidDestination")
    ]
    assert report == {"noNetwork": 1, "noContents": 1, "contentToLong": 1, "duplicates": 0, "optedOuts": 1}
    simulator.stop()
    lines = read_ledger(simulator.ledger_path)
    assert [line.m for line in accepted(lines)] == ["good"]
    assert [(line.m, line.reason) for line in lines if line.kind == "refused"] == [
        ("bad", "smsportal:InvalidDestination"),
        ("empty", "smsportal:noContents"),
        ("long", "smsportal:contentToLong"),
        ("far", "smsportal:noNetwork"),
        ("no", "smsportal:optedOuts"),
    ]


def test_nothing_good_in_a_batch(simulator: Simulator) -> None:
    simulator.set_dials(callback_before_answer=1)
    found = send(simulator, {"destination": "12"}).json["sendResponse"]
    assert (found["messages"], len(found["errorReport"]["faults"])) == (0, 1)
    assert simulator.stats()["refused"] == {"smsportal:InvalidDestination": 1}


def test_a_test_sends_nothing(simulator: Simulator) -> None:
    assert send(simulator, {}, {"destination": "12"}, testMode=True).json["sendResponse"]["messages"] == 1
    assert simulator.stats()["accepted"] == 0
    assert ask(simulator, "/v3/Balance").json == {"balance": 100.0}


BAD_BODIES = [
    pytest.param("{", 400, "InvalidParameter.Format", id="no JSON"),
    pytest.param("[]", 400, "InvalidParameter.Type", id="no object"),
    pytest.param("{}", 400, "RequiredParameter.Missing", id="no messages"),
    pytest.param('{"messages": []}', 400, "RequiredParameter.Missing", id="an empty batch"),
    pytest.param('{"messages": ["x"]}', 400, "InvalidParameter.Type", id="a message that is none"),
    pytest.param('{"messages": [{"content": "x"}]}', 400, "RequiredParameter.Missing", id="no destination"),
    pytest.param(
        '{"messages": [{"content": 1, "destination": "1"}]}', 400, "InvalidParameter.Type", id="a number as text"
    ),
]


@pytest.mark.parametrize(("body", "status", "code"), BAD_BODIES)
def test_bad_requests(steady: Simulator, body: str, status: int, code: str) -> None:
    before = steady.stats()["accepted"]
    headers = {"Authorization": key(steady)}
    answer = Caller(steady).request("POST", "/smsportal/v3/BulkMessages", body, headers=headers)
    assert (answer.status, answer.json["errors"][0]["errorCode"]) == (status, code)
    assert steady.stats()["accepted"] == before


@pytest.mark.parametrize(
    "options", [{"senderId": "much too long"}, {"validityPeriod": 0}, {"validityPeriod": "1"}, {"senderId": 5}]
)
def test_bad_options(steady: Simulator, options: dict[str, Any]) -> None:
    assert send(steady, {}, **options).status == 400


def test_more_than_a_hundred_are_too_many(steady: Simulator) -> None:
    assert send(steady, *[{}] * 101).status == 400
    assert send(steady, {"customerId": "x" * 101}).status == 400


def test_pages_that_are_not_there(steady: Simulator) -> None:
    assert ask(steady, "/v3/GroupMessages").status == 404
    assert ask(steady, "/v3/BulkMessages").status == 404
    assert ask(steady, "").json["errors"][0]["errorCode"] == "EntityNotFound"


@pytest.mark.parametrize(
    ("authorization", "code"),
    [
        ("", "AuthenticationHeader.Missing"),
        ("Digest x", "AuthenticationHeader.Missing"),
        (basic("AC", "wrong"), "InvalidCredentials"),
        ("Basic !", "InvalidCredentials"),
        ("Bearer nonsense", "AuthenticationToken.Invalid"),
        ("Bearer 1.99999999999.00", "AuthenticationToken.Invalid"),
    ],
)
def test_strangers_are_turned_away(steady: Simulator, authorization: str, code: str) -> None:
    answer = ask(steady, "/v3/Balance", authorization=authorization)
    assert (answer.status, answer.json["errorCode"]) == (401, code)


def token_of(simulator: Simulator, method: str = "GET") -> str:
    answer = ask(simulator, "/v1/Authentication", method=method)
    assert (answer.status, answer.json["schema"]) == (200, "JWT")
    return f"Bearer {answer.json['token']}"


def test_a_token_opens_the_account(simulator: Simulator) -> None:
    assert ask(simulator, "/v3/Authentication").json["expiresInMinutes"] == 1440
    for method in ("GET", "POST"):
        assert send(simulator, {}, authorization=token_of(simulator, method)).status == 200
    assert ask(simulator, "/v3/Authentication", authorization=token_of(simulator)).status == 401


def test_tokens_end(simulator: Simulator) -> None:
    before = token_of(simulator)
    simulator.set_dials(token_series=2)
    assert send(simulator, {}, authorization=before).json["errorCode"] == "AuthenticationToken.Expired"
    simulator.set_dials(token_seconds=0.2)
    short = token_of(simulator)
    assert send(simulator, {}, authorization=short).status == 200
    time.sleep(0.25)
    assert send(simulator, {}, authorization=short).json["errorCode"] == "AuthenticationToken.Expired"


def test_the_balance_falls_with_each_segment(simulator: Simulator) -> None:
    assert ask(simulator, "/v1/Balance").json == {"balance": 100.0}
    found = send(simulator, {"content": "a" * 161}, {}).json["sendResponse"]
    assert (found["cost"], found["remainingBalance"]) == (3.0, 97.0)
    assert ask(simulator, "/v3/Balance").json == {"balance": 97.0}
    simulator.set_dials(faults=[{"kind": "reset", "accept": False}])
    with pytest.raises(OSError, match=r"reset|without response"):
        send(simulator, {})
    simulator.set_dials(faults=[])
    assert ask(simulator, "/v3/Balance").json == {"balance": 97.0}
    simulator.set_dials(balance="5.5")
    assert ask(simulator, "/v3/Balance").json == {"balance": 5.5}


def test_who_pays_first_is_refused_when_it_is_used_up(simulator: Simulator) -> None:
    simulator.set_dials(balance="2", prepaid=True)
    assert send(simulator, {}).status == 200
    answer = send(simulator, {}, {})
    assert (answer.status, answer.json["errors"][0]["errorCode"]) == (403, "InsufficientCredits")
    assert simulator.stats()["accepted"] == 1
    simulator.set_dials(prepaid=False)
    assert send(simulator, {}, {}).json["sendResponse"]["remainingBalance"] == -1.0


def test_who_wrote_stop_is_counted_and_not_written_to(simulator: Simulator, receiver: Receiver) -> None:
    simulator.inbound(sender=TO, to="+27600000000", text="Stop", dialect="smsportal", url=receiver.url("/in"))
    assert send(simulator, {}, checkOptOuts=True).json["sendResponse"]["errorReport"]["optedOuts"] == 1
    assert send(simulator, {}, checkOptOuts=False).json["sendResponse"]["messages"] == 1
    simulator.inbound(sender=TO, to="+27600000000", text="Start", dialect="smsportal", url=receiver.url("/in"))
    assert send(simulator, {}, checkOptOuts=True).json["sendResponse"]["messages"] == 1


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        ({"kind": "reject"}, 400, "InvalidParameter.Format"),
        ({"kind": "reject", "status": 403}, 403, "InsufficientCredits"),
        ({"kind": "throttle"}, 429, "Service.Unavailable"),
        ({"kind": "error"}, 500, "Service.Unavailable"),
        ({"kind": "error_body"}, 200, "InvalidParameter.Format"),
    ],
)
def test_faults_strike_here_too(simulator: Simulator, fault: dict[str, Any], status: int, code: str) -> None:
    simulator.set_dials(faults=[fault | {"limit": 1}])
    answer = send(simulator, {"customerId": "one.1"}, {"customerId": "two.1"})
    assert (answer.status, answer.json["errors"][0]["errorCode"]) == (status, code)
    assert simulator.stats()["accepted"] == 0
    assert send(simulator, {}).status == 200


def test_a_batch_lost_after_it_was_taken_is_in_the_ledger(simulator: Simulator) -> None:
    simulator.set_dials(faults=[{"kind": "close", "to": "+1202*", "limit": 1}])
    for _ in range(2):
        try:
            send(simulator, {"customerId": "one.1"}, {"customerId": "two.1"})
        except OSError:
            continue
    assert duplicates(read_ledger(simulator.ledger_path)) == {"one": 2, "two": 2}


def test_a_login_can_go_wrong(simulator: Simulator) -> None:
    simulator.set_dials(faults=[{"kind": "error", "operation": "login"}])
    assert ask(simulator, "/v3/Authentication").status == 500
    assert send(simulator, {}).status == 200
