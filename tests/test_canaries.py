"""No secret is ever anywhere but where it is sealed: searched for in everything that leaves or stays.

Both processes run for real, beside a gateway that quotes every request in its answers, credentials and all. Secrets of
every kind are put in, sent with, refused, asked for and changed; then every answer of the api, both processes' logs and
metrics, and every row of every table are searched for them, in every form they could have.
"""

import asyncio
import contextlib
import json
import os
import socket
import sys
from base64 import b64encode
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from deploy.local.servers import Valkey
from shared import api_keys
from shared.db import begin
from shared.models import Gateway
from shared.queries.gateways import open_secrets
from shared.sealing import Sealer, new_key
from tests.canaries import Parrot, canary, forms, found, where
from tests.factories import make_msisdn

ROOT = Path(__file__).parents[1]
SECONDS = 90.0
TOKEN = canary("login-token")
SCRIPT = """
function build(sms)
  local key = sms.secrets.key
  return {headers = {["X-Key"] = key}, json = {to = sms.to, k = "%SECRET:key%"}, query = {k = key}}
end
"""
HOW_TO_ASK = {"url": "/balance?key=%SECRET:key%", "path": "status"}


def gateways(url: str) -> dict[str, dict[str, Any]]:
    """One of each kind, with canaries for secrets, in every place where a secret may be put."""
    portal = {"base_url": f"{url}/portal", "sender_id": "Cafe"}
    client = {"client_id": canary("client-id"), "api_secret": canary("portal-secret")}
    signed = {"signature_header": "X-Signature", "timestamp_header": "X-Time", "webhook_header": "X-Mark"}
    json_call = {"method": "POST", "content_type": "application/json", "success_text": "yes-it-is"}
    return {
        "twilio": {
            "settings": {"base_url": url, "account_sid": "AC" + "0" * 32, "from": "+12025550100"},
            "secrets": {"api_secret": canary("twilio-secret"), "auth_token": canary("auth-token")},
        },
        "smsportal": {
            "settings": {**portal, **signed},
            "secrets": {**client, "signature_secret": canary("signature"), "webhook_secret": canary("mark")},
        },
        "smsportal by token": {"settings": {**portal, "authentication": "token"}, "secrets": client},
        "custom": {
            "settings": {
                **json_call,
                "url": f"{url}/custom/%SECRET:place%",
                "payload": '{"to": "%TO%", "text": "%MESSAGE%", "key": "%SECRET:key%"}',
                "headers": [
                    {"name": "Authorization", "value": "%BASIC:user:password%"},
                    {"name": "X-Plain", "value": "Key %SECRET:key%"},
                ],
                "balance": HOW_TO_ASK,
            },
            "secrets": {name: canary(f"custom-{name}") for name in ("place", "key", "user", "password")},
        },
        "custom by GET": {
            "settings": {
                "url": f"{url}/custom?key=%SECRET:key%&to=%TO%&text=%MESSAGE%",
                "method": "GET",
                "success_text": "yes-it-is",
            },
            "secrets": {"key": canary("query-key")},
        },
        "script": {
            "settings": {**json_call, "url": f"{url}/script", "script": SCRIPT},
            "secrets": {"key": canary("script-key")},
        },
    }


def kind_of(name: str) -> str:
    return "custom" if name == "script" else name.split(maxsplit=1)[0]


class Processes:
    """An api and a dispatcher, what they say, and a client that remembers every answer."""

    def __init__(self, environment: dict[str, str], port: int) -> None:
        self._environment = environment
        self._running: list[asyncio.subprocess.Process] = []
        self.url = f"http://127.0.0.1:{port}"
        self.answers: list[str] = []
        self.logs = ""
        self.metrics_port = int(environment["LAPWING_METRICS_PORT"])

    async def start(self) -> None:
        for module in ("api.main", "dispatcher.main"):
            self._running.append(
                await asyncio.create_subprocess_exec(
                    sys.executable,
                    "-m",
                    module,
                    cwd=ROOT,
                    env=self._environment,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=asyncio.subprocess.STDOUT,
                )
            )
        self._hearing = [asyncio.create_task(self._hear(one)) for one in self._running]
        async with asyncio.timeout(SECONDS), httpx.AsyncClient(trust_env=False) as client:
            while True:
                assert not [one for one in self._running if one.returncode is not None], self.logs
                with contextlib.suppress(httpx.HTTPError):
                    is_up = (await client.get(f"{self.url}/readyz")).status_code == 200
                    if is_up and "dispatcher is ready" in self.logs:
                        return
                await asyncio.sleep(0.1)

    async def _hear(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        async for line in process.stdout:
            self.logs += line.decode()

    async def stop(self) -> None:
        for process in self._running:
            if process.returncode is None:
                process.terminate()
        await asyncio.gather(*self._hearing)
        assert [await process.wait() for process in self._running] == [0, 0], self.logs[-3000:]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture
def keys() -> dict[str, str]:
    """What the processes are given from outside; secrets, all of them."""
    return {
        "secret key": new_key(),
        "old secret key": new_key(),
        "admin key": api_keys.new_key().text,
        "mail password": "canary-mail-password-8d21",
    }


@pytest.fixture
async def running(
    engine: AsyncEngine, migrated_url: str, valkey: Valkey, keys: dict[str, str]
) -> AsyncIterator[Processes]:
    del engine  # empties the tables afterwards
    port = free_port()
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONUNBUFFERED": "1",
        "LAPWING_DATABASE_URL": migrated_url,
        "LAPWING_REDIS_URL": valkey.url,
        "LAPWING_SECRET_KEYS": f"{keys['secret key']},{keys['old secret key']}",
        "LAPWING_ADMIN_KEY": keys["admin key"],
        "LAPWING_PORT": str(port),
        "LAPWING_METRICS_PORT": str(free_port()),
        "LAPWING_ALLOWED_NETWORKS": "127.0.0.0/8",
        "LAPWING_GATEWAY_DEADLINE_SECONDS": "8",
        "LAPWING_SMTP_URL": f"smtp+starttls://someone:{keys['mail password']}@127.0.0.1:1",
        "LAPWING_MAIL_FROM": "lapwing@example.com",
    }
    processes = Processes(environment, port)
    await processes.start()
    yield processes
    with contextlib.suppress(ProcessLookupError):
        await processes.stop()


