"""A gateway that its owner describes: configuration only, for any gateway that is spoken to over HTTP.

What an answer means stands in the settings, so `of(account)` is the adapter to use. The functions here that get no
account know no settings either, and take no answer for a success.
`docs/gateways/custom.md` explains every setting.
"""

from collections.abc import Sequence
from typing import Final

from shared.adapter import Account, Answer, Balance, Call, Callback, Inbound, Receipt, Reply, Sms
from shared.domain.outcome import Outcome
from shared.gateways.custom import balances, callbacks, reading
from shared.gateways.custom.account import check_settings
from shared.gateways.custom.advice import warnings
from shared.gateways.custom.dialect import CAPABILITIES, KIND, Dialect
from shared.gateways.custom.logins import build_login, has_login_ended, needs_login, read_login
from shared.gateways.custom.script_calls import call_from_script
from shared.gateways.custom.scripts import answer_input, read_from_script, script_input, script_of

__all__ = [
    "CAPABILITIES",
    "INBOUND_REPLY",
    "KIND",
    "answer_input",
    "build_balance",
    "build_login",
    "build_send",
    "call_from_script",
    "check_settings",
    "has_login_ended",
    "needs_login",
    "of",
    "read_balance",
    "read_callback",
    "read_from_script",
    "read_inbound",
    "read_login",
    "read_send",
    "script_input",
    "script_of",
    "warnings",
]

INBOUND_REPLY: Final = Reply("text/plain")
# No status is a success of which nothing is known; the settings of a real account always name one.
_KNOWS_NOTHING: Final = reading.reading_of({"success_statuses": [0]})


def of(account: Account) -> Dialect:
    return Dialect(account)


def build_send(account: Account, batch: Sequence[Sms]) -> Call:
    return of(account).build_send(account, batch)


def read_send(batch: Sequence[Sms], answer: Answer) -> Sequence[Outcome]:
    return [reading.read_send(_KNOWS_NOTHING, batch, answer)] * len(batch)


def read_callback(account: Account, callback: Callback) -> Sequence[Receipt]:
    return callbacks.read_callback(account, callback)


def read_inbound(account: Account, callback: Callback) -> Sequence[Inbound]:
    return callbacks.read_inbound(account, callback)


def build_balance(account: Account) -> Call:
    return balances.build_balance(account)


def read_balance(answer: Answer) -> Balance:
    return balances.read_balance({}, answer)
