"""Infobip's SMS API, version 3. Every account has a host of its own."""

from shared.gateways.custom.presets.preset import JSON, SENDER, Preset

PRESET = Preset(
    name="infobip",
    title="Infobip",
    documentation="https://www.infobip.com/docs/api/channels/sms",
    secrets={"api_key": "API key, under API keys in the portal"},
    wanted={
        "url": "The base URL on your home page with /sms/3/messages behind it: https://xxxxx.api.infobip.com/sms/3/messages",
        "sender_id": SENDER,
    },
    settings={
        "method": "POST",
        "content_type": JSON,
        "payload": (
            '{"messages": [{"sender": "%FROM%", "destinations": [{"to": "%TO%", "messageId": "%ID%"}],'
            ' "content": {"text": "%MESSAGE%"},'
            ' "webhooks": {"delivery": {"url": "%CALLBACK_URL%", "contentType": "application/json"}}}]}'
        ),
        "headers": [
            {"name": "Authorization", "value": "App %SECRET:api_key%"},
            {"name": "Accept", "value": "application/json"},
        ],
        "number_format": "digits",
        # Groups: 1 PENDING, 2 UNDELIVERABLE, 3 DELIVERED, 4 EXPIRED, 5 REJECTED.
        "success_path": "messages[0].status.groupId",
        "success_values": [1, 3],
        "reference_path": "messages[0].messageId",
        "code_path": "messages[0].status.groupId",
        "detail_path": "messages[0].status.description",
        # For how long it knows an id stands nowhere: not for long is safe.
        "deduplication": {"by": "ID", "window": 600, "most": 3},
        "faults": [
            {"status": 200, "codes": [5], "text": "REJECTED_DUPLICATE_MESSAGE_ID", "fault": "duplicate"},
            {"codes": [5], "text": "NOT_ENOUGH_CREDITS", "fault": "account"},
            {"codes": [2, 4, 5], "fault": "gateway"},
        ],
        "receipt": {
            "items": "results",
            "id": "messageId",
            "own_id": "messageId",
            "status": "status.groupName",
            "code": "error.name",
            "statuses": {
                "PENDING": "submitted",
                "DELIVERED": "delivered",
                "UNDELIVERABLE": "undelivered",
                "EXPIRED": "undelivered",
                "REJECTED": "undelivered",
            },
        },
        "inbound": {
            "items": "results",
            "from": "from",
            "to": "to",
            "text": "text",
            "id": "messageId",
            "time": "receivedAt",
        },
        "balance": {"url": "/account/1/balance", "path": "balance", "unit_path": "currency"},
    },
)
