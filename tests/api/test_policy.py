"""The policy over HTTP: read, replaced or changed in part, refused by field, written down with its difference."""

from datetime import timedelta
from typing import Any

import pytest
from httpx import AsyncClient
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.db import begin
from shared.models import AuditEntry
from tests.conftest import Clock
from tests.factories import make_api_key

DEFAULTS: dict[str, Any] = {
    "schedule_min_lead_minutes": 0,
    "schedule_max_ahead_days": 365,
    "edit_when_scheduled": "everything",
    "stop_when_running": True,
    "move_when_running": True,
    "require_opt_in_acknowledgement": True,
    "require_consent": False,
    "max_chars": None,
    "max_segments": 10,
    "quota_unit": "segment",
    "opt_out_scope": "all",
    "keywords": {},
    "quiet_hours": [],
    "quiet_hours_kinds": ["campaign"],
    "time_zone": None,
    "location_time_zones": {},
    "late_after_minutes": 60,
    "frequency_cap": None,
    "default_region": None,
    "alphanumeric_senders": False,
    "allowed_countries": None,
    "retention_days": None,
    "max_attachment_bytes": 5_000_000,
    "activated": {"campaigns": True, "personal": True, "otp": True, "automations": True},
    "updated_at": None,
    "updated_by": None,
}


async def put(client: AsyncClient, **rules: Any) -> dict[str, Any]:
    answer = await client.put("/v1/policy", json=rules)
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


async def test_without_a_word_every_rule_has_its_default(client: AsyncClient) -> None:
    answer = await client.get("/v1/policy")
    assert answer.status_code == 200
    assert answer.json() == DEFAULTS


async def test_rules_are_set_as_a_whole(client: AsyncClient, now: Any) -> None:
    rules = {
        "max_chars": 480,
        "quota_unit": "per_160",
        "quiet_hours": [{"start": "20:00", "end": "08:00", "days": ["sat", "fri"]}],
        "frequency_cap": {"messages": 3, "hours": 168},
        "allowed_countries": ["na", "ZA", "ZA"],
        "default_region": "za",
        "location_time_zones": {"cape-town-1": "Africa/Johannesburg"},
        "activated": {"otp": False},
    }
    told = await put(client, **rules)
    stamp = now.isoformat().replace("+00:00", "Z")
    assert told == DEFAULTS | rules | {
        "quiet_hours": [{"start": "20:00", "end": "08:00", "days": ["fri", "sat"]}],
        "allowed_countries": ["NA", "ZA"],
        "default_region": "ZA",
        "activated": DEFAULTS["activated"] | {"otp": False},
        "updated_at": stamp,
        "updated_by": "admin",
    }
    assert (await client.get("/v1/policy")).json() == told
    told = await put(client, max_segments=3)
    assert told == DEFAULTS | {"max_segments": 3, "updated_at": stamp, "updated_by": "admin"}


SET: dict[str, Any] = {
    "max_chars": 480,
    "max_segments": 3,
    "opt_out_scope": "sender",
    "keywords": {"stop": {"sv": ["avsluta"]}, "start": {"sv": ["anmäl"]}},
    "quiet_hours": [{"start": "20:00", "end": "08:00", "days": None}],
    "frequency_cap": {"messages": 3, "hours": 168},
    "allowed_countries": ["NA", "ZA"],
    "location_time_zones": {"cape-town-1": "Africa/Johannesburg"},
    "activated": {"campaigns": True, "personal": True, "otp": False, "automations": True},
}


