"""What is too large or too slow is refused before anything looks at it; and pages of other origins stay outside."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient, Response

from api.backstop import Backstop
from api.frontdoor import Frontdoor
from api.gate import LARGEST_HEAD, LONGEST_TARGET, MOST_HEADERS, Gate
from api.limits import JSON_LIMIT
from api.main import create_app
from api.resources import Resources
from shared.db import build_engine
from shared.settings import Settings
from tests.conftest import ADMIN_KEY

AUTHORIZED = {"Authorization": f"Bearer {ADMIN_KEY}"}


def problem_of(response: Response) -> tuple[int, str]:
    assert response.headers["content-type"] == "application/problem+json"
    return response.status_code, response.json()["type"]


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({"X-Large": "x" * LARGEST_HEAD}, id="one large"),
        pytest.param({f"X-{number}": "1" for number in range(MOST_HEADERS + 1)}, id="many small"),
    ],
)
async def test_a_head_too_large(client: AsyncClient, headers: dict[str, str]) -> None:
    response = await client.get("/v1/contacts", headers=headers)
    assert problem_of(response) == (431, "/problems/headers-too-large")
    assert response.headers["connection"] == "close"
    assert response.json()["request_id"] == response.headers["x-request-id"]


async def test_an_address_too_long(client: AsyncClient) -> None:
    for target in ("/v1/contacts?q=" + "x" * LONGEST_TARGET, "/v1/contacts/" + "x" * LONGEST_TARGET):
        assert problem_of(await client.get(target))[0] == 431


async def test_a_usual_head_passes(client: AsyncClient) -> None:
    response = await client.get("/v1/contacts?q=" + "x" * 200, headers={"Cookie": "x" * 4000})
    assert response.status_code == 200


async def ask_slowly(app: FastAPI, *pieces: bytes, pause: float, seconds: float) -> list[dict[str, Any]]:
    """What is sent to a client whose body comes in these pieces, and never to its end."""
    waiting = list(pieces)
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(pause if waiting else 60)
        return {"type": "http.request", "body": waiting.pop(0), "more_body": True}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/v1/contacts",
        "raw_path": b"/v1/contacts",
        "query_string": b"",
        "headers": [(b"authorization", f"Bearer {ADMIN_KEY}".encode()), (b"content-type", b"application/json")],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 1),
        "scheme": "http",
        "http_version": "1.1",
        "root_path": "",
        "app": app,
    }
    layer: Any = app.build_middleware_stack()
    while not isinstance(layer, Gate):
        layer = getattr(layer, "app", None) or layer._app
    await Frontdoor(Backstop(Gate(layer._app, body_seconds=seconds)))(scope, receive, send)
    return sent


@pytest.mark.parametrize(
    ("pieces", "pause"),
    [pytest.param((), 0.0, id="nothing comes"), pytest.param((b"{",) * 50, 0.05, id="it comes in drips")],
)
async def test_a_body_that_comes_too_slowly(app: FastAPI, pieces: tuple[bytes, ...], pause: float) -> None:
    async with asyncio.timeout(30):
        sent = await ask_slowly(app, *pieces, pause=pause, seconds=0.5)
    (start, *bodies) = sent
    assert (start["type"], start["status"]) == ("http.response.start", 408)
    assert (b"connection", b"close") in start["headers"]
    problem = json.loads(b"".join(body.get("body", b"") for body in bodies))
    assert problem["type"] == "/problems/request-timeout"
    assert [message["type"] for message in sent].count("http.response.start") == 1


async def test_a_large_body_has_its_time(app: FastAPI) -> None:
    """What has come prolongs the time: 64 KiB are worth 16 seconds more."""
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1.5):
            await ask_slowly(app, b"[" + b" " * (64 << 10), pause=0.0, seconds=0.2)


@pytest.fixture
async def page(resources: Resources) -> AsyncIterator[AsyncClient]:
    """A page of the one origin that is allowed."""
    app = create_app(replace(resources, cors_origins=("https://crm.example.com",)))
    async with AsyncClient(transport=ASGITransport(app), base_url="https://sms.example.com") as client:
        yield client


ASKED = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,idempotency-key"}


async def test_a_page_of_the_origin_may_call(page: AsyncClient) -> None:
    origin = {"Origin": "https://crm.example.com"}
    preflight = await page.options("/v1/messages", headers=origin | ASKED)
    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-origin"] == "https://crm.example.com"
    assert "access-control-allow-credentials" not in preflight.headers
    answer = await page.get("/v1/contacts", headers=origin | AUTHORIZED)
    assert answer.headers["access-control-allow-origin"] == "https://crm.example.com"
    assert "RateLimit" in answer.headers["access-control-expose-headers"]


@pytest.mark.parametrize("origin", ["https://evil.example", "https://crm.example.com.evil.example", "null"])
async def test_a_page_of_another_origin_may_not(page: AsyncClient, origin: str) -> None:
    preflight = await page.options("/v1/messages", headers={"Origin": origin} | ASKED)
    assert preflight.status_code == 400
    assert "access-control-allow-origin" not in preflight.headers
    answer = await page.get("/v1/contacts", headers={"Origin": origin} | AUTHORIZED)
    assert "access-control-allow-origin" not in answer.headers


ORIGIN = {"Origin": "https://crm.example.com"}


@pytest.fixture
async def broken(resources: Resources) -> AsyncIterator[AsyncClient]:
    """The same page, with a database that is away and a route that fails."""
    away = build_engine("postgresql+asyncpg://nobody@localhost:1/none", application_name="tests", pool_size=1)
    app = create_app(replace(resources, engine=away, cors_origins=("https://crm.example.com",)))

    @app.get("/fails")
    async def fail() -> None:
        raise ValueError("a bug")

    async with AsyncClient(transport=ASGITransport(app), base_url="https://sms.example.com") as client:
        yield client
    await away.dispose()


@pytest.mark.parametrize(
    ("status", "method", "path", "sent"),
    [
        pytest.param(401, "GET", "/v1/contacts", {"headers": {"Authorization": "Bearer no"}}, id="no key"),
        pytest.param(404, "GET", "/nothing", {}, id="nothing there"),
        pytest.param(405, "PUT", "/v1/contacts", {}, id="no such method"),
        pytest.param(413, "POST", "/v1/contacts", {"content": b"x" * (JSON_LIMIT + 1)}, id="a body too large"),
        pytest.param(413, "POST", "/v1/contacts", {"content": [b" " * JSON_LIMIT, b" "]}, id="one that turns out so"),
        pytest.param(422, "POST", "/v1/contacts", {"json": {}}, id="not valid"),
        pytest.param(431, "GET", "/v1/contacts", {"headers": {"X-Large": "x" * LARGEST_HEAD}}, id="a head too large"),
    ],
)
async def test_a_page_sees_why_it_was_refused(
    page: AsyncClient, status: int, method: str, path: str, sent: dict[str, Any]
) -> None:
    """Without the header the browser would say no more than that something failed."""
    given = dict(sent)
    if isinstance(pieces := given.get("content"), list):
        given["content"] = in_pieces(pieces)
    headers = {"Content-Type": "application/json"} | AUTHORIZED | ORIGIN | given.pop("headers", {})
    answer = await page.request(method, path, headers=headers, **given)
    assert problem_of(answer)[0] == status
    assert answer.headers["access-control-allow-origin"] == ORIGIN["Origin"]
    assert "Retry-After" in answer.headers["access-control-expose-headers"]
    assert answer.headers["x-request-id"] == answer.json()["request_id"]


async def in_pieces(pieces: list[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


@pytest.mark.parametrize(("path", "status"), [("/fails", 500), ("/v1/contacts", 503)])
async def test_a_page_sees_what_failed_here(broken: AsyncClient, path: str, status: int) -> None:
    answer = await broken.get(path, headers=AUTHORIZED | ORIGIN)
    assert problem_of(answer)[0] == status
    assert answer.headers["access-control-allow-origin"] == ORIGIN["Origin"]
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_whatever_refuses_stands_inside_of_what_shows_it(resources: Resources) -> None:
    """A body that comes too slowly, too: that is the gate's to say."""
    app = create_app(replace(resources, cors_origins=("https://crm.example.com",)))
    order = [getattr(layer.cls, "__name__", "") for layer in app.user_middleware]
    assert order == ["Frontdoor", "CORSMiddleware", "Backstop", "Gate", "Shortcut"]


