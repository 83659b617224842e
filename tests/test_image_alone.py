"""What the image is made of does the whole work: no other file of the checkout, no package of the tests beside it.

An engine is not needed: what the Dockerfile copies is copied, what it installs is linked into an environment of its
own, and the commands are those of the Dockerfile and of compose.yaml.
"""

import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import time
import venv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import distribution
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from packaging.requirements import Requirement

from deploy.local.process import KeptProcess, Program
from deploy.local.servers import Postgres, Valkey
from deploy.simulator.launch import Simulator
from deploy.simulator.ledger import accepted, read_ledger
from proof.processes import Process
from shared.sealing import new_key
from tests.api_process import free_port
from tests.conftest import ADMIN_KEY
from tests.factories import make_msisdn
from tests.test_deploy import COMPOSE, ROOT, instructions, tree_of

SECONDS: Final = 60.0
DRAIN_SECONDS: Final = 15.0
# A child process of the dispatcher, which has to find itself in the image, too.
SCRIPT: Final = """
function build(sms)
  return {json = {to = sms.to, message = sms.message, from = "Cafe", reference = sms.id}}
end
"""


@dataclass(frozen=True, slots=True)
class Image:
    """A folder for /srv/lapwing, and an environment for /opt/lapwing; nothing in them may be written."""

    files: Path
    packages: Path

    def command(self, argv: Sequence[str]) -> tuple[str, ...]:
        assert argv[0] == "python"
        return (str(self.packages / "bin/python"), *argv[1:])

    def held(self) -> dict[str, tuple[int, int]]:
        """Every file with its time and size: what writes here shows."""
        return {
            str(path): (path.lstat().st_mtime_ns, path.lstat().st_size)
            for folder in (self.files, self.packages)
            for path in folder.rglob("*")
        }


