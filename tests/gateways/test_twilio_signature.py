"""X-Twilio-Signature by the vendor's vectors, and by everything that must not pass for one."""

from urllib.parse import urlencode

import pytest

from shared.adapter import Callback, ForgedCallback
from shared.domain.url_signature import is_signed, sign
from shared.gateways.twilio.callbacks import check_signature

TOKEN = "12345"
URL = "https://mycompany.com/myapp.php?foo=1&bar=2"
PARAMS = [
    ("CallSid", "CA1234567890ABCDE"),
    ("Caller", "+14158675309"),
    ("Digits", "1234"),
    ("From", "+14158675309"),
    ("To", "+18005551212"),
]
TWICE = [("Sid", "CA123"), ("SidAccount", "AC123"), ("Digits", "5678"), ("Digits", "1234"), ("Digits", "1234")]
HASH = "0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620"
DOCUMENT = b'{"property": "value", "boolean": true}'
OTHER_CALLER = [(n, "+14158675310" if n in {"Caller", "From"} else v) for n, v in PARAMS]
STATUS = [
    ("AccountSid", "AC" + "0" * 32),
    ("From", "+15017250604"),
    ("MessageSid", "SM" + "1" * 32),
    ("MessageStatus", "delivered"),
    ("To", "+15558675310"),
]
STATUS_URL = "https://sms.example.com/webhooks/twilio/status?m=42"
EXAMPLE = "https://example.com/myapp.php?foo=1&bar=2"
WITH_PORT = "https://mycompany.com:443/myapp.php?foo=1&bar=2"
HTTP_80 = "http://mycompany.com:80/myapp.php?foo=1&bar=2"
HTTP_1234 = "http://mycompany.com:1234/myapp.php?foo=1&bar=2"

VECTORS = [
    pytest.param(TOKEN, URL, PARAMS, "RSOYDt4T1cUTdK1PDd93/VVr8B8=", id="1 the documented one"),
    pytest.param(TOKEN, WITH_PORT, PARAMS, "kvajT1Ptam85bY51eRf/AJRuM3w=", id="2 https port"),
    pytest.param(TOKEN, HTTP_80, PARAMS, "0ZXoZLH/DfblKGATFgpif+LLRf4=", id="3 http port"),
    pytest.param(TOKEN, HTTP_1234, PARAMS, "Zmvh+3yNM1Phv2jhDCwEM3q5ebU=", id="4 other port"),
    pytest.param(TOKEN, URL, TWICE, "IK+Dwps556ElfBT0I3Rgjkr1wJU=", id="5 repeated parameter"),
    pytest.param(TOKEN, f"{URL}&bodySHA256={HASH}", [], "a9nBmqA0ju/hNViExpshrM61xv4=", id="6 a document"),
    pytest.param(TOKEN, EXAMPLE, OTHER_CALLER, "L/OH5YylLD5NRKLltdqwSvS0BnU=", id="7 other caller"),
    pytest.param("test-token", STATUS_URL, STATUS, "X1v/N6xwTHGHaURgjEu2qXFA2wg=", id="8 a status callback"),
]
Params = list[tuple[str, str]]


def posted(url: str, params: Params, signature: str | None, *, body: bytes = b"") -> Callback:
    kind = "application/x-www-form-urlencoded" if params else "application/json"
    headers = {"content-type": kind}
    if signature is not None:
        headers["x-twilio-signature"] = signature
    return Callback("POST", url, headers, urlencode(params).encode() if params else body)


@pytest.mark.parametrize(("token", "url", "params", "signature"), VECTORS)
def test_sign(token: str, url: str, params: Params, signature: str) -> None:
    assert sign(token, url, params) == signature


@pytest.mark.parametrize(("token", "url", "params", "signature"), VECTORS)
def test_a_genuine_request_passes(token: str, url: str, params: Params, signature: str) -> None:
    check_signature(token, posted(url, params, signature, body=b"" if params else DOCUMENT))