async def test_no_page_may_unless_told(client: AsyncClient) -> None:
    headers = {"Origin": "https://crm.example.com"}
    assert (await client.options("/v1/messages", headers=headers | ASKED)).status_code == 405
    answer = await client.get("/v1/contacts", headers=headers)
    assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest.mark.parametrize("origins", ["*", "crm.example.com", "https://crm.example.com/", "https://*.example.com"])
def test_what_is_no_origin_stops_the_process(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], origins: str
) -> None:
    for name, value in (("DATABASE_URL", "x"), ("REDIS_URL", "x"), ("SECRET_KEYS", "x"), ("CORS_ORIGINS", origins)):
        monkeypatch.setenv(f"LAPWING_{name}", value)
    with pytest.raises(SystemExit):
        Settings.from_environment()
    assert "LAPWING_CORS_ORIGINS" in capsys.readouterr().err


async def test_answers_carry_the_headers_of_a_careful_host(client: AsyncClient) -> None:
    for path in ("/v1/contacts", "/v1/nothing", "/livez"):
        headers = (await client.get(path)).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
        assert headers["strict-transport-security"].startswith("max-age=")
        assert headers["cache-control"] == "no-store"
        assert headers["cross-origin-opener-policy"] == "same-origin"
        assert "server" not in headers
