"""The sandbox's table: each last digit, and what must come of it."""

import json
from dataclasses import replace
from uuid import UUID

from shared.adapter import Account, Adapter, Answer, Call, Callback, Sms
from shared.domain.outcome import Accepted, Fault, Lost, Refused
from shared.gateways import sandbox
from tests.gateways.cases import Inbounds, Reads, Receives, Sends, Settings, Stranger

# What it is held to, by mypy here.
ADAPTER: Adapter = sandbox

ACCOUNT = Account(UUID(int=8), {}, {})
HELLO = Sms(UUID(int=1), 1, msisdn="+12025550140", text="Hello", segments=2)
BATCH = [replace(HELLO, id=UUID(int=digit), msisdn=f"+1202555014{digit}") for digit in range(10)]
WORDS = ["taken"] * 7 + ["lost", "busy", "refused"]


def _words(batch: list[Sms], words: list[str]) -> bytes:
    return json.dumps({str(m.id): w for m, w in zip(batch, words, strict=True)}).encode()


UNREADABLE = Lost(may_have_arrived=True, cause="unreadable_answer")
BUSY = Refused(Fault.THROTTLED, "busy", "too busy on the first attempt", 1.0)

SETTINGS = [
    Settings("none", {}, {}),
    Settings("names nobody knows", {"url": "x"}, secrets={"key": "x"}, pointers=["/settings/url", "/secrets/key"]),
]
SENDS = [
    Sends("a batch", BATCH, Call("NULL", "sandbox:accept", body=_words(BATCH, WORDS))),
    Sends(
        "no longer busy on the second attempt",
        [replace(BATCH[8], attempt=2)],
        Call("NULL", "sandbox:accept", body=_words([BATCH[8]], ["taken"])),
    ),
]
READS = [
    Reads(
        "every digit",
        Answer(200, {}, _words(BATCH, WORDS)),
        [
            *(Accepted(f"sandbox-{sms.id}", 2) for sms in BATCH[:7]),
            Lost(may_have_arrived=True, cause="read_timeout"),
            BUSY,
            Refused(Fault.MESSAGE, "refused", "msisdn ends in 9"),
        ],
    ),
    Reads("not this message", Answer(200, {}, b"{}"), [UNREADABLE], [HELLO]),
    Reads("a word nobody knows", Answer(200, {}, _words([HELLO], ["hm"])), [UNREADABLE], [HELLO]),
    Reads("no such status", Answer(500, {}, _words([HELLO], ["taken"])), [UNREADABLE], [HELLO]),
]
CALLBACK = Callback("POST", "https://sms.example.com/callbacks/s/t0k/status")
RECEIVES: list[Receives] = []
INBOUNDS: list[Inbounds] = []
STRANGERS = [Stranger("anybody", CALLBACK)]
