"""Tags that somebody has no value for: told in the preview, refused at the start, let through by a default."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from httpx import AsyncClient
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.db import begin
from shared.domain.template import CAMPAIGN_TAGS, compile_template
from shared.queries.audience import list_missing
from tests.conftest import Clock
from tests.factories import make_campaign, make_contact, make_msisdn, make_target_group

LOOSE = make_msisdn(99)


@pytest.mark.parametrize(
    ("words", "needed"),
    [
        pytest.param("Hi {{ name }}", {"name": ("name",)}, id="a column"),
        pytest.param("{{ contact.name }}", {"contact.name": ("name",)}, id="its other name"),
        pytest.param("{{ fields.city | title }}", {"fields.city": ("fields", "city")}, id="filtered"),
        pytest.param('{{ name | default("you") }}', {}, id="with a default"),
        pytest.param('{{ name | default("") }}', {}, id="that may be empty"),
        pytest.param('{{ name | default("you") }} {{ name }}', {"name": ("name",)}, id="with a default once only"),
        pytest.param("plain", {}, id="no tag"),
    ],
)
def test_needed(words: str, needed: dict[str, tuple[str, ...]]) -> None:
    assert compile_template(words, known=CAMPAIGN_TAGS).needed == needed


async def made(client: AsyncClient, **over: Any) -> str:
    body = {"name": "Spring", "messages": [{"text": "Hi {{ name }}"}], "opt_in_acknowledged": True}
    answer = await client.post("/v1/campaigns", json=body | over)
    assert answer.status_code == 201, answer.text
    return f"/v1/campaigns/{answer.json()['id']}"


@pytest.fixture
async def people(engine: AsyncEngine) -> dict[str, str]:
    """Ann has everything, Ben no city, Cas a blank name and an empty city."""
    async with begin(engine) as tx:
        ann = await make_contact(tx, msisdn=make_msisdn(1), name="Ann", fields={"city": "Delft", "visits": 0})
        ben = await make_contact(tx, msisdn=make_msisdn(2), name="Ben", fields={"vip": False})
        cas = await make_contact(tx, msisdn=make_msisdn(3), name="", fields={"city": " \n", "visits": 1})
        group = await make_target_group(tx, ann, ben, cas)
    return {"ann": str(ann), "ben": str(ben), "cas": str(cas), "group": str(group)}


@pytest.mark.parametrize(
    ("words", "loose", "missing"),
    [
        pytest.param("{{ name }}", False, {"name": (1, "cas")}, id="a blank column"),
        pytest.param("{{ fields.city }}", False, {"fields.city": (2, None)}, id="a field left out and an empty one"),
        pytest.param("{{ fields.visits }}", False, {"fields.visits": (1, "ben")}, id="zero is a value"),
        pytest.param("{{ fields.gone }}", False, {"fields.gone": (3, None)}, id="a tag that is nobody's"),
        pytest.param("{{ fields.city.name }}", False, {"fields.city.name": (3, None)}, id="below a value"),
        pytest.param("{{ name }}", True, {"name": (2, "cas")}, id="a loose number has none"),
        pytest.param("{{ msisdn }}{{ campaign.name }}", True, {}, id="what everybody has"),
        pytest.param('{{ fields.city | default("town") }}', True, {}, id="a default"),
    ],
)
async def test_tells_and_refuses(
    client: AsyncClient, people: dict[str, str], words: str, loose: bool, missing: dict[str, tuple[int, str | None]]
) -> None:
    url = await made(
        client,
        messages=[{"text": "Hello"}, {"text": words}],
        target_group_ids=[people["group"]],
        contact_ids=[people["cas"]],
        msisdns=[LOOSE, make_msisdn(1)] if loose else [],
    )
    told = (await client.get(f"{url}/preview")).json()["missing"]
    assert {one["tag"]: one["recipients"] for one in told} == {tag: count for tag, (count, _) in missing.items()}
    for one in told:
        who = missing[one["tag"]][1]
        assert one["positions"] == [2]
        assert who is None or one["contact_id"] == people[who]
    answer = await client.post(f"{url}/start")
    assert answer.status_code == (409 if missing else 200), answer.text
    if missing:
        problem = answer.json()
        assert problem["type"] == "/problems/tags-missing"
        for tag, (count, who) in missing.items():
            assert f"`{tag}` (message 2) for {count} recipient" in problem["detail"]
            assert who is None or people[who] in problem["detail"]
            assert f'{{{{ {tag} | default("...") }}}}' in problem["detail"]
        assert (await client.get(url)).json()["status"] == "draft"


async def test_a_default_lets_it_start(client: AsyncClient, people: dict[str, str]) -> None:
    url = await made(client, target_group_ids=[people["group"]])
    assert (await client.post(f"{url}/start")).status_code == 409
    await client.patch(url, json={"messages": [{"text": 'Hi {{ name | default("you") }}'}]})
    assert (await client.post(f"{url}/start")).json()["status"] == "running"


async def test_a_scheduled_campaign_gets_no_hole_by_a_change(
    client: AsyncClient, people: dict[str, str], clock: Clock
) -> None:
    at = (clock.now + timedelta(hours=1)).isoformat()
    url = await made(client, messages=[{"text": "Hi", "send_at": at}], target_group_ids=[people["group"]])
    assert (await client.post(f"{url}/start")).json()["status"] == "scheduled"
    answer = await client.patch(url, json={"messages": [{"text": "Hi {{ name }}", "send_at": at}]})
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/tags-missing")
    assert (await client.get(url)).json()["messages"][0]["text"] == "Hi"
    assert (await client.patch(url, json={"msisdns": [LOOSE]})).status_code == 200


async def test_a_thousand_tags_are_asked_for(client: AsyncClient, people: dict[str, str]) -> None:
    texts = [" ".join(f"{{{{fields.k{n}}}}}" for n in range(start, start + 100)) for start in range(0, 1000, 100)]
    url = await made(client, messages=[{"text": words} for words in texts], contact_ids=[people["ann"]])
    told = (await client.get(f"{url}/preview")).json()["missing"]
    assert [one["tag"] for one in told] == [f"fields.k{n}" for n in range(1000)]
    assert "and 995 more tags" in (await client.post(f"{url}/start")).json()["detail"]


async def test_two_hundred_thousand_recipients(engine: AsyncEngine, client: AsyncClient, clock: Clock) -> None:
    """Counted in the database: the answer is one row, and the same whether 50 or everybody lacks a value."""
    async with begin(engine) as tx:
        group = await make_target_group(tx)
        await tx.execute(text("SET LOCAL session_replication_role = replica"))  # foreign keys are not the matter here
        await tx.execute(_PEOPLE, {"group": group})
        campaign_id = await make_campaign(tx, [LOOSE], now=clock.now, status="draft", texts=["{{ name }}"])
        await tx.execute(
            text("INSERT INTO campaign_targets (id, campaign_id, target_group_id) VALUES (:id, :campaign, :group)"),
            {"id": uuid4(), "campaign": campaign_id, "group": group},
        )
    url = f"/v1/campaigns/{campaign_id}"
    (told,) = (await client.get(f"{url}/preview")).json()["missing"]
    assert (told["tag"], told["recipients"]) == ("name", 51)
    assert told["contact_id"] is not None
    answer = await client.post(f"{url}/start")
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/tags-missing")
    async with begin(engine) as tx:
        (everybody,) = await list_missing(tx, campaign_id, {"fields.gone": ("fields", "gone")}, now=clock.now)
        assert everybody.recipients == 200_001


_PEOPLE = text("""
WITH made AS (
  INSERT INTO contacts (id, msisdn, name, fields, created_at, updated_at)
  SELECT CAST('0197c0de-0000-7000-8000-' || lpad(to_hex(n), 12, '0') AS uuid),
         '+1202' || (5000000 + n), CASE WHEN n % 4000 > 0 THEN 'Guest ' || n END,
         jsonb_build_object('city', 'Delft'), now(), now()
  FROM generate_series(1, 200000) AS n
  RETURNING id
)
INSERT INTO target_group_members (target_group_id, contact_id, added_at) SELECT :group, id, now() FROM made
""")
