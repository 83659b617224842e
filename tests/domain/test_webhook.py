"""Webhooks: when one is tried again and given up, when its receiver counts as away, and what it wants."""

from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from uuid import UUID

import pytest

from shared.domain.event import CHOICES, EVENT_OF_STATUS, EventType, choices_for, wanted_statuses
from shared.domain.message import OPEN, Status
from shared.domain.notice import Kind
from shared.domain.webhook import (
    DISABLED_AFTER,
    LIFE,
    LONGEST_PAUSE,
    TRIED_FOR,
    TRIES,
    WAITS,
    DisabledReason,
    Endpoint,
    Heard,
    after_round,
    disabled_by,
    disabled_notice,
    is_over,
    wait_after,
)
from shared.domain.webhook_signature import secret_text, signature_headers
from shared.domain.webhook_url import UnusableUrl, check_url

NOW = datetime(2026, 3, 2, tzinfo=UTC)
TAKEN, REFUSED, LOST = Heard(status=204), Heard(status=500), Heard(cause="read_timeout")


@pytest.mark.parametrize(("tries", "seconds"), [(1, 5), (2, 300), (3, 1800), (9, 86_400), (10, 86_400), (500, 86_400)])
def test_waits_grow_and_are_spread(tries: int, seconds: int) -> None:
    assert wait_after(tries, chance=0.5).total_seconds() == pytest.approx(seconds)
    assert wait_after(tries, chance=0.0).total_seconds() == pytest.approx(seconds * 0.9)
    assert wait_after(tries, chance=1.0).total_seconds() == pytest.approx(seconds * 1.1)


def test_the_schedule_outlives_the_life() -> None:
    """So the tries are what a delivery has left, not the days."""
    assert sum(WAITS, timedelta()) * 0.9 < LIFE + timedelta(days=1)
    assert sum(WAITS, timedelta()) > LIFE


@pytest.mark.parametrize(
    ("tries", "age", "over"),
    [
        pytest.param(TRIES, LIFE, True, id="tries and days"),
        pytest.param(TRIES - 1, LIFE * 2, False, id="a try is left"),
        pytest.param(TRIES * 9, LIFE - timedelta(seconds=1), False, id="an outage used them up quickly"),
    ],
)
def test_given_up(tries: int, age: timedelta, *, over: bool) -> None:
    assert is_over(tries, since=NOW - age, now=NOW) is over


@pytest.mark.parametrize(
    ("before", "heard", "pause"),
    [
        pytest.param(0, [REFUSED], None, id="once"),
        pytest.param(1, [LOST, REFUSED], None, id="twice"),
        pytest.param(2, [LOST], 5, id="away"),
        pytest.param(3, [LOST], 10, id="still away"),
        pytest.param(5, [LOST], 40, id="for a while"),
        pytest.param(900, [LOST], LONGEST_PAUSE.total_seconds(), id="for days"),
        pytest.param(0, [Heard(status=429, retry_after=60)], 60, id="busy"),
        pytest.param(7, [Heard(status=503, retry_after=9_000_000)], 3600, id="busy for weeks"),
        pytest.param(0, [Heard(status=400, retry_after=60)], None, id="not busy"),
    ],
)
def test_receiver_that_takes_nothing(before: int, heard: list[Heard], pause: float | None) -> None:
    since = NOW - timedelta(hours=1) if before else None
    after = after_round(Endpoint(before, since), heard, now=NOW, chance=0.5)
    assert (after.failures, after.failing_since) == (before + 1, since or NOW)
    assert after.retry_at == (None if pause is None else NOW + timedelta(seconds=pause))


def test_one_success_is_enough() -> None:
    long_away = Endpoint(40, NOW - timedelta(days=2), NOW)
    assert after_round(long_away, [LOST, TAKEN, REFUSED], now=NOW, chance=0.5) == Endpoint()


