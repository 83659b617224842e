"""SMSPortal's REST API: up to 100 messages a request, one answer for all of them.

Our message id rides in `customerId` and comes back with each receipt, so a receipt names its message
even where the answer to the hand-over was lost. There is no idempotency key: a lost answer stays in
doubt. White-label hosts speak the same dialect at another address.
https://docs.smsportal.com/reference
"""

from typing import Final

from shared.adapter import Capabilities, Reply
from shared.gateways.smsportal.account import account_at_vendor, check_settings, needs_login
from shared.gateways.smsportal.advice import warnings
from shared.gateways.smsportal.asking import build_balance, build_login, has_login_ended, read_balance, read_login
from shared.gateways.smsportal.callbacks import read_callback, read_inbound
from shared.gateways.smsportal.reading import read_send
from shared.gateways.smsportal.sending import batch_key, build_send

__all__ = [
    "CAPABILITIES",
    "INBOUND_REPLY",
    "KIND",
    "account_at_vendor",
    "batch_key",
    "build_balance",
    "build_login",
    "build_send",
    "check_settings",
    "has_login_ended",
    "needs_login",
    "read_balance",
    "read_callback",
    "read_inbound",
    "read_login",
    "read_send",
    "warnings",
]

KIND: Final = "smsportal"
CAPABILITIES: Final = Capabilities(
    largest_batch=100, receipts=True, client_reference=True, balance=True, alphanumeric_senders=True
)
INBOUND_REPLY: Final = Reply("text/plain")