@pytest.mark.parametrize(
    ("change", "changed"),
    [
        pytest.param({"max_chars": 320}, {"max_chars": 320}, id="one rule"),
        pytest.param({}, {}, id="none at all"),
        pytest.param({"max_chars": None}, {"max_chars": None}, id="the default is none"),
        pytest.param({"max_segments": None}, {"max_segments": 10}, id="the default is a number"),
        pytest.param({"opt_out_scope": None}, {"opt_out_scope": "all"}, id="the default is a word"),
        pytest.param({"quiet_hours": None}, {"quiet_hours": []}, id="the default is an empty list"),
        pytest.param({"keywords": None}, {"keywords": {}}, id="no words of one's own"),
        pytest.param(
            {"keywords": {"help": {"sw": ["nisaidie"]}}}, {"keywords": {"help": {"sw": ["nisaidie"]}}}, id="words"
        ),
        pytest.param({"location_time_zones": {}}, {"location_time_zones": {}}, id="a mapping is one thing"),
        pytest.param({"allowed_countries": ["gb", "GB"]}, {"allowed_countries": ["GB"]}, id="read as in a whole one"),
        pytest.param(
            {"quiet_hours": [{"start": "21:00", "end": "07:00"}]},
            {"quiet_hours": [{"start": "21:00", "end": "07:00", "days": None}]},
            id="a list is one thing",
        ),
        pytest.param(
            {"activated": {"automations": False}},
            {"activated": SET["activated"] | {"automations": False}},
            id="a switch",
        ),
        pytest.param({"activated": {"otp": None}}, {"activated": DEFAULTS["activated"]}, id="a switch's default"),
        pytest.param({"activated": {}}, {}, id="no switch"),
        pytest.param({"activated": None}, {"activated": DEFAULTS["activated"]}, id="every switch's default"),
    ],
)
async def test_a_change_keeps_what_it_does_not_name(client: AsyncClient, change: Any, changed: Any) -> None:
    was = await put(client, **SET)
    assert was == DEFAULTS | SET | {name: was[name] for name in ("updated_at", "updated_by")}
    answer = await client.patch("/v1/policy", json=change)
    assert answer.status_code == 200, answer.text
    assert answer.json() == was | changed
    assert (await client.get("/v1/policy")).json() == was | changed


async def test_what_is_read_may_be_written_back(client: AsyncClient) -> None:
    told = await put(client, time_zone="Europe/Berlin", quiet_hours=[{"start": "21:30", "end": "07:00"}])
    again = {name: value for name, value in told.items() if not name.startswith("updated_")}
    assert await put(client, **again) == told


async def test_a_change_is_written_down_with_its_difference(
    client: AsyncClient, engine: AsyncEngine, clock: Clock
) -> None:
    await put(client, max_chars=480)
    clock.advance(timedelta(seconds=1))
    await put(client, max_chars=320, alphanumeric_senders=True)
    await put(client, max_chars=320, alphanumeric_senders=True)
    async with begin(engine) as tx:
        question = select(AuditEntry).where(AuditEntry.action == "policy.changed").order_by(AuditEntry.id)
        first, second = (await tx.execute(question)).all()
    assert first.detail == {"max_chars": {"from": None, "to": 480}}
    assert second.detail == {"max_chars": {"from": 480, "to": 320}, "alphanumeric_senders": {"from": False, "to": True}}
    assert (second.caller, second.subject_kind) == ("admin", "policy")


async def test_a_change_in_part_is_written_down_too(client: AsyncClient, engine: AsyncEngine, clock: Clock) -> None:
    await put(client, max_chars=480, activated={"otp": False})
    clock.advance(timedelta(seconds=1))
    for _ in range(2):  # the second changes nothing
        answer = await client.patch("/v1/policy", json={"max_chars": None, "activated": {"campaigns": False}})
        assert answer.status_code == 200
    async with begin(engine) as tx:
        question = select(AuditEntry).where(AuditEntry.action == "policy.changed").order_by(AuditEntry.id)
        _, entry = (await tx.execute(question)).all()
    switches = {"campaigns": True, "personal": True, "otp": False, "automations": True}
    assert entry.detail == {
        "max_chars": {"from": 480, "to": None},
        "activated": {"from": switches, "to": switches | {"campaigns": False}},
    }
    assert (entry.caller, entry.subject_kind) == ("admin", "policy")


