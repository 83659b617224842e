"""Kubernetes, systemd, Prometheus and Grafana, held to the code: what they name exists and promises what it should."""

import json
import os
import re
import shutil
import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import pytest

from api.metrics import QueueMetrics
from dispatcher.main import SERVABLE
from shared.domain.message import Kind, Status
from shared.domain.outcome import OutcomeName
from shared.doorbell import LANES
from shared.metrics import dispatcher_metrics, exposition, http_metrics
from shared.settings import Settings
from tests.promql import Series, faults_of

ROOT: Final = Path(__file__).parents[1]
KUBERNETES: Final = ROOT / "deploy/kubernetes"
UNITS: Final = sorted((ROOT / "deploy/systemd").glob("*.service"))
SETTINGS: Final = {f"LAPWING_{name.upper()}" for name in Settings.model_fields}
DASHBOARD: Final = json.loads((ROOT / "deploy/grafana/lapwing.json").read_text())
# The deadline of what is on the line, five seconds, and what answers may wait for a database that is away.
LONGEST_DRAIN: Final = Settings.model_fields["gateway_deadline_seconds"].default + 5 + 20
yaml: Any = import_module("yaml")  # untyped, and in the tests only


def documents(path: Path) -> list[dict[str, Any]]:
    return [document for document in yaml.safe_load_all(path.read_text()) if document]


OBJECTS: Final = [
    document
    for path in sorted(KUBERNETES.glob("*.yaml"))
    if path.name not in ("kustomization.yaml", "adapter.yaml")
    for document in documents(path)
]


def of_kind(kind: str) -> dict[str, dict[str, Any]]:
    return {each["metadata"]["name"]: each for each in OBJECTS if each["kind"] == kind}


DISPATCHERS: Final = {f"lapwing-{lane}" for lane in SERVABLE}
WORKLOADS: Final = {**of_kind("Deployment"), **of_kind("Job")}


def container_of(workload: dict[str, Any]) -> dict[str, Any]:
    (container,) = workload["spec"]["template"]["spec"]["containers"]
    assert isinstance(container, dict)
    return container


def test_the_kustomization_takes_in_every_file() -> None:
    (kustomization,) = documents(KUBERNETES / "kustomization.yaml")
    there = {path.name for path in KUBERNETES.glob("*.yaml")} - {"kustomization.yaml", "adapter.yaml"}
    assert set(kustomization["resources"]) == there
    assert {container_of(each)["image"] for each in WORKLOADS.values()} == {
        image["name"] for image in kustomization["images"]
    }


def test_names_are_not_given_twice() -> None:
    names = [(each["kind"], each["metadata"]["name"]) for each in OBJECTS]
    assert len(names) == len(set(names))
    assert set(WORKLOADS) == {"lapwing-api", "lapwing-migrate", *DISPATCHERS}


