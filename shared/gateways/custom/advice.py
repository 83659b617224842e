"""Settings that are allowed and may still not be what their owner wants."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from shared.gateways.custom.balances import beside
from shared.gateways.custom.mappings import texts_of_faults
from shared.gateways.custom.reading import IN_DOUBT
from shared.gateways.custom.request import outline_of

# A JSON name and its value without a blank between them: only one way of writing it.
_TIGHT: Final = re.compile(r'"\s*:(?=\S)')


def warnings(settings: Mapping[str, Any]) -> Sequence[str]:
    return [*_of_transport(settings), *_of_success(settings), *_of_faults(settings), *_of_receipts(settings)]


def _of_transport(settings: Mapping[str, Any]) -> Iterator[str]:
    if settings.get("verify_tls") is False:
        yield (
            "verify_tls is false: anybody on the way can read messages and secrets and answer in the gateway's name; "
            "let the gateway have a valid certificate and switch it on."
        )
    balance = settings.get("balance") or {}
    urls = [settings["url"], *([beside(settings["url"], balance["url"])] if "url" in balance else [])]
    if any(urlsplit(url).scheme == "http" for url in urls):
        yield "url begins with http: messages and secrets travel in the clear; use https if the gateway has it."
    outline = outline_of(settings)
    in_query = outline.payload.slots if outline.payload and not outline.has_body else ()
    if any(slot.secrets for slot in (*outline.url.slots, *in_query)):
        yield "url holds a secret, and addresses end up in the logs of others; use a header if the gateway takes one."


def _of_success(settings: Mapping[str, Any]) -> Iterator[str]:
    text = settings.get("success_text")
    if not text:
        return
    for other in texts_of_faults(settings):
        if text in other or other in text:
            yield (
                f"success_text also stands in the text of a fault ({other!r}): an answer with both is neither, and its "
                "message stays unconfirmed; choose texts that cannot meet."
            )
    if _TIGHT.search(text):
        yield ("success_text is a piece of JSON that a single blank would break; use success_path and success_values.")


def _of_faults(settings: Mapping[str, Any]) -> Iterator[str]:
    for line in settings.get("faults") or ():
        status = line.get("status")
        if status is not None and status >= 500 and line["fault"] != IN_DOUBT:
            yield (
                f"faults takes HTTP {status} for a refusal, and the message is handed over again: make sure that the "
                "gateway never sends what it answers so."
            )


def _of_receipts(settings: Mapping[str, Any]) -> Iterator[str]:
    receipt = settings.get("receipt")
    outline = outline_of(settings)
    templates = [outline.url, *([outline.payload] if outline.payload else [])]
    names = {slot.name for template in templates for slot in template.slots}
    if receipt is None:
        if "CALLBACK_URL" in names:
            yield "receipts are asked for by %CALLBACK_URL%, and receipt does not say how to read them; add it."
        return
    by_reference = "id" in receipt and any(
        settings.get(name) for name in ("reference_path", "reference_pattern", "reference_header")
    )
    if not by_reference and "own_id" not in receipt and "CALLBACK_URL" not in names and "script" not in settings:
        yield (
            "receipts cannot be matched to messages: set reference_path and receipt.id, or send %ID% or %CALLBACK_URL% "
            "and set receipt.own_id."
        )