async def rows_of(engine: AsyncEngine) -> dict[str, str]:
    """Every row of every table, as text; bytes as hex."""
    tables = "SELECT oid::regclass::text FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'"
    async with begin(engine) as tx:
        names = (await tx.execute(text(tables))).scalars().all()
        return {
            name: "\n".join((await tx.execute(text(f"SELECT t::text FROM {name} t"))).scalars().all()) for name in names
        }


def check_the_search(secrets: dict[str, str]) -> None:
    """It would find each of them in each form; otherwise finding none means nothing."""
    for name, secret in secrets.items():
        for form in forms(secret):
            assert name in found({name: secret}, f"before {form} after")
        for user in ("u", "us", "use"):
            basic = b64encode(f"{user}:{secret}".encode()).decode()
            assert name in found({name: secret}, f"Basic {basic}"), (name, user)


async def drive(client: httpx.AsyncClient, parrot: Parrot) -> dict[str, str]:
    """All that can be done with gateways, by kind; the ids."""
    ids: dict[str, str] = {}
    for place, (name, given) in enumerate(gateways(parrot.url).items()):
        body = {"name": name, "kind": kind_of(name), "location_ids": [name], **given}
        if name in {"twilio", "custom"}:
            body["balance_check"] = {"enabled": True, "warn_below": "5", "email": ["ops@example.com"]}
        made = await client.post("/v1/gateways", json=body, headers={"Idempotency-Key": f"make-{place}"})
        assert made.status_code == 201, made.text
        ids[name] = made.json()["id"]
    moods: list[tuple[int, dict[str, Any]]] = [
        (200, {"sid": "SM1", "id": "R1", "status": "yes-it-is", "accountBalance": "7", "balance": "7"}),
        (201, {"sid": "SM2", "num_segments": "1"}),
        (400, {"code": 21211}),
        (401, {"code": 20003}),
        (429, {}),
        (500, {}),
    ]
    for number, (status, more) in enumerate(moods):
        parrot.feel(status, more)
        for name, gateway_id in ids.items():
            await client.post(f"/v1/gateways/{gateway_id}/enable")
            asked = await client.post(
                f"/v1/gateways/{gateway_id}/test",
                json={"msisdn": make_msisdn(number)},
                headers={"Idempotency-Key": f"test-{number}-{name.replace(' ', '-')}"},
            )
            assert asked.status_code == 200, asked.text
            sent = {"msisdn": make_msisdn(number), "text": "It is open.", "location_id": name}
            assert (await client.post("/v1/messages", json=sent)).status_code == 202
            await client.post(f"/v1/gateways/{gateway_id}/balance")
            await client.post("/v1/gateways/classify", json={"gateway_id": gateway_id, "answer": {"status": status}})
    return ids


