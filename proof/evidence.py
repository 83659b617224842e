"""Gathers what the judge hears from a world: waits until nothing moves any more, then reads the ledgers."""

import time
from collections.abc import Sequence
from typing import Final

from deploy.local.errors import ServerFailed
from deploy.simulator.ledger import Entry, read_ledger
from proof.judge import NONE_NAMED, Endings, Row, Sum, Verdict, judge
from proof.promises import Promises, Started
from proof.world import World

POLL_SECONDS: Final = 0.1
ENDED: Final = ("completed", "stopped", "held")

_OPEN = "SELECT count(*) FROM messages WHERE status IN ('queued', 'sending')"
_INBOX = "SELECT count(*) FROM receipts WHERE applied_at IS NULL"
_ROWS = "SELECT id, coalesce(campaign_message_id::text, ''), msisdn, status, attempt FROM messages"
_RECOUNT = "SELECT status, count(*) FROM messages WHERE campaign_id = '{}' GROUP BY 1"
_TALLIES = (
    "SELECT t.status, sum(t.messages) FROM tallies t JOIN campaign_messages c ON c.id = t.campaign_message_id "
    "WHERE c.campaign_id = '{}' GROUP BY 1"
)
_HELD = """
    SELECT message_id, attempt FROM attempts
    WHERE dispatcher LIKE '%-{pid}-%' AND started_at <= to_timestamp({since})
      AND (finished_at IS NULL OR finished_at >= to_timestamp({since}))
"""
# What the dead had begun: a commit that has reached the database is done, whoever is gone.
_BEGUN = """
    SELECT count(*) FROM pg_stat_activity
    WHERE application_name = 'lapwing-dispatcher' AND xact_start <= to_timestamp({})
"""
_BEGUN_SECONDS: Final = 10.0


class Stuck(TimeoutError):
    """Something that should have come to its end did not."""


def await_ended(world: World, campaign: Started, *, seconds: float = 120.0) -> str:
    """The campaign's status once it moves no more by itself."""
    give_up = time.monotonic() + seconds
    while True:
        status = str(world.api.insist("GET", f"/v1/campaigns/{campaign.id}")["status"])
        if status in ENDED:
            return status
        if time.monotonic() > give_up:
            counts = world.ask(_RECOUNT.format(campaign.id))
            raise Stuck(f"campaign {campaign.name!r} is {status} after {seconds:g} s: {counts}")
        time.sleep(POLL_SECONDS)


def await_still(world: World, *, seconds: float = 60.0) -> None:
    """Until no message is open, the gateway has no receipt left to tell, and the inbox is empty."""
    give_up = time.monotonic() + seconds
    while True:
        left = {"open": _count(world, _OPEN), "callbacks": callbacks_queued(world), "receipts": _count(world, _INBOX)}
        if not any(left.values()):
            return
        if time.monotonic() > give_up:
            raise Stuck(f"after {seconds:g} s there is still something on its way: {left}")
        time.sleep(POLL_SECONDS)


def _count(world: World, statement: str) -> int:
    """While Postgres starts again, there is something left."""
    try:
        return world.count(statement)
    except ServerFailed:
        return 1


def callbacks_queued(world: World) -> int:
    return sum(int(simulator.stats()["callbacks"]["queued"]) for simulator in world.simulators)


def held_by(world: World, pid: int, *, since: float) -> dict[str, int]:
    """What a dispatcher process had in hand at a moment (Unix seconds), with the attempt.

    By its attempts, which stay: a lease may have been lost while somebody else's transaction was waited for. Of one
    that fell asleep it is asked once it is awake: a claim that it had begun may be committed only then.
    """
    return {id_: int(attempt) for id_, attempt in world.ask(_HELD.format(pid=pid, since=since))}


def left_by(world: World, pid: int) -> dict[str, int]:
    """What a process that was just killed had in hand, once its last commit is made or never will be."""
    killed_at = time.time()
    while world.count(_BEGUN.format(killed_at)) and time.time() < killed_at + _BEGUN_SECONDS:
        time.sleep(0.02)
    return held_by(world, pid, since=killed_at)


def read_rows(world: World) -> list[Row]:
    return [Row(id_, step, msisdn, status, int(n)) for id_, step, msisdn, status, n in world.ask(_ROWS)]


def read_entries(world: World) -> list[Entry]:
    """What all gateways swear to, in the order of their times."""
    ledgers = [read_ledger(simulator.ledger_path) for simulator in world.simulators]
    return sorted((entry for ledger in ledgers for entry in ledger), key=lambda entry: entry.time)


def judge_world(world: World, promises: Promises, *, endings: Endings = NONE_NAMED) -> Verdict:
    return judge(promises.keys, read_rows(world), read_entries(world), endings=endings)


def add_up(world: World, campaign: Started) -> Sum:
    """The arithmetic of a campaign that is still."""
    report = world.api.insist("GET", f"/v1/campaigns/{campaign.id}/report")
    return Sum(
        expected=campaign.size,
        reported=report["counts"],
        recounted=_counts(world, _RECOUNT, campaign),
        tallied=_counts(world, _TALLIES, campaign),
    )


def check_sums(world: World, campaigns: Sequence[Started]) -> list[str]:
    """A sentence for each campaign whose numbers do not agree."""
    return [f"{one.name}: {wrong}" for one in campaigns for wrong in add_up(world, one).broken()]


def _counts(world: World, statement: str, campaign: Started) -> dict[str, int]:
    return {status: int(count) for status, count in world.ask(statement.format(campaign.id))}
