"""Vonage's SMS API. It answers HTTP 200 to everything; what it means stands in each message's status."""

from shared.gateways.custom.presets.preset import SENDER, Preset

PRESET = Preset(
    name="vonage",
    title="Vonage (Nexmo) SMS API",
    documentation="https://developer.vonage.com/en/api/sms",
    secrets={"api_key": "API key, on the dashboard", "api_secret": "API secret, beside it"},
    wanted={"sender_id": SENDER},
    settings={
        "url": "https://rest.nexmo.com/sms/json",
        "method": "POST",
        "payload": (
            "api_key=%SECRET:api_key%&api_secret=%SECRET:api_secret%&from=%FROM%&to=%TO%&text=%MESSAGE%&type=%ENCODING%"
            "&ttl=%VALIDITY%&client-ref=%ID%&status-report-req=1&callback=%CALLBACK_URL%"
        ),
        "number_format": "digits",
        "validity": {"unit": "milliseconds", "default": 172_800, "most": 259_200},
        "success_path": "messages[0].status",
        "success_values": ["0"],
        "reference_path": "messages[0].message-id",
        "segments_path": "message-count",
        "code_path": "messages[0].status",
        "detail_path": "messages[0].error-text",
        "faults": [
            {"codes": ["1"], "fault": "throttled"},
            {"codes": ["12"], "fault": "message"},
            {"codes": ["7"], "fault": "opted_out"},
            {"codes": ["4", "8", "9", "33"], "fault": "account"},
            {"codes": ["2", "3", "6", "15", "22", "23", "29"], "fault": "gateway"},
            {"codes": ["5"], "fault": "in_doubt"},
        ],
        "receipt": {
            "id": "messageId",
            "own_id": "client-ref",
            "per_part": True,
            "status": "status",
            "code": "err-code",
            "statuses": {
                "accepted": "sent",
                "buffered": "sent",
                "delivered": "delivered",
                "expired": "undelivered",
                "failed": "undelivered",
                "rejected": "undelivered",
            },
        },
        "inbound": {
            "from": "msisdn",
            "to": "to",
            "text": "text",
            "id": "messageId",
            "time": "message-timestamp",
            "time_zone": "UTC",
        },
        "balance": {
            "url": "/account/get-balance?api_key=%SECRET:api_key%&api_secret=%SECRET:api_secret%",
            "path": "value",
            "unit": "EUR",
        },
    },
)
