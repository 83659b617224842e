"""Notices: each kind has its severity, and words that say what to do."""

from uuid import UUID

import pytest

from shared.domain.campaign import HeldReason
from shared.domain.notice import (
    SEVERITY_OF,
    Kind,
    Severity,
    campaign_held,
    database_restored,
    gateway_failing,
    gateway_recovered,
    gateway_withdrawn,
)

ONE = UUID(int=1)


def test_every_kind_has_a_severity() -> None:
    assert set(SEVERITY_OF) == set(Kind)


def test_withdrawn_gateway() -> None:
    notice = gateway_withdrawn(ONE, name="Main", reason="20003")
    assert (notice.kind, notice.severity) == (Kind.GATEWAY_WITHDRAWN, Severity.CRITICAL)
    assert notice.subject == ("gateway", ONE)
    assert "20003" in notice.text
    assert "enable the gateway" in notice.text
    assert notice.data == {"name": "Main", "reason": "20003"}


def test_held_campaign() -> None:
    notice = campaign_held(ONE, name="Autumn", reason=HeldReason.LATE)
    assert (notice.kind, notice.subject) == (Kind.CAMPAIGN_HELD, ("campaign", ONE))
    assert "Autumn" in notice.title
    assert "(late)" in notice.text


def test_failing_gateway_and_its_recovery() -> None:
    failing = gateway_failing(ONE, name="Main", reason="10 hand-overs in a row failed")
    assert (failing.kind, failing.severity) == (Kind.GATEWAY_FAILING, Severity.CRITICAL)
    assert "10 hand-overs in a row failed" in failing.text
    recovered = gateway_recovered(ONE, name="Main")
    assert (recovered.kind, recovered.severity) == (Kind.GATEWAY_RECOVERED, Severity.INFO)
    assert recovered.subject == failing.subject == ("gateway", ONE)


@pytest.mark.parametrize("reason", HeldReason)
def test_every_reason_is_explained(reason: HeldReason) -> None:
    notice = campaign_held(ONE, name="Autumn", reason=reason)
    assert notice.text.count(". ") == 1
    assert notice.data == {"name": "Autumn", "reason": reason}


def test_restored_database() -> None:
    notice = database_restored(ONE, campaigns=2, messages=3)
    assert (notice.kind, notice.severity) == (Kind.DATABASE_RESTORED, Severity.CRITICAL)
    assert "(2)" in notice.text
    assert "(3)" in notice.text
