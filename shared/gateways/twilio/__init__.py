"""Twilio Programmable Messaging: one request a message, signed callbacks, a list to search.

Our message id rides in the query of StatusCallback and comes back with each receipt, so a receipt
names its message even where the answer to the hand-over was lost. There is no idempotency key: a
lost answer stays in doubt.
https://www.twilio.com/docs/messaging/api/message-resource
"""

from typing import Final

from shared.adapter import Capabilities, Reply
from shared.gateways.twilio.account import check_settings
from shared.gateways.twilio.asking import build_balance, build_lookup, read_balance, read_lookup
from shared.gateways.twilio.callbacks import read_callback, read_inbound
from shared.gateways.twilio.sending import build_send, read_send

__all__ = [
    "CAPABILITIES",
    "INBOUND_REPLY",
    "KIND",
    "build_balance",
    "build_lookup",
    "build_send",
    "check_settings",
    "read_balance",
    "read_callback",
    "read_inbound",
    "read_lookup",
    "read_send",
]

KIND: Final = "twilio"
CAPABILITIES: Final = Capabilities(
    receipts=True, client_reference=True, lookup=True, attachments=True, balance=True, alphanumeric_senders=True
)
# Anything in plain text would be sent to the handset as a reply.
INBOUND_REPLY: Final = Reply("text/xml", b"<Response/>")
