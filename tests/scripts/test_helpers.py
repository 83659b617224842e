"""What scripts may call, against Python's own libraries and the vectors of the standards."""

import base64
import hashlib
import hmac
import json
from typing import Any, Final
from urllib.parse import quote

import pytest

from shared.scripts.failures import Reason, ScriptFailed
from shared.scripts.scripts import Scripts

LENGTHS: Final = (0, 1, 2, 3, 54, 55, 56, 57, 63, 64, 65, 119, 120, 128, 1000)
ODD: Final = "Grüße & 5€?/+ ~-._ %41\n😀"


async def said(scripts: Scripts, expression: str, **given: Any) -> Any:
    return await scripts.call(f"function build(sms) return {expression} end", "build", given)


VECTORS = [
    pytest.param(
        "hex(sha256('abc'))", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", id="FIPS 180-4"
    ),
    pytest.param("hex(md5('message digest'))", "f96b697d7cb7938d525a2f31aaf161d0", id="RFC 1321"),
    pytest.param(
        "hex(hmac_sha256('Jefe', 'what do ya want for nothing?'))",
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
        id="RFC 4231, case 2",
    ),
    pytest.param(
        "hex(hmac_md5('Jefe', 'what do ya want for nothing?'))", "750c783e6ab0b503eaa86e310a5db738", id="RFC 2104"
    ),
    pytest.param("base64('foobar') .. base64('fo') .. base64('')", "Zm9vYmFyZm8=", id="RFC 4648"),
    pytest.param("unbase64('Zm9vYmE=')", "fooba", id="RFC 4648, back"),
    pytest.param("urlencode('a b&c=d/é~')", "a%20b%26c%3Dd%2F%C3%A9~", id="RFC 3986"),
    pytest.param("hex('\\0\\255')", "00ff", id="hexadecimal"),
    pytest.param("split('a,b,,c', ',')", ["a", "b", "", "c"], id="split"),
    pytest.param("split('a.b', '.')", ["a", "b"], id="split takes no pattern"),
    pytest.param(
        "json.encode({b = 1, a = {true, json.null, 'x'}})", '{"a":[true,null,"x"],"b":1}', id="JSON, in order"
    ),
    pytest.param(
        'json.decode(\'{"a": [1, 2.5, "\\\\u00e9\\\\ud83d\\\\ude00"]}\')', {"a": [1, 2.5, "é😀"]}, id="JSON, back"
    ),
]


@pytest.mark.parametrize(("expression", "answer"), VECTORS)
async def test_known_answers(scripts: Scripts, expression: str, answer: Any) -> None:
    assert await said(scripts, expression) == answer


async def test_hashes_of_every_length_agree_with_pythons(scripts: Scripts) -> None:
    texts = ["x" * length for length in LENGTHS]
    script = (
        "function build(sms) return {hex(sha256(sms.text)), hex(md5(sms.text)), hex(hmac_sha256(sms.text, sms.text)),"
        " hex(hmac_md5(sms.text, sms.text)), base64(sms.text), unbase64(base64(sms.text))} end"
    )
    found = await scripts.call_many(script, "build", [{"text": text} for text in texts])
    assert found == [digests(text.encode()) for text in texts]


def digests(text: bytes) -> list[str]:
    return [
        hashlib.sha256(text).hexdigest(),
        hashlib.md5(text, usedforsecurity=False).hexdigest(),
        hmac.new(text, text, "sha256").hexdigest(),
        hmac.new(text, text, "md5").hexdigest(),
        base64.b64encode(text).decode(),
        text.decode(),
    ]


async def test_odd_texts(scripts: Scripts) -> None:
    assert await said(scripts, "urlencode(sms.text)", text=ODD) == quote(ODD, safe="")
    assert await said(scripts, "base64(sms.text)", text=ODD) == base64.b64encode(ODD.encode()).decode()
    assert json.loads(await said(scripts, "json.encode({t = sms.text})", text=ODD)) == {"t": ODD}
    assert await said(scripts, "json.decode(sms.text)", text=json.dumps([ODD])) == [ODD]


BAD = [
    pytest.param("unbase64('a')", "unbase64: this is not base64", id="base64 cut short"),
    pytest.param("unbase64('a?==')", "unbase64: this is not base64", id="no base64"),
    pytest.param("base64(5)", "base64: a string is needed", id="a number"),
    pytest.param("sha256()", "sha256: a string is needed", id="nothing"),
    pytest.param("hmac_sha256('k')", "hmac_sha256: a string is needed", id="one of two"),
    pytest.param("split('a', '')", "split: the separator is empty", id="no separator"),
    pytest.param("json.decode('{\"a\": tru}')", "json.decode: this is not JSON", id="a word cut short"),
    pytest.param("json.decode('[01]')", "json.decode: this is not JSON", id="a leading zero"),
    pytest.param("json.decode('[1] x')", "json.decode: this is not JSON", id="something behind it"),
    pytest.param("json.decode('[1,]')", "json.decode: this is not JSON", id="a comma too many"),
    pytest.param("json.encode({1 / 0})", "json.encode: a number is not finite", id="infinity"),
    pytest.param("json.encode({build})", "json.encode: a function is no plain value", id="a function"),
]


@pytest.mark.parametrize(("expression", "detail"), BAD)
async def test_what_helpers_refuse(scripts: Scripts, expression: str, detail: str) -> None:
    with pytest.raises(ScriptFailed) as failed:
        await scripts.call(f"function build(sms)\nlocal x = {expression}\nreturn 'x' end", "build", {})
    assert (failed.value.reason, failed.value.detail, failed.value.line) == (Reason.RUNTIME, detail, 2)
