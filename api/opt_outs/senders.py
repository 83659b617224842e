"""The senders that somebody names in an opt-out, in the form in which messages name theirs."""

from collections.abc import Sequence

from shared.domain import sender_id
from shared.domain.sender_id import InvalidSenderId
from shared.errors import FieldError


class InvalidOptOut(InvalidSenderId):
    """The opt-out names a sender that none can be."""


def read_senders(given: Sequence[str] | None) -> tuple[str, ...] | None:
    """The senders, each once; None is everybody's. A sender need not be registered: its messages may be over."""
    if given is None:
        return None
    senders: dict[str, None] = {}
    errors: list[FieldError] = []
    for place, raw in enumerate(given):
        try:
            senders[sender_id.parse(raw).value] = None
        except InvalidSenderId as refusal:
            errors.append(FieldError(f"/sender_ids/{place}", refusal.detail))
    if errors:
        detail = errors[0].detail if len(errors) == 1 else f"{len(errors)} senders cannot be used."
        raise InvalidOptOut(detail, errors=errors)
    return tuple(senders)
