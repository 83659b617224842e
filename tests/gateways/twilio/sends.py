"""What settings are taken, and what we say to hand a message over."""

from dataclasses import replace
from typing import Any

from shared.adapter import Account, Call
from tests.gateways.cases import Sends, Settings
from tests.gateways.twilio.account import (
    ACCOUNT,
    BATCH,
    BLIND,
    BY_KEY,
    CALLBACK,
    FROM,
    HEADERS,
    HELLO,
    KEY,
    KEY_HEADERS,
    SERVICE,
    SID,
    TO_AND_BODY,
    TOKEN,
    URL,
)


def _call(body: str, *, url: str = URL, headers: tuple[tuple[str, str], ...] = HEADERS) -> Call:
    return Call("POST", url, headers, body.encode())


def _with(**settings: Any) -> Account:
    return replace(ACCOUNT, settings={**ACCOUNT.settings, **settings})


SENDS = [
    Sends("from the account's number", BATCH, _call(TO_AND_BODY + FROM + CALLBACK)),
    Sends(
        "through a service, by an API key",
        BATCH,
        _call(f"{TO_AND_BODY}&MessagingServiceSid={SERVICE}{CALLBACK}", headers=KEY_HEADERS),
        BY_KEY,
    ),
    Sends(
        "no callback is asked for that could not be checked",
        BATCH,
        _call(f"{TO_AND_BODY}&MessagingServiceSid={SERVICE}", headers=KEY_HEADERS),
        BLIND,
    ),
    Sends("no callback without an address for it", BATCH, _call(TO_AND_BODY + FROM), replace(ACCOUNT, status_url="")),
    Sends(
        "the message's own sender goes first",
        [replace(HELLO, sender_id="Cafe Ada")],
        _call(f"{TO_AND_BODY}&From=Cafe+Ada{CALLBACK}", headers=KEY_HEADERS),
        BY_KEY,
    ),
    Sends(
        "what goes with it, in its order",
        [replace(HELLO, media_urls=("https://sms.test/a/1?e=1&s=2", "https://sms.test/a/2"))],
        _call(
            f"{TO_AND_BODY}&MediaUrl=https%3A%2F%2Fsms.test%2Fa%2F1%3Fe%3D1%26s%3D2"
            f"&MediaUrl=https%3A%2F%2Fsms.test%2Fa%2F2{FROM}{CALLBACK}"
        ),
    ),
    Sends("expires", [replace(HELLO, expires_in=300)], _call(f"{TO_AND_BODY}{FROM}{CALLBACK}&ValidityPeriod=300")),
    Sends(
        "expires after all that Twilio can wait",
        [replace(HELLO, expires_in=86_400)],
        _call(f"{TO_AND_BODY}{FROM}{CALLBACK}&ValidityPeriod=36000"),
    ),
    Sends("expires now", [replace(HELLO, expires_in=0)], _call(f"{TO_AND_BODY}{FROM}{CALLBACK}&ValidityPeriod=1")),
    Sends(
        "the account's own limit of validity",
        BATCH,
        _call(f"{TO_AND_BODY}{FROM}{CALLBACK}&ValidityPeriod=600"),
        _with(validity_period=600),
    ),
    Sends(
        "the shorter of two validities",
        [replace(HELLO, expires_in=3600)],
        _call(f"{TO_AND_BODY}{FROM}{CALLBACK}&ValidityPeriod=600"),
        _with(validity_period=600),
    ),
    Sends(
        "smart encoding", BATCH, _call(f"{TO_AND_BODY}{FROM}{CALLBACK}&SmartEncoded=true"), _with(smart_encoded=True)
    ),
    Sends(
        "another address",
        BATCH,
        _call(TO_AND_BODY + FROM + CALLBACK, url=f"http://127.0.0.1:9/x/2010-04-01/Accounts/{SID}/Messages.json"),
        _with(base_url="http://127.0.0.1:9/x"),
    ),
]

