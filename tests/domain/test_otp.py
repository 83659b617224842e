"""One-time passwords: codes without bias, codes as people type them, and where a challenge stands."""

import hmac
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from shared.domain import otp
from shared.domain.otp import (
    Challenge,
    OtpNotPending,
    OtpResendTooEarly,
    Status,
    check_resend,
    derive_code,
    is_right,
    read_typed,
    seconds_to_resend,
    status_of,
    wait_after,
)

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
CHALLENGE, PROFILE = UUID(int=1), UUID(int=2)
NUMBER = "+447700900123"


def code(pepper: bytes = b"p" * 32, **over: Any) -> str:
    given: dict[str, Any] = {"challenge_id": CHALLENGE, "profile_id": PROFILE, "msisdn": NUMBER, "length": 6} | over
    return derive_code(pepper, **given)


@pytest.mark.parametrize("length", range(4, 11))
def test_a_code_has_its_length_and_is_the_same_again(length: int) -> None:
    assert len(code(length=length)) == length
    assert code(length=length).isdecimal()
    assert code(length=length) == code(length=length)


@pytest.mark.parametrize("length", [3, 11, 0, -1])
def test_no_other_length(length: int) -> None:
    with pytest.raises(ValueError, match="4 to 10 digits"):
        code(length=length)


def test_whatever_goes_in_changes_it() -> None:
    """All six digits by chance twice: once in a million."""
    codes = {
        code(length=10),
        code(b"q" * 32, length=10),
        code(challenge_id=UUID(int=3), length=10),
        code(profile_id=UUID(int=3), length=10),
        code(msisdn="+447700900124", length=10),
    }
    assert len(codes) == 5


def test_codes_are_spread_evenly() -> None:
    """Chi-squared over the first and the last digit: 9 degrees of freedom, 40 is one in a hundred thousand."""
    drawn = [code(challenge_id=UUID(int=number), length=4) for number in range(20_000)]
    for place in (0, 3):
        counts = Counter(each[place] for each in drawn)
        assert sum((counts[str(digit)] - 2_000) ** 2 / 2_000 for digit in range(10)) < 40
    assert any(each.startswith("0") for each in drawn)


def test_a_draw_at_the_unfair_end_is_drawn_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """2^64 is no multiple of a million: the last draws would make the lowest codes a little likelier."""
    monkeypatch.setattr(hmac, "digest", lambda *_: b"\xff" * 8 + (123_456).to_bytes(8) + b"\0" * 16)
    assert code() == "123456"


def test_a_whole_digest_at_the_unfair_end_is_followed_by_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    def digest(_key: bytes, material: bytes, _hash: Any) -> bytes:
        return b"\xff" * 32 if material.endswith(bytes(4)) else (42).to_bytes(8) + bytes(24)

    monkeypatch.setattr(hmac, "digest", digest)
    assert code() == "000042"


@pytest.mark.parametrize(
    ("typed", "digits"),
    [
        pytest.param("123456", "123456", id="as it was sent"),
        pytest.param(" 123 456 ", "123456", id="spaces"),
        pytest.param("123-456", "123456", id="a dash"),
        pytest.param("123\u2013456", "123456", id="a dash that a keyboard made of it"),
        pytest.param("123\u00a0456\n", "123456", id="a hard space and a line feed"),
        pytest.param("\u202a123456\u202c", "123456", id="marks of direction"),
        pytest.param("\u200b123456\ufeff", "123456", id="spaces nobody sees"),
        pytest.param("\uff11\uff12\uff13\uff14\uff15\uff16", "123456", id="full width"),
        pytest.param("\u0661\u0662\u0663\u0664\u0665\u0666", "123456", id="Arabic digits"),
        pytest.param("\u0967\u0968\u0969456", "123456", id="Devanagari and Latin mixed"),
        pytest.param("\u00b9\u00b2\u00b3456", "", id="superscripts are no decimals"),
        pytest.param("\u2460\u2461", "", id="circled numbers neither"),
        pytest.param("12E456", "", id="a letter"),
        pytest.param("O12345", "", id="an O for a zero"),
        pytest.param("G-123456", "", id="another sender's manner"),
        pytest.param("12.34", "", id="a point"),
        pytest.param("+123456", "", id="a sign"),
        pytest.param("", "", id="nothing"),
        pytest.param("   ", "", id="blank"),
        pytest.param("1" * 64, "1" * 64, id="as long as is read"),
        pytest.param("1" * 65, "", id="longer"),
        pytest.param("1" * 10_000, "", id="ten thousand"),
        pytest.param("123456" + " " * 10_000, "", id="ten thousand spaces"),
    ],
)
def test_a_code_as_typed(typed: str, digits: str) -> None:
    assert read_typed(typed) == digits


