"""Clickatell's Platform. The key stands in Authorization as it is, without a word before it."""

from shared.gateways.custom.presets.preset import JSON, SENDER, Preset

PRESET = Preset(
    name="clickatell",
    title="Clickatell Platform",
    documentation="https://docs.clickatell.com/channels/sms-channels/sms-api-reference/",
    secrets={"api_key": "The API key of an SMS integration"},
    wanted={"sender_id": SENDER},
    settings={
        "url": "https://platform.clickatell.com/messages",
        "method": "POST",
        "content_type": JSON,
        "payload": '{"content": "%MESSAGE%", "to": ["%TO%"], "from": "%FROM%", "clientMessageId": "%ID%"}',
        "headers": [
            {"name": "Authorization", "value": "%SECRET:api_key%"},
            {"name": "Accept", "value": "application/json"},
        ],
        "number_format": "digits",
        "success_path": "messages[0].accepted",
        "success_values": [True],
        "reference_path": "messages[0].apiMessageId",
        # The code is told for the message or for the whole request.
        "code_pattern": '"errorCode"\\s*:\\s*"?([0-9]+)',
        "detail_path": "messages[0].error",
        "faults": [
            {"codes": [105, 113, 116], "fault": "message"},
            {"codes": [121, 122], "fault": "opted_out"},
            {"codes": [101, 108, 301], "fault": "account"},
            {"codes": [106, 114], "fault": "gateway"},
        ],
        "receipt": {
            "id": "messageId",
            "own_id": "clientMessageId",
            "status": "statusCode",
            "code": "statusCode",
            "statuses": {
                "2": "submitted",
                "3": "sent",
                "4": "delivered",
                "5": "undelivered",
                "7": "undelivered",
                "8": "submitted",
                "9": "undelivered",
                "10": "undelivered",
                "12": "undelivered",
                "14": "undelivered",
            },
        },
        "inbound": {"from": "fromNumber", "to": "toNumber", "text": "text", "id": "messageId", "time": "timestamp"},
        "balance": {"url": "/public-client/balance", "path": "balance", "unit_path": "currency"},
    },
)
