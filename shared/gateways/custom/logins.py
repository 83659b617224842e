"""A login before everything else, where the gateway gives tokens for credentials (OAuth's client credentials, mostly).

`%TOKEN%` is what it gave; whoever performs calls gets it, keeps it, and renews it in time.
"""

import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from shared.adapter import Account, Answer, Call, Login, LoginRefused, UnreadableAnswer
from shared.bodies import text_of
from shared.gateways.custom import patterns
from shared.gateways.custom.paths import MISSING, as_text, find, parse, read_json
from shared.gateways.custom.placeholders import CannotFill, Slot
from shared.gateways.custom.request import asked
from shared.gateways.custom.values import secret_of

# What a login can be asked with: there is neither a message nor a token yet.
PLACEHOLDERS: Final = frozenset({"SECRET", "BASIC"})

METHOD: Final = "POST"  # unless the settings say another

_TOKEN = re.compile(r"[\x21-\x7e]{1,8192}")
_DAY: Final = 86_400.0
_UNTOLD: Final = 3600.0  # how long a token is believed in that comes without its time
# By these an authorization server says that it does not take the credentials (RFC 6749, 5.2).
_REFUSALS: Final = frozenset({400, 401, 403})


def needs_login(account: Account) -> bool:
    return bool(account.settings.get("login"))


def build_login(account: Account) -> Call:
    rule = account.settings.get("login")
    if not rule:
        raise CannotFill("The settings have no login, so there is no token to be had; add it.")

    def value(slot: Slot) -> str:
        return secret_of(account, slot.words)

    rule = {**rule, "method": rule.get("method") or METHOD}
    return asked(account.settings, rule, headers=rule.get("headers") or (), value=value)


def read_login(account: Account, answer: Answer) -> Login:
    """The token, from where the settings say, and for how long it is good: by the answer, else by `lifetime`."""
    rule: Mapping[str, Any] = account.settings.get("login") or {}
    if answer.status in _REFUSALS:
        raise LoginRefused(f"The gateway answered HTTP {answer.status} to the login; see to the secrets that it names.")
    document = read_json(answer.body, answer.content_type)
    token = _token(rule, document, answer)
    if answer.status // 100 != 2 or token is None or not _TOKEN.fullmatch(token):
        raise UnreadableAnswer(f"The gateway answered HTTP {answer.status} without a token where login says.")
    return Login(token, _lifetime(rule, document))


def has_login_ended(account: Account, answer: Answer) -> bool:
    return answer.status == 401 and needs_login(account)


def _token(rule: Mapping[str, Any], document: Any, answer: Answer) -> str | None:
    if rule.get("token_pattern"):
        return patterns.captured(rule["token_pattern"], text_of(answer.body, answer.content_type))
    value = find(document, parse(rule.get("token_path") or "access_token"))
    return value.strip() if isinstance(value, str) else None


def _lifetime(rule: Mapping[str, Any], document: Any) -> float:
    told = find(document, parse(rule.get("lifetime_path") or "expires_in"))
    try:
        seconds = float(Decimal((as_text(told) if told is not MISSING else None) or "NaN"))
    except (InvalidOperation, OverflowError):
        seconds = float("nan")
    if not 0 < seconds < float("inf"):
        seconds = float(rule.get("lifetime") or _UNTOLD)
    return min(seconds, _DAY)