@pytest.mark.parametrize("name", WORKLOADS)
def test_a_workload_runs_as_nobody_and_writes_nowhere(name: str) -> None:
    pod = WORKLOADS[name]["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    assert pod["enableServiceLinks"] is False, "the variables of Services begin like ours"
    container = container_of(WORKLOADS[name])
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert "memory" in container["resources"]["limits"]
    assert set(container["resources"]["requests"]) == {"cpu", "memory"}
    # The user of the image.
    dockerfile = (ROOT / "deploy/Dockerfile").read_text()
    assert f"USER {pod['securityContext']['runAsUser']}:{pod['securityContext']['runAsGroup']}" in dockerfile


@pytest.mark.parametrize("name", WORKLOADS)
def test_a_workload_s_command_is_ours(name: str) -> None:
    python, flag, module, *rest = container_of(WORKLOADS[name])["command"]
    assert (python, flag) == ("python", "-m")
    assert find_spec(module) is not None
    if module == "alembic":
        assert (ROOT / rest[rest.index("-c") + 1]).is_file()


def test_every_setting_exists_and_none_is_a_secret_in_the_open() -> None:
    named = set(of_kind("ConfigMap")["lapwing"]["data"])
    for workload in WORKLOADS.values():
        named |= {each["name"] for each in container_of(workload).get("env", ())}
    for path in (*KUBERNETES.iterdir(), *UNITS):
        named |= set(re.findall(r"\bLAPWING_[A-Z_]+\b", path.read_text()))
    assert named <= SETTINGS, named - SETTINGS
    secret = {"LAPWING_DATABASE_URL", "LAPWING_REDIS_URL", "LAPWING_SECRET_KEYS", "LAPWING_ADMIN_KEY"}
    assert not secret & set(of_kind("ConfigMap")["lapwing"]["data"])
    assert not of_kind("Secret")


@pytest.mark.parametrize("name", of_kind("Deployment"))
def test_a_stop_leaves_time_to_drain(name: str) -> None:
    pod = WORKLOADS[name]["spec"]["template"]["spec"]
    hook = container_of(WORKLOADS[name]).get("lifecycle", {}).get("preStop", {}).get("exec", {}).get("command", [])
    waits = sum(int(found) for found in re.findall(r"sleep\((\d+)\)", " ".join(hook)))
    assert pod["terminationGracePeriodSeconds"] > LONGEST_DRAIN + waits


def test_each_lane_has_its_dispatcher() -> None:
    lanes = {}
    for name in DISPATCHERS:
        environment = {each["name"]: each["value"] for each in container_of(WORKLOADS[name])["env"]}
        lanes[name] = environment["LAPWING_LANES"]
        port = int(environment["LAPWING_METRICS_PORT"])
        assert container_of(WORKLOADS[name])["ports"] == [{"name": "metrics", "containerPort": port}]
        annotations = WORKLOADS[name]["spec"]["template"]["metadata"]["annotations"]
        assert annotations["prometheus.io/port"] == str(port)
    assert {f"lapwing-{lane}": lane for lane in SERVABLE} == lanes


def test_each_lane_has_its_unit_and_its_alert() -> None:
    """Where each lane is a process of its own, one that is forgotten is served by nobody."""
    runbook = (ROOT / "deploy/README.md").read_text()
    assert f"lapwing-dispatcher@{{{','.join(SERVABLE)}}}" in runbook
    unit = (ROOT / "deploy/systemd/lapwing-dispatcher@.service").read_text()
    assert re.findall(r"lapwing-dispatcher@(\w+)", unit) == list(SERVABLE)
    (alerts,) = documents(ROOT / "deploy/prometheus/alerts.yaml")
    (missed,) = [
        rule["expr"] for group in alerts["groups"] for rule in group["rules"] if rule["alert"] == "LaneNotServed"
    ]
    assert set(re.findall(r'absent\(lapwing_in_flight\{lane="(\w+)"\}\)', missed)) == set(SERVABLE)


def test_probes_ask_for_what_is_there() -> None:
    paths = {
        container_of(workload)[probe]["httpGet"]["path"]
        for workload in of_kind("Deployment").values()
        for probe in ("startupProbe", "livenessProbe", "readinessProbe")
        if probe in container_of(workload)
    }
    assert paths == {"/livez", "/readyz", "/metrics"}


def test_selectors_find_their_pods() -> None:
    labels = [each["spec"]["template"]["metadata"]["labels"] for each in of_kind("Deployment").values()]
    for name, deployment in of_kind("Deployment").items():
        assert (
            deployment["spec"]["selector"]["matchLabels"].items()
            <= labels[list(of_kind("Deployment")).index(name)].items()
        )
    assert set(of_kind("PodDisruptionBudget")) == set(of_kind("Deployment"))
    for budget in of_kind("PodDisruptionBudget").values():
        assert budget["spec"]["selector"]["matchLabels"] in labels
    for service in of_kind("Service").values():
        assert service["spec"]["selector"] in labels
    for scaler in of_kind("HorizontalPodAutoscaler").values():
        assert scaler["spec"]["scaleTargetRef"]["name"] in of_kind("Deployment")
        assert scaler["spec"]["minReplicas"] <= scaler["spec"]["maxReplicas"]
    # What waits for webhooks waits for their receivers: more processes of ours would not help.
    assert set(of_kind("HorizontalPodAutoscaler")) == set(of_kind("Deployment")) - {"lapwing-webhooks"}


def test_nobody_speaks_unless_told() -> None:
    policies = of_kind("NetworkPolicy")
    assert policies["nothing-else"]["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    names = set(WORKLOADS)
    for policy in policies.values():
        for each in policy["spec"]["podSelector"].get("matchExpressions", ()):
            assert set(each["values"]) <= names
        if "dispatchers" in policy["metadata"]["name"]:
            (chosen,) = policy["spec"]["podSelector"]["matchExpressions"]
            assert set(chosen["values"]) == DISPATCHERS
    # The world is the dispatchers' alone, and without its private corners.
    (open_,) = [policy for policy in policies.values() if "0.0.0.0/0" in str(policy)]
    assert "lapwing-api" not in str(open_)
    assert {"10.0.0.0/8", "169.254.0.0/16", "fc00::/7"} <= set(re.findall(r"[\da-f.:]+/\d+", str(open_)))


def known_series() -> dict[str, set[str]]:
    """Every series that can be asked for, with its labels."""
    found: dict[str, set[str]] = {}
    for metrics in (http_metrics(), dispatcher_metrics()):
        for metric in metrics.registry._collector_to_names:
            names = metrics.registry._collector_to_names[metric]
            labels = set(getattr(metric, "_labelnames", ()))
            for name in names:
                found[name] = labels | ({"le"} if name.endswith("_bucket") else set())
    source = (ROOT / f"{QueueMetrics.__module__.replace('.', '/')}.py").read_text()
    for name, described in re.findall(r'Gauge\(\s*"(lapwing_\w+)",(.*?)registry=', source, re.DOTALL):
        listed = re.search(r"\(((?:\"\w+\",? ?)+)\)", described)
        found[name] = set(re.findall(r"\w+", listed[1])) if listed else set()
    return found


SERIES: Final = known_series()
TOLD: Final = Series(
    SERIES,
    values={
        ("lapwing_messages", "status"): list(Status),
        ("lapwing_messages", "kind"): list(Kind),
        ("lapwing_messages_total", "kind"): list(Kind),
        ("lapwing_messages_total", "outcome"): list(OutcomeName),
        ("lapwing_oldest_due_seconds", "lane"): LANES,
        ("lapwing_in_flight", "lane"): SERVABLE,
        ("lapwing_webhook_events", "state"): ("unplaced", "waiting", "dead"),
    },
)


def expressions() -> list[str]:
    (alerts,) = documents(ROOT / "deploy/prometheus/alerts.yaml")
    rules = [rule["expr"] for group in alerts["groups"] for rule in group["rules"]]
    panels = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
    (adapter,) = documents(KUBERNETES / "adapter.yaml")
    asked = [rule["metricsQuery"] for rule in adapter["rules"]["external"]]
    return [*rules, *panels, *asked]


@pytest.mark.parametrize("expression", expressions())
def test_a_query_asks_for_what_is_told(expression: str) -> None:
    assert not faults_of(expression, TOLD)


@pytest.mark.parametrize(
    ("query", "fault"),
    [
        ("sum(rate(lapwing_messages_total[5m])", "unclosed left parenthesis"),
        ('lapwing_messages{status="queued}', "cannot be read"),
        ("rate(lapwing_messages_total)", "expected type"),
        ("summ(lapwing_messages)", "cannot be read"),
        ("quantile_of(0.9, lapwing_messages)", "unknown function"),
        ('lapwing_messages{status=~"("}', "illegal regex"),
        ("sum by status (lapwing_messages)", "cannot be read"),
        ("1 + 1", "asks for nothing"),
        ("lapwing_message", "nobody tells lapwing_message"),
        ('lapwing_messages{state="queued"}', "has no label state"),
        ('lapwing_messages{status="queueing"}', "status of lapwing_messages is never queueing"),
        ('lapwing_in_flight{lane=~"urgently|bulky"}', "is never"),
        ("sum by (gateway) (lapwing_messages)", "has no label gateway"),
        ("sum without (gateway) (lapwing_messages)", "has no label gateway"),
        ("delta(lapwing_messages_total[5m])", "only grows"),
        ("increase(lapwing_messages[5m])", "goes up and down"),
        ("histogram_quantile(0.9, sum by (route) (rate(lapwing_http_request_seconds_bucket[5m])))", "the label le"),
        ("histogram_quantile(0.9, rate(lapwing_http_request_seconds_sum[5m]))", "needs buckets"),
    ],
)
def test_a_query_that_is_wrong_is_seen(query: str, fault: str) -> None:
    assert fault in " ".join(faults_of(query, TOLD))


def test_the_known_series_are_the_real_ones() -> None:
    told = "".join(
        exposition(registry).decode() for registry in (http_metrics().registry, dispatcher_metrics().registry)
    )
    for name in re.findall(r"^# HELP (lapwing_\w+) ", told, re.MULTILINE):
        assert name in SERIES or f"{name}_bucket" in SERIES, name
    assert SERIES["lapwing_messages_total"] == {"outcome", "gateway", "kind"}
    assert SERIES["lapwing_messages"] == {"status", "kind"}
    assert SERIES["lapwing_hand_over_seconds_bucket"] == {"gateway", "le"}


def test_every_alert_says_what_to_do() -> None:
    (alerts,) = documents(ROOT / "deploy/prometheus/alerts.yaml")
    rules = [rule for group in alerts["groups"] for rule in group["rules"]]
    assert len({rule["alert"] for rule in rules}) == len(rules) >= 10
    for rule in rules:
        assert rule["labels"]["severity"] in {"page", "ticket"}
        assert rule["annotations"]["summary"].endswith(".")
        assert len(rule["annotations"]["do"]) > 20
    runbook = (ROOT / "deploy/README.md").read_text()
    for section in re.findall(r'See? "([A-Z][\w ,]+)"', str(rules)):
        assert f"## {section}" in runbook, section


def test_autoscalers_ask_for_what_the_adapter_makes() -> None:
    (adapter,) = documents(KUBERNETES / "adapter.yaml")
    made = set(re.findall(r'__name__="(\w+)"', str(adapter)))
    for scaler in of_kind("HorizontalPodAutoscaler").values():
        for metric in scaler["spec"]["metrics"]:
            if metric["type"] == "External":
                asked = metric["external"]["metric"]
                assert asked["name"] in made
                assert set(asked["selector"]["matchLabels"]) <= SERIES[asked["name"]]


def test_the_dashboard_can_be_imported() -> None:
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(ids) == len(set(ids)) >= 10
    assert {panel["datasource"]["uid"] for panel in DASHBOARD["panels"]} == {"${datasource}"}
    assert [variable["name"] for variable in DASHBOARD["templating"]["list"]] == ["datasource"]
    places = [tuple(panel["gridPos"][side] for side in "xy") for panel in DASHBOARD["panels"]]
    assert len(set(places)) == len(places)


def settings_of(unit: Path) -> dict[str, str]:
    return dict(
        line.split("=", 1) for line in unit.read_text().splitlines() if "=" in line and not line.startswith("#")
    )


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_a_unit_starts_what_is_ours_and_lets_it_drain(unit: Path) -> None:
    told = settings_of(unit)
    _, flag, module, *_ = told["ExecStart"].split()
    assert flag == "-m"
    assert find_spec(module) is not None
    assert told["User"] not in ("root", "0")
    assert told["NoNewPrivileges"] == "yes"
    assert told["ProtectSystem"] == "strict"
    if module != "alembic":
        assert float(told["TimeoutStopSec"]) > LONGEST_DRAIN
        assert told["RestartPreventExitStatus"] == "2"
        # Required, a migration that is run again would stop all of them at once.
        assert "lapwing-migrate.service" in told["Wants"].split()
        assert "lapwing-migrate.service" in told["After"].split()
        assert "Requires" not in told
    assert told["Restart"] == "on-failure"
    assert told["StartLimitIntervalSec"] == "0", "a database that is away for long must not leave it down"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd here to ask")
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_systemd_takes_the_unit(unit: Path, tmp_path: Path) -> None:
    for each in UNITS:  # as installed: with a program and a folder that are there
        text = each.read_text().replace("/opt/lapwing/bin/python", sys.executable).replace("/srv/lapwing", str(ROOT))
        (tmp_path / each.name).write_text(re.sub(r"(User|Group)=lapwing", r"\1=daemon", text))
    name = unit.name.replace("@.", "@bulk.")
    if name != unit.name:
        (tmp_path / unit.name).rename(tmp_path / name)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", str(tmp_path / name)],  # noqa: S607 - wherever it is
        env={"PATH": os.environ["PATH"], "SYSTEMD_UNIT_PATH": f"{tmp_path}:"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    ours = [line for line in done.stderr.splitlines() if "lapwing" in line]
    assert not ours, ours


def test_compose_writes_nowhere() -> None:
    (compose,) = documents(ROOT / "deploy/compose.yaml")
    for service in ("api", "dispatcher", "migrate"):
        assert compose["services"][service]["read_only"] is True
        assert compose["services"][service]["tmpfs"] == ["/tmp:size=1g,mode=1777"]  # noqa: S108 - in the container
        assert compose["services"][service]["cap_drop"] == ["ALL"]
