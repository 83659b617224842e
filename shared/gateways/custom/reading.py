"""What the gateway's answer to a hand-over means, by the settings and else by its status.

The promise is never to send twice. So an answer is a success only if it passes every test that is set; a refusal
only if the owner's table says so, or the status is one by which servers say that they did nothing; and everything
else is in doubt.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from shared.adapter import Answer, Sms, redacted, retry_after_of
from shared.bodies import text_of
from shared.domain.outcome import Accepted, Fault, Lost, Outcome, Refused
from shared.gateways.custom import patterns
from shared.gateways.custom.paths import MISSING, Path, as_id, as_text, find, parse, read_json

IN_DOUBT: Final = "in_doubt"
DUPLICATE: Final = "duplicate"  # it has a message under this id, which is ours
FAULTS: Final = (*(str(fault) for fault in Fault), IN_DOUBT, DUPLICATE)

FAULT_OF_STATUS: Final[Mapping[int, Fault]] = MappingProxyType(
    dict.fromkeys((401, 402, 403, 404), Fault.ACCOUNT) | {429: Fault.THROTTLED}
)
# 4xx that do not say that nothing was done: somebody gave up waiting, or it was done before.
_UNCLEAR: Final = frozenset({408, 409, 460, 499})
_LONGEST_CODE: Final = 64
_LONGEST_REFERENCE: Final = 255
_LARGEST_SEGMENTS: Final = 255


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of the fault map; what is None matches anything."""

    fault: str
    status: int | None
    codes: frozenset[str] | None
    text: str | None

    @property
    def by_status_alone(self) -> bool:
        return self.codes is None and self.text is None


@dataclass(frozen=True, slots=True)
class Reading:
    """The settings about answers, ready for use."""

    statuses: frozenset[int] | None
    text: str | None
    path: Path | None
    values: frozenset[str | None] | None
    pattern: str | None
    failure_text: str | None
    reference_path: Path | None
    reference_pattern: str | None
    reference_header: str | None
    segments_path: Path | None
    code_path: Path | None
    code_pattern: str | None
    detail_path: Path | None
    rules: tuple[Rule, ...]


@dataclass(frozen=True, slots=True)
class _Heard:
    """An answer, read once."""

    status: int
    headers: Mapping[str, str]
    text: str
    document: Any

    def at(self, path: Path | None) -> Any:
        return MISSING if path is None else find(self.document, path)


def reading_of(settings: Mapping[str, Any]) -> Reading:
    values = settings.get("success_values")
    header = settings.get("reference_header")
    return Reading(
        statuses=frozenset(settings["success_statuses"]) if settings.get("success_statuses") else None,
        text=settings.get("success_text"),
        path=_path(settings, "success_path"),
        values=frozenset(map(as_text, values)) if values is not None else None,
        pattern=settings.get("success_pattern"),
        failure_text=settings.get("failure_text"),
        reference_path=_path(settings, "reference_path"),
        reference_pattern=settings.get("reference_pattern"),
        reference_header=header.lower() if header else None,
        segments_path=_path(settings, "segments_path"),
        code_path=_path(settings, "code_path"),
        code_pattern=settings.get("code_pattern"),
        detail_path=_path(settings, "detail_path"),
        rules=tuple(map(_rule, settings.get("faults") or ())),
    )


def _path(settings: Mapping[str, Any], name: str) -> Path | None:
    return parse(settings[name]) if settings.get(name) else None


def _rule(line: Mapping[str, Any]) -> Rule:
    codes = line.get("codes")
    return Rule(
        fault=line["fault"],
        status=line.get("status"),
        codes=frozenset(text for code in codes if (text := as_text(code)) is not None) if codes else None,
        text=line.get("text"),
    )


def read_send(reading: Reading, batch: Sequence[Sms], answer: Answer) -> Outcome:
    heard = _Heard(
        answer.status,
        answer.headers,
        text_of(answer.body, answer.content_type),
        read_json(answer.body, answer.content_type),
    )
    code = _code(reading, heard)
    rule = next((rule for rule in reading.rules if _matches(rule, heard, code)), None)
    if answer.status // 100 != 2:
        return _by_rule(rule, reading, heard, batch) if rule else _by_status(reading, heard, batch)
    if _succeeded(reading, heard):
        # A line for this status alone is about answers that fail the test; one that names what is in this answer
        # contradicts it, and both cannot be right.
        if rule is None or rule.by_status_alone or rule.fault == DUPLICATE:
            return Accepted(_reference(reading, heard), _segments(reading, heard))
        return Lost(may_have_arrived=True, cause="contradictory_answer")
    return _by_rule(rule, reading, heard, batch) if rule else Lost(may_have_arrived=True, cause="no_success_in_answer")


