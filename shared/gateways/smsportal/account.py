"""An SMSPortal account: its settings as owners give them, and how it shows who it is."""

import re
from base64 import b64encode
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from shared.adapter import ACCESS_TOKEN, Account
from shared.domain import sender_id
from shared.domain.fields import Fields, refuse_if_wrong

BASE_URL: Final = "https://rest.smsportal.com"
TOKEN: Final = "token"  # noqa: S105 - a mode, no secret

_MODE = re.compile("basic|token")
_LABEL = re.compile(r"[^\x00-\x1f\x7f]{1,100}")
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")
_OWN_HEADERS: Final = frozenset({"content-length", "content-type", "host"})
_LONGEST_SENDER: Final = 11


def check_settings(settings: Mapping[str, Any], secrets: Mapping[str, str]) -> Mapping[str, Any]:
    fields, hidden = Fields(settings, under="/settings"), Fields(secrets, under="/secrets")
    fields.url("base_url")
    _check_sender(fields)
    fields.text("authentication", form=_MODE, remedy="must be basic (the default) or token")
    for name in ("campaign_name", "cost_centre"):
        fields.text(name, form=_LABEL, remedy="must be one line of up to 100 characters")
    fields.flag("check_opt_outs")
    fields.flag("test_mode")

    hidden.secret("client_id", remedy="must be the client ID of an API key", required=True)
    hidden.secret("api_secret", remedy="must be the API secret that belongs to the client_id", required=True)
    hidden.secret("signature_secret", remedy="must be the secret shown when webhook signatures were activated")
    hidden.secret("webhook_secret", remedy="must be the value of the header named by webhook_header")
    _check_pair(fields, hidden, "signature_secret", ("signature_header", "timestamp_header"))
    _check_pair(fields, hidden, "webhook_secret", ("webhook_header",))

    fields.refuse_others()
    hidden.refuse_others()
    refuse_if_wrong(fields, hidden)
    return fields.kept


def _check_sender(fields: Fields) -> None:
    remedy = "must be a name of up to 11 characters, a short code, or a number of up to 11 digits"
    value = fields.text("sender_id", remedy=remedy)
    if value is None:
        return
    try:
        parsed = sender_id.parse(value).value
    except sender_id.InvalidSenderId:
        parsed = ""
    if not parsed or len(parsed.removeprefix("+")) > _LONGEST_SENDER:
        fields.refuse("sender_id", f"{remedy}.")
    else:
        fields.kept["sender_id"] = parsed


def _check_pair(fields: Fields, hidden: Fields, secret: str, headers: tuple[str, ...]) -> None:
    """A secret and the headers it is checked with: one without the others would check nothing."""
    remedy = "must be the name of a header, other than Content-Length, Content-Type and Host"
    refused = len(fields.errors) + len(hidden.errors)
    for name in headers:
        value = fields.text(name, form=_HEADER, remedy=remedy)
        if value is not None and value.lower() in _OWN_HEADERS:
            fields.refuse(name, f"{remedy}.")
    if len(fields.errors) + len(hidden.errors) > refused or any(e.pointer.endswith(secret) for e in hidden.errors):
        return
    given = [name for name in headers if name in fields.kept]
    if secret in hidden.kept:
        for name in headers:
            if name not in given:
                fields.refuse(name, f"is missing; {secret} needs the name of the header that it is checked with.")
    elif given:
        hidden.refuse(secret, f"is missing; without it nothing would be checked by {given[0]}.")


def needs_login(account: Account) -> bool:
    return bool(account.settings.get("authentication") == TOKEN)


def base_url(account: Account) -> str:
    return str(account.settings.get("base_url") or BASE_URL)


def account_at_vendor(account: Account) -> tuple[str, str]:
    """Two keys of one account are two to us: nothing in them says that they belong together."""
    return base_url(account).rstrip("/").lower(), account.secrets.get("client_id", "")


def authorization(account: Account) -> tuple[str, str]:
    """Who we are: by the token of a login where the account wants one, else by the key itself."""
    if needs_login(account):
        return "Authorization", f"Bearer {account.secrets[ACCESS_TOKEN]}"
    return basic(account.secrets["client_id"], account.secrets["api_secret"])


@lru_cache(maxsize=64)
def basic(user: str, secret: str) -> tuple[str, str]:
    return "Authorization", f"Basic {b64encode(f'{user}:{secret}'.encode()).decode()}"
