"""A script's failure in words that may be shown and logged: no text, no number, no secret that the script was given.

Lua's message is believed in two cases: it is one of Lua's own sentences, or it stands in the script, in quotes.
What a script builds from a message at run time is neither. The child is not trusted to do this.
"""

import re
from typing import Final

from shared.scripts.failures import Reason

_LONGEST: Final = 120
_PLACE: Final = re.compile(r"(?P<chunk>script|boot|json|encodings|hashes):(?P<line>\d{1,6}): ")
_NAMED: Final = re.compile(r" \((?:local|global|field|method|upvalue|constant) '(?P<name>[^']*)'\)$")
_NEAR: Final = re.compile(r" near .*$", re.DOTALL)
_TYPE: Final = "(?:nil|boolean|number|string|table|function|no value)"

# Sentences of Lua and of our helpers; what varies in them is a type, or the name of something of ours.
_KNOWN: Final = re.compile(
    r"attempt to (?:call|index|concatenate|perform arithmetic on|perform bitwise operation on|get length of)"
    rf" a {_TYPE} value"
    rf"|attempt to compare (?:two {_TYPE} values|{_TYPE} with {_TYPE})"
    r"|attempt to perform 'n(?://|%%)0'"
    r"|(?:number|string) (?:has no integer representation|length overflow)"
    r"|'for' (?:initial value|limit|step) (?:must be a number|is zero)"
    rf"|bad argument #\d to '[\w.?]+' \((?:(?:number|string|table) expected, got {_TYPE}"
    r"|number has no integer representation|value expected|value out of range|interval is empty|base out of range"
    r"|invalid option '?%?\w?'?)\)"
    r"|invalid conversion '%[^']{0,4}' to 'format'"
    r"|invalid (?:key to 'next'|order function for sorting|value \(at index \d+\) in table for 'concat')"
    r"|(?:C )?stack overflow|error in error handling"
    r"|(?:json\.null|this table) is read-only"
    r"|json\.array: a table of your own is needed|string\.format: %p is not available"
    r"|[\w.]+: (?:a string is needed|the string is too long|this is not JSON|nested too deep|the separator is empty"
    r"|this is not base64)"
    r"|json\.encode: (?:a string is not UTF-8|a number is not finite|a list has gaps"
    r"|a table (?:is both a list and an object|has a key that is neither a string nor a place in a list)"
    r"|a function is no plain value|more than \d+ bytes of JSON"
    r"|tables are nested more than \d+ deep, or hold themselves)"
)

_WORDS: Final = {
    Reason.OVER_BUDGET: "it takes too many instructions, or too much of the processor",
    Reason.OVER_MEMORY: "it takes too much memory",
    Reason.OVER_TIME: "it gave no answer in time and was killed",
    Reason.KILLED: "its process was killed",
    Reason.TOO_DEEP: "the result is nested too deep, or holds itself",
    Reason.TOO_LARGE: "the result is too large",
}
_RESULTS: Final = re.compile(
    r"a (?:string is not UTF-8|number is not finite|list has gaps|table is both a list and an object"
    r"|table has a key that is neither a string nor a place in a list|function is no plain value)"
    rf"|it gave a {_TYPE}, and a string or a table is needed"
)


def explain(reason: Reason, message: str, script: str) -> tuple[str, int | None]:
    """What may be said about a failure, and the line of the script, where it is known."""
    if reason in _WORDS:
        return _WORDS[reason], None
    if reason is Reason.BAD_RESULT:
        return message if _RESULTS.fullmatch(message) else "the result is not plain data", None
    if reason is Reason.MISSING_FUNCTION:
        return "it defines no function of the name that is needed: build, and read if it has one", None
    place = _PLACE.match(message)
    line = int(place["line"]) if place and place["chunk"] == "script" else None
    said = message[place.end() :] if place else message
    if reason is Reason.SYNTAX:
        return _syntax(said), line
    return _runtime(said, script), line


def _runtime(said: str, script: str) -> str:
    named = _NAMED.search(said)
    sentence = said[: named.start()] if named else said
    if _KNOWN.fullmatch(sentence):
        return said if named and named["name"] in script and len(said) <= _LONGEST else sentence
    if 0 < len(said) <= _LONGEST and said.isprintable() and any(f"{mark}{said}{mark}" in script for mark in "\"'"):
        return said
    return "it raised an error"


def _syntax(said: str) -> str:
    """Lua speaks of the script only; of what it quotes, a literal may be a secret and is left out."""
    near = _NEAR.search(said)
    if near and re.match(r" near '(?:[\"'\d]|\.\d|\[[\[=])", near[0]):
        said = said[: near.start()]
    return said[:_LONGEST] if said.isprintable() else "it is not Lua 5.4"
