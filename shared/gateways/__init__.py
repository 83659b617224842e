"""The list of gateways: one line for each kind, and what a module offers says the rest.

mypy holds each module to the protocols of `shared/adapter.py` where its table names them, `tests/gateways/<kind>`.
"""

from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

from shared.adapter import (
    Account,
    AccountWide,
    Adapter,
    Batched,
    Configured,
    LoginFirst,
    Metered,
    Scripted,
    Searchable,
    Warned,
)

_NOBODY: Final = UUID(int=0)
_LISTED: Final = ("custom", "sandbox", "smsportal", "twilio")
_MODULES: Final[Mapping[str, Any]] = {name: import_module(f"{__name__}.{name}") for name in _LISTED}

ADAPTERS: Final[Mapping[str, Adapter]] = MappingProxyType({module.KIND: module for module in _MODULES.values()})

# Those that can be asked for their credit, and for a message of unknown fate.
METERED: Final[Mapping[str, Metered]] = MappingProxyType(
    {kind: module for kind, module in _MODULES.items() if isinstance(module, Metered)}
)
SEARCHABLE: Final[Mapping[str, Searchable]] = MappingProxyType(
    {kind: module for kind, module in _MODULES.items() if isinstance(module, Searchable)}
)

# Those whose batches must be alike in something, that may want a login before anything else, and whose vendors tell all
# news of an account at one address.
BATCHED: Final[Mapping[str, Batched]] = MappingProxyType(
    {kind: module for kind, module in _MODULES.items() if isinstance(module, Batched)}
)
LOGINS: Final[Mapping[str, LoginFirst]] = MappingProxyType(
    {kind: module for kind, module in _MODULES.items() if isinstance(module, LoginFirst)}
)

ACCOUNT_WIDE: Final[Mapping[str, AccountWide]] = MappingProxyType(
    {kind: module for kind, module in _MODULES.items() if isinstance(module, AccountWide)}
)

# Those whose owners say what answers mean, whose settings may be unwise, and whose owners may write scripts.
CONFIGURED: Final[Mapping[str, Configured]] = MappingProxyType(
    {kind: module for kind, module in _MODULES.items() if isinstance(module, Configured)}
)
WARNED: Final[Mapping[str, Warned]] = MappingProxyType(
    {kind: module for kind, module in _MODULES.items() if isinstance(module, Warned)}
)
SCRIPTED: Final[Mapping[str, Scripted]] = MappingProxyType(
    {kind: module for kind, module in _MODULES.items() if isinstance(module, Scripted)}
)


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


def can_be_asked(kind: str, settings: Mapping[str, Any]) -> bool:
    """Whether a gateway with these settings can be asked for its credit."""
    return metered_for(kind, Account(_NOBODY, settings, {})) is not None
