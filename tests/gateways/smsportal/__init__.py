"""SMSPortal's table: what we say to it, and how we read what it says."""

from tests.gateways.smsportal.account import ACCOUNT, BATCH, KEYS, LOGGED_IN, SAME, URL
from tests.gateways.smsportal.callbacks import FORGERIES, INBOUNDS, RECEIVES, STRANGERS
from tests.gateways.smsportal.questions import BALANCES, ENDED, LOGINS
from tests.gateways.smsportal.reads import READS
from tests.gateways.smsportal.sends import SENDS, SETTINGS

__all__ = [
    "ACCOUNT",
    "BALANCES",
    "BATCH",
    "ENDED",
    "FORGERIES",
    "INBOUNDS",
    "KEYS",
    "LOGGED_IN",
    "LOGINS",
    "READS",
    "RECEIVES",
    "SAME",
    "SENDS",
    "SETTINGS",
    "STRANGERS",
    "URL",
]
