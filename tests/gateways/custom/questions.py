"""What the gateway's answers about its credit mean."""

from decimal import Decimal
from typing import Any

from shared.adapter import Answer, Balance
from tests.gateways.cases import Balances
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
        }.items()
    ),
    _asked("nothing there", said(200, {"other": 5}), None, path="value"),
    _asked("null there", said(200, {"value": None}), None, path="value"),
    _asked("an object there", said(200, {"value": {"x": 5}}), None, path="value"),
    _asked("no number", said(200, {"value": "a lot"}), None, path="value"),
    _asked("no match", said(200, "5 left"), None, pattern="credit ([0-9]+)"),
    _asked("no permission", said(401, {"value": 5}), None, path="value"),
    _asked("a page", said(200, "<html>"), None),
]
