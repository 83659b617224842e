"""The list of gateways. mypy holds each module to the protocols it is listed under."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from shared.adapter import Adapter, Metered, Searchable
from shared.gateways import sandbox, twilio

ADAPTERS: Final[Mapping[str, Adapter]] = MappingProxyType({sandbox.KIND: sandbox, twilio.KIND: twilio})

# Those that can be asked for their credit, and for a message of unknown fate.
METERED: Final[Mapping[str, Metered]] = MappingProxyType({twilio.KIND: twilio})
SEARCHABLE: Final[Mapping[str, Searchable]] = MappingProxyType({twilio.KIND: twilio})
