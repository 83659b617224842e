"""Keyset pages: nothing twice, nothing missed, and a cursor that is not ours is refused."""

import base64

import pytest
from httpx import AsyncClient
from sqlalchemy.ext.asyncio import AsyncEngine

from api.paging import PageAsked, decode_cursor, encode_cursor, page_of
from api.places import id_of
from shared.db import begin
from shared.errors import Invalid
from shared.ids import uuid7
from tests.factories import make_api_key


def test_a_cursor_survives_the_way() -> None:
    place = {"id": str(uuid7()), "position": 7, "name": "Zoë / ?&=#"}
    cursor = encode_cursor(place)
    assert decode_cursor(cursor) == place
    assert cursor.isascii()
    assert not set(cursor) & set("+/=&?# ")


@pytest.mark.parametrize(
    "cursor",
    ["", "x", "not a cursor", "é", "A" * 5000, base64.b64encode(b"[1]").decode(), base64.b64encode(b"{").decode()],
)
def test_a_cursor_that_is_none(cursor: str) -> None:
    with pytest.raises(Invalid) as refused:
        decode_cursor(cursor)
    assert refused.value.errors[0].pointer == "?cursor"


def test_a_surplus_row_means_more() -> None:
    page = PageAsked(limit=2)
    assert page_of([1, 2], page, place=lambda row: {"id": row}) == ([1, 2], None)
    shown, cursor = page_of([1, 2, 3], page, place=lambda row: {"id": row})
    assert shown == [1, 2]
    assert decode_cursor(cursor or "") == {"id": 2}
    assert page_of([], page, place=lambda row: {"id": row}) == ([], None)


def test_the_first_page_is_after_nothing() -> None:
    assert PageAsked().after is None
    assert id_of(PageAsked()) is None


@pytest.mark.parametrize("place", [{}, {"id": "x"}, {"id": 7}, {"id": None}])
def test_a_cursor_of_another_list(place: dict[str, object]) -> None:
    with pytest.raises(Invalid):
        id_of(PageAsked(cursor=encode_cursor(place)))


async def test_pages_hold_everything_once(client: AsyncClient, engine: AsyncEngine) -> None:
    async with begin(engine) as tx:
        made = [(await make_api_key(tx)).public_id for _ in range(7)]
    seen: list[str] = []
    params: dict[str, str | int] = {"limit": 3}
    pages = 0
    while True:
        page = (await client.get("/v1/api-keys", params=params)).json()
        seen += [item["id"] for item in page["items"]]
        pages += 1
        if page["next_cursor"] is None:
            break
        params["cursor"] = page["next_cursor"]
    assert pages == 3
    assert sorted(seen) == sorted(made)


async def test_a_row_between_two_pages_moves_nothing(client: AsyncClient, engine: AsyncEngine) -> None:
    async with begin(engine) as tx:
        made = {(await make_api_key(tx)).public_id for _ in range(4)}
    first = (await client.get("/v1/api-keys", params={"limit": 2})).json()
    await client.post("/v1/api-keys", json={"name": "new", "scopes": ["read"]})
    second = (await client.get("/v1/api-keys", params={"limit": 2, "cursor": first["next_cursor"]})).json()
    assert {item["id"] for item in first["items"] + second["items"]} == made


@pytest.mark.parametrize(
    ("params", "pointer"),
    [
        ({"limit": 0}, "?limit"),
        ({"limit": 201}, "?limit"),
        ({"limit": "many"}, "?limit"),
        ({"cursor": "nonsense"}, "?cursor"),
        ({"cursor": encode_cursor({"id": "nonsense"})}, "?cursor"),
    ],
)
async def test_what_cannot_be_paged(client: AsyncClient, params: dict[str, str | int], pointer: str) -> None:
    response = await client.get("/v1/api-keys", params=params)
    assert response.status_code == 422
    assert response.json()["errors"][0]["pointer"] == pointer


async def test_the_largest_page(client: AsyncClient) -> None:
    assert (await client.get("/v1/api-keys", params={"limit": 200})).json() == {"items": [], "next_cursor": None}
