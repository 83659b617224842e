"""What is wrong with a query of Prometheus: read by a parser of its language, and held to the series that there are.

The parser knows functions, their arguments and types, and refuses what Prometheus would. What it cannot know is told
here: which series exist, with which labels and values, and which of them only ever grow.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import promql_parser as promql
import re2

# Prometheus puts these on whatever it scrapes.
OF_THE_TARGET: Final = frozenset({"instance", "job", "namespace", "pod"})
# What Grafana and the adapter fill in before they ask.
_FILLED: Final = {"$__rate_interval": "5m", "<<.LabelMatchers>>": 'pod="one"'}
_OF_COUNTERS: Final = frozenset({"rate", "irate", "increase", "resets"})
_OF_GAUGES: Final = frozenset({"delta", "idelta", "deriv", "predict_linear"})
_COUNTERS: Final = ("_total", "_bucket", "_count", "_sum")


@dataclass(frozen=True, slots=True)
class Series:
    """Everything that can be asked for: labels by name, and the values that some labels can have."""

    labels: Mapping[str, Collection[str]]
    values: Mapping[tuple[str, str], Collection[str]] = field(default_factory=dict)


def faults_of(query: str, series: Series) -> list[str]:
    """All that is wrong with a query; nothing, where it can be asked and may have an answer."""
    for place, value in _FILLED.items():
        query = query.replace(place, value)
    try:
        root = promql.parse(query)
    except ValueError as error:
        return [f"it cannot be read: {error}"]
    nodes = list(_nodes(root))
    named = [node for node in nodes if isinstance(node, promql.VectorSelector)]
    faults = [] if named else ["it asks for nothing"]
    for node in nodes:
        match node:
            case promql.VectorSelector():
                faults += _of_selector(node, series)
            case promql.Call():
                faults += _of_call(node)
            case promql.AggregateExpr():
                faults += _of_aggregate(node, series)
            case _:
                pass
    return faults


def _nodes(root: Any) -> Iterator[Any]:
    found: list[Any] = []
    promql.walk(root, found.append)
    return iter(found)


def _selectors(root: Any) -> list[Any]:
    return [node for node in _nodes(root) if isinstance(node, promql.VectorSelector)]


def _of_selector(node: Any, series: Series) -> Iterator[str]:
    if node.name not in series.labels:
        yield f"nobody tells {node.name}"
        return
    for matcher in node.matchers.matchers:
        if matcher.name not in {*series.labels[node.name], *OF_THE_TARGET}:
            yield f"{node.name} has no label {matcher.name}"
        values = series.values.get((node.name, matcher.name))
        if values is not None and not any(_fits(matcher, value) for value in values):
            yield f"{matcher.name} of {node.name} is never {matcher.value}"


def _fits(matcher: Any, value: str) -> bool:
    match matcher.op:
        case promql.MatchOp.Equal | promql.MatchOp.NotEqual:
            return bool(matcher.value == value)
        case _:
            return re2.fullmatch(matcher.value, value) is not None


def _of_call(node: Any) -> Iterator[str]:
    name = node.func.name
    for asked in _selectors(node) if name in _OF_COUNTERS | _OF_GAUGES else ():
        grows = asked.name.endswith(_COUNTERS)
        if grows is not (name in _OF_COUNTERS):
            yield f"{name} is not for {asked.name}, which {'only grows' if grows else 'goes up and down'}"
    if name == "histogram_quantile":
        kept = node.args[1]
        if isinstance(kept, promql.AggregateExpr) and "le" not in _labels_of(kept):
            yield "histogram_quantile needs the label le"
        if not all(asked.name.endswith("_bucket") for asked in _selectors(kept)):
            yield "histogram_quantile needs buckets"


def _labels_of(node: Any) -> list[str]:
    return list(node.modifier.labels) if node.modifier is not None else []


def _of_aggregate(node: Any, series: Series) -> Iterator[str]:
    for asked in _selectors(node):
        there = {*series.labels.get(asked.name, ()), *OF_THE_TARGET}
        for label in _labels_of(node):
            if label not in there:
                yield f"{asked.name} has no label {label}"