def test_one_that_takes_some_and_is_busy_then_has_its_pause() -> None:
    after = after_round(Endpoint(2, NOW), [TAKEN, Heard(status=429, retry_after=60)], now=NOW, chance=0.5)
    assert after == Endpoint(retry_at=NOW + timedelta(seconds=60))


@pytest.mark.parametrize(
    ("since", "tried", "heard", "reason"),
    [
        pytest.param(timedelta(), TRIED_FOR, [REFUSED], None, id="just begun"),
        pytest.param(DISABLED_AFTER - timedelta(seconds=1), LIFE, [REFUSED], None, id="for days"),
        pytest.param(DISABLED_AFTER, TRIED_FOR, [LOST], DisabledReason.FAILING, id="for too long"),
        pytest.param(DISABLED_AFTER, timedelta(minutes=59), [LOST], None, id="with days of silence between"),
        pytest.param(timedelta(), timedelta(), [Heard(status=410)], DisabledReason.GONE, id="gone"),
        pytest.param(None, LIFE, [TAKEN], None, id="well"),
    ],
)
def test_disabled(since: timedelta | None, tried: timedelta, heard: list[Heard], reason: DisabledReason | None) -> None:
    endpoint = Endpoint(5, None if since is None else NOW - since)
    assert disabled_by(endpoint, heard, tried_since=NOW - tried, now=NOW) is reason


@pytest.mark.parametrize("reason", [DisabledReason.GONE, DisabledReason.FAILING])
def test_disabled_notice_says_what_to_do(reason: DisabledReason) -> None:
    notice = disabled_notice(UUID(int=1), host="crm.example.com", reason=reason)
    assert (notice.kind, notice.subject) == (Kind.WEBHOOK_DISABLED, ("webhook", UUID(int=1)))
    assert "enable the webhook" in notice.text
    assert notice.data == {"host": "crm.example.com", "reason": reason}


# --- what is wanted


def test_every_status_of_rest_is_an_event() -> None:
    assert set(EVENT_OF_STATUS) == set(Status) - OPEN
    assert {f"message.{status}" for status in EVENT_OF_STATUS} == {
        kind for kind in EventType if kind.startswith("message.")
    }


@pytest.mark.parametrize(
    ("chosen", "wanted"),
    [
        ([], set()),
        (["campaign.*", "inbound.received"], set()),
        (["message.delivered", "campaign.*"], {Status.DELIVERED}),
        (["message.*"], set(EVENT_OF_STATUS)),
        (["*"], set(EVENT_OF_STATUS)),
    ],
)
def test_wanted_statuses(chosen: list[str], wanted: set[Status]) -> None:
    assert wanted_statuses(chosen) == wanted


def test_every_choice_reaches_an_event() -> None:
    reached = {choice for kind in EventType if kind is not EventType.WEBHOOK_TEST for choice in choices_for(kind)}
    assert reached == CHOICES


# --- signatures and URLs


def test_signature_of_the_specification() -> None:
    """The vector of the reference libraries' own tests."""
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    key = bytes.fromhex("31f290f6bf06298aab4f08d43c3f082cf648a362da2da4b0")
    assert secret_text(key) == secret
    headers = dict(
        signature_headers(
            [key], event_id="msg_p5jXN8AQM9LWM0D4loKWxJek", timestamp=1614265330, body=b'{"test": 2432232314}'
        )
    )
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize(
    "url",
    ["https://crm.example.com/a?b=c", "http://crm.example.com:8080", "https://1.1.1.1/", "https://[2606:4700::1]/x"],
)
def test_public_urls_pass(url: str) -> None:
    check_url(url, allowed=())


def test_what_the_operator_allows_passes() -> None:
    allowed = (ip_network("127.0.0.0/8"),)
    for url in ("http://127.0.0.1:9000/", "http://localhost/"):
        check_url(url, allowed=allowed)
        with pytest.raises(UnusableUrl, match="LAPWING_ALLOWED_NETWORKS"):
            check_url(url, allowed=())
    with pytest.raises(UnusableUrl):
        check_url("http://169.254.169.254/", allowed=(ip_network("0.0.0.0/0"),))
