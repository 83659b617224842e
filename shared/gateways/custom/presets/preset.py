"""What a preset is: settings of the custom kind that somebody wrote down once for everybody."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Preset:
    """A vendor's gateway as settings. `wanted` and `secrets` say what its owner has to add, and where it is found."""

    name: str
    title: str
    documentation: str
    settings: Mapping[str, Any]
    secrets: Mapping[str, str]
    wanted: Mapping[str, str] = field(default_factory=dict)


SENDER = "Who sends where a message does not say: a number or a name that the vendor knows as yours."
JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
