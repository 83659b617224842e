"""BulkSMS. Our id goes along as a number: within half a day it takes no message twice under the same one."""

from shared.gateways.custom.presets.preset import JSON, SENDER, Preset

PRESET = Preset(
    name="bulksms",
    title="BulkSMS.com",
    documentation="https://www.bulksms.com/developer/json/v1/",
    secrets={
        "token_id": "An API token's id, under Settings, Advanced, API tokens",
        "token_secret": "That token's secret",
    },
    wanted={"sender_id": SENDER},
    settings={
        "url": "https://api.bulksms.com/v1/messages?auto-unicode=true&deduplication-id=%ID_NUMBER%",
        "method": "POST",
        "content_type": JSON,
        "payload": (
            '[{"to": "%TO%", "from": "%FROM%", "body": "%MESSAGE%", "userSuppliedId": "%ID_NUMBER%",'
            ' "longMessageMaxParts": 10, "deliveryReports": "ALL"}]'
        ),
        "headers": [{"name": "Authorization", "value": "Basic %BASIC:token_id:token_secret%"}],
        "success_statuses": [201],
        "success_path": "[0].status.type",
        "success_values": ["ACCEPTED", "SCHEDULED", "SENT", "DELIVERED", "UNKNOWN"],
        "reference_path": "[0].id",
        "segments_path": "[0].numberOfParts",
        "code_path": "[0].status.subtype",
        "detail_path": "detail",
        "deduplication": {"by": "ID_NUMBER", "window": 21_600, "most": 4},
        "faults": [
            {"codes": ["BLOCKED"], "fault": "opted_out"},
            {"codes": ["NOT_SENT"], "fault": "gateway"},
            {"codes": ["HANDSET_ERROR", "EXPIRED"], "fault": "message"},
            {"status": 403, "text": "insufficient-credits", "fault": "account"},
        ],
        "receipt": {
            "id": "id",
            "status": "status.type",
            "code": "status.subtype",
            "opted_out_codes": ["BLOCKED"],
            "statuses": {
                "ACCEPTED": "submitted",
                "SCHEDULED": "submitted",
                "SENT": "sent",
                "DELIVERED": "delivered",
                "FAILED": "undelivered",
            },
        },
        # One URL may serve both of its webhooks, and what they tell is alike but for its type.
        "inbound": {
            "from": "from",
            "to": "to",
            "text": "body",
            "id": "id",
            "only": {"path": "type", "values": ["RECEIVED"]},
        },
        "balance": {"url": "/v1/profile", "path": "credits.balance", "unit": "credits"},
    },
)
