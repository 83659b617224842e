"""One campaign in the document's examples, from draft to report."""

from typing import Any, Final

from api import example_world as world
from shared.domain.message import Status

STEP_GIVEN: Final[dict[str, Any]] = {"text": world.TEMPLATE, "send_at": world.SEND_AT, "send_by": world.SEND_BY}
WITH_MENU: Final[dict[str, Any]] = STEP_GIVEN | {"attachment_ids": [world.ATTACHMENT]}
GIVEN: Final[dict[str, Any]] = {
    "name": world.CAMPAIGN_NAME,
    "sender_id": world.SENDER,
    "owner": "marketing",
    "target_group_ids": [world.TARGET_GROUP],
    "opt_in_acknowledged": True,
    "messages": [WITH_MENU],
}
STEP_TIME: Final[dict[str, Any]] = {"id": world.STEP, "send_at": world.DAY_AFTER}
CHANGE: Final[dict[str, Any]] = {"owner": "marketing", "messages": [WITH_MENU]}

_STEP: Final[dict[str, Any]] = {
    "id": world.STEP,
    "position": 1,
    **STEP_GIVEN,
    "template_id": world.STORED_TEMPLATE,
    "template_version": 1,
    "status": "pending",
    "attachments": [
        {"id": world.ATTACHMENT, "name": "menu.pdf", "content_type": "application/pdf", "size_bytes": 48213}
    ],
    "resend_of": None,
}
_HEAD: Final[dict[str, Any]] = {
    "id": world.CAMPAIGN,
    "name": world.CAMPAIGN_NAME,
    "status": "draft",
    "held_reason": None,
    "sender_id": world.SENDER,
    "owner": "marketing",
    "created_by": world.API_KEY,
    "recipients": None,
    "starts_at": world.SEND_AT,
    "started_at": None,
    "finished_at": None,
    "created_at": world.CREATED,
}
DRAFT: Final[dict[str, Any]] = _HEAD | {
    "confirmed_recipients": None,
    "confirmed_segments": None,
    "phone_field": "msisdn",
    "skip_landlines": False,
    "max_per_minute": None,
    "opt_in_acknowledged_at": world.CREATED,
    "opt_in_acknowledged_by": world.API_KEY,
    "quiet_hours": None,
    "stopped_at": None,
    "released_at": None,
    "messages_dropped_at": None,
    "resend_of": None,
    "resend_which": None,
    "updated_at": world.CREATED,
    "target_group_ids": [world.TARGET_GROUP],
    "contact_ids": [],
    "msisdns": [],
    "messages": [_STEP],
    "warnings": [],
}
SCHEDULED: Final[dict[str, Any]] = DRAFT | {
    "status": "scheduled",
    "released_at": world.STARTED,
    "updated_at": world.STARTED,
}
STOPPED: Final[dict[str, Any]] = SCHEDULED | {
    "status": "stopped",
    "recipients": 2,
    "stopped_at": world.STARTED,
    "messages": [_STEP | {"status": "cancelled"}],
}
_RAN: Final[dict[str, Any]] = {
    "status": "completed",
    "recipients": 2,
    "started_at": world.SEND_AT,
    "finished_at": world.SENT,
}
COMPLETED: Final[dict[str, Any]] = (
    DRAFT | _RAN | {"updated_at": world.SENT, "messages": [_STEP | {"status": "completed"}]}
)
ARCHIVED: Final[dict[str, Any]] = COMPLETED | {"status": "archived", "updated_at": world.DAY_AFTER}
COPY: Final[dict[str, Any]] = DRAFT | {
    "id": world.OTHER_CAMPAIGN,
    "name": "Summer offer",
    "opt_in_acknowledged_at": None,
    "opt_in_acknowledged_by": None,
    "created_at": world.DAY_AFTER,
    "updated_at": world.DAY_AFTER,
    "starts_at": None,
    "messages": [_STEP | {"id": world.OTHER_STEP, "send_at": None, "send_by": None}],
}
RESENT: Final[dict[str, Any]] = COPY | {
    "name": f"{world.CAMPAIGN_NAME} (failed)",
    "status": "running",
    "opt_in_acknowledged_at": world.CREATED,
    "opt_in_acknowledged_by": world.API_KEY,
    "released_at": world.DAY_AFTER,
    "resend_of": world.CAMPAIGN,
    "resend_which": "failed",
    "target_group_ids": [],
    "messages": [_STEP | {"id": world.OTHER_STEP, "send_at": None, "send_by": None, "resend_of": world.STEP}],
}
ROW: Final[dict[str, Any]] = _HEAD | _RAN | {"messages": 1, "target": "Guests"}