async def change(client: httpx.AsyncClient, ids: dict[str, str], parrot: Parrot) -> None:
    """Secrets given again, given wrong, given where they do not belong; receipts that nobody signed."""
    for name, given in gateways(parrot.url).items():
        path = f"/v1/gateways/{ids[name]}"
        assert (await client.patch(path, json={"secrets": given["secrets"]})).status_code == 200
        await client.patch(path, json={"secrets": {**given["secrets"], "unknown": canary("unknown")}})
        await client.patch(path, json={"settings": {"nonsense": 1}, "secrets": given["secrets"]})
        await client.patch(path, json={"secrets": [given["secrets"]]})
        await client.patch(path, content=json.dumps({"secrets": given["secrets"]})[:-1])
        answer = {"kind": kind_of(name), **given, "answer": {"status": 500, "body": "x"}}
        assert (await client.post("/v1/gateways/classify", json=answer)).status_code == 200
        urls = (await client.get(path)).json()["callback_urls"]
        for url in urls.values():
            await client.post(url, data={"MessageStatus": "delivered"}, headers={"X-Twilio-Signature": "forged"})
            marked = {"X-Mark": canary("mark"), "X-Signature": canary("signature"), "X-Time": "1"}
            await client.get(f"{url}?status=x&key={quote(canary('query-key'))}", headers=marked)
            await client.post(url, json={"status": "x", "secret": canary("portal-secret")}, headers=marked)
    holding = {"settings": {"script": SCRIPT + f"-- {canary('script-key')}"}}
    assert (await client.patch(f"/v1/gateways/{ids['script']}", json=holding)).status_code == 422
    assert (await client.get(f"/v1/gateways/{ids['script']}/scripts")).json()["items"]


async def read_everything(client: httpx.AsyncClient, running: Processes) -> None:
    """Every list and every document."""
    document = (await client.get("/openapi.json")).json()
    for path in document["paths"]:
        if "get" in document["paths"][path] and "{" not in path:
            await client.get(path)
    for message in (await client.get("/v1/messages?limit=200")).json()["items"]:
        await client.get(f"/v1/messages/{message['id']}")
    await client.get(f"http://127.0.0.1:{running.metrics_port}/metrics")


async def settled(client: httpx.AsyncClient) -> None:
    """Nothing is on the line any more."""
    async with asyncio.timeout(SECONDS):
        while (await client.get("/v1/messages?status=sending")).json()["items"]:
            await asyncio.sleep(0.2)


@pytest.mark.timeout(400)
async def test_secrets_are_nowhere_but_sealed(engine: AsyncEngine, running: Processes, keys: dict[str, str]) -> None:
    secrets = {"login token": TOKEN, "unknown": canary("unknown")}
    tokens: dict[str, str] = {}

    async def remember(answer: httpx.Response) -> None:
        await answer.aread()
        running.answers.append(f"{answer.headers}\n{answer.text}")

    headers = {"Authorization": f"Bearer {keys['admin key']}"}
    with Parrot(token=TOKEN) as parrot:
        for name, given in gateways(parrot.url).items():
            secrets |= {f"{name} {of}": secret for of, secret in given["secrets"].items()}
        check_the_search(secrets)
        hooks: Any = {"response": [remember]}
        async with httpx.AsyncClient(
            base_url=running.url, headers=headers, timeout=SECONDS, event_hooks=hooks, trust_env=False
        ) as client:
            ids = await drive(client, parrot)
            await change(client, ids, parrot)
            await settled(client)
            await read_everything(client, running)
            made = await client.post("/v1/api-keys", json={"name": "a key", "scopes": ["send"]})
            keys["an api key"] = made.json()["key"]
            told = await client.post("/v1/webhooks", json={"url": parrot.url, "events": ["*"]})
            keys["a webhook's secret"] = told.json()["secret"]
            del running.answers[-2:]  # those are told, once
            sent = {"msisdn": make_msisdn(9), "text": "It is open.", "location_id": "twilio"}
            assert (await client.post("/v1/messages", json=sent)).status_code == 202
            await settled(client)
        await running.stop()
        used = found(secrets, parrot.heard)
    # They were really sent, all but those that only check what comes in.
    assert secrets.keys() - used <= {
        "unknown",
        "twilio auth_token",
        "smsportal signature_secret",
        "smsportal webhook_secret",
    }

    everything = secrets | keys
    assert where(everything, "\n".join(running.answers)) == []
    assert where(everything, running.logs) == []
    lines = [json.loads(line) for line in running.logs.splitlines()]
    assert {line["process"] for line in lines} == {"api", "dispatcher"}
    rows = await rows_of(engine)
    assert {table: places for table, content in rows.items() if (places := where(everything, content))} == {}
    await check_sealed(engine, Sealer.from_texts([keys["secret key"]]), ids, parrot.url)

    # Tokens of callbacks are told to owners; neither a log nor an exchange has them.
    async with begin(engine) as tx:
        for row in (await tx.execute(select(Gateway))).all():
            tokens[row.name] = row.callback_token
    assert found(tokens, running.logs) == set()
    assert {table for table, content in rows.items() if found(tokens, content)} == {"gateways"}


async def check_sealed(engine: AsyncEngine, sealer: Sealer, ids: dict[str, str], url: str) -> None:
    """And there they are."""
    async with begin(engine) as tx:
        rows = {row.name: row for row in (await tx.execute(select(Gateway))).all()}
    assert rows.keys() == ids.keys()
    for name, given in gateways(url).items():
        opened = open_secrets(rows[name].secrets_sealed, gateway_id=rows[name].id, sealer=sealer)
        assert opened.items() >= given["secrets"].items()
