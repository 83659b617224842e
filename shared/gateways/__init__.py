"""The list of gateways. mypy holds each module to the protocols it is listed under."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from shared.adapter import Adapter, Batched, LoginFirst, Metered, Searchable
from shared.gateways import sandbox, smsportal, twilio

ADAPTERS: Final[Mapping[str, Adapter]] = MappingProxyType(
    {sandbox.KIND: sandbox, twilio.KIND: twilio, smsportal.KIND: smsportal}
)

# Those that can be asked for their credit, and for a message of unknown fate.
METERED: Final[Mapping[str, Metered]] = MappingProxyType({twilio.KIND: twilio, smsportal.KIND: smsportal})
SEARCHABLE: Final[Mapping[str, Searchable]] = MappingProxyType({twilio.KIND: twilio})

# Those whose batches must be alike in something, and those that may want a login before anything else.
BATCHED: Final[Mapping[str, Batched]] = MappingProxyType({smsportal.KIND: smsportal})
LOGINS: Final[Mapping[str, LoginFirst]] = MappingProxyType({smsportal.KIND: smsportal})
