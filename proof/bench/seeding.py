"""Fills a bench's world: contacts by the hundred thousand, a campaign for them, rows for the log."""

import time
from typing import Any, Final

from proof.evidence import Stuck
from proof.numbers import SENDER
from proof.world import World

POLL_SECONDS: Final = 0.2

_CONTACTS = """
    INSERT INTO contacts (id, msisdn, name, fields, created_at, updated_at)
    SELECT gen_random_uuid(), '+1555' || lpad(g::text, 7, '0'), 'Name ' || g,
           jsonb_build_object('city', 'City ' || g % 100), now(), now()
    FROM generate_series(1, {count}) g ON CONFLICT DO NOTHING
"""
_GROUP = """
    WITH made AS (
        INSERT INTO target_groups (id, name, kind, created_at, updated_at)
        VALUES (gen_random_uuid(), '{name}', 'static', now(), now()) RETURNING id
    ), members AS (
        INSERT INTO target_group_members (target_group_id, contact_id, added_at)
        SELECT made.id, c.id, now() FROM made, (SELECT id FROM contacts ORDER BY msisdn LIMIT {count}) c RETURNING 1
    )
    SELECT id FROM made
"""
TEXT: Final = 'Hi {{ name | default("there") }}, news from {{ fields.city }} for {{ msisdn }}. Reply STOP to opt out.'


def run_sql(world: World, statement: str) -> str:
    return world.postgres.ask(statement, database="lapwing")


def add_people(world: World, count: int, *, group: str, members: int | None = None) -> str:
    """The id of a target group that holds `count` contacts, or `members` of them."""
    run_sql(world, _CONTACTS.format(count=count))
    held = count if members is None else members
    made = run_sql(world, _GROUP.format(name=group, count=held)).strip().splitlines()[0]
    run_sql(world, "ANALYZE contacts, target_group_members")
    return made


def quiet_gateway(world: World, **changes: Any) -> dict[str, Any]:
    """Replace the world's gateway by one that asks for no receipts: what is measured is the sending alone."""
    world.api.post(f"/v1/gateways/{world.gateway['id']}/disable")
    return world.add_gateway("quiet", **without_receipts(world), **changes)


def await_book() -> None:
    """Dispatchers know of a change within a second."""
    time.sleep(1.5)


def without_receipts(world: World) -> dict[str, Any]:
    """The simulator's account without the token that checks callbacks, so that none are asked for."""
    simulator = world.simulator
    return {
        "settings": {
            "account_sid": simulator.account_sid,
            "api_key": simulator.api_key,
            "from": SENDER,
            "base_url": simulator.base_url,
        },
        "secrets": {"api_secret": simulator.api_secret},
    }


def start_campaign(world: World, group: str, *, name: str, text: str = TEXT, **fields: Any) -> str:
    """Make and start a campaign; its id."""
    campaign: dict[str, Any] = world.api.post(
        "/v1/campaigns",
        {"name": name, "messages": [{"text": text}], "target_group_ids": [group], "opt_in_acknowledged": True} | fields,
    )
    world.api.post(f"/v1/campaigns/{campaign['id']}/start")
    return str(campaign["id"])


def await_status(world: World, campaign: str, *statuses: str, seconds: float) -> dict[str, Any]:
    """The campaign's report once it has one of the statuses."""
    give_up = time.monotonic() + seconds
    while True:
        report: dict[str, Any] = world.api.get(f"/v1/campaigns/{campaign}/report")
        if report["status"] in statuses:
            return report
        if time.monotonic() > give_up:
            raise Stuck(f"the campaign is {report['status']} after {seconds:g} s: {report['counts']}")
        time.sleep(POLL_SECONDS)
