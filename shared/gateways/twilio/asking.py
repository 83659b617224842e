"""What Twilio can be asked: an account's balance, and what became of a message."""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final
from urllib.parse import urlencode

from shared.adapter import Account, Answer, Balance, Call, Candidate, LookedUp, UnreadableAnswer, Wanted, http_date
from shared.bodies import json_object
from shared.domain.gsm7 import LOOK_ALIKES
from shared.domain.message import Status
from shared.gateways.twilio.account import basic, identity
from shared.gateways.twilio.codes import SID, STATUS_OF, code_of


def build_balance(account: Account) -> Call:
    base_url, sid, user, secret = identity(account)
    url = f"{base_url}/2010-04-01/Accounts/{sid}/Balance.json"
    return Call("GET", url, (basic(user, secret),))


def read_balance(answer: Answer) -> Balance:
    found = _asked(answer)
    amount, unit = found.get("balance"), found.get("currency")
    try:
        balance = Balance(Decimal(amount if isinstance(amount, str) else ""), str(unit).upper())
    except InvalidOperation:
        raise UnreadableAnswer("The answer has no balance that is a number.") from None
    if not balance.amount.is_finite() or not re.fullmatch("[A-Z]{3}", balance.unit):
        raise UnreadableAnswer("The answer has no balance in a currency.")
    return balance


# As many of the longest texts as fit into the 64 KiB that are read of an answer.
_PAGE_SIZE: Final = 25
_TRIAL_PREFIX: Final = "Sent from your Twilio trial account - "
_LOOK_ALIKE_OF = str.maketrans(dict(LOOK_ALIKES))


def build_lookup(account: Account, wanted: Wanted) -> Call:
    base_url, sid, user, secret = identity(account)
    # A message that is still queued at Twilio has no DateSent and may be missing: ask again later.
    query = {
        "To": wanted.msisdn,
        "DateSent>": wanted.since.astimezone(UTC).date().isoformat(),
        "PageSize": str(_PAGE_SIZE),
    }
    if sender := wanted.sender_id or account.settings.get("from"):
        query["From"] = sender
    url = f"{base_url}/2010-04-01/Accounts/{sid}/Messages.json?{urlencode(query)}"
    return Call("GET", url, (basic(user, secret),))


def read_lookup(wanted: Wanted, answer: Answer) -> LookedUp:
    page = _asked(answer)
    messages = page.get("messages")
    if not isinstance(messages, list):
        raise UnreadableAnswer("The answer has no list of messages.")
    return LookedUp(candidates=tuple(_candidates(wanted, messages)), complete=not page.get("next_page_uri"))


def _candidates(wanted: Wanted, messages: Sequence[Any]) -> Iterator[Candidate]:
    for message in messages:
        reference = message.get("sid") if isinstance(message, dict) else None
        created = http_date(message.get("date_created")) if isinstance(message, dict) else None
        if not isinstance(reference, str) or not SID.fullmatch(reference) or created is None:
            raise UnreadableAnswer("A message in the list has no sid or no date.")
        if _is_wanted(wanted, message, created=created):
            yield Candidate(
                reference=reference,
                # Whatever its status is called: Twilio has it.
                status=STATUS_OF.get(str(message.get("status")), Status.SUBMITTED),
                code=code_of(message.get("error_code")),
            )


def _is_wanted(wanted: Wanted, message: Mapping[str, Any], *, created: datetime) -> bool:
    sender = message.get("from")  # null while a service has not picked one
    return (
        message.get("direction") == "outbound-api"
        and message.get("to") == wanted.msisdn
        and (wanted.sender_id is None or sender in (None, wanted.sender_id))
        and wanted.since.replace(microsecond=0) <= created <= wanted.until  # whole seconds are told
        and _as_compared(message.get("body")) == _as_compared(wanted.text)
    )


def _as_compared(text: Any) -> str:
    """A text in the form that smart encoding, on or off, brings it to."""
    plain = text.removeprefix(_TRIAL_PREFIX) if isinstance(text, str) else ""
    return plain.translate(_LOOK_ALIKE_OF).strip()


def _asked(answer: Answer) -> Mapping[str, Any]:
    found = json_object(answer.body)
    if answer.status != 200 or found is None:
        raise UnreadableAnswer(f"The gateway answered HTTP {answer.status}, which is no answer to this.")
    return found
