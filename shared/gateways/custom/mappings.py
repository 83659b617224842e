"""The mappings among the settings: what answers, receipts and inbound messages are called at this gateway."""

from collections.abc import Mapping
from typing import Any, Final
from zoneinfo import available_timezones

from shared.domain.fields import Fields
from shared.gateways.custom.callbacks import STATUSES
from shared.gateways.custom.paths import BadPath, as_text, parse
from shared.gateways.custom.patterns import BadPattern, compiled
from shared.gateways.custom.reading import DUPLICATE, FAULTS

MOST_RULES: Final = 100
_MOST_WORDS: Final = 100
_NO_CONTENT: Final = 204


def check_reading(fields: Fields) -> None:
    _phrase(fields, "success_text")
    _phrase(fields, "failure_text")
    for status in fields.scalars("success_statuses", most=20) or ():
        if isinstance(status, bool) or not isinstance(status, int) or not 200 <= status <= 299:
            fields.refuse("success_statuses", "must be a list of HTTP statuses from 200 to 299.")
            break
    for name in ("success_path", "reference_path", "segments_path", "code_path", "detail_path"):
        path(fields, name)
    for name in ("success_pattern", "reference_pattern", "code_pattern"):
        path(fields, name)
    values = fields.scalars("success_values", most=_MOST_WORDS)
    if values is not None and "success_path" not in fields.kept:
        fields.refuse("success_values", "are looked for at success_path, which is not set; set it.")
    fields.text("reference_header", remedy="must be the name of a header of the answer", longest=100)
    tests = {"success_text", "success_path", "success_pattern", "success_statuses"}
    if not tests & fields.kept.keys() and not fields.wrong(*tests):
        fields.refuse(
            "success_text",
            "is empty, and every answer would be taken for a success; give a text that only a success holds, or set "
            "success_path, success_pattern or success_statuses.",
        )
    _check_faults(fields)


def _check_faults(fields: Fields) -> None:
    for line in fields.parts(
        "faults", most=MOST_RULES, such_as='[{"status": 400, "codes": ["7"], "fault": "message"}]'
    ):
        line.choice("fault", FAULTS, required=True)
        line.whole("status", least=200, most=599)
        codes = line.scalars("codes", most=_MOST_WORDS)
        _phrase(line, "text")
        line.refuse_others()
        if not {"status", "codes", "text"} & line.kept.keys() and not line.wrong("status", "codes", "text"):
            line.refuse("fault", "needs a status, codes or a text by which it is known.")
        if codes is not None and not {"code_path", "code_pattern"} & fields.kept.keys():
            line.refuse("codes", "are looked for at code_path or by code_pattern; set one of them.")
        if line.kept.get("fault") == DUPLICATE and "deduplication" not in fields.kept:
            line.refuse("fault", "cannot be duplicate without deduplication, which says by which id; add it.")


def check_callbacks(fields: Fields) -> None:
    if receipt := fields.part("receipt"):
        for name in ("items", "id", "own_id", "code"):
            path(receipt, name)
        path(receipt, "status", required=True)
        _check_statuses(receipt)
        _check_parts(receipt)
        if receipt.scalars("opted_out_codes", most=_MOST_WORDS) is not None and "code" not in receipt.kept:
            receipt.refuse("opted_out_codes", "are looked for at code, which is not set; set it.")
        _check_reply(receipt)
        receipt.refuse_others()
    if inbound := fields.part("inbound"):
        for name in ("items", "to", "id", "time"):
            path(inbound, name)
        for name in ("from", "text"):
            path(inbound, name, required=True)
        _check_time_zone(inbound)
        _check_only(inbound, fields.kept.get("receipt"))
        _check_reply(inbound)
        inbound.refuse_others()
    if secret := fields.part("callback_secret"):
        secret.text("header", remedy="must be the name of a header of the callbacks", required=True, longest=100)
        secret.text("secret", remedy="must be the name of one of the secrets", required=True, longest=64)
        secret.refuse_others()


def _check_time_zone(inbound: Fields) -> None:
    """The zone of times that tell none."""
    zone = inbound.text("time_zone", remedy="must be a zone such as UTC or Europe/Amsterdam", longest=100)
    if zone is None:
        return
    if zone not in available_timezones():
        inbound.refuse("time_zone", "must be a zone such as UTC or Europe/Amsterdam.")
    elif "time" not in inbound.kept and not inbound.wrong("time"):
        inbound.refuse("time_zone", "is that of time, which is not set; set it.")


def _check_only(inbound: Fields, receipt: Any) -> None:
    """By what inbound messages are known among receipts, which stand in the same list."""
    if only := inbound.part("only"):
        path(only, "path", required=True)
        if only.scalars("values", most=_MOST_WORDS) is None and not only.wrong("values"):
            only.refuse("values", 'is missing; it must say what stands there, such as ["RECEIVED"].')
        only.refuse_others()
        if isinstance(receipt, Mapping) and receipt.get("items") != inbound.kept.get("items"):
            inbound.refuse("only", "tells things of one list apart; let items be the same in receipt and in inbound.")


def _check_parts(receipt: Fields) -> None:
    """Receipts of parts are told apart by the gateway's ids, and belong together by ours."""
    if not receipt.flag("per_part"):
        return
    missing = [name for name in ("id", "own_id") if name not in receipt.kept and not receipt.wrong(name)]
    if missing:
        receipt.refuse(
            "per_part", f"needs {' and '.join(missing)}: a part's own id, and ours for all of them; add that."
        )


def _check_statuses(receipt: Fields) -> None:
    statuses = receipt.mapping("statuses", most=_MOST_WORDS)
    if statuses is None:
        if not receipt.wrong("statuses"):
            receipt.refuse(
                "statuses", 'is missing; it must say what their words mean, such as {"DELIVRD": "delivered"}.'
            )
        return
    wrong = [word for word in statuses.values() if word not in STATUSES]
    if wrong:
        receipt.refuse("statuses", f"must lead to one of: {', '.join(STATUSES)}; what is left out is no news.")


def _check_reply(fields: Fields) -> None:
    """What the gateway wants to hear after a callback."""
    if reply := fields.part("reply"):
        reply.text("content_type", remedy="must be a type such as text/plain", longest=100)
        reply.text("body", remedy="must be a text such as OK", longest=1000)
        reply.whole("status", least=200, most=299)
        if reply.kept.get("status") == _NO_CONTENT and "body" in reply.kept:
            reply.refuse("body", "cannot go with the status 204, which has none; leave one of them out.")
        reply.refuse_others()


def path(fields: Fields, name: str, *, required: bool = False) -> None:
    """A path or, where the name says so, a pattern."""
    remedy = (
        "must be a pattern such as ^OK:([^:]+)" if name.endswith("pattern") else "must be a path such as messages[0].id"
    )
    take = fields.phrase if name.endswith("pattern") else fields.text
    text = take(name, remedy=remedy, required=required, longest=500)
    if text is None:
        return
    try:
        if name.endswith("pattern"):
            compiled(text)
        else:
            parse(text)
    except (BadPath, BadPattern) as bad:
        fields.refuse(name, f"{bad}.")


def _phrase(fields: Fields, name: str) -> None:
    fields.phrase(name, remedy="must be a text of at most 500 characters", longest=500)


def texts_of_faults(settings: Mapping[str, Any]) -> list[str]:
    return [line["text"] for line in settings.get("faults") or () if line.get("text")]


def codes_of_faults(settings: Mapping[str, Any]) -> set[str | None]:
    return {as_text(code) for line in settings.get("faults") or () for code in line.get("codes") or ()}