@pytest.mark.parametrize(
    ("typed", "right"),
    [("123456", True), ("123457", False), ("", False), ("12345", False), ("1234560", False), ("0123456", False)],
)
def test_only_the_whole_code_is_right(typed: str, *, right: bool) -> None:
    assert is_right(typed, "123456") is right


def challenge(**over: Any) -> Challenge:
    row: dict[str, Any] = {
        "attempts": 0,
        "max_attempts": 5,
        "sends": 1,
        "max_sends": 5,
        "resend_at": NOW + timedelta(seconds=30),
        "expires_at": NOW + timedelta(minutes=10),
    }
    return Challenge(**(row | over))


@pytest.mark.parametrize(
    ("over", "status"),
    [
        pytest.param({}, Status.PENDING, id="fresh"),
        pytest.param({"attempts": 4}, Status.PENDING, id="one attempt left"),
        pytest.param({"attempts": 5}, Status.EXHAUSTED, id="none left"),
        pytest.param({"used_at": NOW}, Status.VERIFIED, id="used"),
        pytest.param({"used_at": NOW, "attempts": 5}, Status.VERIFIED, id="used with the last attempt"),
        pytest.param({"used_at": NOW, "expires_at": NOW}, Status.VERIFIED, id="used, and over by now"),
        pytest.param({"cancelled_at": NOW}, Status.CANCELLED, id="cancelled"),
        pytest.param({"expires_at": NOW}, Status.EXPIRED, id="over this very moment"),
        pytest.param({"expires_at": NOW + timedelta(microseconds=1)}, Status.PENDING, id="and not a moment before"),
    ],
)
def test_where_a_challenge_stands(over: dict[str, Any], status: Status) -> None:
    assert status_of(challenge(**over), now=NOW) is status


@pytest.mark.parametrize(
    ("sends", "waits", "seconds"),
    [
        pytest.param(1, (30, 60, 120), 30, id="after the first"),
        pytest.param(2, (30, 60, 120), 60, id="after the second"),
        pytest.param(3, (30, 60, 120), 120, id="after the third"),
        pytest.param(9, (30, 60, 120), 120, id="the last one holds on"),
        pytest.param(0, (30, 60, 120), 30, id="before any"),
        pytest.param(1, (), 30, id="none given"),
    ],
)
def test_waits_grow(sends: int, waits: tuple[int, ...], seconds: int) -> None:
    assert wait_after(sends, waits) == seconds


@pytest.mark.parametrize(
    ("over", "seconds"),
    [
        pytest.param({}, 30, id="the wait"),
        pytest.param({"resend_at": NOW + timedelta(seconds=29.2)}, 30, id="rounded up"),
        pytest.param({"resend_at": NOW}, 0, id="now"),
        pytest.param({"resend_at": NOW - timedelta(minutes=1)}, 0, id="long since"),
        pytest.param({"sends": 5}, None, id="often enough"),
        pytest.param({"resend_at": NOW + timedelta(minutes=10)}, None, id="only when it is over"),
        pytest.param({"used_at": NOW}, None, id="used"),
        pytest.param({"attempts": 5}, None, id="exhausted"),
    ],
)
def test_when_it_may_be_sent_again(over: dict[str, Any], seconds: int | None) -> None:
    assert seconds_to_resend(challenge(**over), now=NOW) == seconds


def test_resend_when_the_wait_is_over() -> None:
    check_resend(challenge(resend_at=NOW), now=NOW)


@pytest.mark.parametrize(
    ("over", "wait"), [pytest.param({}, 30, id="too early"), pytest.param({"sends": 5}, 600, id="often enough")]
)
def test_resend_refused_for_a_while(over: dict[str, Any], wait: float) -> None:
    with pytest.raises(OtpResendTooEarly) as refused:
        check_resend(challenge(**over), now=NOW)
    assert refused.value.retry_after == wait


@pytest.mark.parametrize("over", [{"used_at": NOW}, {"cancelled_at": NOW}, {"expires_at": NOW}, {"attempts": 5}])
def test_what_is_not_pending_is_all_the_same_to_a_resend(over: dict[str, Any]) -> None:
    with pytest.raises(OtpNotPending) as refused:
        check_resend(challenge(**over), now=NOW)
    assert refused.value.detail == otp.not_pending().detail
