"""The owner's Lua script: what it is given, and what it may say of an answer. It runs elsewhere, on its own.

A script builds the call and nothing more. Secrets are not among what it gets: it has marks for them (`marks.py`).
"""

from collections.abc import Mapping
from typing import Any, Final

from shared.adapter import Account, Answer, Sms, redacted
from shared.bodies import text_of
from shared.domain.outcome import Accepted, Fault, Lost, Outcome, Refused
from shared.gateways.custom.marks import mark, marked
from shared.gateways.custom.values import callback_url_of, encoding_of, location_of, number_of, sender_of, validity_of

_UNFIT: Final = Lost(may_have_arrived=True, cause="script_failed")


def script_of(account: Account) -> str | None:
    """The script, its `%SECRET:name%` turned into marks; None where there is none."""
    script: str | None = account.settings.get("script")
    if script is None:
        return None
    return marked(account, script)


def script_input(account: Account, sms: Sms) -> Mapping[str, Any]:
    """What the script sees: plain values, and marks in the place of secrets."""
    return {
        "to": number_of(account, sms.msisdn),
        "message": sms.text,
        "media": list(sms.media_urls),
        "from": number_of(account, sender_of(account, sms)),
        "location": location_of(account, sms),
        "id": str(sms.id),
        "attempt": sms.attempt,
        "segments": sms.segments,
        "encoding": encoding_of(account, sms),
        "validity": validity_of(account, sms),
        "callback_url": callback_url_of(account, sms),
        "secrets": {name: mark(account, f"SECRET:{name}") for name in account.secrets},
        "settings": {name: value for name, value in account.settings.items() if name != "script"},
    }


def answer_input(account: Account, sms: Sms, answer: Answer) -> Mapping[str, Any]:
    """What the script's `read` sees: the answer as it came, and what `build` saw."""
    heard = {
        "status": answer.status,
        "headers": dict(answer.headers),
        "body": text_of(answer.body, answer.content_type),
    }
    return {"answer": heard, "sms": script_input(account, sms)}


def read_from_script(sms: Sms, answer: Answer, told: object) -> Outcome | None:
    """The script's own reading of an answer; nil leaves it to the settings, and nonsense is in doubt."""
    if told is None:
        return None
    if not isinstance(told, Mapping):
        return _UNFIT
    match told.get("outcome"):
        case "accepted":
            return Accepted(_word(told.get("reference"), 255))
        case "refused" if told.get("fault") in list(Fault):
            return _refused(sms, answer, told)
        case "lost":
            return Lost(may_have_arrived=True, cause="script_says_lost")
        case _:
            return _UNFIT


def _refused(sms: Sms, answer: Answer, told: Mapping[Any, Any]) -> Refused:
    fault, wait = Fault(told["fault"]), told.get("retry_after")
    known = isinstance(wait, int | float) and not isinstance(wait, bool) and 0 <= wait <= 3600
    return Refused(
        fault,
        redacted(_word(told.get("code"), 64) or f"http_{answer.status}", [sms], most=64),
        redacted(_word(told.get("detail"), 1000) or "", [sms]),
        float(wait) if fault is Fault.THROTTLED and known and wait is not None else None,
    )


def _word(value: object, longest: int) -> str | None:
    """A text or a whole number as a text without what cannot be kept; None for everything else."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    text = "".join(character for character in str(value) if character.isprintable()).strip()
    return text[:longest] or None
