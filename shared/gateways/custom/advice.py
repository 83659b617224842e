"""Settings that are allowed and may still not be what their owner wants."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from shared.gateways.custom.mappings import texts_of_faults
from shared.gateways.custom.reading import DUPLICATE, IN_DOUBT
from shared.gateways.custom.request import beside, header_templates, outline_of

# Headers whose values are credentials, and what fields of addresses and payloads are called that hold one.
_TELLING: Final = re.compile(r"auth|token|key|secret|passw|cookie|credential|session", re.IGNORECASE)
_WRITTEN_OUT: Final = re.compile(
    r"""(?:^|[?&{,\s"<])((?:[a-z]+[_-]?)?(?:key|token|secret)|pass(?:word|wd)?|pwd)"?\s*[=:>]\s*"?"""
    r"""(?=[^"&%\s,}<])(?![^"&,}<]*%(?:SECRET|BASIC|TOKEN))""",
    re.IGNORECASE,
)
# How gateways say no. A text that stands in one of these says little of a success.
_REFUSALS: Final = (
    '{"success": false, "status": "error", "code": 1, "errorCode": 1, "message": "Invalid", "errors": [], "id": null}',
    "NOK NOT OK ERROR ERR FAILED Unsuccessful Not accepted Not sent",
)
# A JSON name and its value without a blank between them: only one way of writing it.
_TIGHT: Final = re.compile(r'"\s*:(?=\S)')


def warnings(settings: Mapping[str, Any]) -> Sequence[str]:
    return [
        *_of_transport(settings),
        *_of_credentials(settings),
        *_of_success(settings),
        *_of_blanks(settings),
        *_of_faults(settings),
        *_of_receipts(settings),
    ]


def _of_transport(settings: Mapping[str, Any]) -> Iterator[str]:
    if settings.get("verify_tls") is False:
        yield (
            "verify_tls is false: anybody on the way can read messages and secrets and answer in the gateway's name; "
            "let the gateway have a valid certificate and switch it on."
        )
    parts = (settings.get("balance") or {}, settings.get("login") or {})
    urls = [settings["url"], *(beside(settings["url"], part["url"]) for part in parts if "url" in part)]
    if any(urlsplit(url).scheme == "http" for url in urls):
        yield "url begins with http: messages and secrets travel in the clear; use https if the gateway has it."
    outline = outline_of(settings)
    in_query = outline.payload.slots if outline.payload and not outline.has_body else ()
    if any(slot.is_secret for slot in (*outline.url.slots, *in_query)):
        yield "url holds a secret, and addresses end up in the logs of others; use a header if the gateway takes one."


def _of_credentials(settings: Mapping[str, Any]) -> Iterator[str]:
    """What is written out where it should be named: settings are not sealed, and many may read them."""
    balance, login = settings.get("balance") or {}, settings.get("login") or {}
    for where, part in (("", settings), ("balance.", balance), ("login.", login)):
        for name, template in header_templates(part.get("headers") or ()):
            if _TELLING.search(name) and not any(slot.is_secret for slot in template.slots):
                yield _named(f"{where}headers", f"the value of {name}")
        for field in ("url", "payload"):
            if found := _WRITTEN_OUT.search(part.get(field) or ""):
                yield _named(f"{where}{field}", found[1])


def _named(where: str, what: str) -> str:
    return (
        f"{where} writes out {what}: whoever may read gateways sees it, and it is stored unsealed. If it is a "
        "credential, give it in secrets and write %SECRET:name% in its place, or %BASIC:user:password%."
    )


def _of_success(settings: Mapping[str, Any]) -> Iterator[str]:
    text = settings.get("success_text")
    if not text:
        return
    met = [other for other in texts_of_faults(settings) if text in other or other in text]
    for other in met:
        yield (
            f"success_text also stands in the text of a fault ({other!r}): an answer with both is neither, and its "
            "message stays unconfirmed; choose texts that cannot meet."
        )
    if not met and any(text in refusal for refusal in _REFUSALS):
        yield (
            f"success_text ({text!r}) also stands in what gateways say when they refuse: such an answer would count as "
            "a message sent; choose a text that only a success holds, or set success_path and success_values."
        )
    if _TIGHT.search(text):
        yield ("success_text is a piece of JSON that a single blank would break; use success_path and success_values.")


def _of_blanks(settings: Mapping[str, Any]) -> Iterator[str]:
    """Texts that are looked for with a blank at an end: hard to see, and often pasted with it."""
    phrases = [(name, settings.get(name)) for name in ("success_text", "failure_text")]
    for name, text in (*phrases, *(("faults: text", text) for text in texts_of_faults(settings))):
        if text and text != text.strip():
            yield f"{name} ({text!r}) is looked for with the blank at its end; take the blank off if it is not meant."


def _of_faults(settings: Mapping[str, Any]) -> Iterator[str]:
    for line in settings.get("faults") or ():
        status = line.get("status")
        if status is not None and status >= 500 and line["fault"] not in {IN_DOUBT, DUPLICATE}:
            yield (
                f"faults takes HTTP {status} for a refusal, and the message is handed over again: make sure that the "
                "gateway never sends what it answers so."
            )


def _of_receipts(settings: Mapping[str, Any]) -> Iterator[str]:
    if ("receipt" in settings or "inbound" in settings) and "callback_secret" not in settings:
        yield (
            "receipts and replies are believed by the token in their address alone: whoever has seen the address can "
            "forge them. If the gateway can send a header of your choice with them, set callback_secret."
        )
    yield from _of_their_way(settings)


def _of_their_way(settings: Mapping[str, Any]) -> Iterator[str]:
    receipt = settings.get("receipt")
    outline = outline_of(settings)
    templates = [outline.url, *([outline.payload] if outline.payload else [])]
    names = {slot.name for template in templates for slot in template.slots}
    if receipt is None:
        by_script = "callback_url" in (settings.get("script") or "")
        if by_script or "CALLBACK_URL" in names:
            way = "the script's sms.callback_url" if by_script else "%CALLBACK_URL%"
            yield f"receipts are asked for by {way}, and refused, for receipt does not say how to read them; add it."
        return
    by_reference = "id" in receipt and any(
        settings.get(name) for name in ("reference_path", "reference_pattern", "reference_header")
    )
    if not by_reference and "own_id" not in receipt and "CALLBACK_URL" not in names and "script" not in settings:
        yield (
            "receipts cannot be matched to messages: set reference_path and receipt.id, or send %ID% or %CALLBACK_URL% "
            "and set receipt.own_id."
        )
