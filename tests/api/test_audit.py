"""The audit trail over HTTP."""

from datetime import datetime, timedelta

import pytest
from httpx import AsyncClient
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.db import begin
from shared.queries import audit
from tests.factories import make_api_key


async def write(engine: AsyncEngine, now: datetime, *subjects: tuple[str, str | None]) -> None:
    for number, subject in enumerate(subjects):
        async with begin(engine) as tx:
            await audit.record(
                tx,
                caller="admin",
                action=f"{subject[0]}.changed",
                subject=subject,
                detail={"number": number},
                now=now + timedelta(seconds=number),
                request_id=f"request-{number}",
            )


async def test_newest_first(client: AsyncClient, engine: AsyncEngine, now: datetime) -> None:
    await write(engine, now, ("gateway", "a"), ("policy", None))
    page = (await client.get("/v1/audit")).json()
    assert [(item["action"], item["subject"]) for item in page["items"]] == [
        ("policy.changed", {"kind": "policy", "id": None}),
        ("gateway.changed", {"kind": "gateway", "id": "a"}),
    ]
    newest = page["items"][0]
    assert datetime.fromisoformat(newest["at"]) == now + timedelta(seconds=1)
    assert (newest["caller"], newest["detail"], newest["request_id"]) == ("admin", {"number": 1}, "request-1")


@pytest.mark.parametrize(
    ("params", "numbers"),
    [
        ({"subject_kind": "gateway"}, [2, 0]),
        ({"subject_kind": "gateway", "subject_id": "a"}, [0]),
        ({"subject_kind": "campaign"}, []),
        ({}, [2, 1, 0]),
    ],
)
async def test_of_one_thing(
    client: AsyncClient, engine: AsyncEngine, now: datetime, params: dict[str, str], numbers: list[int]
) -> None:
    await write(engine, now, ("gateway", "a"), ("sender_id", "a"), ("gateway", "b"))
    page = (await client.get("/v1/audit", params=params)).json()
    assert [item["detail"]["number"] for item in page["items"]] == numbers


async def test_an_id_needs_its_kind(client: AsyncClient) -> None:
    response = await client.get("/v1/audit", params={"subject_id": "a"})
    assert response.status_code == 422
    assert response.json()["errors"][0]["pointer"] == "?subject_kind"


async def test_page_by_page(client: AsyncClient, engine: AsyncEngine, now: datetime) -> None:
    await write(engine, now, *[("gateway", str(number)) for number in range(5)])
    params: dict[str, str | int] = {"limit": 2, "subject_kind": "gateway"}
    seen = []
    while True:
        page = (await client.get("/v1/audit", params=params)).json()
        seen += [item["detail"]["number"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        params["cursor"] = page["next_cursor"]
    assert seen == [4, 3, 2, 1, 0]


async def test_nothing_is_written_when_the_deed_fails(engine: AsyncEngine, client: AsyncClient, now: datetime) -> None:
    async def fail() -> None:
        async with begin(engine) as tx:
            await audit.record(tx, caller="a", action="b", subject=("c", None), detail={}, now=now)
            raise LookupError

    with pytest.raises(LookupError):
        await fail()
    assert (await client.get("/v1/audit")).json()["items"] == []


async def test_it_is_the_admins_alone(anonymous: AsyncClient, engine: AsyncEngine) -> None:
    async with begin(engine) as tx:
        key = await make_api_key(tx, "manage")
    assert (await anonymous.get("/v1/audit")).status_code == 401
    headers = {"Authorization": f"Bearer {key.text}"}
    assert (await anonymous.get("/v1/audit", headers=headers)).status_code == 403


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_it_cannot_be_changed(client: AsyncClient, method: str) -> None:
    assert (await client.request(method, "/v1/audit")).status_code == 405
