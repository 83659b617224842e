"""A gateway's script is tried when it is saved: what does not compile, or builds nothing, is refused with its line."""

from collections.abc import Mapping
from typing import Any

from shared.errors import Invalid, Unavailable
from shared.scripts.failures import Reason, ScriptFailed
from shared.scripts.scripts import Scripts

_NOT_ITS_FAULT = frozenset({Reason.UNAVAILABLE, Reason.RESTING})


async def check_script(scripts: Scripts, settings: Mapping[str, Any]) -> None:
    """Raise Invalid for a script that could not build a call; nothing is sent, and no function of it is called."""
    script = settings.get("script")
    if not isinstance(script, str):
        return  # the adapter says what is wrong with it
    try:
        await scripts.check(script)
    except ScriptFailed as failure:
        if failure.reason in _NOT_ITS_FAULT:
            raise Unavailable("The script could not be tried just now; send this again.") from failure
        raise Invalid(
            f"script cannot be used: {failure}. Mend it; docs/gateways/lua.md says what a script may do.",
            pointer="/settings/script",
        ) from failure
