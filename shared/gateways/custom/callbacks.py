"""What the gateway tells us by itself: receipts and inbound messages, by the owner's names for their fields.

The address of a callback holds a token, and so only who knows it is heard; `callback_secret` adds a header to that.
Our own id rides in the address that `%CALLBACK_URL%` gives, and comes back in its query. A request may tell of several
messages at once, though its address was given with one of them: then each thing told speaks for itself.
"""

import hmac
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from shared.adapter import Account, Callback, ForgedCallback, Inbound, Receipt, UnreadableCallback
from shared.domain.message import EVIDENCE, Status
from shared.gateways.custom.moments import moment_of
from shared.gateways.custom.paths import MISSING, as_id, as_text, find, parse, read_json

STATUSES: Final = tuple(sorted(EVIDENCE))
_LONGEST: Final = 255
_MOST: Final = 5000  # what is read in a tenth of a second, in which nothing else is done
_ATTEMPT = re.compile(r"[0-9]{1,5}")
_INTERNATIONAL = re.compile(r"[1-9][0-9]{7,14}")


@dataclass(frozen=True, slots=True)
class _Item:
    """One thing told, and where it was told."""

    root: Any
    query: Mapping[str, str]

    def text(self, name: str | None) -> str | None:
        """What the field says."""
        value = self._at(name)
        return None if value is MISSING or value is None else as_text(value)

    def id(self, name: str | None) -> str | None:
        """The id in the field; none where nothing stands there that could be one."""
        return _short(as_id(self._at(name)))

    def _at(self, name: str | None) -> Any:
        """Forms and queries have plain names; documents have paths."""
        if not name:
            return MISSING
        value = self.root[name] if isinstance(self.root, dict) and name in self.root else find(self.root, parse(name))
        return self.query.get(name, MISSING) if value is MISSING else value


def read_callback(account: Account, callback: Callback) -> Sequence[Receipt]:
    mapping = account.settings.get("receipt")
    _check_secret(account, callback)
    if not mapping:
        raise UnreadableCallback("This gateway's settings have no receipt, so its receipts cannot be read; add it.")
    statuses = {str(word).casefold(): status for word, status in mapping["statuses"].items()}
    inbound = account.settings.get("inbound") or {}
    items = [item for item in _items(callback, mapping) if not _is_told_as_inbound(item, inbound)]
    told = _told(account.settings, mapping, items)
    receipts = [_receipt(item, mapping, statuses, whose=_whose(item, mapping, told)) for item in items]
    if items and not any(readable for readable, _ in receipts):
        if inbound and any(_inbound(item, inbound, None) for item in items):
            raise UnreadableCallback(
                "This is an inbound message, as inbound says; have the vendor send those to the inbound address of "
                "callback_urls, or let inbound.only tell them apart."
            )
        raise UnreadableCallback("No message or no status is named where receipt says; this is no receipt.")
    return [receipt for _, receipt in receipts if receipt is not None]


def _receipt(
    item: _Item, mapping: Mapping[str, Any], statuses: Mapping[str, str], *, whose: tuple[UUID | None, int | None]
) -> tuple[bool, Receipt | None]:
    """Whether it can be read, and what it says; nothing, where its status is no news to us."""
    reference = item.id(mapping.get("id"))
    message_id, attempt = whose
    word = item.text(mapping["status"])
    if word is None or (reference is None and message_id is None):
        return False, None
    status = statuses.get(word.strip().casefold())
    if status is None:
        return True, None
    code = _short(item.text(mapping.get("code")))
    return True, Receipt(
        status=Status(status),
        message_id=message_id,
        attempt=attempt,
        reference=reference,
        code=code,
        opted_out=code is not None and code in {as_text(one) for one in mapping.get("opted_out_codes") or ()},
    )


@dataclass(frozen=True, slots=True)
class _Told:
    """How many things a request tells, and whether the gateway's ids among them name several messages."""

    several: bool
    by_reference: bool


def _told(settings: Mapping[str, Any], mapping: Mapping[str, Any], items: Sequence[_Item]) -> _Told:
    references = {item.id(mapping.get("id")) for item in items} - {None}
    # Parts of one message have an id each, and an id that no answer gives us names nothing.
    kept = "script" in settings or any(settings.get(f"reference_{way}") for way in ("path", "pattern", "header"))
    return _Told(len(items) > 1, by_reference=len(references) > 1 and kept and not mapping.get("per_part"))


