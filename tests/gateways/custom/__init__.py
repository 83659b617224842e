"""The custom gateway's table: what settings are taken, what is said by them, and what is understood."""

from tests.gateways.custom.account import ACCOUNT, BATCH
from tests.gateways.custom.callbacks import INBOUNDS, RECEIVES, STRANGERS
from tests.gateways.custom.questions import BALANCES
from tests.gateways.custom.reads import READS
from tests.gateways.custom.sends import SENDS
from tests.gateways.custom.settings import SETTINGS_CASES as SETTINGS

__all__ = ["ACCOUNT", "BALANCES", "BATCH", "INBOUNDS", "READS", "RECEIVES", "SENDS", "SETTINGS", "STRANGERS"]
