"""Kannel's sendsms. It hands out no id: ours rides in the dlr-url and comes back with the report in place of %d."""

from shared.gateways.custom.presets.preset import SENDER, Preset

PRESET = Preset(
    name="kannel",
    title="Kannel",
    documentation="https://www.kannel.org/download/1.5.0/userguide-1.5.0/userguide.html",
    secrets={"username": "The username of a sendsms-user group", "password": "That group's password"},
    wanted={
        "url": "Your smsbox with its sendsms-url, such as http://kannel.example:13013/cgi-bin/sendsms",
        "sender_id": SENDER,
    },
    settings={
        "payload": (
            "username=%SECRET:username%&password=%SECRET:password%&from=%FROM%&to=%TO%&text=%MESSAGE%"
            "&coding=%ENCODING%&charset=UTF-8&validity=%VALIDITY%&dlr-mask=27&dlr-url=%CALLBACK_URL%%26status%3D%25d"
        ),
        "encodings": {"gsm7": "0", "ucs2": "2"},
        "validity": {"unit": "minutes"},
        "success_statuses": [202],
        "success_pattern": "^[03]: ",
        "faults": [
            {"status": 403, "text": "Not routable", "fault": "gateway"},
            {"status": 503, "text": "Temporal failure", "fault": "throttled"},
        ],
        # 1 and 2 speak for the handset, 8 and 16 for the carrier.
        "receipt": {
            "status": "status",
            "statuses": {
                "1": "delivered",
                "2": "undelivered",
                "4": "submitted",
                "8": "sent",
                "16": "undelivered",
                "34": "undelivered",
            },
        },
        "inbound": {"from": "from", "to": "to", "text": "text", "id": "id"},
    },
)
