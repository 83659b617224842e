"""MessageBird's SMS API (now Bird's). Its receipts come by GET and want to hear OK."""

from shared.gateways.custom.presets.preset import JSON, SENDER, Preset

PRESET = Preset(
    name="messagebird",
    title="MessageBird SMS API",
    documentation="https://developers.messagebird.com/api/sms-messaging/",
    secrets={"access_key": "A live access key, under Developers"},
    wanted={"sender_id": SENDER},
    settings={
        "url": "https://rest.messagebird.com/messages",
        "method": "POST",
        "content_type": JSON,
        "payload": (
            '{"recipients": ["%TO%"], "originator": "%FROM%", "body": "%MESSAGE%", "reference": "%ID%",'
            ' "datacoding": "auto", "validity": %VALIDITY%}'
        ),
        "headers": [{"name": "Authorization", "value": "AccessKey %SECRET:access_key%"}],
        "number_format": "digits",
        "success_statuses": [201],
        "success_path": "id",
        "reference_path": "id",
        "code_path": "errors[0].code",
        "detail_path": "errors[0].description",
        "faults": [
            {"codes": [2, 25], "fault": "account"},
            {"codes": [9, 10, 21], "fault": "gateway"},
            {"codes": [99], "fault": "in_doubt"},
        ],
        "receipt": {
            "id": "id",
            "own_id": "reference",
            "status": "status",
            "code": "statusErrorCode",
            "opted_out_codes": ["103"],
            "statuses": {
                "scheduled": "submitted",
                "sent": "sent",
                "buffered": "sent",
                "delivered": "delivered",
                "delivery_failed": "undelivered",
                "expired": "undelivered",
            },
            "reply": {"content_type": "text/plain", "body": "OK"},
        },
        "inbound": {
            "from": "originator",
            "to": "recipient",
            "text": "body",
            "id": "id",
            "time": "createdDatetime",
            "reply": {"content_type": "text/plain", "body": "OK"},
        },
        "balance": {"url": "/balance", "path": "amount", "unit": "credits"},
    },
)
