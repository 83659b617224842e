"""One voucher in the document's examples, as it is accepted, as it arrives, and sent again."""

from typing import Any, Final

from api import example_world as world

GIVEN: Final[dict[str, Any]] = {
    "msisdn": world.MSISDN,
    "text": world.VOUCHER_TEXT,
    "kind": "voucher",
    "sender_id": world.SENDER,
    "client_reference": "order-7",
}
VOUCHER: Final[dict[str, Any]] = {"code": "SPRING-25", "plan": "5 GB", "validity": "30 days", "location": "Delft"} | {
    "valid_until": "2026-04-01T09:00:00Z",
    "nearly_used_at": "2026-03-29T09:00:00Z",
}
QUEUED: Final[dict[str, Any]] = {
    "id": world.MESSAGE,
    "kind": "voucher",
    "status": "queued",
    "skip_reason": None,
    "failure": None,
    "msisdn": world.MSISDN,
    "contact_id": world.CONTACT,
    "text": world.VOUCHER_TEXT,
    "encoding": "gsm7",
    "segments": 1,
    "sender_id": world.SENDER,
    "location_id": "delft-centre",
    "campaign_id": None,
    "campaign_message_id": None,
    "client_reference": "order-7",
    "resend_of": None,
    "gateway_id": None,
    "attempt": 0,
    "not_before": world.SEND_AT,
    "expires_at": world.DAY_AFTER,
    "cancel_requested_at": None,
    "created_by": world.API_KEY,
    "created_at": world.SEND_AT,
    "status_at": world.SEND_AT,
    "advice": None,
}
MADE: Final[dict[str, Any]] = QUEUED | {"warnings": []}
# Called back while it waits; the dispatcher makes it `cancelled`.
CANCELLING: Final[dict[str, Any]] = QUEUED | {"cancel_requested_at": world.SENT}
DELIVERED: Final[dict[str, Any]] = QUEUED | {
    "status": "delivered",
    "gateway_id": world.GATEWAY,
    "attempt": 1,
    "status_at": world.DELIVERED,
}
RESENT: Final[dict[str, Any]] = QUEUED | {
    "id": world.RESENT_MESSAGE,
    "resend_of": world.MESSAGE,
    "not_before": world.DELIVERED,
    "created_at": world.DELIVERED,
    "status_at": world.DELIVERED,
}
ATTEMPT: Final[dict[str, Any]] = {
    "attempt": 1,
    "gateway_id": world.GATEWAY,
    "started_at": world.SEND_AT,
    "finished_at": world.SENT,
    "outcome": "accepted",
    "fault": None,
    "code": None,
    "detail": None,
    "reference": world.REFERENCE,
    "http_status": 201,
    "segments": 1,
    "lookups": 0,
    "exchange": None,
}
RECEIPT: Final[dict[str, Any]] = {
    "status": "delivered",
    "code": None,
    "reference": world.REFERENCE,
    "attempt": 1,
    "received_at": world.DELIVERED,
    "applied_at": world.DELIVERED,
}
WHOLE: Final[dict[str, Any]] = DELIVERED | {"attempts": [ATTEMPT], "receipts": [RECEIPT]}
EXPORTED_CSV: Final = (
    "id,created_at,kind,status,skip_reason,failure,msisdn,sender_id,text,encoding,segments,attempt,gateway_id,"
    "campaign_id,campaign_message_id,contact_id,location_id,client_reference,resend_of,not_before,expires_at,status_at\r\n"
    f"{world.MESSAGE},{world.SEND_AT},voucher,delivered,,,'{world.MSISDN},{world.SENDER},{world.VOUCHER_TEXT},gsm7,1,1,"
    f"{world.GATEWAY},,,{world.CONTACT},delft-centre,order-7,,{world.SEND_AT},{world.DAY_AFTER},{world.DELIVERED}\r\n"
)
EXPORTED_NDJSON: Final = f'{{"id": "{world.MESSAGE}", "kind": "voucher", "status": "delivered"}}\n'
