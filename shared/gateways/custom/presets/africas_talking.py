"""Africa's Talking. One recipient a request here, so the first of the answer's recipients is ours."""

from shared.gateways.custom.presets.preset import SENDER, Preset

PRESET = Preset(
    name="africas_talking",
    title="Africa's Talking",
    documentation="https://developers.africastalking.com/docs/sms/sending/bulk",
    secrets={"username": "The app's username", "api_key": "The app's API key, under Settings"},
    wanted={"sender_id": SENDER},
    settings={
        "url": "https://api.africastalking.com/version1/messaging",
        "method": "POST",
        "payload": "username=%SECRET:username%&to=%TO%&from=%FROM%&message=%MESSAGE%",
        "headers": [{"name": "apiKey", "value": "%SECRET:api_key%"}, {"name": "Accept", "value": "application/json"}],
        "success_path": "SMSMessageData.Recipients[0].status",
        "success_values": ["Success"],
        "reference_path": "SMSMessageData.Recipients[0].messageId",
        "code_path": "SMSMessageData.Recipients[0].statusCode",
        "detail_path": "SMSMessageData.Recipients[0].status",
        "faults": [
            {"codes": [403, 404, 409], "fault": "message"},
            {"codes": [406], "fault": "opted_out"},
            {"codes": [405], "fault": "account"},
            {"codes": [401, 402, 407, 502], "fault": "gateway"},
            {"codes": [500, 501], "fault": "in_doubt"},
        ],
        "receipt": {
            "id": "id",
            "status": "status",
            "code": "failureReason",
            "opted_out_codes": ["UserInBlacklist"],
            "statuses": {
                "Submitted": "submitted",
                "Buffered": "sent",
                "Sent": "sent",
                "Success": "delivered",
                "Rejected": "undelivered",
                "Failed": "undelivered",
                "Expired": "undelivered",
                "AbsentSubscriber": "undelivered",
            },
        },
        "inbound": {"from": "from", "to": "to", "text": "text", "id": "id"},
        "balance": {"url": "/version1/user?username=%SECRET:username%", "path": "UserData.balance"},
    },
)
