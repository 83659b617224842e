"""GatewayAPI's REST API. It takes numbers as numbers."""

from shared.gateways.custom.presets.preset import JSON, SENDER, Preset

PRESET = Preset(
    name="gatewayapi",
    title="GatewayAPI",
    documentation="https://gatewayapi.com/docs/apis/rest/",
    secrets={"token": "An API token, under API keys"},
    wanted={"sender_id": SENDER},
    settings={
        "url": "https://gatewayapi.com/rest/mtsms",
        "method": "POST",
        "content_type": JSON,
        "payload": (
            '{"sender": "%FROM%", "message": "%MESSAGE%", "encoding": "%ENCODING%", "userref": "%ID%",'
            ' "callback_url": "%CALLBACK_URL%", "recipients": [{"msisdn": %TO:number%}]}'
        ),
        "headers": [{"name": "Authorization", "value": "Token %SECRET:token%"}],
        "number_format": "digits",
        "encodings": {"gsm7": "UTF8", "ucs2": "UCS2"},
        "success_statuses": [200],
        "success_path": "ids[0]",
        "reference_path": "ids[0]",
        "code_path": "code",
        "detail_path": "message",
        "receipt": {
            "id": "id",
            "own_id": "userref",
            "status": "status",
            "code": "code",
            "statuses": {
                "SCHEDULED": "submitted",
                "BUFFERED": "submitted",
                "ENROUTE": "sent",
                "ACCEPTED": "sent",
                "DELIVERED": "delivered",
                "EXPIRED": "undelivered",
                "DELETED": "undelivered",
                "UNDELIVERABLE": "undelivered",
                "REJECTED": "undelivered",
                "SKIPPED": "undelivered",
            },
        },
        "inbound": {"from": "msisdn", "to": "receiver", "text": "message", "id": "id", "time": "senttime"},
        "balance": {"url": "/rest/me", "path": "credit", "unit_path": "currency"},
    },
)
