"""SMS Gateway for Android (sms-gate.app): a phone with a SIM, reached through its cloud or in the same network.

It takes our id for its own, and none twice.
"""

from shared.gateways.custom.presets.preset import JSON, Preset

PRESET = Preset(
    name="android",
    title="Android phone (SMS Gateway for Android)",
    documentation="https://docs.sms-gate.app/integration/api/",
    secrets={"username": "The username that the app shows", "password": "The password beside it"},
    settings={
        "url": "https://api.sms-gate.app/3rdparty/v1/messages",
        "method": "POST",
        "content_type": JSON,
        "payload": (
            '{"id": "%ID%", "textMessage": {"text": "%MESSAGE%"}, "phoneNumbers": ["%TO%"], "ttl": %VALIDITY%,'
            ' "withDeliveryReport": true}'
        ),
        "headers": [{"name": "Authorization", "value": "Basic %BASIC:username:password%"}],
        "success_path": "state",
        "success_values": ["Pending", "Processed", "Sent", "Delivered"],
        "reference_path": "id",
        "detail_path": "message",
        "receipt": {
            "id": "payload.messageId",
            "own_id": "payload.messageId",
            "status": "event",
            "code": "payload.reason",
            "statuses": {"sms:sent": "sent", "sms:delivered": "delivered", "sms:failed": "undelivered"},
        },
        # Its messageId is made of the message's words, so a second STOP would have the first one's.
        "inbound": {"from": "payload.phoneNumber", "text": "payload.message", "id": "id", "time": "payload.receivedAt"},
    },
)
