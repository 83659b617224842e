"""Remedies: every cause that is recorded has its sentence, and each sentence says what to do."""

from pathlib import Path

import pytest

from dispatcher.door.lines import NoAddress
from dispatcher.door.transport import Cause
from dispatcher.path.conversation import LEASE_MARGIN, LOGIN_ENDED
from dispatcher.path.handover import GATEWAY_GONE
from dispatcher.path.trials import NO_ACCOUNT
from shared.adapter import SCRIPT_FAILED
from shared.domain.remedies import REMEDIES
from shared.settings import Settings

WHERE_THEY_ARISE = {
    *(cause.value for cause in (*Cause, *NoAddress)),
    *(LEASE_MARGIN, LOGIN_ENDED, GATEWAY_GONE, NO_ACCOUNT, SCRIPT_FAILED.cause, "login_failed"),
}


@pytest.mark.parametrize("cause", sorted(WHERE_THEY_ARISE))
def test_every_cause_has_one(cause: str) -> None:
    assert REMEDIES[cause].endswith(".")


@pytest.mark.parametrize("cause", sorted(REMEDIES.keys() - WHERE_THEY_ARISE))
def test_none_is_of_a_cause_that_nobody_records(cause: str) -> None:
    sources = [path.read_text() for folder in ("dispatcher", "shared/gateways") for path in Path(folder).rglob("*.py")]
    if cause.startswith("http_"):
        cause = 'xx"'
    assert any(cause in source for source in sources)


@pytest.mark.parametrize(
    ("cause", "named"),
    [
        ("tls_failure", ["certificate", "settings.verify_tls"]),
        ("forbidden_address", ["LAPWING_ALLOWED_NETWORKS"]),
        ("refused_connection", ["port", "firewall"]),
        ("dns_failure", ["name server", "url"]),
        ("read_timeout", ["LAPWING_GATEWAY_DEADLINE_SECONDS"]),
        ("pool_timeout", ["pace.in_flight"]),
    ],
)
def test_the_usual_ones_name_what_to_turn(cause: str, named: list[str]) -> None:
    assert [word for word in named if word not in REMEDIES[cause]] == []
    for word in (word for word in named if word.startswith("LAPWING_")):
        assert word.removeprefix("LAPWING_").lower() in Settings.model_fields
