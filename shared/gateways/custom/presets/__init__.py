"""Presets: gateways that need no describing any more, only their owner's secrets. This is the list.

A preset is where settings begin, not where they stay: it is expanded when the gateway is made, and its owner may
change every line of it.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from shared.errors import FieldError, Invalid
from shared.gateways.custom.presets import (
    africas_talking,
    android,
    bulksms,
    clickatell,
    gatewayapi,
    infobip,
    kannel,
    messagebird,
    plivo,
    vonage,
)
from shared.gateways.custom.presets.preset import Preset

__all__ = ["PRESETS", "Preset", "expanded"]

_ALL: Final = (africas_talking, android, bulksms, clickatell, gatewayapi, infobip, kannel, messagebird, plivo, vonage)
PRESETS: Final[Mapping[str, Preset]] = MappingProxyType({module.PRESET.name: module.PRESET for module in _ALL})


def expanded(name: str, over: Mapping[str, Any]) -> dict[str, Any]:
    """The preset's settings with the owner's in their places; null and an empty text take one out."""
    preset = PRESETS.get(name)
    if preset is None:
        raise Invalid(f"preset is not known here; the presets known are: {', '.join(PRESETS)}.", pointer="/preset")
    settings = {
        setting: value for setting, value in {**preset.settings, **over}.items() if value is not None and value != ""
    }
    missing = [
        FieldError(f"/settings/{setting}", f"{setting} is missing. {what.removesuffix('.')}.")
        for setting, what in preset.wanted.items()
        if setting not in settings
    ]
    if missing:
        raise Invalid(" ".join(error.detail for error in missing[:3]), errors=missing)
    return settings
