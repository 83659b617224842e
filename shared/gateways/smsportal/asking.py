"""What SMSPortal can be asked: a token for the account's key, and its balance."""

import re
from collections.abc import Mapping
from contextlib import suppress
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from shared.adapter import Account, Answer, Balance, Call, Login, LoginRefused, UnreadableAnswer
from shared.bodies import json_object
from shared.domain.outcome import Fault
from shared.gateways.smsportal.account import authorization, base_url, basic
from shared.gateways.smsportal.codes import FAULT_OF_CODE, folded
from shared.gateways.smsportal.reading import said

_TOKEN = re.compile(r"[\x21-\x7e]{1,8192}")
_DAY: Final = 86_400.0
_UNTOLD: Final = 3600.0  # how long a token is believed in that comes without its time
_ENDED: Final = frozenset({"", "authenticationtoken.expired", "authenticationtoken.invalid"})


def build_login(account: Account) -> Call:
    key = basic(account.secrets["client_id"], account.secrets["api_secret"])
    return Call("GET", f"{base_url(account)}/v3/Authentication", (key,))


def read_login(_account: Account, answer: Answer) -> Login:
    body = _body(answer)
    code, _ = said(body)
    if answer.status in {401, 403} or FAULT_OF_CODE.get(code.lower()) is Fault.ACCOUNT:
        raise LoginRefused("client_id or api_secret was refused; copy both anew from the API key at the vendor's.")
    token = body.get("token")
    if answer.status != 200 or not isinstance(token, str) or not _TOKEN.fullmatch(token):
        raise UnreadableAnswer(f"The gateway answered HTTP {answer.status} without a token.")
    minutes = _number(body.get("expiresinminutes"))
    told = minutes.is_finite() and minutes > 0
    return Login(token, min(float(minutes) * 60, _DAY) if told else _UNTOLD)


def has_login_ended(_account: Account, answer: Answer) -> bool:
    return answer.status == 401 and said(_body(answer))[0].lower() in _ENDED


def build_balance(account: Account) -> Call:
    return Call("GET", f"{base_url(account)}/v3/Balance", (authorization(account),))


def read_balance(answer: Answer) -> Balance:
    """The credits left. Post-paid accounts always say 1000000; whoever watches the figure knows which it is."""
    amount = _number(_body(answer).get("balance"))
    if answer.status != 200 or not amount.is_finite():
        raise UnreadableAnswer(f"The gateway answered HTTP {answer.status} without a balance.")
    return Balance(amount, "credits")


def _number(value: Any) -> Decimal:
    """A figure, as a number or as a text; NaN where it is none."""
    if isinstance(value, (int, float, str)) and not isinstance(value, bool):
        with suppress(InvalidOperation):
            return Decimal(str(value))
    return Decimal("NaN")


def _body(answer: Answer) -> Mapping[str, Any]:
    return folded(json_object(answer.body) or {})
