"""Notices: each kind has its severity, and words that say what to do."""

from uuid import UUID

from shared.domain.notice import (
    SEVERITY_OF,
    Kind,
    Severity,
    campaign_held,
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
    notice = campaign_held(ONE, name="Autumn", reason="late")
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
