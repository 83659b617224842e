"""Named steps at which a process can be told to kill itself, so that a proof can stop it exactly there.

Set by `LAPWING_FAILPOINTS`, as `name`, `name:n` for the nth time it is passed, or `name:n:stop` to be paused there
(SIGSTOP) instead of killed. Nothing is set in production, and then passing a step costs one look into an empty dict.
"""

import os
import signal
from collections.abc import Sequence
from typing import Final

from shared.exits import refuse_to_start

NAMES: Final = frozenset(
    {
        "before_claim_commit",
        "after_claim_commit",
        "before_send",
        "after_answer",
        "before_settle_commit",
        "after_settle_commit",
        "before_freeze_commit",
        "after_freeze_commit",
        "before_expand_commit",
        "after_expand_commit",
        "before_receipts_commit",
        "after_receipts_commit",
        "before_finish_commit",
        "before_import_commit",
        "after_import_commit",
        "before_fan_out_commit",
        "after_webhook_claim",
        "after_webhook_answer",
        "before_webhook_commit",
    }
)

SIGNALS: Final = {"": signal.SIGKILL, "kill": signal.SIGKILL, "stop": signal.SIGSTOP}

_armed: dict[str, int] = {}
_signals: dict[str, signal.Signals] = {}


def arm(names: Sequence[str]) -> None:
    """Arm steps of this process; raises SystemExit for what is not a step."""
    for entry in names:
        name, _, rest = entry.partition(":")
        count, _, how = rest.partition(":")
        if name not in NAMES or how not in SIGNALS or not (count or "1").isdecimal():
            refuse_to_start(
                f"LAPWING_FAILPOINTS: {entry!r} is no step such as before_send, before_send:3 or before_send:3:stop; "
                f"steps are {', '.join(sorted(NAMES))}."
            )
        _armed[name] = int(count or 1)
        _signals[name] = SIGNALS[how]


def hit(name: str) -> None:
    """Die here if told to: no clean-up, no flush, as a power cut would have it. Or sleep until SIGCONT."""
    if not _armed or name not in _armed:
        return
    _armed[name] -= 1
    if _armed[name] == 0:
        os.kill(os.getpid(), _signals[name])
