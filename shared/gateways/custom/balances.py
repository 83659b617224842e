"""Asking the gateway for its credit, and finding the number in what it says."""

import re
from collections.abc import Mapping
from decimal import Decimal
from math import isfinite
from typing import Any, Final
from uuid import UUID

from shared.adapter import ACCESS_TOKEN, Account, Answer, Balance, Call, Sms, UnreadableAnswer
from shared.bodies import text_of
from shared.gateways.custom import patterns
from shared.gateways.custom.amounts import first_amount
from shared.gateways.custom.paths import MISSING, as_text, find, parse, read_json
from shared.gateways.custom.placeholders import CannotFill, Slot
from shared.gateways.custom.request import asked, header_templates
from shared.gateways.custom.values import secret_of, sender_of

# What a balance can be asked with: there is no message.
PLACEHOLDERS: Final = frozenset({"SECRET", "BASIC", "FROM", "TOKEN"})

_NO_MESSAGE: Final = Sms(UUID(int=0), 1, msisdn="", text="")
_CURRENCY = re.compile(r"(?<![A-Za-z])[A-Z]{3}(?![A-Za-z])")


def build_balance(account: Account) -> Call:
    settings = account.settings
    rule: Mapping[str, Any] | None = settings.get("balance")
    if not rule:
        raise CannotFill("The settings have no balance, so the gateway cannot be asked for it; add it.")

    def value(slot: Slot) -> str:
        if slot.name == "FROM":
            return sender_of(account, _NO_MESSAGE)
        return secret_of(account, (ACCESS_TOKEN,) if slot.name == "TOKEN" else slot.words)

    return asked(settings, rule, headers=headers_of(settings, rule), value=value)


def headers_of(settings: Mapping[str, Any], rule: Mapping[str, Any]) -> list[Mapping[str, str]]:
    """Its own headers; without any, those that messages are sent with."""
    given = rule.get("headers")
    if given is not None:
        return list(given)
    headers = settings.get("headers") or ()
    return [
        one
        for one in headers
        if one["name"].lower() != "content-type"
        and all(slot.name in PLACEHOLDERS for _, template in header_templates([one]) for slot in template.slots)
    ]


def read_balance(settings: Mapping[str, Any], answer: Answer) -> Balance:
    """The number where the settings say; without a path, the first number in the answer."""
    rule: Mapping[str, Any] = settings.get("balance") or {}
    if answer.status // 100 != 2:
        raise UnreadableAnswer(f"The gateway answered HTTP {answer.status}, which is no balance.")
    document = read_json(answer.body, answer.content_type)
    said = _said(rule, text_of(answer.body, answer.content_type), document)
    amount = first_amount(said)
    if amount is None:
        raise UnreadableAnswer("The answer has no number where balance says.")
    return Balance(amount, _unit(rule, said, document))


def _said(rule: Mapping[str, Any], text: str, document: Any) -> str:
    if rule.get("path"):
        value = find(document, parse(rule["path"]))
        if isinstance(value, float) and isfinite(value):
            return f"{Decimal(str(value)):f}"  # never 1e-05, which would be read as 1
        return (as_text(value) if value is not MISSING else None) or ""
    if rule.get("pattern"):
        return patterns.captured(rule["pattern"], text) or ""
    return text


def _unit(rule: Mapping[str, Any], said: str, document: Any) -> str:
    if rule.get("unit_path"):
        named = as_text(find(document, parse(rule["unit_path"])))
        if named and re.fullmatch("[A-Za-z]{3}", named):
            return named.upper()
    code = _CURRENCY.search(said) if rule.get("path") or rule.get("pattern") else None
    unit: str = code[0] if code else rule.get("unit") or "credits"
    return unit
