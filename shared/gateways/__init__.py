"""The list of gateways. mypy holds each module to the protocols it is listed under."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from shared.adapter import Account, Adapter, Batched, Configured, LoginFirst, Metered, Scripted, Searchable, Warned
from shared.gateways import custom, sandbox, smsportal, twilio

ADAPTERS: Final[Mapping[str, Adapter]] = MappingProxyType(
    {custom.KIND: custom, sandbox.KIND: sandbox, smsportal.KIND: smsportal, twilio.KIND: twilio}
)

# Those that can be asked for their credit, and for a message of unknown fate.
METERED: Final[Mapping[str, Metered]] = MappingProxyType(
    {custom.KIND: custom, smsportal.KIND: smsportal, twilio.KIND: twilio}
)
SEARCHABLE: Final[Mapping[str, Searchable]] = MappingProxyType({twilio.KIND: twilio})

# Those whose batches must be alike in something, and those that may want a login before anything else.
BATCHED: Final[Mapping[str, Batched]] = MappingProxyType({smsportal.KIND: smsportal})
LOGINS: Final[Mapping[str, LoginFirst]] = MappingProxyType({smsportal.KIND: smsportal})

# Those whose owners say what answers mean, whose settings may be unwise, and whose owners may write scripts.
CONFIGURED: Final[Mapping[str, Configured]] = MappingProxyType({custom.KIND: custom})
WARNED: Final[Mapping[str, Warned]] = MappingProxyType({custom.KIND: custom})
SCRIPTED: Final[Mapping[str, Scripted]] = MappingProxyType({custom.KIND: custom})


def adapter_for(kind: str, account: Account) -> Adapter:
    """The adapter to speak with for this account; what it derives from the settings it keeps."""
    configured = CONFIGURED.get(kind)
    return configured.of(account) if configured else ADAPTERS[kind]


def metered_for(kind: str, account: Account) -> Metered | None:
    """Whom to ask for this account's credit; None where it cannot be asked for."""
    configured = CONFIGURED.get(kind)
    if configured is None:
        return METERED.get(kind)
    speaker = configured.of(account)
    return speaker if speaker.CAPABILITIES.balance else None
