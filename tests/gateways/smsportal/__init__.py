"""SMSPortal's table: what we say to it, and how we read what it says."""

from shared.adapter import AccountWide, Adapter, Batched, LoginFirst, Metered, Warned
from shared.gateways import smsportal
from tests.gateways.smsportal.account import ACCOUNT, BATCH, KEYS, LOGGED_IN, SAME, URL
from tests.gateways.smsportal.callbacks import FORGERIES, INBOUNDS, RECEIVES, STRANGERS
from tests.gateways.smsportal.questions import BALANCES, ENDED, LOGINS
from tests.gateways.smsportal.reads import READS
from tests.gateways.smsportal.sends import SENDS, SETTINGS

__all__ = [
    "ACCOUNT",
    "ACCOUNT_WIDE",
    "ADAPTER",
    "BALANCES",
    "BATCH",
    "BATCHED",
    "ENDED",
    "FORGERIES",
    "INBOUNDS",
    "KEYS",
    "LOGGED_IN",
    "LOGINS",
    "LOGIN_FIRST",
    "METERED",
    "READS",
    "RECEIVES",
    "SAME",
    "SENDS",
    "SETTINGS",
    "STRANGERS",
    "URL",
    "WARNED",
]

# What it is held to, by mypy here.
ADAPTER: Adapter = smsportal
METERED: Metered = smsportal
BATCHED: Batched = smsportal
LOGIN_FIRST: LoginFirst = smsportal
WARNED: Warned = smsportal
ACCOUNT_WIDE: AccountWide = smsportal