def _succeeded(reading: Reading, heard: _Heard) -> bool:
    if reading.statuses is not None and heard.status not in reading.statuses:
        return False
    if reading.failure_text is not None and reading.failure_text in heard.text:
        return False
    if reading.text is not None and reading.text not in heard.text:
        return False
    if reading.pattern is not None and not patterns.holds(reading.pattern, heard.text):
        return False
    return reading.path is None or _holds(heard.at(reading.path), reading.values)


def _holds(value: Any, wanted: frozenset[str | None] | None) -> bool:
    """Whether the value is one of these; without any, whether there is one."""
    if value is MISSING:
        return False
    if wanted is None:
        return value is not None
    text = as_text(value)
    return text is not None and text in wanted


def _matches(rule: Rule, heard: _Heard, code: str | None) -> bool:
    return (
        (rule.status is None or rule.status == heard.status)
        and (rule.codes is None or code in rule.codes)
        and (rule.text is None or rule.text in heard.text)
    )


def _by_rule(rule: Rule, reading: Reading, heard: _Heard, batch: Sequence[Sms]) -> Outcome:
    if rule.fault == IN_DOUBT:
        return Lost(may_have_arrived=True, cause="in_doubt_by_settings")
    if rule.fault == DUPLICATE:
        return Accepted(_reference(reading, heard), _segments(reading, heard))
    return _refused(Fault(rule.fault), reading, heard, batch)


def _by_status(reading: Reading, heard: _Heard, batch: Sequence[Sms]) -> Outcome:
    match heard.status // 100:
        case 3:
            return Lost(may_have_arrived=True, cause="redirect")
        case 4 if heard.status not in _UNCLEAR:
            return _refused(FAULT_OF_STATUS.get(heard.status, Fault.GATEWAY), reading, heard, batch)
        case 4 | 5:
            return Lost(may_have_arrived=True, cause=f"http_{heard.status // 100}xx")
        case _:
            return Lost(may_have_arrived=True, cause="unreadable_answer")


def _refused(fault: Fault, reading: Reading, heard: _Heard, batch: Sequence[Sms]) -> Refused:
    code = _shown(redacted(_code(reading, heard) or "", batch, most=_LONGEST_CODE))
    return Refused(
        fault,
        code or f"http_{heard.status}",
        redacted(_text(heard.at(reading.detail_path)) or "", batch),
        retry_after_of(heard.headers) if fault is Fault.THROTTLED else None,
    )


def _shown(code: str) -> str:
    """A code as it can be kept and read: of a NUL nothing would be left later on."""
    return "".join(character for character in code if character.isprintable()).strip()


def _code(reading: Reading, heard: _Heard) -> str | None:
    value = heard.at(reading.code_path)
    if value is MISSING and reading.code_pattern is not None:
        value = patterns.captured(reading.code_pattern, heard.text)
    return _text(value)


def _reference(reading: Reading, heard: _Heard) -> str | None:
    value = heard.at(reading.reference_path)
    if value is MISSING and reading.reference_pattern is not None:
        value = patterns.captured(reading.reference_pattern, heard.text)
    if value is MISSING and reading.reference_header is not None:
        value = heard.headers.get(reading.reference_header)
    text = (as_id(value) or "").strip()
    return text if 0 < len(text) <= _LONGEST_REFERENCE and text.isprintable() else None


def _text(value: Any) -> str | None:
    """A scalar that says something; null does not."""
    return None if value is None else as_text(value)


def _segments(reading: Reading, heard: _Heard) -> int | None:
    text = _text(heard.at(reading.segments_path)) or ""
    if not (text.isascii() and text.isdecimal() and len(text) <= 3):
        return None
    return int(text) if 0 < int(text) <= _LARGEST_SEGMENTS else None
