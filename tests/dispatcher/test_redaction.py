"""Redaction: the shape of an exchange is kept, and no number, text or secret in any form it may come back in."""

import html
import json
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable
from urllib.parse import quote, quote_plus
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.door.redaction import codes_in, hide, mask, redact_exchange, redact_panes, secrets_of
from shared.adapter import Account, Answer, Call

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


@pytest.mark.parametrize(
    "text",
    [
        "order 0199d4c2-0000-7000-8000-000000000001 taken",
        '{"id": "22a6a89af5f2cd09-1036"}',
        "on 2026-11-26 at noon",
        "at 2026-11-26T10:11:12.123456Z",
        "Date=2026-11-26%2010%3A11%3A12&t=Test%20at%202026-11-26+10:11",
        "%D0%9F%D1%80%D0%B8%D0%B2%D0%B5%D1%82%2012%2034",
    ],
)
def test_what_has_digits_and_is_no_number(text: str) -> None:
    assert mask(text) == text


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("To=%2B12025550199&x=1", "To=%2B[11 digits]&x=1"),
        ("t=call%20%2B1%20202%20555%200199%20now", "t=call%20%2B[20 digits]%20now"),
        ('{"t": "call\\n12025550199"}', '{"t": "call\\n[11 digits]"}'),
        ('{"t": "\\u00a012025550199"}', '{"t": "\\u00a0[11 digits]"}'),
        ("sms_12025550199", "sms_[11 digits]"),
        ("٤٤٧٧٠٠٩٠٠٩٩٩", "[12 digits]"),
        ("0199d4c2-0000-7000-8000-000000000001-12025550199", "0199d4c2-0000-7000-8000-000000000001-[11 digits]"),
    ],
)
def test_numbers_among_escapes_and_ids(text: str, masked: str) -> None:
    assert mask(text) == masked


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


@pytest.mark.parametrize("user", ["u", "us", "use", "user", "+447700900123"])
@pytest.mark.parametrize("encode", [b64encode, urlsafe_b64encode], ids=["plain", "URL"])
def test_answer_that_quotes_our_credentials(user: str, encode: Callable[[bytes], bytes]) -> None:
    """Gateways that echo a request echo its Authorization, in which a secret begins anywhere in a group of three."""
    credentials = encode(f"{user}:{SECRET}".encode()).decode()
    answer = Answer(400, {"x-echo": credentials}, f"you said Basic {credentials}".encode())
    for kept in (
        redact_exchange(CALL, answer, secrets=[SECRET]),
        redact_panes(CALL, answer, private=[MSISDN], secrets=[SECRET]),
    ):
        body = kept["answer"]["body"]
        assert body.startswith("you said Basic ")
        assert "[hidden]" in body
        # what is left beside it is the user, and fewer characters of the secret than a group
        left = body.removeprefix("you said Basic ").replace("[hidden]", "")
        assert len(left) <= len(encode(user.encode())) + 4
        assert credentials not in str(kept)


def test_panes_show_all_but_secrets_and_numbers() -> None:
    answer = Answer(
        200,
        {"content-type": "text/plain", "set-cookie": "session=1", "x-trace": f"t-1 {SECRET}", "x-rate-left": "12"},
        f"{TEXT} to {MSISDN} on 2026-11-25".encode(),
    )
    call = Call(
        CALL.method, CALL.url, (*CALL.headers, ("X-Route", "a"), ("Idempotency-Key", "unknown")), f"{TEXT}".encode()
    )
    assert redact_panes(call, answer, private=[MSISDN], secrets=[SECRET]) == {
        "request": {
            "method": "POST",
            "url": "https://gw.example.com/send/[hidden]?to=[hidden]&key=[hidden]",
            "headers": {
                "Authorization": "[hidden]",
                "X-Api-Key": "[hidden]",
                "Content-Type": FORM[1],
                "X-Route": "a",
                "Idempotency-Key": "[hidden]",
            },
            "body": TEXT,
        },
        "answer": {
            "status": 200,
            "headers": {
                "content-type": "text/plain",
                "set-cookie": "[hidden]",
                "x-trace": "t-1 [hidden]",
                "x-rate-left": "12",
            },
            "body": f"{TEXT} to [hidden] on 2026-11-25",
        },
    }


@given(st.binary(max_size=300), st.binary(max_size=300))
def test_any_bytes_make_panes_that_can_be_stored(sent: bytes, heard: bytes) -> None:
    call = Call("POST", "https://gw.example.com", (("X", sent.decode("latin-1")),), sent)
    kept = json.dumps(redact_panes(call, Answer(200, {"x": heard.decode("latin-1")}, heard), secrets=[SECRET]))
    assert "\\u0000" not in kept
    kept.encode()


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("http://192.168.110.242:18763/callbacks/[hidden]/status", id="as it is"),
        pytest.param('{"hook": "http:\\/\\/192.168.110.242:18763\\/callbacks"}', id="JSON of PHP"),
        pytest.param("hook=http%3A%2F%2F192.168.110.242%3A18763%2Fcallbacks&to=x", id="in a form"),
        pytest.param("https://10.200.100.250", id="at the end"),
        pytest.param("<a>https://10.200.100.250?x=1</a>", id="before a query"),
    ],
)
def test_the_host_of_an_address_is_nobody_s_number(text: str) -> None:
    assert mask(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "http://447700900123/x",
        "http://44.77.009.00123/x",
        "http://4.4.770.0900123",
        "http://44.77.0.12@447700900123",
        "http://44.77.0.12:447700900123",
        "see 192.168.110.242",
        "http://10.0.0.1/447700900123",
        "http://10.0.0.1:8080/?to=447700900123",
    ],
)
def test_what_only_looks_like_one_is_hidden(text: str) -> None:
    assert "digits]" in mask(text)
    assert "7700900123" not in mask(text)


