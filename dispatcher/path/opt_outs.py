"""What a gateway tells of a person who said no to it: to whose messages that no holds, by the policy."""

from typing import Protocol
from uuid import UUID

from dispatcher.worker import Worker
from shared.domain.opt_out import sender_meant
from shared.queries.opt_outs import NewOptOut


class Refused(Protocol):
    """A message that its recipient refused."""

    @property
    def msisdn(self) -> str: ...
    @property
    def msisdn_hash(self) -> bytes: ...
    @property
    def sender_id(self) -> str | None: ...


def told_by_gateway(worker: Worker, message: Refused, gateway_id: UUID) -> NewOptOut:
    """The no behind a gateway's refusal: to the sender that it showed there, if the policy keeps senders apart."""
    shown = worker.book.shown_by(gateway_id, message.sender_id, message.msisdn)
    senders = sender_meant(worker.rules.policy.opt_out_scope, shown)
    return NewOptOut(message.msisdn, message.msisdn_hash, "gateway", gateway_id, senders)
