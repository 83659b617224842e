"""What is said of a failure: the line and the remedy, and nothing that the script was given."""

import pytest

from shared.scripts.failures import Reason, ScriptFailed
from shared.scripts.scripts import Scripts

SMS = {"to": "+15550100", "message": "the password is 4711"}

FAILURES = [
    pytest.param("x = 1\ny = = 2", Reason.SYNTAX, "unexpected symbol near '='", 2, id="syntax"),
    pytest.param("x = 1\nfunction build()\nreturn {", Reason.SYNTAX, "near <eof>", 3, id="cut off"),
    pytest.param("x = 'k3y' 'k4y'", Reason.SYNTAX, "unexpected symbol", 1, id="a literal is not quoted"),
    pytest.param('x = "k3y', Reason.SYNTAX, "unfinished string", 1, id="half a literal is not quoted"),
    pytest.param("x = 1 4711", Reason.SYNTAX, "unexpected symbol", 1, id="a number is not quoted"),
    pytest.param("x = [[k3y]] [[k4y]]", Reason.SYNTAX, "unexpected symbol", 1, id="a long literal is not quoted"),
    pytest.param("function read() end", Reason.MISSING_FUNCTION, "build", None, id="no build"),
    pytest.param(
        "function build()\nreturn nothing.x end", Reason.RUNTIME, "(global 'nothing')", 2, id="a name is told"
    ),
    pytest.param(
        "function build(sms)\n\nerror('no route') end", Reason.RUNTIME, "no route", 3, id="the script's words"
    ),
    pytest.param(
        "function build(sms) error('bad: ' .. sms.message) end", Reason.RUNTIME, "raised", 1, id="words made up"
    ),
    pytest.param(
        "function build(sms) local x = sms[sms.to].y end", Reason.RUNTIME, "attempt to index", 1, id="a number"
    ),
    pytest.param("function build() while true do end end", Reason.OVER_BUDGET, "instructions", None, id="too much"),
    pytest.param("function build() return '\\255' end", Reason.BAD_RESULT, "UTF-8", None, id="no text"),
]


@pytest.mark.parametrize(("script", "reason", "words", "line"), FAILURES)
async def test_what_is_said(scripts: Scripts, script: str, reason: Reason, words: str, line: int | None) -> None:
    with pytest.raises(ScriptFailed) as failed:
        await scripts.call(script, "build", SMS)
    assert (failed.value.reason, failed.value.line) == (reason, line)
    assert words in failed.value.detail
    assert str(failed.value).startswith(f"line {line}: " if line else failed.value.detail)
    assert not any(secret in str(failed.value) for secret in ("15550100", "4711", "k3y", "k4y"))


CHECKS = [
    pytest.param("function build() end", {"build"}, id="build"),
    pytest.param("function build() end function read() end function other() end", {"build", "read"}, id="both"),
    pytest.param("function read() end", Reason.MISSING_FUNCTION, id="read alone"),
    pytest.param("function build() end read = {}", Reason.MISSING_FUNCTION, id="read is no function"),
    pytest.param("function build() end error('x')", Reason.RUNTIME, id="fails when it is loaded"),
    pytest.param("while true do end", Reason.OVER_BUDGET, id="does not end"),
    pytest.param("function build(", Reason.SYNTAX, id="no Lua"),
]


@pytest.mark.parametrize(("script", "outcome"), CHECKS)
async def test_a_script_is_checked_when_it_is_saved(scripts: Scripts, script: str, outcome: set[str] | Reason) -> None:
    if isinstance(outcome, set):
        assert await scripts.check(script) == outcome
        return
    with pytest.raises(ScriptFailed) as failed:
        await scripts.check(script)
    assert failed.value.reason == outcome


READS = [
    pytest.param("return nil", None, id="nil"),
    pytest.param("", None, id="nothing"),
    pytest.param("return {outcome = 'lost'}", {"outcome": "lost"}, id="a table"),
    pytest.param("return answer.body .. sms.to", "+-ok+15550100", id="both are given"),
    pytest.param("return 5", Reason.BAD_RESULT, id="a number"),
    pytest.param("return json.null", Reason.BAD_RESULT, id="null is no nil"),
]


@pytest.mark.parametrize(("lines", "outcome"), READS)
async def test_read_may_have_no_opinion(scripts: Scripts, lines: str, outcome: object) -> None:
    script = f"function build() end function read(answer, sms) {lines} end"
    given = {"answer": {"status": 200, "headers": {}, "body": "+-ok"}, "sms": SMS}
    try:
        found = await scripts.call(script, "read", given)
    except ScriptFailed as failed:
        found = failed.reason
    assert found == outcome


async def test_half_a_surrogate_pair_is_no_end_of_a_worker(scripts: Scripts) -> None:
    half = "\ud800"
    assert await scripts.call(f"function build() return '{half}' end", "build", SMS) == "?"
    assert await scripts.call("function build(sms) return sms.message end", "build", {"message": half}) == "?"


async def test_an_argument_too_large_is_refused(scripts: Scripts) -> None:
    with pytest.raises(ScriptFailed) as failed:
        await scripts.call("function build() return '' end", "build", {"message": "x" * 600_000})
    assert failed.value.reason == Reason.TOO_LARGE
