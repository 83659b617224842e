"""What settings are taken, and what we say to hand a batch over."""

import json
from dataclasses import replace
from typing import Any

from shared.adapter import Account, Call, Sms
from tests.gateways.cases import Sends, Settings
from tests.gateways.smsportal.account import ACCOUNT, BATCH, FIRST, ID_1, KEYS, LOGGED_IN, SECOND, SECRETS, URL

ONE = f'{{"content":"Hello & \\"5€\\"?","destination":"447700900123","customerId":"{ID_1}"}}'


def _call(*messages: str, url: str = URL, headers: tuple[tuple[str, str], ...] = KEYS, **options: Any) -> Call:
    said = json.dumps({"checkOptOuts": True, **options}, separators=(",", ":"))
    return Call("POST", url, headers, f'{{"sendOptions":{said},"messages":[{",".join(messages)}]}}'.encode())


def _with(**settings: Any) -> Account:
    return replace(ACCOUNT, settings=settings)


def _within(*seconds: int | None) -> list[Sms]:
    return [replace(sms, expires_in=limit) for sms, limit in zip([FIRST, SECOND], seconds, strict=False)]


TWO = (ONE, '{"content":"Hi 😀","destination":"12025550142","customerId":"0199d4c2-0000-7000-8000-00000000000b.1"}')
SENDS = [
    Sends("one message", [FIRST], _call(ONE)),
    Sends("a batch", BATCH[:2], _call(*TWO)),
    Sends("the account's sender", [FIRST], _call(ONE, senderId="Cafe Ada"), _with(sender_id="Cafe Ada")),
    Sends(
        "the message's own sender goes first",
        [replace(FIRST, sender_id="Voucher")],
        _call(ONE, senderId="Voucher"),
        _with(sender_id="Cafe Ada"),
    ),
    Sends(
        "a number as sender has no +", [replace(FIRST, sender_id="+12025550199")], _call(ONE, senderId="12025550199")
    ),
    Sends("expires in hours and a bit", _within(3 * 3600 + 3599), _call(ONE, validityPeriod=3)),
    Sends("expires within the hour, and less cannot be said", _within(600), _call(ONE, validityPeriod=1)),
    Sends("expires now", _within(0), _call(ONE, validityPeriod=1)),
    Sends("expires in a year", _within(31_536_000), _call(ONE, validityPeriod=168)),
    Sends("the first to expire decides", _within(3 * 3600, 2 * 3600), _call(*TWO, validityPeriod=2)),
    Sends("one that expires among others", _within(None, 7200), _call(*TWO, validityPeriod=2)),
    Sends(
        "all options",
        [FIRST],
        _call(ONE, checkOptOuts=False, campaignName="Spring", costCentre="Shop 4", testMode=True),
        _with(check_opt_outs=False, campaign_name="Spring", cost_centre="Shop 4", test_mode=True),
    ),
    Sends(
        "another address",
        [FIRST],
        _call(ONE, url="http://127.0.0.1:9/x/v3/BulkMessages"),
        _with(base_url="http://127.0.0.1:9/x"),
    ),
    Sends("with a token", [FIRST], _call(ONE, headers=(("Authorization", "Bearer eyJ.t0k.en"), KEYS[1])), LOGGED_IN),
    Sends("half a character", [replace(FIRST, text="\ud83d")], _call(ONE.replace('Hello & \\"5€\\"?', "?"))),
]

SETTINGS = [
    Settings("the least", {}, {}, SECRETS),
    Settings(
        "all there is",
        {
            "base_url": "https://rest.mymobileapi.com/",
            "sender_id": " Cafe Ada ",
            "authentication": "token",
            "campaign_name": "Spring",
            "cost_centre": "Shop 4",
            "check_opt_outs": False,
            "test_mode": True,
            "signature_header": "X-Sms-Signature",
            "timestamp_header": "X-Sms-Timestamp",
            "webhook_header": "X-Mark",
        },
        {
            "base_url": "https://rest.mymobileapi.com",
            "sender_id": "Cafe Ada",
            "authentication": "token",
            "campaign_name": "Spring",
            "cost_centre": "Shop 4",
            "check_opt_outs": False,
            "test_mode": True,
            "signature_header": "X-Sms-Signature",
            "timestamp_header": "X-Sms-Timestamp",
            "webhook_header": "X-Mark",
        },
        {**SECRETS, "signature_secret": "key1", "webhook_secret": "mark"},
    ),
    Settings("a number as sender", {"sender_id": "+1 202 555 0199"}, {"sender_id": "+12025550199"}, SECRETS),
    Settings("no secrets", {}, pointers=["/secrets/client_id", "/secrets/api_secret"]),
    Settings(
        "values of other types",
        {"base_url": 5, "sender_id": ["x"], "authentication": True, "check_opt_outs": "yes", "test_mode": 1},
        secrets=SECRETS,
        pointers=[
            "/settings/base_url",
            "/settings/sender_id",
            "/settings/authentication",
            "/settings/check_opt_outs",
            "/settings/test_mode",
        ],
    ),
    *(
        Settings(f"sender_id {value}", {"sender_id": value}, secrets=SECRETS, pointers=["/settings/sender_id"])
        for value in ("The long name", "+447700900123", "Bad_name", "12")
    ),
    Settings("another mode", {"authentication": "oauth"}, secrets=SECRETS, pointers=["/settings/authentication"]),
    Settings(
        "labels too long, or of two lines",
        {"campaign_name": "x" * 101, "cost_centre": "a\nb"},
        secrets=SECRETS,
        pointers=["/settings/campaign_name", "/settings/cost_centre"],
    ),
    Settings(
        "a signature without its headers",
        {},
        secrets={**SECRETS, "signature_secret": "key1"},
        pointers=["/settings/signature_header", "/settings/timestamp_header"],
    ),
    Settings(
        "a signature without its time",
        {"signature_header": "X-Sms-Signature"},
        secrets={**SECRETS, "signature_secret": "key1"},
        pointers=["/settings/timestamp_header"],
    ),
    Settings(
        "headers without a signature",
        {"signature_header": "X-Sms-Signature", "timestamp_header": "X-Sms-Timestamp"},
        secrets=SECRETS,
        pointers=["/secrets/signature_secret"],
    ),
    Settings(
        "a mark without its header",
        {},
        secrets={**SECRETS, "webhook_secret": "mark"},
        pointers=["/settings/webhook_header"],
    ),
    Settings(
        "a header without its mark", {"webhook_header": "X-Mark"}, secrets=SECRETS, pointers=["/secrets/webhook_secret"]
    ),
    Settings(
        "names that are no headers",
        {"webhook_header": "Host", "signature_header": "X Sms", "timestamp_header": "t:"},
        secrets={**SECRETS, "webhook_secret": "mark", "signature_secret": "key1"},
        pointers=["/settings/signature_header", "/settings/timestamp_header", "/settings/webhook_header"],
    ),
    Settings(
        "names nobody knows",
        {"senderid": "x"},
        secrets={**SECRETS, "access_token": "x"},
        pointers=["/settings/senderid", "/secrets/access_token"],
    ),
    Settings(
        "secrets with a line end",
        {},
        secrets={"client_id": "abc\n", "api_secret": "two words", "signature_secret": "é"},
        pointers=["/secrets/client_id", "/secrets/api_secret", "/secrets/signature_secret"],
    ),
    *(
        Settings(f"base_url {url}", {"base_url": url}, secrets=SECRETS, pointers=["/settings/base_url"])
        for url in ("rest.smsportal.com", "https://rest.smsportal.com?x=1", "https://me:pw@rest.smsportal.com")
    ),
]
