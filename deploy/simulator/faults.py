"""Fault rules: which requests go wrong, and how. What then happens is `misbehaviour.py`."""

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, NamedTuple

from deploy.simulator.checks import BadDial, Check, between, choice, flag, probability, text, whole


class Kind(NamedTuple):
    """A way to fail: whether the message is taken all the same, and what else it listens to."""

    accepts: bool
    options: Mapping[str, object] = MappingProxyType({})


KINDS: Final[Mapping[str, Kind]] = MappingProxyType(
    {
        "stop_listening": Kind(accepts=True, options={"seconds": 2.0}),
        "hang": Kind(accepts=False, options={"seconds": 0.0}),
        "slow": Kind(accepts=True, options={"seconds": 1.0}),
        "error": Kind(accepts=False, options={"status": 500}),
        "reject": Kind(accepts=False, options={"status": 400, "code": 21211}),
        "throttle": Kind(accepts=False, options={"retry_after": None}),
        "drip": Kind(accepts=True, options={"bytes_per_second": 1.0}),
        "reset": Kind(accepts=True),
        "close": Kind(accepts=True),
        "cut_body": Kind(accepts=True),
        "malformed_json": Kind(accepts=True),
        "html": Kind(accepts=True, options={"status": 200}),
        "error_body": Kind(accepts=False, options={"code": 20500}),
        "gzip_bomb": Kind(accepts=True, options={"megabytes": 100}),
        "huge_body": Kind(accepts=True, options={"megabytes": 100}),
        "redirect": Kind(accepts=False, options={"location": "", "status": 307}),
        "continue_stall": Kind(accepts=False, options={"seconds": 0.0}),
        "duplicate_sid": Kind(accepts=True),
        "reused_sid": Kind(accepts=True),
        "garbage": Kind(accepts=True),
    }
)
OPERATIONS = ("send", "lookup", "balance", "auth", "login", "any")


@dataclass(frozen=True, slots=True)
class FaultRule:
    """One fault and when it strikes: every condition given has to hold."""

    kind: str
    accept: bool = False
    operation: str = "send"
    probability: float = 1.0
    every: int | None = None
    limit: int | None = None
    to: str | None = None
    body: str | None = None
    seconds: float = 0.0
    status: int = 500
    code: int = 0
    retry_after: str | None = None
    bytes_per_second: float = 1.0
    megabytes: int = 100
    location: str = ""

    def as_json(self) -> dict[str, object]:
        """What was set and what its kind makes of the rest: can be read back as a rule."""
        names = (*_CONDITIONS, *KINDS[self.kind].options)
        found = {name: getattr(self, name) for name in names}
        return {name: value for name, value in found.items() if value is not None}

    def matches(self, operation: str, sends: Sequence[tuple[str, str]]) -> bool:
        """`sends` are (to, text); a `to` that ends in * is a prefix, `body` is found anywhere."""
        if self.operation not in (operation, "any"):
            return False
        if self.to is None and self.body is None:
            return True
        return any(self._is_about(to, body) for to, body in sends)

    def _is_about(self, to: str, body: str) -> bool:
        if self.to is not None:
            if self.to.endswith("*"):
                if not to.startswith(self.to[:-1]):
                    return False
            elif to != self.to:
                return False
        return self.body is None or self.body in body


_CONDITIONS: Final[Mapping[str, Check]] = MappingProxyType(
    {
        "kind": choice(*KINDS),
        "accept": flag,
        "operation": choice(*OPERATIONS),
        "probability": probability,
        "every": whole(1),
        "limit": whole(1),
        "to": text,
        "body": text,
    }
)


def _header(name: str, value: object) -> str:
    found = text(name, value)
    if not found.isascii() or not found.isprintable():
        raise BadDial(name, "must be one line of ASCII")
    return found


def _retry_after(name: str, value: object) -> str:
    """Seconds, or the text of the header; "date" and "absurd" are worked out when answering."""
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise BadDial(name, 'must be seconds, a header text, "date" or "absurd"')
    return _header(name, str(value))


_OPTIONS: Final[Mapping[str, Check]] = MappingProxyType(
    {
        "seconds": between(0, 86_400),
        "status": whole(200, 599),
        "code": whole(1),
        "retry_after": _retry_after,
        "bytes_per_second": between(0.01, 1_000_000),
        "megabytes": whole(1, 10_000),
        "location": _header,
    }
)


def read_rules(name: str, value: object) -> tuple[FaultRule, ...]:
    if not isinstance(value, list):
        raise BadDial(name, 'must be a list of rules such as {"kind": "hang", "every": 10}')
    return tuple(_read_rule(f"{name}[{index}]", rule) for index, rule in enumerate(value))


def _read_rule(name: str, value: object) -> FaultRule:
    if not isinstance(value, dict):
        raise BadDial(name, 'must be an object such as {"kind": "hang", "every": 10}')
    chosen = _CONDITIONS["kind"](f"{name}.kind", value.get("kind"))
    kind = KINDS[str(chosen)]
    settings: dict[str, object] = {"accept": kind.accepts} | dict(kind.options)
    for key, given in value.items():
        field = f"{name}.{key}"
        check = _CONDITIONS.get(key) or (_OPTIONS.get(key) if key in kind.options else None)
        if check is None:
            known = ", ".join((*_CONDITIONS, *kind.options))
            raise BadDial(field, f"is nothing a {chosen} rule knows; it knows {known}")
        settings[key] = check(field, given)
    if chosen == "redirect" and not settings["location"]:
        raise BadDial(f"{name}.location", "is needed: where to redirect to")
    return FaultRule(**settings)  # type: ignore[arg-type]  # each value went through its check


class Faults:
    """The rules in force, with their counters; setting the dials starts them anew."""

    def __init__(self, rules: Iterable[FaultRule], *, chance: random.Random) -> None:
        self.rules = tuple(rules)
        self._chance = chance
        self._matched = [0] * len(self.rules)
        self._struck = [0] * len(self.rules)

    def pick(self, operation: str, sends: Sequence[tuple[str, str]], *, only: str | None = None) -> FaultRule | None:
        """The first rule that strikes this request, or None."""
        for index, rule in enumerate(self.rules):
            if only is not None and rule.kind != only:
                continue
            if rule.matches(operation, sends) and self._strikes(index, rule):
                return rule
        return None

    def _strikes(self, index: int, rule: FaultRule) -> bool:
        if rule.limit is not None and self._struck[index] >= rule.limit:
            return False
        self._matched[index] += 1
        if rule.every is not None and self._matched[index] % rule.every:
            return False
        if rule.probability < 1 and self._chance.random() >= rule.probability:
            return False
        self._struck[index] += 1
        return True