def test_a_pane_shows_where_receipts_go_and_not_their_token() -> None:
    base = "http://192.168.110.242:18763/callbacks/1/the-callback-token"
    account = Account(UUID(int=1), {}, {"api_secret": SECRET}, f"{base}/status", f"{base}/inbound")
    body = json.dumps({"hook": f"{base}/status?m=1", "to": MSISDN}).encode()
    call = Call("POST", f"https://gw.example.com/?hook={quote(base, safe='')}", (), body)
    (kept,) = redact_panes(call, None, private=[MSISDN], secrets=secrets_of(account)).values()
    assert kept["body"] == '{"hook": "http://192.168.110.242:18763/callbacks/1/[hidden]/status?m=1", "to": "[hidden]"}'
    hook = "http%3A%2F%2F192.168.110.242%3A18763%2Fcallbacks%2F1%2F[hidden]"
    assert kept["url"] == f"https://gw.example.com/?hook={hook}"


def test_addresses_of_callbacks_are_secrets_too() -> None:
    base = "https://sms.example.com/callbacks/1/the-callback-token"
    account = Account(UUID(int=1), {}, {"api_secret": SECRET}, f"{base}/status", f"{base}/inbound")
    assert secrets_of(account) == (SECRET, "the-callback-token")
    assert secrets_of(Account(UUID(int=1), {}, {})) == ()


@pytest.mark.parametrize("quoted", [SECRET, b64encode(f"user:{SECRET}".encode()).decode(), json.dumps(f"a {SECRET}")])
def test_words_that_were_cut_in_the_middle_of_a_secret(quoted: str) -> None:
    """Wherever an adapter cuts: at most the four characters stay that an owner is shown as a hint, too."""
    words = f"not allowed: {quoted}"
    for cut in range(len("not allowed: "), len(words) + 1):
        kept = hide(words[:cut], [SECRET])
        assert kept.startswith("not allowed: ")
        assert SECRET[:6] not in kept
        assert b64encode(b"user:" + SECRET.encode()).decode()[7:14] not in kept
    assert hide("nothing of it", [SECRET]) == "nothing of it"
    assert hide(words, []) == words


def test_codes_of_a_text_are_private_by_themselves() -> None:
    """A gateway that quotes the end of a text quotes the voucher."""
    words = "Your 5 GB voucher: SPRING-25, valid 30 days. PIN 4711, or q7x9."
    assert codes_in(words) == ["SPRING-25", "4711", "q7x9"]
    answer = Answer(400, {}, b'{"error": 30, "near": "...cher: SPRING-25, valid", "pin": 4711}')
    kept = json.dumps(redact_exchange(CALL, answer, private=(words, *codes_in(words))))
    assert "SPRING" not in kept
    assert "4711" not in kept
    assert "30" in kept


BEYOND = "größter Schlüssel"


@pytest.mark.parametrize(
    "quoted",
    [
        pytest.param(BEYOND, id="as it is"),
        pytest.param(json.dumps(BEYOND), id="JSON"),
        pytest.param(
            json.dumps(BEYOND)
            .replace("\\u00fc", "\\u00FC")
            .replace("\\u00df", "\\u00DF")
            .replace("\\u00f6", "\\u00F6"),
            id="JSON, in capitals",
        ),
        pytest.param(quote(BEYOND), id="in an address"),
        pytest.param(
            "".join(quote(one).lower() if not one.isascii() else quote(one) for one in BEYOND),
            id="in an address, small",
        ),
        pytest.param(b64encode(f"jürgen:{BEYOND}".encode()).decode(), id="Basic"),
        pytest.param(BEYOND.encode().decode("latin-1"), id="read in another alphabet"),
    ],
)
def test_a_secret_beyond_ascii_is_hidden_however_it_is_quoted(quoted: str) -> None:
    kept = hide(f"No: {quoted} is wrong", [BEYOND])
    assert "Schl" not in kept
    assert "hl%C3" not in kept
    assert b64encode(BEYOND.encode()).decode()[:8] not in kept


def test_a_secret_in_another_alphabet_is_hidden_in_an_answer() -> None:
    secret = "größter Schlüssel"
    answer = Answer(400, {}, f"wrong: {secret}".encode("latin-1"))
    kept = redact_exchange(CALL, answer, private=[], secrets=[secret])
    assert "Schl" not in json.dumps(kept)
