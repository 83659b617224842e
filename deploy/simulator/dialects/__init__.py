"""The dialects the simulator speaks, by the first segment of their paths: this is the list."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from deploy.simulator.contract import Dialect
from deploy.simulator.dialects import plain, smsportal, twilio
from deploy.simulator.dialects.vendors import VENDORS

_ALL: Final[tuple[Dialect, ...]] = (twilio, smsportal, plain, *VENDORS)
DIALECTS: Final[Mapping[bytes, Dialect]] = MappingProxyType({dialect.PREFIX: dialect for dialect in _ALL})