PREVIEWED: Final[dict[str, Any]] = {
    "position": 1,
    "text": world.CAMPAIGN_TEXT,
    "encoding": "gsm7",
    "characters": len(world.CAMPAIGN_TEXT),
    "segments": 1,
    "missing": [],
}
PREVIEW: Final[dict[str, Any]] = {
    "msisdn": world.MSISDN,
    "contact_id": world.CONTACT,
    "messages": [PREVIEWED],
    "missing": [],
}

_COUNTS: Final = {status.value: 0 for status in Status} | {"delivered": 1, "unconfirmed": 1}
REPORT: Final[dict[str, Any]] = {
    "id": world.CAMPAIGN,
    "name": world.CAMPAIGN_NAME,
    "status": "completed",
    "held_reason": None,
    "recipients": 2,
    "counts": _COUNTS,
    "segments": 2,
    "messages": [
        {
            "id": world.STEP,
            "position": 1,
            "status": "completed",
            "send_at": world.SEND_AT,
            "counts": _COUNTS,
            "segments": 2,
        }
    ],
    "started_at": world.SEND_AT,
    "finished_at": world.SENT,
}


SUMMARY: Final[dict[str, Any]] = {
    "waiting": 0,
    "on_the_way": 0,
    "delivered": 1,
    "not_delivered": 0,
    "unconfirmed": 1,
    "not_sent": 0,
    "deliverability": 1.0,
}


def _event(at: str, event: str, **more: Any) -> dict[str, Any]:
    return {"at": at, "event": event, "position": None, "counts": None, "summary": None, "detail": {}} | more


TIMELINE: Final[dict[str, Any]] = {
    "items": [
        _event(world.CREATED, "created"),
        _event(world.STARTED, "scheduled"),
        _event(world.SEND_AT, "started"),
        _event(world.SEND_AT, "message_begun", position=1, counts=_COUNTS, summary=SUMMARY),
        _event(world.SENT, "message_completed", position=1),
        _event(world.SENT, "completed", counts=_COUNTS, summary=SUMMARY),
    ]
}
MESSAGE: Final[dict[str, Any]] = {
    "id": world.CAMPAIGN_MESSAGE,
    "position": 1,
    "msisdn": world.MSISDN,
    "contact_id": world.CONTACT,
    "status": "delivered",
    "skip_reason": None,
    "failure": None,
    "segments": 1,
    "attempt": 1,
    "gateway_id": world.GATEWAY,
    "status_at": world.DELIVERED,
}
MESSAGES_CSV: Final = (
    "position,id,msisdn,contact_id,status,skip_reason,failure,text,encoding,segments,sender_id,attempt,gateway_id,"
    "resend_of,not_before,status_at\r\n"
    f'1,{world.CAMPAIGN_MESSAGE},\'{world.MSISDN},{world.CONTACT},delivered,,,"{world.CAMPAIGN_TEXT}",gsm7,1,'
    f"{world.SENDER},1,{world.GATEWAY},,{world.SEND_AT},{world.DELIVERED}\r\n"
)

PART: Final[dict[str, Any]] = {"name": "Twilio", "id": world.GATEWAY, "counts": _COUNTS, "summary": SUMMARY}
STEP_BREAKDOWN: Final[dict[str, Any]] = {
    "id": world.STEP,
    "position": 1,
    "summary": SUMMARY,
    "by_gateway": [PART],
    "by_country": [PART | {"name": "US", "id": None}],
    "by_error": [],
}
BREAKDOWN: Final[dict[str, Any]] = {"id": world.CAMPAIGN, "messages": [STEP_BREAKDOWN]}
