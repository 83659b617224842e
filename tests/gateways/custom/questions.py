"""What the gateway's answers about its credit mean."""

from decimal import Decimal
from typing import Any

from shared.adapter import Answer, Balance, Login, LoginRefused, UnreadableAnswer
from tests.gateways.cases import Balances, Logins
from tests.gateways.custom.account import rich, said


def _asked(label: str, answer: Answer, amount: str | None, in_: str = "EUR", **rule: Any) -> Balances:
    balance = None if amount is None else Balance(Decimal(amount), in_)
    return Balances(label, answer, balance, rich(balance={"url": "/balance", **rule}))


BALANCES = [
    Balances("a number at its path", said(200, {"value": 10.28, "id": 7}), Balance(Decimal("10.28"), "EUR")),
    _asked("a number as text", said(200, {"a": {"credits": "-77.39"}}), "-77.39", "credits", path="a.credits"),
    _asked("with its currency", said(200, {"b": "KES 1785.50"}), "1785.50", "KES", path="b", unit="EUR"),
    _asked("with a unit beside it", said(200, {"b": 5, "c": "eur"}), "5", "EUR", path="b", unit_path="c"),
    _asked("a unit that is none", said(200, {"b": 5, "c": 7}), "5", "points", path="b", unit_path="c", unit="points"),
    _asked("the first number in the answer", said(200, "Credit: 12.50 of 100"), "12.50", "credits"),
    _asked("the first number in a document", said(200, '{"value": 3, "max": 9}'), "3", "credits"),
    _asked("by pattern", said(200, "2 SMS, 77 EUR left"), "77", "EUR", pattern="([0-9]+ EUR)"),
    *(
        _asked(f"written {given}", said(200, {"b": given}), amount, "credits", path="b")
        for given, amount in {
            "1,234.50": "1234.50",
            "1.234,50": "1234.50",
            "12,5": "12.5",
            "1,234": "1234",
            "1.234.567": "1234567",
            "0.125": "0.125",
            # Blanks and apostrophes between groups of three.
            "1 234.50": "1234.50",
            "1'234.50": "1234.50",
            "1\u2019234.50": "1234.50",
            "1 785,50 kr": "1785.50",
            "1\u00a0785,50 kr": "1785.50",
            "1\u202f785": "1785",
            "R1 234.50": "1234.50",
            "-12 345 678,9": "-12345678.9",
            "\u22121 200": "-1200",
            "1 234,567": "1234.567",
            "12 345": "12345",
            # What is no group of three, or not of one kind, is another number.
            "12 34": "12",
            "12 3456": "12",
            "1234 567": "1234",
            "0 250": "0",
            "250 of 1000": "250",
            "1 234'567": "1234",
            "12  345": "12",
            "5, 100 sent": "5",
            # Exponents.
            "1e3": "1000",
            "1E+3": "1000",
            "1e-7": "0.0000001",
            "-2.5e1": "-25",
            "12,5e2": "1250",
            "1e3f": "1",
            # What is owed.
            "-$5.00": "-5.00",
            "-US$ 5": "-5",
            "- 5": "-5",
            "\u2212 R 1 234": "-1234",
            "$ - 5": "-5",
            "5-": "-5",
            "1.234,50-": "-1234.50",
            "5 -": "-5",
            "(3.50)": "-3.50",
            "($3.50)": "-3.50",
            "$ (3.50)": "-3.50",
            # What is not.
            "Credits - 500": "500",
            "5-10": "5",
            "5.-": "5",
            "(3.50 of 7)": "3.50",
            # No group begins with a nought.
            "0,500": "0.500",
            "-0,500": "-0.500",
            "10,500": "10500",
            # No numbers are digits in names.
            "a1b2c3 500": "500",
            "sms_1: 500": "500",
            "0x10, 5": "5",
            "1_000": None,
            "0x10": None,
            "B2B": None,
        }.items()
    ),
    *(
        _asked(f"the first number in {given!r}", said(200, given), amount, "credits")
        for given, amount in {
            "Credit: 1 785,50 kr, 200 sent": "1785.50",
            '{"b": 1e-7}': "0.0000001",
            '{"b": "1\u00a0234.50"}': "1234.50",
            "[1, 234]": "1",
            '{"v2beta": true, "b": "-EUR 12.3"}': "-12.3",
            "Balance: - 12.30 EUR": "-12.30",
            "Balance: (12.30)\n": "-12.30",
            "Account Up - 12.30": "12.30",
            "SMS credits (500)": "500",
            "Credits (SMS) - 500": "500",
            "SMS2Go: 500": "500",
        }.items()
    ),
    _asked("owed, with its currency", said(200, {"b": "-EUR 12.3"}), "-12.3", "EUR", path="b"),
    _asked("owed, in brackets", said(200, {"b": "EUR (12.3)"}), "-12.3", "EUR", path="b"),
    _asked("next to nothing", said(200, {"b": 0.00001}), "0.00001", "credits", path="b"),
    _asked("more than anybody has", said(200, {"b": 1e16}), "10000000000000000", "credits", path="b"),
    _asked("without a nought before its point", said(200, {"b": "-.75"}), "-0.75", "credits", path="b"),
    _asked("nothing there", said(200, {"other": 5}), None, path="value"),
    _asked("null there", said(200, {"value": None}), None, path="value"),
    _asked("an object there", said(200, {"value": {"x": 5}}), None, path="value"),
    _asked("no number", said(200, {"value": "a lot"}), None, path="value"),
    _asked("no match", said(200, "5 left"), None, pattern="credit ([0-9]+)"),
    _asked("no permission", said(401, {"value": 5}), None, path="value"),
    _asked("a page", said(200, "<html>"), None),
]

_NO_TIMES: list[Any] = [None, 0, -5, "soon", {}, True]
# By the names that OAuth gives them, which the settings may leave out.
LOGINS = [
    Logins("a token", said(200, {"access_token": "t0k.en", "expires_in": 7200}), Login("t0k.en", 7200.0)),
    Logins("its time as a text", said(200, {"access_token": "t0k.en", "expires_in": "90"}), Login("t0k.en", 90.0)),
    Logins(
        "a year is not believed",
        said(200, {"access_token": "t0k.en", "expires_in": 31_536_000}),
        Login("t0k.en", 86_400.0),
    ),
    *(
        Logins(
            f"for how long: {told!r}",
            said(200, {"access_token": "t0k.en", "expires_in": told}),
            Login("t0k.en", 3600.0),
        )
        for told in _NO_TIMES
    ),
    Logins("for how long is not said", said(200, {"access_token": "t0k.en"}), Login("t0k.en", 3600.0)),
    Logins("no token", said(200, {"token": "t"}), UnreadableAnswer),
    Logins("a token of another kind", said(200, {"access_token": 5}), UnreadableAnswer),
    Logins("a token that would end its header", said(200, {"access_token": "a\r\nb"}), UnreadableAnswer),
    Logins("a page", said(200, "<html>"), UnreadableAnswer),
    Logins("a token in an error", said(500, {"access_token": "t"}), UnreadableAnswer),
    Logins("busy", said(429, ""), UnreadableAnswer),
    *(
        Logins(f"refused by {status}", said(status, {"error": "invalid_client"}), LoginRefused)
        for status in (400, 401, 403)
    ),
]
