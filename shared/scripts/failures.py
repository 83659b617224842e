"""Why a script gave no value, for whoever asked."""

from enum import StrEnum


class Reason(StrEnum):
    SYNTAX = "syntax"
    RUNTIME = "runtime"
    MISSING_FUNCTION = "missing-function"
    OVER_BUDGET = "over-budget"  # too many instructions, or too much of the processor
    OVER_MEMORY = "over-memory"
    OVER_TIME = "over-time"  # it gave no answer in time, and its process was killed
    KILLED = "killed"  # its process ended by itself, or broke its word
    BAD_RESULT = "bad-result"
    TOO_DEEP = "too-deep"
    TOO_LARGE = "too-large"
    RESTING = "resting"  # stopped too often of late; not tried
    UNAVAILABLE = "unavailable"  # no process could be had, or we are closing


# What a script is stopped for. Any other failure is an answer, given in time.
STOPPED = frozenset({Reason.OVER_BUDGET, Reason.OVER_MEMORY, Reason.OVER_TIME, Reason.KILLED})


class ScriptFailed(Exception):
    """A script gave no value. `detail` holds nothing that the script was given; `line` is the script's, if known."""

    def __init__(self, reason: Reason, detail: str, *, line: int | None = None) -> None:
        super().__init__(f"line {line}: {detail}" if line else detail)
        self.reason = reason
        self.detail = detail
        self.line = line
