"""The custom gateway's table: what settings are taken, what is said by them, and what is understood."""

from shared.adapter import Adapter, Configured, LoginFirst, Metered, Scripted, Warned
from shared.gateways import custom
from tests.gateways.custom.account import ACCOUNT, BATCH, LOGGING_IN
from tests.gateways.custom.callbacks import INBOUNDS, RECEIVES, STRANGERS
from tests.gateways.custom.questions import BALANCES, LOGINS
from tests.gateways.custom.reads import READS
from tests.gateways.custom.sends import SENDS
from tests.gateways.custom.settings import SETTINGS_CASES as SETTINGS

__all__ = [
    "ACCOUNT",
    "ADAPTER",
    "BALANCES",
    "BATCH",
    "CONFIGURED",
    "INBOUNDS",
    "LOGGING_IN",
    "LOGINS",
    "LOGIN_FIRST",
    "METERED",
    "READS",
    "RECEIVES",
    "SCRIPTED",
    "SENDS",
    "SETTINGS",
    "STRANGERS",
    "WARNED",
]

# What it is held to, by mypy here.
ADAPTER: Adapter = custom
METERED: Metered = custom
CONFIGURED: Configured = custom
WARNED: Warned = custom
SCRIPTED: Scripted = custom
LOGIN_FIRST: LoginFirst = custom
