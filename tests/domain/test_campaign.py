"""The law of a campaign: what its owner may ask for in each status, and in which words it is refused."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest

from shared.domain import campaign as law
from shared.domain.campaign import LAW, MOVES, STEP_MOVES, WHICH, Event, Status, StepStatus, Which
from shared.domain.message import RESENDABLE
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


@pytest.mark.parametrize("begun", [False, True])
@pytest.mark.parametrize("status", Status)
def test_unschedule(status: Status, begun: bool) -> None:
    if status in {Status.SCHEDULED, Status.HELD} and not begun:
        assert law.unschedule(status, begun=False) is Status.DRAFT
        return
    with pytest.raises(law.CampaignNotScheduled, match=status.value):
        law.unschedule(status, begun=begun)


@pytest.mark.parametrize("status", Status)
def test_stop(status: Status) -> None:
    if status in {Status.SCHEDULED, Status.RUNNING, Status.HELD}:
        assert law.stop(status) is Status.STOPPED
        assert Status.STOPPED in MOVES[status]
        return
    with pytest.raises(law.CampaignNotStoppable, match=status.value):
        law.stop(status)


check_resendable = partial(law.check_resendable, whole=True)


def test_what_is_not_kept_is_not_sent_again() -> None:
    with pytest.raises(law.CampaignNotResendable, match="retention_days"):
        law.check_resendable(Status.COMPLETED, whole=False)


@pytest.mark.parametrize("status", Status)
@pytest.mark.parametrize(
    ("check", "allowed", "refusal"),
    [
        pytest.param(law.check_editable, {Status.DRAFT, Status.SCHEDULED}, law.CampaignNotEditable, id="edit"),
        pytest.param(law.check_deletable, {Status.DRAFT}, law.CampaignNotDeletable, id="delete"),
        pytest.param(check_resendable, {Status.STOPPED, Status.COMPLETED}, law.CampaignNotResendable, id="resend"),
        pytest.param(
            lambda status: law.check_movable(status, StepStatus.PENDING),
            {Status.DRAFT, Status.SCHEDULED, Status.RUNNING, Status.HELD},
            law.MessageNotMovable,
            id="move",
        ),
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
    assert set(LAW) == set(Event)
    assert all(status not in targets for status, targets in MOVES.items())


@pytest.mark.parametrize("target", Status)
def test_sources_turn_the_table_around(target: Status) -> None:
    assert law.sources_of(target) == {status for status in Status if target in MOVES[status]}


def test_completed_comes_from_running_or_out_of_the_archive() -> None:
    assert law.sources_of(Status.COMPLETED) == {Status.RUNNING, Status.ARCHIVED}


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


def _checked(check: Callable[[Status], None]) -> Callable[[Status], Status]:
    def ask(status: Status) -> Status:
        check(status)
        return status

    return ask


# What a status becomes at an owner's word; refused with a Conflict that names the status.
ASKED: dict[Event, Callable[[Status], Status]] = {
    Event.EDIT: _checked(law.check_editable),
    Event.MOVE: _checked(lambda status: law.check_movable(status, StepStatus.PENDING)),
    Event.DELETE: _checked(law.check_deletable),
    Event.DUPLICATE: lambda status: status,
    Event.START: start,
    Event.UNSCHEDULE: lambda status: law.unschedule(status, begun=False),
    Event.RESUME: lambda status: law.resume(status, frozen=True, send_ats=[None], now=NOW),
    Event.STOP: law.stop,
    Event.RESTART: lambda status: law.restart(status, emptied=True, whole=True, send_ats=[None], now=NOW),
    Event.RESEND: _checked(check_resendable),
    Event.ARCHIVE: law.archive,
    Event.UNARCHIVE: lambda status: law.unarchive(status, stopped=True, completed=True),
}
OBSERVED = {Event.DUE, Event.FINISH, Event.HOLD}


@pytest.mark.parametrize("status", Status)
@pytest.mark.parametrize("event", sorted(set(Event) - OBSERVED))
def test_every_pair_has_an_answer(event: Event, status: Status) -> None:
    if law.allows(event, status):
        assert ASKED[event](status) in LAW[event][status]
        return
    with pytest.raises(Conflict, match=status.value):
        ASKED[event](status)


@pytest.mark.parametrize("event", sorted(OBSERVED))
def test_what_is_observed_leads_to_one_status(event: Event) -> None:
    assert len(set().union(*LAW[event].values())) == 1


@pytest.mark.parametrize(
    ("send_ats", "becomes"),
    [
        pytest.param([None], Status.RUNNING, id="at once"),
        pytest.param([LATER], Status.SCHEDULED, id="all ahead"),
        pytest.param([NOW, LATER], Status.RUNNING, id="the first is due"),
    ],
)
def test_restarted(send_ats: list[datetime | None], becomes: Status) -> None:
    assert law.restart(Status.STOPPED, emptied=True, whole=True, send_ats=send_ats, now=NOW) is becomes


@pytest.mark.parametrize(
    ("over", "words"),
    [
        pytest.param({"emptied": False}, "in a moment", id="still on their way"),
        pytest.param({"whole": False}, "retention_days", id="some of it is not kept any more"),
        pytest.param({"send_ats": []}, "duplicate", id="nothing left to send"),
    ],
)
def test_refused_restart_names_the_remedy(over: dict[str, Any], words: str) -> None:
    usual: dict[str, Any] = {"emptied": True, "whole": True, "send_ats": [None], "now": NOW}
    with pytest.raises(law.CampaignNotRestartable, match=words):
        law.restart(Status.STOPPED, **(usual | over))


@pytest.mark.parametrize(
    ("frozen", "send_ats", "becomes"),
    [
        pytest.param(True, [LATER], Status.RUNNING, id="had begun"),
        pytest.param(False, [LATER], Status.SCHEDULED, id="had not begun, and is not due"),
        pytest.param(False, [EARLIER], Status.RUNNING, id="had not begun, and is due"),
    ],
)
def test_resumed(send_ats: list[datetime | None], becomes: Status, *, frozen: bool) -> None:
    assert law.resume(Status.HELD, frozen=frozen, send_ats=send_ats, now=NOW) is becomes


@pytest.mark.parametrize(
    ("stopped", "completed", "becomes"),
    [
        pytest.param(False, False, Status.DRAFT, id="draft"),
        pytest.param(True, False, Status.STOPPED, id="stopped"),
        pytest.param(True, True, Status.STOPPED, id="stopped and emptied"),
        pytest.param(False, True, Status.COMPLETED, id="completed"),
    ],
)
def test_out_of_the_archive_as_what_it_was(becomes: Status, *, stopped: bool, completed: bool) -> None:
    assert law.unarchive(Status.ARCHIVED, stopped=stopped, completed=completed) is becomes


@pytest.mark.parametrize("step", sorted(set(StepStatus) - {StepStatus.PENDING}))
def test_only_a_pending_message_is_moved(step: StepStatus) -> None:
    with pytest.raises(law.MessageNotMovable, match=step.value):
        law.check_movable(Status.RUNNING, step)


def test_what_is_sent_once_more_ended_without_arriving() -> None:
    assert set(WHICH) == set(Which)
    assert frozenset().union(*WHICH.values()) == RESENDABLE
    assert sum(len(statuses) for statuses in WHICH.values()) == len(RESENDABLE)