def _whose(item: _Item, mapping: Mapping[str, Any], told: _Told) -> tuple[UUID | None, int | None]:
    """Our id of the message that one thing told is about, and the attempt if the address says it.

    The address was given with one message. It speaks for what names no other, and for what is told alone.
    """
    addressed, named = _uuid(item.query.get("m")), _uuid(item.text(mapping.get("own_id")))
    if addressed is None:
        return named, None
    if told.several and named not in {None, addressed}:
        return named, None
    if told.by_reference and named is None and item.id(mapping.get("id")) is not None:
        return None, None
    attempt = item.query.get("a", "")
    return addressed, int(attempt) if _ATTEMPT.fullmatch(attempt) else None


def read_inbound(account: Account, callback: Callback) -> Sequence[Inbound]:
    mapping = account.settings.get("inbound")
    _check_secret(account, callback)
    if not mapping:
        raise UnreadableCallback("This gateway's settings have no inbound, so its messages cannot be read; add it.")
    items = list(_items(callback, mapping))
    if mapping.get("only"):
        items = [item for item in items if _is_told_as_inbound(item, mapping)]
    found = [_inbound(item, mapping, account.settings.get("number_format")) for item in items]
    if items and not any(found):
        raise UnreadableCallback("No sender or no text is named where inbound says; this is no inbound message.")
    return [message for message in found if message is not None]


def _is_told_as_inbound(item: _Item, mapping: Mapping[str, Any]) -> bool:
    """Whether the gateway itself says that this is an inbound message; never where nothing says how it would."""
    only = mapping.get("only")
    if not only:
        return False
    word = item.text(only["path"])
    return word is not None and word.strip().casefold() in {
        (as_text(value) or "").casefold() for value in only["values"]
    }


def _inbound(item: _Item, mapping: Mapping[str, Any], number_format: str | None) -> Inbound | None:
    msisdn, text = _short(item.text(mapping["from"])), item.text(mapping["text"])
    if msisdn is None or text is None:
        return None
    if number_format != "national" and _INTERNATIONAL.fullmatch(msisdn):
        msisdn = f"+{msisdn}"
    return Inbound(
        msisdn=msisdn,
        text=text,
        to=_short(item.text(mapping.get("to"))) or "",
        reference=item.id(mapping.get("id")),
        sent_at=moment_of(item.text(mapping.get("time")), time_zone=mapping.get("time_zone")),
    )


def _check_secret(account: Account, callback: Callback) -> None:
    """Raise unless the header that the owner agreed on with the gateway is there."""
    rule = account.settings.get("callback_secret")
    if not rule:
        return
    given = callback.headers.get(rule["header"].lower(), "").encode("utf-8", "replace")
    wanted = account.secrets.get(rule["secret"], "").encode()
    if not wanted or not hmac.compare_digest(given, wanted):
        raise ForgedCallback(f"{rule['header']} does not hold the secret {rule['secret']}; set it at the vendor's.")


def _items(callback: Callback, mapping: Mapping[str, Any]) -> Iterator[_Item]:
    """Everything a request tells: one thing, or the things in a list at the root or where `items` says."""
    query = dict(callback.query)
    document = (
        read_json(callback.body, callback.headers.get("content-type", ""))
        if callback.body and not callback.form
        else MISSING
    )
    if document is MISSING:
        fields = dict(callback.form) or query
        if not fields:
            raise UnreadableCallback("The request has no fields.")
        yield _Item(fields, query)
        return
    path = mapping.get("items")
    root = find(document, parse(path)) if path else document
    if isinstance(root, list):
        if len(root) > _MOST:
            raise UnreadableCallback(
                f"The list has {len(root)} entries, and {_MOST} are the most; have the vendor send fewer at once."
            )
        for one in root:
            yield _Item(one, query)
    elif root is not MISSING:
        yield _Item(root, query)
    else:
        raise UnreadableCallback(f"There is nothing at {path}, where items says.")


def _uuid(text: str | None) -> UUID | None:
    try:
        return UUID(text or "")
    except ValueError:
        return None


def _short(text: str | None) -> str | None:
    stripped = text.strip() if text else ""
    return stripped if 0 < len(stripped) <= _LONGEST else None
