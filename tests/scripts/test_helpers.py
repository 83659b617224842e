"""What a script is given to work with, compared with Python's own."""

import base64
import hashlib
import hmac
import json
from typing import Any
from urllib.parse import quote

import pytest

from shared.scripts.failures import Reason, ScriptFailed
from shared.scripts.scripts import Scripts

# Lengths around the blocks of the hashes, and the groups of base64.
TEXTS = [
    ("é€😀" + "x" * length)[:length] for length in (0, 1, 2, 3, 4, 5, 47, 54, 55, 56, 57, 63, 64, 65, 119, 120, 200)
]
KEYS = ["", "k", "ключ", "k" * 64, "k" * 65, "k" * 200]


async def each(scripts: Scripts, expression: str, arguments: list[dict[str, Any]]) -> list[Any]:
    script = f"function build(sms) return {expression} end"
    return [await scripts.call(script, "build", argument) for argument in arguments]


HELPERS = [
    pytest.param("hex(sha256(sms.text))", lambda text: hashlib.sha256(text.encode()).hexdigest(), id="sha256"),
    pytest.param(
        "hex(md5(sms.text))", lambda text: hashlib.md5(text.encode(), usedforsecurity=False).hexdigest(), id="md5"
    ),
    pytest.param("base64(sms.text)", lambda text: base64.b64encode(text.encode()).decode(), id="base64"),
    pytest.param("unbase64(base64(sms.text))", lambda text: text, id="unbase64"),
    pytest.param("urlencode(sms.text .. ' /?&=+~')", lambda text: quote(text + " /?&=+~", safe=""), id="urlencode"),
    pytest.param("split(sms.text, 'x')", lambda text: text.split("x"), id="split"),
    pytest.param("json.decode(json.encode({sms.text}))", lambda text: [text], id="json"),
]


@pytest.mark.parametrize(("expression", "expected"), HELPERS)
async def test_helpers_do_as_python_does(scripts: Scripts, expression: str, expected: Any) -> None:
    found = await each(scripts, expression, [{"text": text} for text in TEXTS])
    assert found == [expected(text) for text in TEXTS]


@pytest.mark.parametrize("name", ["sha256", "md5"])
async def test_hmac(scripts: Scripts, name: str) -> None:
    found = await each(scripts, f"hex(hmac_{name}(sms.key, 'text'))", [{"key": key} for key in KEYS])
    assert found == [hmac.digest(key.encode(), b"text", name).hex() for key in KEYS]


JSON = [
    '{"a": 1, "b": [1.5, -2, 1e3, 0], "c": {"d": "x"}}',
    " [ ] ",
    "{}",
    '[true, false, null, ""]',
    r'["\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00\u007f", "é😀\u2028"]',
    "[9223372036854775807, -9223372036854775808, 0.1, 1e-7, 123456789.125]",
    "[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]",
]


@pytest.mark.parametrize("text", JSON)
async def test_json_there_and_back(scripts: Scripts, text: str) -> None:
    [found] = await each(scripts, "json.decode(sms.text)", [{"text": text}])
    assert found == json.loads(text)


async def test_a_field_that_is_null_is_not_there(scripts: Scripts) -> None:
    script = (
        "function build(sms) return json.decode(sms.text).error == nil and sms.from == nil and 'none' or 'some' end"
    )
    assert await scripts.call(script, "build", {"text": '{"error": null}', "from": None}) == "none"


async def test_json_has_its_names_in_order(scripts: Scripts) -> None:
    script = "function build() return json.encode({b = 1, a = {d = json.array(), c = 'x'}}) end"
    assert await scripts.call(script, "build", {}) == '{"a":{"c":"x","d":[]},"b":1}'


NO_JSON = [
    *(
        "",
        " ",
        "{",
        "[",
        "[1",
        "[1,",
        "[1,]",
        "[,1]",
        '{"a"}',
        '{"a":}',
        '{"a":1,}',
        "{a:1}",
        "01",
        "-",
        "1.",
        ".5",
        "1e",
    ),
    *(
        "tru",
        "nul",
        "NaN",
        "Infinity",
        '"',
        '"\\x"',
        '"\\u12"',
        '"\\ud83d\\u12"',
        '"\n"',
        "[1] 2",
        "'x'",
        "[" * 17 + "]" * 17,
    ),
]


@pytest.mark.parametrize("text", NO_JSON)
async def test_what_is_no_json(scripts: Scripts, text: str) -> None:
    script = "function build(sms)\n  local found = json.decode(sms.text)\n  return {found}\nend"
    with pytest.raises(ScriptFailed, match=r"^line 2: json\.decode: (this is not JSON|nested too deep)$"):
        await scripts.call(script, "build", {"text": text})


MISUSES = [
    pytest.param("base64()", "base64: a string is needed", id="no argument"),
    pytest.param("base64({})", "base64: a string is needed", id="a table"),
    pytest.param("hmac_sha256('k')", "hmac_sha256: a string is needed", id="no text"),
    pytest.param("sha256(sms.long)", "sha256: the string is too long", id="too long"),
    pytest.param("unbase64('a')", "unbase64: this is not base64", id="a digit too few"),
    pytest.param("unbase64('a=b=')", "unbase64: this is not base64", id="padding inside"),
    pytest.param("split('a', '')", "split: the separator is empty", id="no separator"),
    pytest.param("json.encode({build})", "json.encode: a function is no plain value", id="a function as JSON"),
    pytest.param("json.encode({0/0})", "json.encode: a number is not finite", id="not a number as JSON"),
    pytest.param("json.encode(sms.long .. sms.long)", "json.encode: more than 65536 bytes of JSON", id="too much JSON"),
]


@pytest.mark.parametrize(("expression", "detail"), MISUSES)
async def test_misuse_is_told_with_its_line(scripts: Scripts, expression: str, detail: str) -> None:
    with pytest.raises(ScriptFailed) as caught:
        await scripts.call(f"function build(sms)\n\nlocal x = {expression}\nend", "build", {"long": "x" * 65_537})
    assert (caught.value.reason, caught.value.detail, caught.value.line) == (Reason.RUNTIME, detail, 3)
