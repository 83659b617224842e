"""Refusals in the OpenAPI document once instead of with every operation: most of them are the same everywhere.

Each problem's example stands in `components/examples`, under its slug. Answers that several operations share stand in
`components/responses`: `Problem404` is what most mean by a 404, `Problem404-otp-not-pending` what some mean.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from typing import Any, Final

from api.problems import MEDIA_TYPE

EXAMPLES: Final = "#/components/examples/"
RESPONSES: Final = "#/components/responses/"


def share_answers(document: dict[str, Any]) -> dict[str, Any]:
    """The document with references to what its refusals have in common; it is changed in place."""
    examples: dict[str, Any] = {}
    counted: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for status, answers in _refusals(document):
        _share_examples(answers[status], examples)
        counted[status][_as_text(answers[status])] += 1
    names = {text: name for status, uses in counted.items() for text, name in _names_of(status, uses)}
    for status, answers in _refusals(document):
        if (name := names.get(_as_text(answers[status]))) is not None:
            answers[status] = {"$ref": f"{RESPONSES}{name}"}
    components = document["components"]
    components["responses"] = {name: json.loads(text) for text, name in sorted(names.items(), key=lambda one: one[1])}
    components["examples"] = dict(sorted(examples.items()))
    return document


def _refusals(document: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each status that is a problem, and the answers of which it is one."""
    for item in document["paths"].values():
        for operation in item.values():
            for status, answer in operation["responses"].items():
                if MEDIA_TYPE in answer.get("content", {}):
                    yield status, operation["responses"]


def _share_examples(answer: Mapping[str, Any], examples: dict[str, Any]) -> None:
    """Put the answer's examples among those of all, and references in their place."""
    shown = answer["content"][MEDIA_TYPE]["examples"]
    for slug, example in shown.items():
        if examples.setdefault(slug, example) == example:
            shown[slug] = {"$ref": f"{EXAMPLES}{slug}"}


def _names_of(status: str, uses: Counter[str]) -> Iterator[tuple[str, str]]:
    """Answers that are given more than once, each with its name: by what it has beyond the usual one."""
    (usual, _), *_others = uses.most_common(1)
    taken = set()
    for text, count in uses.most_common():
        more = [] if text == usual else sorted(_slugs_of(text) - _slugs_of(usual)) or ["other"]
        name = "-".join([f"Problem{status}", *more])
        if count > 1 and name not in taken:
            taken.add(name)
            yield text, name


def _slugs_of(text: str) -> set[str]:
    return set(json.loads(text)["content"][MEDIA_TYPE]["examples"])


def _as_text(answer: Mapping[str, Any]) -> str:
    return json.dumps(answer, ensure_ascii=False)
