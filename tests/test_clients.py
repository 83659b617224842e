"""What docs/clients.md shows runs as it stands; docs/problems.md is what the code says; Postman gets every route."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI
from httpx import AsyncClient

from api.postman import SCHEMA, collection_of
from tests.conftest import ADMIN_KEY
from tests.served import Service, service

__all__ = ["service"]

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/clients.md").read_text()
PREAMBLE = "set -euo pipefail\n"


def program(language: str) -> str:
    (found,) = re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    return str(found)


def run(command: list[str], served: Service, folder: Path) -> str:
    done = subprocess.run(
        command,
        cwd=folder,
        env={"PATH": os.environ["PATH"], "LAPWING_URL": served.url, "LAPWING_KEY": served.key},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_programs_run_as_they_stand(service: Service, tmp_path: Path) -> None:
    auth = {"Authorization": f"Bearer {service.key}"}
    made = httpx.post(
        f"{service.url}/v1/gateways", json={"name": "Sandbox", "kind": "sandbox"}, headers=auth, timeout=30
    )
    assert made.status_code == 201
    said = run([sys.executable, "-c", program("python")], service, tmp_path)
    assert "Python: delivered\n" in said
    assert "Python: 1 in the log\n" in said
    assert "Python: /problems/invalid-msisdn /msisdn\n" in said
    if shutil.which("curl") and shutil.which("jq"):
        said = run(["bash", "-c", PREAMBLE + program("bash")], service, tmp_path)
        assert "curl: delivered\n" in said
        assert "curl: 2 in the log\n" in said
        assert '"pointer": "/msisdn"' in said
        page = (ROOT / "docs/automations.md").read_text()
        (example,) = re.findall(r"^```bash\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
        variables = 'auth="Authorization: Bearer $LAPWING_KEY"\njson="Content-Type: application/json"\n'
        said = run(["bash", "-c", PREAMBLE + variables + example], service, tmp_path)
        assert "85 % of SPRING-25 is used." in said
        assert said.splitlines()[-2:] == ["message", "0"]
    if shutil.which("node"):
        (tmp_path / "client.mjs").write_text(program("javascript"))
        said = run(["node", "client.mjs"], service, tmp_path)
        assert "JavaScript: delivered\n" in said
        assert "in the log\n" in said
        assert "JavaScript: /problems/invalid-msisdn /msisdn\n" in said


def test_the_catalogue_is_what_the_code_says() -> None:
    said = subprocess.run(
        [sys.executable, "-m", "api.catalogue"], cwd=ROOT, capture_output=True, text=True, timeout=90, check=True
    ).stdout
    assert (ROOT / "docs/problems.md").read_text() == said, "write it again with `make docs`"
    assert len(re.findall(r"^\| `[a-z-]+` \| .{20,} \| .{20,} \|$", said, re.MULTILINE)) > 40
    assert "| `key-expired` |" in said


async def test_a_problem_s_page_has_its_remedy(anonymous: AsyncClient) -> None:
    told = (await anonymous.get("/problems/idempotency-key-busy")).json()
    assert "Retry-After" in told["remedy"]
    kinds = (await anonymous.get("/problems")).json()
    assert all(kind["meaning"] and kind["remedy"] for kind in kinds)


def requests_of(collection: dict[str, Any]) -> list[dict[str, Any]]:
    return [item for folder in collection["item"] for item in folder["item"]]


async def test_postman_gets_every_route(anonymous: AsyncClient, app: FastAPI) -> None:
    collection = (await anonymous.get("/postman.json")).json()
    assert collection["info"]["schema"] == SCHEMA
    document = app.openapi()
    told = {
        (item["request"]["method"], "/" + "/".join(item["request"]["url"]["path"])) for item in requests_of(collection)
    }
    paths = {
        (method.upper(), re.sub(r"\{(\w+)\}", r":\1", path))
        for path, item in document["paths"].items()
        for method in item
    }
    assert told == paths
    for item in requests_of(collection):
        url = item["request"]["url"]
        assert {part[1:] for part in url["path"] if part.startswith(":")} == {each["key"] for each in url["variable"]}
        body = item["request"].get("body", {"mode": "none"})
        assert body["mode"] != "raw" or json.loads(body["raw"])


async def test_what_postman_would_send_is_taken(anonymous: AsyncClient, app: FastAPI) -> None:
    """Every request that names nothing which would have to be there first, as the collection has it."""
    collection = collection_of(app.openapi(), url="https://sms.example.com")
    sent = 0
    for item in requests_of(collection):
        request = item["request"]
        if request["method"] != "GET" or request["url"]["variable"]:
            continue
        headers = {} if "auth" in request else {"Authorization": f"Bearer {ADMIN_KEY}"}
        answer = await anonymous.get(request["url"]["raw"].replace("{{url}}", ""), headers=headers)
        assert answer.status_code == 200, item["name"]
        sent += 1
    assert sent > 12


async def test_postman_makes_a_contact(anonymous: AsyncClient, app: FastAPI) -> None:
    collection = collection_of(app.openapi(), url="https://sms.example.com")
    (request,) = [
        item["request"]
        for item in requests_of(collection)
        if item["request"]["method"] == "POST" and item["request"]["url"]["raw"].endswith("/v1/contacts")
    ]
    headers = {each["key"]: "one" for each in request["header"] if each["key"] == "Idempotency-Key"}
    headers |= {"Content-Type": "application/json", "Authorization": f"Bearer {ADMIN_KEY}"}
    answer = await anonymous.post("/v1/contacts", content=request["body"]["raw"], headers=headers)
    assert answer.status_code == 201, answer.text
