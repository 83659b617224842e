"""The law of a campaign: what its owner may ask for in each status, and in which words it is refused."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.domain import campaign as law
from shared.domain.campaign import EDITABLE, MOVES, STEP_MOVES, STOPPABLE, Status, StepStatus
from shared.errors import Conflict

NOW = datetime(2026, 3, 14, 15, 0, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
EARLIER = NOW - timedelta(hours=1)


def start(status: Status = Status.DRAFT, **over: Any) -> Status:
    usual: dict[str, Any] = {"has_recipients": True, "opt_in_acknowledged": True, "send_ats": [None], "now": NOW}
    return law.start(status, **(usual | over))


@pytest.mark.parametrize(
    ("send_ats", "becomes"),
    [
        pytest.param([None], Status.RUNNING, id="at once"),
        pytest.param([LATER], Status.SCHEDULED, id="ahead"),
        pytest.param([NOW], Status.RUNNING, id="this very moment"),
        pytest.param([EARLIER], Status.RUNNING, id="past"),
        pytest.param([LATER, None], Status.RUNNING, id="one at once, one ahead"),
        pytest.param([LATER, LATER + timedelta(days=1)], Status.SCHEDULED, id="all ahead"),
    ],
)
def test_started_draft(send_ats: list[datetime | None], becomes: Status) -> None:
    assert start(send_ats=send_ats) is becomes
    assert becomes in MOVES[Status.DRAFT]


@pytest.mark.parametrize("status", sorted(set(Status) - {Status.DRAFT}))
def test_only_a_draft_can_be_started(status: Status) -> None:
    with pytest.raises(law.CampaignNotStartable, match=f"The campaign is {status}"):
        start(status)


@pytest.mark.parametrize(
    ("over", "refusal", "words"),
    [
        pytest.param({"send_ats": []}, law.CampaignNotStartable, "no message", id="nothing to say"),
        pytest.param({"has_recipients": False}, law.CampaignNotStartable, "no recipients", id="nobody to reach"),
        pytest.param(
            {"opt_in_acknowledged": False}, law.OptInNotAcknowledged, "opt_in_acknowledged", id="nobody vouches"
        ),
    ],
)
def test_refused_start_names_the_remedy(over: dict[str, Any], refusal: type[Conflict], words: str) -> None:
    with pytest.raises(refusal, match=words):
        start(**over)


@pytest.mark.parametrize("status", Status)
def test_unschedule(status: Status) -> None:
    if status is Status.SCHEDULED:
        assert law.unschedule(status) is Status.DRAFT
        return
    with pytest.raises(law.CampaignNotScheduled, match=status.value):
        law.unschedule(status)


@pytest.mark.parametrize("status", Status)
def test_stop(status: Status) -> None:
    if status in STOPPABLE:
        assert law.stop(status) is Status.STOPPED
        assert Status.STOPPED in MOVES[status]
        return
    with pytest.raises(law.CampaignNotStoppable, match=status.value):
        law.stop(status)


@pytest.mark.parametrize("status", Status)
@pytest.mark.parametrize(
    ("check", "allowed", "refusal"),
    [
        pytest.param(law.check_editable, EDITABLE, law.CampaignNotEditable, id="edit"),
        pytest.param(law.check_deletable, {Status.DRAFT}, law.CampaignNotDeletable, id="delete"),
    ],
)
def test_check(status: Status, check: Callable[[Status], None], allowed: set[Status], refusal: type[Conflict]) -> None:
    if status in allowed:
        check(status)
        return
    with pytest.raises(refusal, match=status.value):
        check(status)


def test_tables_are_whole() -> None:
    assert set(MOVES) == set(Status)
    assert set(STEP_MOVES) == set(StepStatus)
    assert not MOVES[Status.ARCHIVED]
    assert all(status not in targets for status, targets in MOVES.items())


@pytest.mark.parametrize("target", Status)
def test_sources_turn_the_table_around(target: Status) -> None:
    assert law.sources_of(target) == {status for status in Status if target in MOVES[status]}


def test_completed_comes_from_running_alone() -> None:
    assert law.sources_of(Status.COMPLETED) == {Status.RUNNING}


@pytest.mark.parametrize("status", Status)
def test_archived_from_where_the_moves_allow(status: Status) -> None:
    if Status.ARCHIVED in MOVES[status]:
        assert law.archive(status) is Status.ARCHIVED
        return
    with pytest.raises(law.CampaignNotArchivable, match=status.value):
        law.archive(status)


@pytest.mark.parametrize(
    ("over", "refusal"),
    [
        pytest.param({"has_recipients": False}, law.CampaignNotStartable, id="nobody to reach"),
        pytest.param({"opt_in_acknowledged": False}, law.OptInNotAcknowledged, id="nobody vouches"),
    ],
)
def test_only_a_scheduled_one_has_to_stay_startable(over: dict[str, bool], refusal: type[Conflict]) -> None:
    usual = {"has_recipients": True, "opt_in_acknowledged": True}
    law.check_still_startable(Status.SCHEDULED, **usual)
    law.check_still_startable(Status.DRAFT, **(usual | over))
    with pytest.raises(refusal, match="unschedule"):
        law.check_still_startable(Status.SCHEDULED, **(usual | over))
