"""The pages about gateways are true: every setting, placeholder and preset is there, and every example is taken."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from shared.gateways import ADAPTERS
from shared.gateways.custom.placeholders import NAMES
from shared.gateways.custom.presets import PRESETS, expanded
from tests.gateways.custom.settings import SETTINGS_OF_ALL_KINDS

PAGES = Path(__file__).parents[2] / "docs/gateways"
CUSTOM, PRESET_PAGE = (PAGES / "custom.md").read_text(), (PAGES / "presets.md").read_text()


def gateways() -> Iterator[Any]:
    """Every gateway that a page makes, in a call or on its own."""
    for page in sorted(PAGES.glob("*.md")):
        for block in re.findall(r"^```\w*\n(.*?)^```$", page.read_text(), re.DOTALL | re.MULTILINE):
            for text in [*re.findall(r"-d '(\{.*?\})'", block, re.DOTALL), block]:
                if text.startswith("{") and '"kind"' in text and "msisdn" not in text:
                    yield pytest.param(json.loads(text), id=page.stem)


@pytest.mark.parametrize("body", list(gateways()))
def test_examples_are_taken(body: dict[str, Any]) -> None:
    settings = expanded(body["preset"], body["settings"]) if "preset" in body else body["settings"]
    assert ADAPTERS[body["kind"]].check_settings(settings, body["secrets"])


def test_there_are_examples() -> None:
    assert len(list(gateways())) >= 3


def names(value: Any) -> Iterator[str]:
    for name, inner in value.items():
        yield name
        if isinstance(inner, dict) and name != "statuses":
            yield from names(inner)


def test_every_setting_is_explained() -> None:
    missing = {name for name in names(SETTINGS_OF_ALL_KINDS) if not re.search(rf"[`\"]{name}[`\"]", CUSTOM)}
    assert missing == set()


def test_every_placeholder_is_explained() -> None:
    assert [name for name in NAMES if f"`%{name}" not in CUSTOM] == []


def test_every_preset_is_listed() -> None:
    for name, preset in PRESETS.items():
        assert PRESET_PAGE.count(f"| `{name}` |") == 2, name
        assert f"[{preset.title}]({preset.documentation})" in PRESET_PAGE
        assert all(f"`{secret}`" in PRESET_PAGE for secret in preset.secrets)
