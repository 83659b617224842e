"""What is said of a failure: enough to mend the script, and nothing that it was given."""

import pytest

from shared.scripts.explained import explain
from shared.scripts.failures import Reason

SCRIPT = """function build(sms)
  if sms.location == nil then error("no location") end
  return sms.settings.api.key .. missing()
end"""

SAID = [
    pytest.param("script:2: no location", "no location", 2, id="words of the script"),
    pytest.param("no location", "no location", None, id="without a place"),
    pytest.param(
        "script:3: attempt to index a nil value (field 'api')",
        "attempt to index a nil value (field 'api')",
        3,
        id="a field of the script",
    ),
    pytest.param(
        "script:3: attempt to index a nil value (field 'Anna')",
        "attempt to index a nil value",
        3,
        id="a field that is not in the script",
    ),
    pytest.param(
        "script:3: attempt to call a nil value (global 'missing')",
        "attempt to call a nil value (global 'missing')",
        3,
        id="a function of the script",
    ),
    pytest.param(
        "script:1: attempt to compare number with nil", "attempt to compare number with nil", 1, id="comparing"
    ),
    pytest.param(
        "script:7: bad argument #1 to 'sub' (number expected, got nil)",
        "bad argument #1 to 'sub' (number expected, got nil)",
        7,
        id="an argument",
    ),
    pytest.param("script:1: this table is read-only", "this table is read-only", 1, id="our own words"),
    pytest.param("script:1: json.decode: this is not JSON", "json.decode: this is not JSON", 1, id="a helper's words"),
    pytest.param("boot:180: unbase64: this is not base64", "unbase64: this is not base64", None, id="a place of ours"),
    pytest.param("script:2: bad number +15550100", "it raised an error", 2, id="a number"),
    pytest.param("script:2: no location for Anna", "it raised an error", 2, id="a name after known words"),
    pytest.param("script:2: Your code is 4711", "it raised an error", 2, id="a text"),
    pytest.param("script:2: ", "it raised an error", 2, id="no words"),
    pytest.param("", "it raised an error", None, id="nothing"),
    pytest.param("script:2: s", "it raised an error", 2, id="a letter of the script"),
    pytest.param(
        "script:2: invalid conversion '%4711' to 'format'",
        "invalid conversion '%4711' to 'format'",
        2,
        id="a format is short",
    ),
    pytest.param(
        "script:2: invalid conversion '%+15550100' to 'format'", "it raised an error", 2, id="a format is long"
    ),
    pytest.param("\udcff\x00\n", "it raised an error", None, id="garbage"),
]


@pytest.mark.parametrize(("message", "detail", "line"), SAID)
def test_a_runtime_error_says_no_more_than_it_may(message: str, detail: str, line: int | None) -> None:
    assert explain(Reason.RUNTIME, message, SCRIPT) == (detail, line)


SYNTAX = [
    pytest.param("script:3: '=' expected near 'x'", "'=' expected near 'x'", 3, id="a word"),
    pytest.param("script:3: unfinished string near '\"s3cret'", "unfinished string", 3, id="a literal"),
    pytest.param("script:3: unfinished string near ''s3cret'", "unfinished string", 3, id="a literal in other quotes"),
    pytest.param("script:3: unfinished long string near '[[s3cret'", "unfinished long string", 3, id="a long literal"),
    pytest.param(
        "script:9: 'end' expected (to close 'function' at line 1) near <eof>",
        "'end' expected (to close 'function' at line 1) near <eof>",
        9,
        id="the end",
    ),
    pytest.param(
        "attempt to load a binary chunk (mode is 't')",
        "attempt to load a binary chunk (mode is 't')",
        None,
        id="bytecode",
    ),
    pytest.param("script:2: syntax error near '4711'", "syntax error", 2, id="a number"),
    pytest.param("script:2: malformed number near '.5x'", "malformed number", 2, id="a fraction"),
    pytest.param("script:1: \x00", "it is not Lua 5.4", 1, id="not printable"),
]


@pytest.mark.parametrize(("message", "detail", "line"), SYNTAX)
def test_a_syntax_error_is_shown_without_literals(message: str, detail: str, line: int | None) -> None:
    assert explain(Reason.SYNTAX, message, SCRIPT) == (detail, line)


@pytest.mark.parametrize("reason", Reason)
def test_no_reason_lets_through_what_it_was_given(reason: Reason) -> None:
    message = "script:2: +15550100 Anna"
    if reason is not Reason.SYNTAX:  # Lua compiles before it knows of any message
        detail, _ = explain(reason, message, SCRIPT)
        assert "Anna" not in detail
        assert "15550100" not in detail