@pytest.mark.parametrize(
    ("rules", "pointer"),
    [
        pytest.param({"max_chars": 0}, "/max_chars", id="no characters at all"),
        pytest.param({"max_segments": 11}, "/max_segments", id="more than a message may cost"),
        pytest.param({"schedule_min_lead_minutes": -1}, "/schedule_min_lead_minutes", id="a lead into the past"),
        pytest.param({"schedule_max_ahead_days": 366}, "/schedule_max_ahead_days", id="out of sight"),
        pytest.param({"edit_when_scheduled": "nothing"}, "/edit_when_scheduled", id="a word that is nobody's"),
        pytest.param({"quota_unit": "message"}, "/quota_unit", id="a unit that is nobody's"),
        pytest.param({"opt_out_scope": "brand"}, "/opt_out_scope", id="a scope that is nobody's"),
        pytest.param({"keywords": {"stop": {"sv": ["!"]}}}, "/keywords/stop/sv/0", id="a word of no letters"),
        pytest.param({"keywords": {"stop": {"sv": []}}}, "/keywords/stop/sv", id="a language without words"),
        pytest.param({"keywords": {"stop": {"sv": [""]}}}, "/keywords/stop/sv/0", id="an empty word"),
        pytest.param({"keywords": {"halt": {"sv": ["x"]}}}, "/keywords/halt", id="a family that is nobody's"),
        pytest.param({"keywords": {"help": {"sv": ["Stop"]}}}, "/keywords/help/sv/0", id="a word that means stop"),
        pytest.param({"keywords": {"stop": {"a": [f"a{n}" for n in range(2)]}}}, "/keywords/stop/a", id="no language"),
        pytest.param(
            {"keywords": {"stop": {"sv": [f"a{n}" for n in range(400)], "sw": [f"b{n}" for n in range(101)]}}},
            "/keywords",
            id="too many words",
        ),
        pytest.param({"quiet_hours": [{"start": "25:00", "end": "08:00"}]}, "/quiet_hours/0/start", id="no such hour"),
        pytest.param(
            {"quiet_hours": [{"start": "20:00", "end": "08:00", "days": ["someday"]}]},
            "/quiet_hours/0/days/0",
            id="no such day",
        ),
        pytest.param({"quiet_hours": [{"start": "00:00", "end": "00:00"}]}, "", id="never open"),
        pytest.param({"quiet_hours_kinds": ["otp"]}, "/quiet_hours_kinds/0", id="passwords do not wait"),
        pytest.param({"time_zone": "Africa/Atlantis"}, "/time_zone", id="no such zone"),
        pytest.param({"time_zone": ""}, "/time_zone", id="an empty zone"),
        pytest.param({"location_time_zones": {"one": "Mars/Base"}}, "/location_time_zones", id="no such zone there"),
        pytest.param({"late_after_minutes": 0}, "/late_after_minutes", id="late at once"),
        pytest.param({"frequency_cap": {"messages": 0, "hours": 1}}, "/frequency_cap/messages", id="nothing ever"),
        pytest.param({"frequency_cap": {"messages": 1}}, "/frequency_cap/hours", id="within no time"),
        pytest.param({"default_region": "XX"}, "/default_region", id="no such country"),
        pytest.param({"allowed_countries": ["ZA", "QQ"]}, "/allowed_countries", id="no such country allowed"),
        pytest.param({"max_attachment_bytes": 100_000_000}, "/max_attachment_bytes", id="attachments of 100 MB"),
        pytest.param({"retention_days": 0}, "/retention_days", id="kept for no time"),
        pytest.param({"activated": {"faxes": True}}, "/activated/faxes", id="a sort of sending that is nobody's"),
        pytest.param({"max_characters": 480}, "/max_characters", id="a rule that is nobody's"),
    ],
)
async def test_a_rule_that_cannot_be_is_refused_by_name(client: AsyncClient, rules: Any, pointer: str) -> None:
    for answer in (await client.put("/v1/policy", json=rules), await client.patch("/v1/policy", json=rules)):
        assert answer.status_code == 422, answer.text
        assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]
    assert (await client.get("/v1/policy")).json() == DEFAULTS


@pytest.mark.parametrize(
    ("scope", "reads", "writes"), [("send", 403, 403), ("read", 200, 403), ("manage", 200, 403), ("admin", 200, 200)]
)
async def test_only_an_admin_sets_rules(
    anonymous: AsyncClient, engine: AsyncEngine, scope: str, reads: int, writes: int
) -> None:
    async with begin(engine) as tx:
        key = await make_api_key(tx, scope)
    headers = {"Authorization": f"Bearer {key.text}"}
    assert (await anonymous.get("/v1/policy", headers=headers)).status_code == reads
    assert (await anonymous.put("/v1/policy", headers=headers, json={})).status_code == writes
    assert (await anonymous.patch("/v1/policy", headers=headers, json={})).status_code == writes
