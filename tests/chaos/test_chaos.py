"""A short `make chaos`: some forty kills of real dispatchers, and of an api, judged by the three ledgers."""

import json
from pathlib import Path

import pytest

from proof.chaos import commands, fallback, kills, passwords, repeats, steps
from proof.chaos.__main__ import main
from proof.chaos.tables import describe, totals
from proof.chaos.trial import Finding, Plan

pytestmark = pytest.mark.timeout(300)


def silent(_line: str) -> None:
    """Tests print nothing while all is well."""


def check(finding: Finding) -> None:
    assert finding.broken == [], describe(finding)
    assert [finding.total(law) for law in ("lost", "duplicated", "unaccounted", "phantom")] == [0, 0, 0, 0]


def test_a_dispatcher_killed_at_each_step_of_the_path() -> None:
    finding = steps.run(Plan(scale=0.3, say=silent))
    check(finding)
    assert finding.trials == len(steps.PASSES)
    assert finding.figures["held by the dead, in all"] > 0, "no kill met anything in flight, so nothing was proven"


def test_dispatchers_killed_at_random() -> None:
    finding = kills.run(Plan(kills=7, scale=0.15, say=silent))
    check(finding)
    assert finding.figures["in flight at a kill, most"] > 0, "no kill met anything in flight, so nothing was proven"


def test_dispatchers_killed_with_batches_on_the_line() -> None:
    finding = kills.run_batches(Plan(kills=32, scale=0.3, say=silent))
    check(finding)
    assert finding.figures["in flight at a kill, most"] > 0, "no kill met anything in flight, so nothing was proven"


def test_the_first_of_two_gateways_refuses_then_dies_then_lies() -> None:
    finding = fallback.run(Plan(scale=0.1, say=silent))
    check(finding)
    assert finding.figures["taken by the second gateway"] > 0


def test_what_is_in_doubt_is_repeated_where_that_is_safe() -> None:
    finding = repeats.run(Plan(scale=0.25, say=silent))
    check(finding)
    assert finding.figures["known by their id"] > 0


def test_a_stop_opt_outs_and_an_end_in_the_middle_of_a_campaign() -> None:
    finding = commands.run(Plan(scale=0.2, say=silent))
    check(finding)
    assert finding.figures["stop: cancelled"] > 0
    assert finding.figures["expiry: expired"] > 0


def test_passwords_while_dispatchers_and_the_api_die() -> None:
    finding = passwords.run(Plan(scale=0.1, say=silent))
    check(finding)
    assert finding.figures["of these with a kill in between"] > 0


def test_a_scenario_that_breaks_ends_the_run_with_1_and_is_written_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(plan: Plan) -> Finding:
        raise TimeoutError(f"seed {plan.seed}")

    monkeypatch.setattr("proof.chaos.__main__.SCENARIOS", {"kills": broken})
    assert main(["kills", "--seed", "7", "--state", str(tmp_path)]) == 1
    document = json.loads((tmp_path / "chaos.json").read_text())
    assert document["scenarios"][0]["broken"] == ["TimeoutError: seed 7"]
    assert "1 LAWS BROKEN" in capsys.readouterr().out.splitlines()[-1]


def test_the_last_line_has_the_bound() -> None:
    finding = Finding("kills", "kill", trials=200)
    assert "3/200 = 1.50 %" in totals([finding])
    assert "3/200 = 1.50 %" in describe(finding)
