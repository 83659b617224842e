"""Twilio's table: what we say to it, and how we read what it says."""

from shared.adapter import Adapter, Metered, Searchable
from shared.gateways import twilio
from tests.gateways.twilio.account import ACCOUNT, BATCH, BY_KEY, HEADERS, KEY_HEADERS, URL
from tests.gateways.twilio.callbacks import FORGERIES, INBOUNDS, RECEIVES, STRANGERS
from tests.gateways.twilio.questions import BALANCES, LOOKUPS, WANTED
from tests.gateways.twilio.reads import READS
from tests.gateways.twilio.sends import SENDS, SETTINGS

__all__ = [
    "ACCOUNT",
    "ADAPTER",
    "BALANCES",
    "BATCH",
    "BY_KEY",
    "FORGERIES",
    "HEADERS",
    "INBOUNDS",
    "KEY_HEADERS",
    "LOOKUPS",
    "METERED",
    "READS",
    "RECEIVES",
    "SEARCHABLE",
    "SENDS",
    "SETTINGS",
    "STRANGERS",
    "URL",
    "WANTED",
]

# What it is held to, by mypy here.
ADAPTER: Adapter = twilio
METERED: Metered = twilio
SEARCHABLE: Searchable = twilio
