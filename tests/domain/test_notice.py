"""Notices: each kind has its severity, and words that say what to do."""

from uuid import UUID

from shared.domain.notice import SEVERITY_OF, Kind, Severity, campaign_held, gateway_withdrawn

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
