"""How a process ends that its settings do not let start."""

import sys
from typing import NoReturn


def refuse_to_start(sentence: str) -> NoReturn:
    """End with code 2, so that a supervisor does not try again. The sentence names the setting, and no secret."""
    sys.stderr.write(f"{sentence} See deploy/env.example.\n")
    raise SystemExit(2) from None
