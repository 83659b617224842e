"""Signatures that a script asks for: worked out after it, over what is really sent, by a key that it never sees."""

import hmac
import json
from base64 import b64decode, b64encode
from dataclasses import replace
from typing import Any

import pytest

from shared.adapter import UnfitScript
from shared.gateways import custom
from tests.gateways.custom.account import ACCOUNT, HELLO

KEY = "the-signing-key"
RAW = b"\x00\x01\xfe\xff"
ACCOUNT_ = replace(
    ACCOUNT,
    settings={**ACCOUNT.settings, "script": "function build() end", "payload": None, "headers": []},
    secrets={"signing_key": KEY, "in_base64": b64encode(RAW).decode(), "in_hex": RAW.hex(), "token": "t0k3n"},
)
SCRIPTED = replace(ACCOUNT_, settings={name: value for name, value in ACCOUNT_.settings.items() if value is not None})


def mark(name: str) -> str:
    marks: dict[str, str] = custom.script_input(SCRIPTED, HELLO)["secrets"]
    return marks[name]


def header(wanted: dict[str, Any], kind: str = "hmac_sha256", **more: Any) -> str:
    """What becomes of a signature in a header."""
    told = {"headers": {"X-Signature": {kind: wanted}}, "body": "{}", **more}
    return dict(custom.call_from_script(SCRIPTED, HELLO, told).headers)["X-Signature"]


def test_known_answer() -> None:
    """RFC 4231, case 2."""
    account = replace(SCRIPTED, secrets={"k": "Jefe"})
    told = {"body": "{}", "headers": {"S": {"hmac_sha256": {"secret": "k", "over": "what do ya want for nothing?"}}}}
    found = dict(custom.call_from_script(account, HELLO, told).headers)["S"]
    assert found == "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"


@pytest.mark.parametrize(
    ("kind", "digest"), [("hmac_sha256", "sha256"), ("hmac_sha1", "sha1"), ("hmac_sha512", "sha512")]
)
def test_each_digest(kind: str, digest: str) -> None:
    assert header({"secret": "signing_key", "over": "é"}, kind) == hmac.digest(KEY.encode(), "é".encode(), digest).hex()


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        pytest.param({}, "hex", id="hex"),
        pytest.param({"as": "hex", "prefix": "sha256="}, "hex", id="with a prefix"),
        pytest.param({"as": "base64"}, "base64", id="base64"),
        pytest.param({"as": "base64url"}, "base64url", id="base64url"),
    ],
)
def test_each_form(wanted: dict[str, Any], found: str) -> None:
    digest = hmac.digest(KEY.encode(), b"x", "sha256")
    forms = {"hex": digest.hex(), "base64": b64encode(digest).decode()}
    forms["base64url"] = forms["base64"].replace("+", "-").replace("/", "_")
    assert header({"secret": "signing_key", "over": "x", **wanted}) == wanted.get("prefix", "") + forms[found]


@pytest.mark.parametrize(("secret", "written"), [("in_base64", "base64"), ("in_hex", "hex")])
def test_keys_that_are_bytes(secret: str, written: str) -> None:
    found = header({"secret": secret, "over": "x", "secret_is": written})
    assert found == hmac.digest(RAW, b"x", "sha256").hex()


def test_body_is_signed_as_it_is_sent() -> None:
    """With its secrets filled in, which the script could not know."""
    told = {
        "json": {"to": HELLO.msisdn, "token": mark("token")},
        "headers": {"X-Signature": {"hmac_sha256": {"secret": "signing_key", "over": "POST\n", "body": True}}},
        "query": {"sig": {"hmac_sha256": {"secret": "signing_key", "body": True, "as": "base64"}}},
    }
    call = custom.call_from_script(SCRIPTED, HELLO, told)
    assert json.loads(call.body)["token"] == "t0k3n"
    signed = hmac.digest(KEY.encode(), b"POST\n" + call.body, "sha256").hex()
    assert dict(call.headers)["X-Signature"] == signed
    in_query = hmac.digest(KEY.encode(), call.body, "sha256")
    assert call.url.endswith(
        "sig=" + b64encode(in_query).decode().replace("+", "%2B").replace("/", "%2F").replace("=", "%3D")
    )


def test_marks_in_what_is_signed_become_secrets() -> None:
    found = header({"secret": "signing_key", "over": f"{mark('token')}|1"})
    assert found == hmac.digest(KEY.encode(), b"t0k3n|1", "sha256").hex()


@pytest.mark.parametrize("where", ["json", "form"])
def test_signature_within_the_body(where: str) -> None:
    asked = {"hmac_sha1": {"secret": "signing_key", "over": "x", "as": "base64"}}
    call = custom.call_from_script(SCRIPTED, HELLO, {where: {"sig": asked}})
    body = call.body.decode().replace("%3D", "=").replace("%2B", "+").replace("%2F", "/")
    assert b64encode(hmac.digest(KEY.encode(), b"x", "sha1")).decode() in body


@pytest.mark.parametrize(
    ("wanted", "why"),
    [
        pytest.param("x", "must be a table", id="no table"),
        pytest.param({"secret": "signing_key", "over": "x", "key": "y"}, "it may have", id="an unknown field"),
        pytest.param({"over": "x"}, "the name of a secret", id="no secret"),
        pytest.param({"secret": "gone", "over": "x"}, "no secret named gone", id="a secret that is not given"),
        pytest.param({"secret": "signing_key"}, "signs nothing", id="nothing to sign"),
        pytest.param({"secret": "signing_key", "over": 1}, "over must be a text", id="a number"),
        pytest.param({"secret": "signing_key", "over": "x", "as": "octal"}, "as must be one of", id="an unknown form"),
        pytest.param({"secret": "signing_key", "over": "x", "secret_is": "hex"}, "is no hex", id="not in hex"),
        pytest.param({"secret": "signing_key", "over": "x", "secret_is": "base64"}, "is no base64", id="nor base64"),
        pytest.param({"secret": "signing_key", "over": "x", "secret_is": "rot13"}, "secret_is must be", id="unknown"),
        pytest.param({"secret": "signing_key", "over": "x", "body": "yes"}, "body can be true", id="body is no text"),
        pytest.param({"secret": "signing_key", "over": "x", "prefix": "a\nb"}, "one line", id="two lines"),
    ],
)
def test_what_cannot_be_signed(wanted: Any, why: str) -> None:
    with pytest.raises(UnfitScript) as refusal:
        header(wanted)
    assert why in refusal.value.detail
    assert KEY not in refusal.value.detail


@pytest.mark.parametrize("where", ["json", "form"])
def test_body_cannot_hold_its_own_signature(where: str) -> None:
    asked = {"hmac_sha256": {"secret": "signing_key", "body": True}}
    with pytest.raises(UnfitScript, match="query and headers"):
        custom.call_from_script(SCRIPTED, HELLO, {where: {"sig": asked}})


def test_table_that_is_no_signature_stays_one() -> None:
    value = {"hmac_sha256": {"secret": "signing_key", "over": "x"}, "other": 1}
    call = custom.call_from_script(SCRIPTED, HELLO, {"json": value})
    assert json.loads(call.body) == {"hmac_sha256": {"secret": "signing_key", "over": "x"}, "other": 1}
    assert b64decode(SCRIPTED.secrets["in_base64"]) == RAW
