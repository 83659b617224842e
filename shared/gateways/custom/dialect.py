"""One account's dialect: the settings compiled once, and then spoken as any other adapter is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final

from shared.adapter import Account, Answer, Balance, Call, Callback, Capabilities, Inbound, Receipt, Reply, Sms
from shared.domain.outcome import Outcome
from shared.domain.repeats import Repeats
from shared.gateways.custom import balances, callbacks, reading, request
from shared.gateways.custom.account import check_settings as check
from shared.gateways.custom.placeholders import BadTemplate

KIND: Final = "custom"
CAPABILITIES: Final = Capabilities(receipts=True, client_reference=True, balance=True, alphanumeric_senders=True)
_SILENCE: Final = Reply("text/plain")


@dataclass(frozen=True)  # no slots: what is compiled is compiled once, and only when it is needed
class Dialect:
    """Made of one account; it takes another one's secrets and addresses, never its settings."""

    account: Account
    KIND: str = KIND

    @cached_property
    def CAPABILITIES(self) -> Capabilities:  # noqa: N802 - the contract's
        settings = self.account.settings
        receipt = settings.get("receipt") or {}
        return replace(
            CAPABILITIES,
            receipts=bool(receipt),
            client_reference=bool(receipt) and ("own_id" in receipt or self._asks_for_receipts),
            attachments=self._carries_media,
            balance="balance" in settings,
            repeats=_repeats(settings.get("deduplication")),
            receipts_per_part=bool(receipt.get("per_part")),
            either_address=bool(receipt) and bool((settings.get("inbound") or {}).get("only")),
        )

    @cached_property
    def INBOUND_REPLY(self) -> Reply:  # noqa: N802 - the contract's
        return _reply(self.account.settings.get("inbound"))

    @cached_property
    def RECEIPT_REPLY(self) -> Reply:  # noqa: N802 - the contract's
        return _reply(self.account.settings.get("receipt"))

    @cached_property
    def _outline(self) -> request.Outline:
        return request.outline_of(self.account.settings)

    @cached_property
    def _reading(self) -> reading.Reading:
        return reading.reading_of(self.account.settings)

    @property
    def _asks_for_receipts(self) -> bool:
        script = self.account.settings.get("script") or ""
        return "callback_url" in script or "CALLBACK_URL" in self._names_in(with_payload=True)

    @property
    def _carries_media(self) -> bool:
        """Whether the links of a message's attachments have a place. A script writes the payload itself."""
        settings = self.account.settings
        if "script" not in settings:
            return "MEDIA" in self._names_in(with_payload=True)
        return bool(settings.get("attachments")) or "MEDIA" in self._names_in(with_payload=False)

    def _names_in(self, *, with_payload: bool) -> frozenset[str]:
        """The open places of the call; none where the settings cannot be read, which the call itself will say."""
        try:
            outline = self._outline
        except BadTemplate:
            return frozenset()
        templates = [outline.url, *([outline.payload] if outline.payload and with_payload else [])]
        return frozenset(slot.name for template in templates for slot in template.slots)

    def check_settings(self, settings: Mapping[str, Any], secrets: Mapping[str, str]) -> Mapping[str, Any]:
        return check(settings, secrets)

    def build_send(self, account: Account, batch: Sequence[Sms]) -> Call:
        (sms,) = batch
        return request.build_send(self._outline, account, sms)

    def read_send(self, batch: Sequence[Sms], answer: Answer) -> Sequence[Outcome]:
        return [reading.read_send(self._reading, batch, answer)] * len(batch)

    def read_callback(self, account: Account, callback: Callback) -> Sequence[Receipt]:
        return callbacks.read_callback(account, callback)

    def read_inbound(self, account: Account, callback: Callback) -> Sequence[Inbound]:
        return callbacks.read_inbound(account, callback)

    def build_balance(self, account: Account) -> Call:
        return balances.build_balance(account)

    def read_balance(self, answer: Answer) -> Balance:
        return balances.read_balance(self.account.settings, answer)


def _repeats(rule: Mapping[str, Any] | None) -> Repeats | None:
    return Repeats(rule["window"], rule["most"]) if rule else None


def _reply(mapping: Mapping[str, Any] | None) -> Reply:
    reply = (mapping or {}).get("reply")
    if not reply:
        return _SILENCE
    media_type = reply.get("content_type") or "text/plain"
    return Reply(media_type, (reply.get("body") or "").encode(), reply.get("status") or 200)
