"""What a run comes to, for people (a table a scenario, totals last) and for machines (one JSON document)."""

from collections.abc import Sequence
from typing import Any, Final

from proof.chaos.trial import Finding

LAWS: Final = ("lost", "duplicated", "unaccounted", "phantom", "unpromised", "unfounded")
FEWEST_TRIALS: Final = 10


def describe(finding: Finding) -> str:
    """One scenario: its counts, its laws, its figures, and whatever broke."""
    promised = sum(verdict.promised for verdict in finding.verdicts)
    arrived = sum(verdict.arrived for verdict in finding.verdicts)
    trials = f"{finding.trials} {finding.unit}{'s' if finding.trials != 1 else ''}"
    lines = [
        f"{finding.scenario}: {trials}, {promised:,} messages promised, {arrived:,} arrived, {finding.seconds:.0f} s"
    ]
    lines += [f"    {law:<48}{_with_bound(finding.total(law), finding)}" for law in LAWS]
    lines += [f"    {name:<48}{_shown(value)}" for name, value in finding.figures.items()]
    lines += [f"    BROKEN: {sentence}" for sentence in finding.broken]
    return "\n".join(lines)


def totals(findings: Sequence[Finding]) -> str:
    """The last line of a run. Kills are of one kind and have a bound; the other trials differ too much to share one."""
    kills = sum(finding.trials for finding in findings if finding.unit == "kill")
    others = sum(finding.trials for finding in findings if finding.unit != "kill")
    laws = ", ".join(f"{law} {sum(finding.total(law) for finding in findings)}" for law in LAWS)
    promised = sum(verdict.promised for finding in findings for verdict in finding.verdicts)
    broken = sum(len(finding.broken) for finding in findings)
    verdict = "every law held" if not broken else f"{broken} LAWS BROKEN"
    return (
        f"{kills:,} kills and {others:,} other trials, {promised:,} messages: {laws}; "
        f"kills: {bound_of(kills)}; {verdict}."
    )


def bound_of(trials: int) -> str:
    """No event in so many trials: with 95 % confidence its rate is below this (the rule of three)."""
    if trials < FEWEST_TRIALS:
        return "too few trials for a bound"
    return f"95 % bound of a zero 3/{trials} = {300 / trials:.2f} %"


def as_json(finding: Finding) -> dict[str, Any]:
    return {
        "scenario": finding.scenario,
        "trials": finding.trials,
        "unit": finding.unit,
        "seconds": round(finding.seconds, 1),
        "promised": sum(verdict.promised for verdict in finding.verdicts),
        "arrived": sum(verdict.arrived for verdict in finding.verdicts),
        "laws": {law: finding.total(law) for law in LAWS},
        "bound": 3 / finding.trials if finding.trials >= FEWEST_TRIALS else None,
        "figures": finding.figures,
        "broken": finding.broken,
    }


def _with_bound(count: int, finding: Finding) -> str:
    return str(count) if count else f"0    ({bound_of(finding.trials)})"


def _shown(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {count:,}" for name, count in value.items())
    return f"{value:,}" if isinstance(value, int) else str(value)