@pytest.mark.parametrize(
    ("asked", "signed"),
    [
        pytest.param(URL, WITH_PORT, id="the default port is signed, not asked"),
        pytest.param(WITH_PORT, URL, id="the default port is asked, not signed"),
        pytest.param("http://mycompany.com/x", "http://mycompany.com:80/x", id="the default port of http"),
        pytest.param(HTTP_1234, HTTP_1234.replace(":1234", ""), id="another port is not signed"),
        pytest.param("https://[2001:db8::1]:443/x", "https://[2001:db8::1]/x", id="IPv6"),
        pytest.param("https://me:pw@h.test/x?y", "https://me:pw@h.test:443/x?y", id="a user"),
    ],
)
def test_the_port_may_be_signed_or_not(asked: str, signed: str) -> None:
    assert is_signed(TOKEN, sign(TOKEN, signed, PARAMS), asked, PARAMS)


@pytest.mark.parametrize(
    "signed",
    [
        pytest.param(URL.replace("https", "http"), id="http instead of https"),
        pytest.param(URL.replace("foo=1", "foo=2"), id="another query"),
        pytest.param(URL.replace("foo=1&bar=2", "bar=2&foo=1"), id="another order"),
        pytest.param(URL.replace(".com/", ".com:8443/"), id="another port"),
        pytest.param(URL + "&", id="one character more"),
        pytest.param(URL.replace("myapp", "Myapp"), id="another case"),
    ],
)
def test_another_address_does_not_pass(signed: str) -> None:
    assert not is_signed(TOKEN, sign(TOKEN, signed, PARAMS), URL, PARAMS)


def test_a_get_is_signed_by_its_address_alone() -> None:
    headers = {"x-twilio-signature": sign(TOKEN, URL)}
    check_signature(TOKEN, Callback("GET", URL, headers))
    with pytest.raises(ForgedCallback):
        check_signature(TOKEN, Callback("GET", f"{URL}&x=1", headers))
    with pytest.raises(ForgedCallback):
        check_signature(TOKEN, Callback("GET", URL, headers, b"stowaway"))


def test_empty_values_count() -> None:
    signature = sign(TOKEN, URL, [*PARAMS, ("Empty", "")])
    assert signature == sign(TOKEN, URL, [("Empty", ""), *PARAMS])
    check_signature(TOKEN, posted(URL, [*PARAMS, ("Empty", "")], signature))
    with pytest.raises(ForgedCallback):
        check_signature(TOKEN, posted(URL, PARAMS, signature))


GENUINE = "RSOYDt4T1cUTdK1PDd93/VVr8B8="
SIGNED_DOCUMENT = posted(f"{URL}&bodySHA256={HASH}", [], "a9nBmqA0ju/hNViExpshrM61xv4=", body=DOCUMENT)


@pytest.mark.parametrize(
    "forged",
    [
        pytest.param(posted(URL, [*PARAMS[:-1], ("To", "+18005551213")], GENUINE), id="changed"),
        pytest.param(posted(URL, [*PARAMS, ("X", "1")], GENUINE), id="one parameter more"),
        pytest.param(posted(URL, PARAMS[:-1], GENUINE), id="one parameter less"),
        pytest.param(posted(URL, PARAMS, None), id="no signature"),
        pytest.param(posted(URL, PARAMS, GENUINE.lower()), id="a signature in lower case"),
        pytest.param(posted(URL, PARAMS, GENUINE[:-1]), id="a signature cut short"),
        pytest.param(posted(f"http{URL[5:]}", PARAMS, GENUINE), id="http instead of https"),
        pytest.param(
            posted(
                SIGNED_DOCUMENT.url,
                [],
                SIGNED_DOCUMENT.headers["x-twilio-signature"],
                body=DOCUMENT.replace(b"true", b"trve"),
            ),
            id="one byte of a document",
        ),
        pytest.param(posted(URL, [], sign(TOKEN, URL), body=DOCUMENT), id="a document without its hash"),
        pytest.param(posted(URL.replace("bar", "b√r"), PARAMS, GENUINE), id="no ASCII"),
    ],
)
def test_a_forged_request_is_refused(forged: Callback) -> None:
    with pytest.raises(ForgedCallback):
        check_signature(TOKEN, forged)


def test_without_a_token_nothing_passes() -> None:
    with pytest.raises(ForgedCallback, match="auth_token"):
        check_signature("", posted(URL, PARAMS, sign("", URL, PARAMS)))
