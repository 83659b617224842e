"""Everything a script may try, against a real child; and whoever comes next finds nothing of it."""

from typing import Any

import pytest

from shared.scripts.failures import Reason, ScriptFailed
from shared.scripts.scripts import Scripts
from tests.scripts.escapes import ABSENT, ESCAPES, RESULTS, RUNAWAYS, SLOW

SMS = {"to": "+15550100", "message": "Hello", "settings": {"key": "k", "list": ["b", "a"]}}
INNOCENT = "function build(sms) return sms.to .. type(leak) .. ('x'):upper() .. string.format('%d', 7) end"


async def outcome_of(scripts: Scripts, script: str) -> Any:
    try:
        return await scripts.call(script, "build", SMS)
    except ScriptFailed as failed:
        return failed.reason


@pytest.mark.parametrize(("script", "outcome"), [*ABSENT, *RUNAWAYS, *SLOW, *ESCAPES, *RESULTS])
async def test_what_comes_of_it(scripts: Scripts, script: str, outcome: Any) -> None:
    found = await outcome_of(scripts, script)
    if isinstance(outcome, frozenset):
        assert found in outcome
    elif outcome is None:
        assert isinstance(found, str)
    else:
        assert found == outcome
        assert isinstance(found, Reason) is isinstance(outcome, Reason)
    assert await scripts.call(INNOCENT, "build", SMS) == "+15550100nilX7"


LEAKS = [
    pytest.param("leak = 1", id="a global"),
    pytest.param("_ENV.leak = 1", id="a global by its table"),
    pytest.param("string.upper = function() return 'leak' end", id="a library's function"),
    pytest.param("string.format = nil", id="a library's function taken away"),
    pytest.param("type = function() return 'leak' end pairs, next, pcall, error = nil", id="functions"),
    pytest.param("json.encode = nil json.null = 1 base64 = nil", id="helpers"),
    pytest.param("table.concat = nil math = nil table.sort = nil", id="what our own chunks use too"),
    pytest.param("pcall(function() sms.to = 'leak' end)", id="the message"),
]


@pytest.mark.parametrize("lines", LEAKS)
async def test_nothing_is_left_for_the_next_call(scripts: Scripts, lines: str) -> None:
    vandal = f"function build(sms) {lines} return {{'done'}} end"
    counter = "n = (n or 0) + 1 function build(sms) n = n + 1 return n .. '' end"
    for _ in range(3):
        assert await scripts.call(vandal, "build", SMS, owner="one") == ["done"]
        assert await scripts.call(INNOCENT, "build", SMS, owner="two") == "+15550100nilX7"
        assert await scripts.call(counter, "build", SMS, owner="one") == "2"
