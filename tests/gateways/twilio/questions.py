"""What Twilio's answers to questions mean."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

from shared.adapter import Answer, Balance, Candidate, LookedUp, Wanted
from shared.domain.message import Status
from tests.gateways.cases import Balances, Lookups
from tests.gateways.twilio.account import REFERENCE, SID, TAKEN, busy, error, json_answer

BALANCES = [
    Balances(
        "dollars",
        json_answer(200, {"account_sid": SID, "balance": "12.345", "currency": "USD"}),
        Balance(Decimal("12.345"), "USD"),
    ),
    Balances(
        "in debt",
        json_answer(200, {"account_sid": SID, "balance": "-0.05", "currency": "eur"}),
        Balance(Decimal("-0.05"), "EUR"),
    ),
    Balances("no permission", error(401, 20003), None),
    Balances("a page", Answer(200, {}, b"<html>"), None),
    Balances("no number", json_answer(200, {"balance": "a lot", "currency": "USD"}), None),
    Balances("not finite", json_answer(200, {"balance": "NaN", "currency": "USD"}), None),
    Balances("a number that is no text", json_answer(200, {"balance": 5, "currency": "USD"}), None),
    Balances("no currency", json_answer(200, {"balance": "5"}), None),
]

WANTED = Wanted(
    msisdn="+447700900123",
    text="“Hello” — 5",
    sender_id="+12025550142",
    since=datetime(2025, 11, 22, 10, 0, 0, 700_000, tzinfo=UTC),
    until=datetime(2025, 11, 22, 10, 5, tzinfo=UTC),
)
LISTED = {**TAKEN, "body": "“Hello” — 5", "date_created": "Sat, 22 Nov 2025 10:00:00 +0000", "status": "sent"}
FOUND = Candidate(REFERENCE, Status.SENT)


def _page(*messages: object, next_page_uri: str | None = None) -> Answer:
    return json_answer(200, {"messages": messages, "next_page_uri": next_page_uri, "page": 0})


def _lookup(label: str, *messages: object, found: Sequence[Candidate]) -> Lookups:
    return Lookups(label, WANTED, _page(*messages), LookedUp(tuple(found), complete=True))


LOOKUPS = [
    _lookup("none", found=[]),
    _lookup("in the second it was handed over", LISTED, found=[FOUND]),
    _lookup("smart encoding changed it", {**LISTED, "body": '"Hello" - 5'}, found=[FOUND]),
    _lookup(
        "a trial account's prefix",
        {**LISTED, "body": "Sent from your Twilio trial account - “Hello” — 5"},
        found=[FOUND],
    ),
    _lookup("a service has not picked a sender", {**LISTED, "from": None}, found=[FOUND]),
    _lookup(
        "two alike",
        LISTED,
        {**LISTED, "sid": "SMx", "status": "undelivered", "error_code": 30005},
        found=[FOUND, Candidate("SMx", Status.UNDELIVERED, "30005")],
    ),
    _lookup(
        "a status from the future", {**LISTED, "status": "pondered"}, found=[Candidate(REFERENCE, Status.SUBMITTED)]
    ),
    *(
        _lookup(label, {**LISTED, **change}, found=[])
        for label, change in {
            "another text": {"body": "Hello"},
            "a redacted text": {"body": ""},
            "another recipient": {"to": "+447700900124"},
            "another sender": {"from": "+12025550143"},
            "a reply of theirs": {"direction": "inbound"},
            "before it": {"date_created": "Sat, 22 Nov 2025 09:59:59 +0000"},
            "after it": {"date_created": "Sat, 22 Nov 2025 10:05:01 +0000"},
        }.items()
    ),
    Lookups(
        "any sender will do",
        replace(WANTED, sender_id=None),
        _page({**LISTED, "from": "+12025550143"}),
        LookedUp((FOUND,), complete=True),
    ),
    Lookups(
        "more pages",
        WANTED,
        _page(LISTED, next_page_uri="/2010-04-01/Accounts/x/Messages.json?Page=1"),
        LookedUp((FOUND,), complete=False),
    ),
    Lookups("busy", WANTED, busy(), None),
    Lookups("a page of HTML", WANTED, Answer(200, {}, b"<html>"), None),
    Lookups("no list", WANTED, json_answer(200, {"messages": None}), None),
    Lookups("a list of something else", WANTED, _page("x"), None),
    Lookups("no date", WANTED, _page({**LISTED, "date_created": None}), None),
]