@pytest.fixture
def image(tmp_path: Path) -> Image:
    files = tmp_path / "srv"
    ignored = shutil.ignore_patterns(*re.findall(r"^\*\*/(.+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE))
    for line in instructions("COPY"):
        if not line.startswith(("--from", "requirements")):
            source, target = line.split()
            shutil.copytree(ROOT / source, files / target, ignore=ignored)
    packages = tmp_path / "opt"
    venv.create(packages, symlinks=True, with_pip=False)
    (site,) = packages.glob("lib/python*/site-packages")
    for line in re.findall(r"^[\w-]+==.*?(?= ?\\$)", (ROOT / "requirements/runtime.txt").read_text(), re.MULTILINE):
        wanted = Requirement(line)
        if wanted.marker is None or wanted.marker.evaluate():
            link(wanted.name, site)
    for path in files.rglob("*"):
        path.chmod(0o555 if path.is_dir() else 0o444)
    return Image(files, packages)


def link(name: str, site: Path) -> None:
    """The package's own files and folders, at the top of the environment."""
    installed = distribution(name)
    for top in {file.parts[0] for file in installed.files or ()} - {"..", "__pycache__"}:
        if not (site / top).exists():
            (site / top).symlink_to(Path(str(installed.locate_file(top))))


@pytest.fixture
def database(postgres: Postgres) -> Iterator[str]:
    """An empty one: the image brings its own migrations."""
    name = f"image_{secrets.token_hex(4)}"
    postgres.create_database(name)
    yield postgres.url(name)
    postgres.drop_database(name)


@dataclass(slots=True)
class Containers:
    """The image's commands, each in the folder and with the variables it would have there."""

    image: Image
    environment: Mapping[str, str]
    logs: Path

    def run(self, argv: Sequence[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.image.command(argv),
            cwd=self.image.files,
            env=dict(self.environment),
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )

    def start(self, argv: Sequence[str]) -> Process:
        log = self.logs / f"{argv[-1]}.log"
        program = Program(
            command=self.image.command(argv),
            farewell=signal.SIGTERM,
            log=log,
            cwd=self.image.files,
            environment=self.environment,
        )
        return Process(KeptProcess(program), log=log)

    def until_healthy(self, process: Process, argv: Sequence[str]) -> None:
        give_up = time.monotonic() + SECONDS
        while self.run(argv).returncode != 0:
            assert process.running, process.said()
            assert time.monotonic() < give_up, process.said()


@pytest.fixture
def containers(image: Image, database: str, valkey: Valkey, tmp_path: Path) -> Containers:
    environment = {
        "PATH": os.defpath,
        "HOME": "/nonexistent",
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "LAPWING_DATABASE_URL": database,
        "LAPWING_REDIS_URL": valkey.url,
        "LAPWING_SECRET_KEYS": new_key(),
        "LAPWING_ADMIN_KEY": ADMIN_KEY,
        "LAPWING_PORT": str(free_port()),
        "LAPWING_METRICS_PORT": str(free_port()),
        "LAPWING_ALLOWED_NETWORKS": "127.0.0.0/8",
    }
    return Containers(image, environment, tmp_path)


def a_scripted_gateway(simulator: Simulator) -> dict[str, Any]:
    return {
        "name": "Scripted",
        "kind": "custom",
        "settings": {
            "url": f"{simulator.base_url}/plain/send",
            "method": "POST",
            "content_type": "application/json",
            "success_text": "OK",
            "script": SCRIPT,
        },
    }


def test_the_image_s_own_files_and_packages_are_enough(containers: Containers) -> None:
    services = tree_of(COMPOSE)["services"]
    before = containers.image.held()
    migrated = containers.run(services["migrate"]["command"])
    assert migrated.returncode == 0, migrated.stderr
    health = instructions("HEALTHCHECK")[0].partition("CMD ")[2]
    api = containers.start(json.loads(instructions("CMD")[-1]))
    dispatcher = containers.start(services["dispatcher"]["command"])
    try:
        containers.until_healthy(api, json.loads(health))
        ask = [*services["dispatcher"]["healthcheck"]["test"][1:]]
        ask[-1] = ask[-1].replace("9100", containers.environment["LAPWING_METRICS_PORT"])
        containers.until_healthy(dispatcher, ask)
        with Simulator() as simulator:
            send_one(containers.environment["LAPWING_PORT"], simulator)
        begun = time.monotonic()
        for process in (api, dispatcher):
            process.terminate()
        assert [process.wait(seconds=DRAIN_SECONDS) for process in (api, dispatcher)] == [0, 0]
        assert time.monotonic() - begun < DRAIN_SECONDS
    finally:
        for process in (api, dispatcher):
            process.end()
    assert "Traceback" not in api.said() + dispatcher.said()
    assert containers.image.held() == before


def send_one(port: str, simulator: Simulator) -> None:
    """A message through a gateway that a script speaks for, from the request to the gateway's ledger."""
    with httpx.Client(
        base_url=f"http://127.0.0.1:{port}", headers={"Authorization": f"Bearer {ADMIN_KEY}"}, timeout=SECONDS
    ) as client:
        assert client.get("/readyz").json()["status"] == "ready"
        assert client.post("/v1/gateways", json=a_scripted_gateway(simulator)).status_code == 201
        sent = client.post("/v1/messages", json={"msisdn": make_msisdn(1), "text": "Your table is ready."}).json()
        give_up = time.monotonic() + SECONDS
        while (told := client.get(f"/v1/messages/{sent['id']}").json())["status"] != "submitted":
            assert time.monotonic() < give_up, told
            time.sleep(0.05)
    assert len(accepted(read_ledger(simulator.ledger_path))) == 1


def test_the_environment_has_nothing_but_the_runtime(image: Image) -> None:
    """Or the test above would pass on packages that no image has."""
    looked = subprocess.run(
        image.command(("python", "-c", "import pytest")), cwd=image.files, capture_output=True, text=True, check=False
    )
    assert "No module named 'pytest'" in looked.stderr


def test_the_image_needs_no_compiling_and_opens_what_a_strict_umask_closed() -> None:
    """Nothing can be written in it later, by a user who owns none of it."""
    (ours,) = [line for line in instructions("RUN") if "chmod" in line]
    assert ours == "chmod -R a+rX,go-w . && python -m compileall -q ."
    assert "/srv/lapwing /srv/lapwing" in {line.removeprefix("--from=service ") for line in instructions("COPY")}
    assert [line for line in instructions("RUN") if "compileall" in line and "stdlib" in line]
