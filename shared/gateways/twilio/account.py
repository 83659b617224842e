"""A Twilio account: its settings as owners give them, and what its credentials are good for."""

import re
from base64 import b64encode
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from shared.adapter import Account
from shared.domain import sender_id
from shared.domain.fields import Fields, refuse_if_wrong

BASE_URL: Final = "https://api.twilio.com"
LONGEST_VALIDITY: Final = 36_000

_ACCOUNT_SID = re.compile(r"AC[0-9a-f]{32}")
_API_KEY = re.compile(r"(AC|SK)[0-9a-f]{32}")
_SERVICE_SID = re.compile(r"MG[0-9a-f]{32}")
_WORD = re.compile(r"[A-Za-z0-9_-]{1,64}")


def check_settings(settings: Mapping[str, Any], secrets: Mapping[str, str]) -> Mapping[str, Any]:
    fields = Fields(settings, under="/settings")
    host = urlsplit(fields.url("base_url") or BASE_URL).hostname or ""
    # Services that speak this dialect at another address give out ids of another form.
    own = host == "twilio.com" or host.endswith(".twilio.com")

    fields.text(
        "account_sid",
        form=_ACCOUNT_SID if own else _WORD,
        remedy="must be the account SID: AC and 32 hex digits",
        required=True,
    )
    fields.text(
        "api_key", form=_API_KEY if own else _WORD, remedy="must be the SID of an API key: SK and 32 hex digits"
    )
    fields.text(
        "messaging_service_sid",
        form=_SERVICE_SID if own else _WORD,
        remedy="must be the SID of a Messaging Service: MG and 32 hex digits",
    )
    _check_sender(fields)
    fields.flag("smart_encoded")
    fields.whole("validity_period", least=1, most=LONGEST_VALIDITY)
    fields.refuse_others()

    hidden = Fields(secrets, under="/secrets")
    hidden.secret(
        "api_secret", remedy="must be the API key's secret, or the auth token where no api_key is set", required=True
    )
    hidden.secret("auth_token", remedy="must be the account's primary auth token")
    hidden.refuse_others()

    refuse_if_wrong(fields, hidden)
    return fields.kept


def _check_sender(fields: Fields) -> None:
    remedy = "must be a number such as +12025550142, a short code, or a name of up to 11 characters"
    value = fields.text("from", remedy=remedy)
    if value is not None:
        try:
            fields.kept["from"] = sender_id.parse(value).value
        except sender_id.InvalidSenderId:
            fields.refuse("from", f"{remedy}.")
    if any(error.pointer.endswith(("/from", "/messaging_service_sid")) for error in fields.errors):
        return
    given = fields.kept.keys() & {"from", "messaging_service_sid"}
    if len(given) == 2:
        fields.refuse("messaging_service_sid", "cannot stand beside from; leave one of them out.")
    elif not given:
        fields.refuse("from", "is missing; give from or messaging_service_sid.")


def identity(account: Account) -> tuple[str, str, str, str]:
    settings = account.settings
    sid = settings["account_sid"]
    return (settings.get("base_url") or BASE_URL, sid, settings.get("api_key") or sid, account.secrets["api_secret"])


def basic(user: str, secret: str) -> tuple[str, str]:
    return "Authorization", f"Basic {b64encode(f'{user}:{secret}'.encode()).decode()}"


def signing_token(account: Account) -> str:
    """The auth token: callbacks are never signed with an API key's secret."""
    settings, secrets = account.settings, account.secrets
    if token := secrets.get("auth_token"):
        return token
    own = settings.get("api_key") in (None, "", settings["account_sid"])
    return secrets["api_secret"] if own else ""
