"""Redaction: the shape of an exchange is kept, and no number, text or secret in any form it may come back in."""

import html
import json
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.redaction import mask, redact_exchange
from shared.adapter import Answer, Call

MSISDN = "+447700900123"
TEXT = 'Ann & Bob: "8 o\'clock", naïve café / 5 € <b>'
SECRET = "s3cr3t/+key=="
QUOTED = quote(SECRET, safe="")
PRIVATE = (TEXT, MSISDN, SECRET)
FORM = ("Content-Type", "application/x-www-form-urlencoded")
CALL = Call(
    "POST",
    f"https://user:{QUOTED}@gw.example.com/send/{QUOTED}?to={quote(MSISDN)}&key={QUOTED}",
    (("Authorization", f"Basic {SECRET}"), ("X-Api-Key", SECRET), FORM),
    f"To={quote_plus(MSISDN)}&Body={quote_plus(TEXT)}".encode(),
)


def everything(call: Call, answer: Answer | None) -> str:
    kept = redact_exchange(call, answer, private=PRIVATE)
    return json.dumps(kept, ensure_ascii=False) + json.dumps(kept)


def check_clean(kept: str) -> None:
    for private in (MSISDN, MSISDN[1:], TEXT, SECRET, "Ann & Bob", "Ann &amp; Bob", "o'clock"):
        assert private not in kept


def test_request_keeps_its_shape() -> None:
    kept = redact_exchange(CALL, None, private=PRIVATE)
    assert kept == {
        "request": {
            "method": "POST",
            "url": "https://gw.example.com/send/[hidden]",
            "headers": {"Authorization": "[hidden]", "X-Api-Key": "[hidden]", "Content-Type": FORM[1]},
            "fields": ["Body", "To", "key", "to"],
        }
    }


@pytest.mark.parametrize(
    "quoted",
    [
        pytest.param(lambda words: words, id="as it is"),
        pytest.param(json.dumps, id="JSON"),
        pytest.param(lambda words: json.dumps(words, ensure_ascii=False), id="JSON, not ASCII"),
        pytest.param(lambda words: json.dumps(words).replace("/", "\\/"), id="JSON of PHP"),
        pytest.param(html.escape, id="HTML"),
        pytest.param(lambda words: html.escape(words, quote=False), id="XML"),
        pytest.param(quote, id="URL"),
        pytest.param(quote_plus, id="form"),
        pytest.param(lambda words: quote(words, safe=""), id="URL, all of it"),
    ],
)
@pytest.mark.parametrize("private", PRIVATE, ids=["text", "number", "secret"])
def test_answer_that_quotes_what_is_private(quoted: object, private: str) -> None:
    words = quoted(private)  # type: ignore[operator]  # a table of functions
    body = f"error 21211: cannot send {words} today".encode()
    kept = everything(CALL, Answer(400, {"content-type": "text/plain"}, body))
    assert words.strip('"') not in kept
    assert "error 21211" in kept
    check_clean(kept)


@pytest.mark.parametrize(
    "number",
    [
        "+447700900999",
        "07700900999",
        "(0770) 090-0999",
        "+44 7700 900 999",
        "+44.7700.900.999",
        "4477009009991234567890",
    ],
)
def test_numbers_that_are_nobody_we_know(number: str) -> None:
    masked = mask(f"call {number} now")
    assert sum(letter.isdigit() for letter in masked) <= 2
    assert masked.endswith(" digits] now")


def test_codes_stay_readable() -> None:
    assert mask("error 21211, status 400, segment 1/2") == "error 21211, status 400, segment 1/2"


def test_half_of_a_text_or_number_does_not_survive_the_cut() -> None:
    for place in range(940, 1001):
        body = "x" * place + MSISDN + TEXT
        kept = redact_exchange(CALL, Answer(400, {}, body.encode()), private=PRIVATE)["answer"]["body"]
        assert "4477" not in kept
        assert "Ann" not in kept
        assert len(kept) <= 1000


def test_headers_of_the_answer() -> None:
    headers = {"set-cookie": "session=1", "retry-after": "30", "x-to": MSISDN, "server": f"gw of {MSISDN}"}
    kept = redact_exchange(CALL, Answer(429, headers), private=PRIVATE)["answer"]
    assert kept["headers"] == {"retry-after": "30", "server": "gw of [hidden]"}


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/xml", "application/json"], ids=["plain", "XML", "JSON"]
)
def test_body_that_is_no_form_has_no_field_names(content_type: str) -> None:
    """Read as a form, a plain body's own words would be names."""
    call = Call("POST", "https://gw.example.com", (("Content-Type", content_type),), f"{TEXT}&{MSISDN}".encode())
    kept = redact_exchange(call, None)
    assert kept["request"]["fields"] == []


@pytest.mark.parametrize("url", ["https://[bad", "", "::", "sandbox:accept", "https://gw.example.com:port/x"])
def test_any_url_has_a_place(url: str) -> None:
    assert isinstance(redact_exchange(Call("POST", url), None)["request"]["url"], str)


@given(st.binary(max_size=300))
def test_any_bytes_have_a_form_that_can_be_stored(body: bytes) -> None:
    kept = json.dumps(redact_exchange(CALL, Answer(200, {}, body), private=PRIVATE))
    assert "\\u0000" not in kept
    kept.encode()
