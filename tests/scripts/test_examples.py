"""The examples of docs/gateways/lua.md: what each script is given, and what comes of it."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from shared.scripts.scripts import Scripts

PAGE = (Path(__file__).parents[2] / "docs/gateways/lua.md").read_text()
FOUND = re.findall(r"```lua\n(.*?)```\n\n```json\n(.*?)```\n\n```json\n(.*?)```", PAGE, re.DOTALL)


def test_every_script_of_the_page_is_an_example() -> None:
    assert len(FOUND) == PAGE.count("```lua") == 3


@pytest.mark.parametrize(("script", "given", "gives"), FOUND)
async def test_the_example_is_true(scripts: Scripts, script: str, given: str, gives: str) -> None:
    argument: dict[str, Any] = json.loads(given)
    function = "read" if "answer" in argument else "build"
    assert function in await scripts.check(script)
    assert await scripts.call(script, function, argument) == json.loads(gives)
