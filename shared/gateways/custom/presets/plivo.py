"""Plivo. The account's id is part of every address, and each ends with a slash."""

from shared.gateways.custom.presets.preset import JSON, SENDER, Preset

PRESET = Preset(
    name="plivo",
    title="Plivo",
    documentation="https://www.plivo.com/docs/messaging/api/message/send-a-message",
    secrets={"auth_id": "Auth ID, on the console's overview", "auth_token": "Auth token, beside it"},
    wanted={"sender_id": SENDER},
    settings={
        "url": "https://api.plivo.com/v1/Account/%SECRET:auth_id%/Message/",
        "method": "POST",
        "content_type": JSON,
        "payload": ('{"src": "%FROM%", "dst": "%TO%", "text": "%MESSAGE%", "url": "%CALLBACK_URL%", "method": "POST"}'),
        "headers": [{"name": "Authorization", "value": "Basic %BASIC:auth_id:auth_token%"}],
        "number_format": "digits",
        "success_statuses": [202],
        "success_path": "message_uuid[0]",
        "reference_path": "message_uuid[0]",
        "detail_path": "error",
        "receipt": {
            "id": "MessageUUID",
            "status": "Status",
            "code": "ErrorCode",
            # The recipient sent STOP to this sender.
            "opted_out_codes": ["200"],
            "statuses": {
                "queued": "submitted",
                "sent": "sent",
                "delivered": "delivered",
                "undelivered": "undelivered",
                "rejected": "undelivered",
                "failed": "undelivered",
            },
        },
        "inbound": {"from": "From", "to": "To", "text": "Text", "id": "MessageUUID"},
        "balance": {"url": "/v1/Account/%SECRET:auth_id%/", "path": "cash_credits", "unit": "USD"},
    },
)