SECRETS = {"api_secret": TOKEN}
GIVEN = {"account_sid": SID, "from": "+12025550142"}
SETTINGS = [
    Settings("the least", GIVEN, GIVEN, SECRETS),
    Settings(
        "all there is",
        {
            "account_sid": f" {SID}\n",
            "api_key": KEY,
            "messaging_service_sid": SERVICE,
            "from": "",
            "base_url": "https://api.dublin.ie1.twilio.com/",
            "smart_encoded": True,
            "validity_period": 3600,
        },
        {
            "account_sid": SID,
            "api_key": KEY,
            "messaging_service_sid": SERVICE,
            "base_url": "https://api.dublin.ie1.twilio.com",
            "smart_encoded": True,
            "validity_period": 3600,
        },
        {"api_secret": "s", "auth_token": "t"},
    ),
    Settings("a number with separators", {"account_sid": SID, "from": "+1 (202) 555-0142"}, GIVEN, SECRETS),
    Settings(
        "a compatible service has ids of its own",
        {"account_sid": "4f1d-a", "base_url": "https://sms.example", "from": "Ada"},
        {"account_sid": "4f1d-a", "base_url": "https://sms.example", "from": "Ada"},
        SECRETS,
    ),
    Settings(
        "a sibling of the vendor's domain is not the vendor's",
        {"account_sid": "4f1d-a", "base_url": "https://nottwilio.com", "from": "Ada"},
        {"account_sid": "4f1d-a", "base_url": "https://nottwilio.com", "from": "Ada"},
        SECRETS,
    ),
    Settings("nothing", {}, pointers=["/settings/account_sid", "/settings/from", "/secrets/api_secret"]),
    Settings(
        "ids of the wrong kind",
        {"account_sid": KEY, "api_key": "x", "messaging_service_sid": SID},
        secrets=SECRETS,
        pointers=["/settings/account_sid", "/settings/api_key", "/settings/messaging_service_sid"],
    ),
    Settings(
        "an id that would leave its path",
        {"account_sid": "../x", "base_url": "https://sms.example", "from": "Ada"},
        secrets=SECRETS,
        pointers=["/settings/account_sid"],
    ),
    Settings(
        "two senders",
        {**GIVEN, "messaging_service_sid": SERVICE},
        secrets=SECRETS,
        pointers=["/settings/messaging_service_sid"],
    ),
    Settings(
        "a sender too long", {"account_sid": SID, "from": "The long name"}, secrets=SECRETS, pointers=["/settings/from"]
    ),
    Settings(
        "values of other types",
        {"account_sid": 5, "from": ["x"], "smart_encoded": "yes", "validity_period": True},
        secrets=SECRETS,
        pointers=["/settings/account_sid", "/settings/from", "/settings/smart_encoded", "/settings/validity_period"],
    ),
    Settings(
        "validity beyond ten hours",
        {**GIVEN, "validity_period": 36_001},
        secrets=SECRETS,
        pointers=["/settings/validity_period"],
    ),
    Settings(
        "names nobody knows",
        {**GIVEN, "acount_sid": SID},
        secrets={**SECRETS, "password": "x"},
        pointers=["/settings/acount_sid", "/secrets/password"],
    ),
    Settings(
        "secrets with a line end",
        GIVEN,
        secrets={"api_secret": "abc\n", "auth_token": "two words"},
        pointers=["/secrets/api_secret", "/secrets/auth_token"],
    ),
    *(
        Settings(f"base_url {url}", {**GIVEN, "base_url": url}, secrets=SECRETS, pointers=["/settings/base_url"])
        for url in (
            "api.twilio.com",
            "ftp://api.twilio.com",
            "https://",
            "https://me:pw@api.twilio.com",
            "https://api.twilio.com?x=1",
            "https://api.twilio.com#x",
            "https://api.twilio.com:port",
            "https://api twilio.com",
            "https://[::1",
        )
    ),
]
