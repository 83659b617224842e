"""What the gateway tells us by itself, in every form that gateways use."""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from shared.adapter import Account, Callback, ForgedCallback, Inbound, Receipt, UnreadableCallback
from shared.domain.message import Status
from tests.gateways.cases import Inbounds, Receives, Stranger
from tests.gateways.custom.account import CALLBACK_URL, HELLO, INBOUND_URL, SETTINGS, STATUS_URL, account, rich

FORM = {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}
JSON = {"content-type": "application/json"}


def by_get(fields: Mapping[str, str], url: str = STATUS_URL) -> Callback:
    return Callback("GET", f"{url}{'&' if '?' in url else '?'}{urlencode(fields)}")


def by_form(fields: Mapping[str, str], url: str = STATUS_URL) -> Callback:
    return Callback("POST", url, FORM, urlencode(fields).encode())


def by_json(document: object, url: str = STATUS_URL, headers: Mapping[str, str] = JSON) -> Callback:
    return Callback("POST", url, headers, json.dumps(document).encode())


NEWS = {"messageId": "0A1", "status": "delivered", "msisdn": "447700900123"}
DELIVERED = Receipt(Status.DELIVERED, reference="0A1")
OURS = Receipt(Status.DELIVERED, message_id=HELLO.id, attempt=2, reference="0A1")
OTHER = UUID("0199d4c2-0000-7000-8000-000000000002")
STRANGER = UUID("0199d4c2-0000-7000-8000-00000000dead")


def _receipt(**over: Any) -> Account:
    return rich(receipt={**SETTINGS["receipt"], **over})


NESTED = _receipt(items="results", id="message.id", status="message.state")
ROOT = _receipt(id="id", status="status.type")
SHARED = _receipt(items="results", id="id", own_id="ours")
BY_REFERENCE = _receipt(items="results", id="id", own_id=None)
NO_REFERENCE = rich(
    reference_path=None, receipt={**SETTINGS["receipt"], "items": "results", "id": "id", "own_id": None}
)


def _several(*results: Mapping[str, str]) -> Callback:
    """What a gateway tells at once at the address that was given with HELLO."""
    return by_json({"results": results}, CALLBACK_URL)


GUARDED = account(
    SETTINGS,
    secrets={"api_key": "k", "callback_key": "right"},
    callback_secret={"header": "X-Callback-Key", "secret": "callback_key"},
)
SAID = {"msisdn": "447700900123", "to": "447700900555", "text": "See you at 5 ☕", "messageId": "0B2"}
OURS_ALONE = Receipt(Status.DELIVERED, message_id=HELLO.id, attempt=2)
# A receipt quotes what was sent, so that it would pass for an inbound message but for its kind.
EITHER = rich(
    receipt={**SETTINGS["receipt"], "id": "messageId", "own_id": None},
    inbound={**SETTINGS["inbound"], "only": {"path": "kind", "values": ["Heard", 7]}},
)
TOLD = {**SAID, "messageId": "1", "kind": "told", "status": "DELIVRD", "text": "From us"}
HEARD = {**SAID, "kind": "HEARD", "status": None}


def _named(by: str) -> Callback:
    return Callback("POST", CALLBACK_URL, JSON, f'{{"messageId": {by}, "status": "delivered"}}'.encode())


RECEIVES = [
    Receives("a query", by_get(NEWS), [DELIVERED]),
    Receives("a form", by_form(NEWS), [DELIVERED]),
    Receives("JSON", by_json(NEWS), [DELIVERED]),
    Receives("JSON that does not say so", by_json(NEWS, headers={}), [DELIVERED]),
    Receives("with our id in the address", by_json(NEWS, CALLBACK_URL), [OURS]),
    Receives("with our id in the address, by GET", by_get(NEWS, CALLBACK_URL), [OURS]),
    Receives("with our id in the address, as a form", by_form(NEWS, CALLBACK_URL), [OURS]),
    Receives(
        "with our id alone",
        by_json({"status": "delivered"}, CALLBACK_URL),
        [Receipt(Status.DELIVERED, message_id=HELLO.id, attempt=2)],
    ),
    Receives(
        "with our id among its fields",
        by_json({**NEWS, "client-ref": str(HELLO.id)}),
        [Receipt(Status.DELIVERED, message_id=HELLO.id, reference="0A1")],
    ),
    Receives("with an id that is none of ours", by_json({**NEWS, "client-ref": "42"}), [DELIVERED]),
    Receives("with an address that is none of ours", by_json(NEWS, f"{STATUS_URL}?m=42&a=x"), [DELIVERED]),
    *(
        Receives(word, by_form({**NEWS, "status": word}), [Receipt(status, reference="0A1")])
        for word, status in {
            "accepted": Status.SENT,
            "Delivrd": Status.DELIVERED,
            " DELIVERED ": Status.DELIVERED,
            "failed": Status.UNDELIVERED,
        }.items()
    ),
    Receives("a status from the future", by_form({**NEWS, "status": "pondered"}), []),
    Receives(
        "a code",
        by_form({**NEWS, "status": "failed", "err-code": "7"}),
        [Receipt(Status.UNDELIVERED, reference="0A1", code="7")],
    ),
    Receives(
        "opted out",
        by_json({**NEWS, "status": "failed", "err-code": 99}),
        [Receipt(Status.UNDELIVERED, reference="0A1", code="99", opted_out=True)],
    ),
    Receives("a number for an id", by_json({**NEWS, "messageId": 77}), [Receipt(Status.DELIVERED, reference="77")]),
    Receives(
        "several in a list",
        by_json(
            {
                "results": [
                    {"message": {"id": "1", "state": "delivered"}},
                    {"message": {"id": "2", "state": "failed"}},
                    {"message": {"id": "3", "state": "pondered"}},
                    {"nothing": 1},
                ]
            }
        ),
        [Receipt(Status.DELIVERED, reference="1"), Receipt(Status.UNDELIVERED, reference="2")],
        NESTED,
    ),
    Receives(
        "two messages at the address of one",
        _several(
            {"id": "1", "ours": str(HELLO.id), "status": "failed"}, {"id": "2", "ours": str(OTHER), "status": "DELIVRD"}
        ),
        [
            Receipt(Status.UNDELIVERED, message_id=HELLO.id, attempt=2, reference="1"),
            Receipt(Status.DELIVERED, message_id=OTHER, reference="2"),
        ],
        SHARED,
    ),
    Receives(
        "another message, a stranger's and one without an id at the address of one",
        _several(
            {"id": "2", "ours": str(OTHER), "status": "DELIVRD"},
            {"id": "3", "ours": str(STRANGER), "status": "DELIVRD"},
            {"status": "failed"},
        ),
        [
            Receipt(Status.DELIVERED, message_id=OTHER, reference="2"),
            Receipt(Status.DELIVERED, message_id=STRANGER, reference="3"),
            Receipt(Status.UNDELIVERED, message_id=HELLO.id, attempt=2),
        ],
        SHARED,
    ),
    Receives(
        "one in a list, under an id that is not what its address names",
        _several({"id": "1", "ours": str(OTHER), "status": "DELIVRD"}),
        [Receipt(Status.DELIVERED, message_id=HELLO.id, attempt=2, reference="1")],
        SHARED,
    ),
    Receives(
        "two messages at the address of one, named by the gateway's ids alone",
        _several({"id": "1", "status": "failed"}, {"id": "2", "status": "DELIVRD"}, {"status": "accepted"}),
        [
            Receipt(Status.UNDELIVERED, reference="1"),
            Receipt(Status.DELIVERED, reference="2"),
            Receipt(Status.SENT, message_id=HELLO.id, attempt=2),
        ],
        BY_REFERENCE,
    ),
    Receives(
        "what became of one message, at its address",
        _several({"id": "1", "status": "accepted"}, {"id": "1", "status": "DELIVRD"}),
        [
            Receipt(Status.SENT, message_id=HELLO.id, attempt=2, reference="1"),
            Receipt(Status.DELIVERED, message_id=HELLO.id, attempt=2, reference="1"),
        ],
        BY_REFERENCE,
    ),
    *(
        Receives(
            label,
            _several({"id": "1", "status": "DELIVRD"}, {"id": "2", "status": "failed"}),
            [
                Receipt(Status.DELIVERED, message_id=HELLO.id, attempt=2, reference="1"),
                Receipt(Status.UNDELIVERED, message_id=HELLO.id, attempt=2, reference="2"),
            ],
            whose,
        )
        for label, whose in {
            "parts of one message at its address": _receipt(items="results", id="id", own_id=None, per_part=True),
            "ids that no answer gave us, at the address of a message": NO_REFERENCE,
        }.items()
    ),
    Receives(
        "a list at the root",
        by_json([{"id": "1", "status": {"type": "DELIVERED"}}, {"id": "2", "status": {"type": "failed"}}]),
        [Receipt(Status.DELIVERED, reference="1"), Receipt(Status.UNDELIVERED, reference="2")],
        ROOT,
    ),
    Receives(
        "one that is no list",
        by_json({"id": "1", "status": {"type": "DELIVERED"}}),
        [Receipt(Status.DELIVERED, reference="1")],
        ROOT,
    ),
    Receives("a list with nothing in it is a trial", by_json([]), [], ROOT),
    Receives("a list of things that are none", by_json([1, "x", None]), UnreadableCallback, ROOT),
    Receives("nothing where the list should be", by_json({"other": []}), UnreadableCallback, NESTED),
    Receives(
        "numbers for statuses",
        by_json({**NEWS, "status": 4}),
        [Receipt(Status.DELIVERED, reference="0A1")],
        _receipt(statuses={"4": "delivered"}),
    ),
    *(
        Receives(f"JSON that is called a form: {label}", by_json(document, headers=FORM), [DELIVERED], whose)
        for label, document, whose in (("an object", NEWS, None), ("a list", [NEWS], None))
    ),
    Receives(
        "a form whose first name looks like JSON",
        Callback("POST", STATUS_URL, FORM, b"{odd=1&messageId=0A1&status=delivered"),
        [DELIVERED],
    ),
    Receives(
        "more than a thousand in a list",
        by_json([{"id": str(n), "status": {"type": "DELIVERED"}} for n in range(1200)]),
        [Receipt(Status.DELIVERED, reference=str(n)) for n in range(1200)],
        ROOT,
    ),
    Receives(
        "more in a list than is read at once",
        by_json([{"id": "1", "status": {"type": "DELIVERED"}}] * 5001),
        UnreadableCallback,
        ROOT,
    ),
    *(
        Receives(f"an id that names nothing: {given}", _named(given), [OURS_ALONE])
        for given in ("NaN", "1e999", "-Infinity", "true", "false", "null", "{}", '" "')
    ),
    Receives("an inbound message where receipts go", by_json(SAID), UnreadableCallback),
    Receives(
        "an inbound message among receipts", by_json([TOLD, HEARD]), [Receipt(Status.DELIVERED, reference="1")], EITHER
    ),
    Receives("inbound messages alone, where either may come", by_json([HEARD]), [], EITHER),
    Receives("what is neither, where either may come", by_json([{"kind": "told"}]), UnreadableCallback, EITHER),
    Receives("no message named", by_json({"status": "delivered"}), UnreadableCallback),
    Receives("no status", by_json({"messageId": "1"}), UnreadableCallback),
    Receives("where none were asked for", by_json(NEWS), UnreadableCallback, rich(receipt=None)),
    Receives("with the secret", by_json(NEWS, headers={**JSON, "x-callback-key": "right"}), [DELIVERED], GUARDED),
    Receives(
        "with another secret", by_json(NEWS, headers={**JSON, "x-callback-key": "wrong"}), ForgedCallback, GUARDED
    ),
    Receives("without the secret", by_json(NEWS), ForgedCallback, GUARDED),
    Receives(
        "with an empty secret, where ours is lost",
        by_json(NEWS, headers={**JSON, "x-callback-key": ""}),
        ForgedCallback,
        account(SETTINGS, secrets={}, callback_secret={"header": "X-Callback-Key", "secret": "callback_key"}),
    ),
]

REPLY = Inbound(msisdn="+447700900123", text="See you at 5 ☕", to="447700900555", reference="0B2")
UNNAMED = replace(REPLY, reference=None)
SENT_AT = datetime(2026, 1, 31, 9, 30, tzinfo=UTC)
INBOUNDS = [
    Inbounds("a query", by_get(SAID, INBOUND_URL), [REPLY]),
    Inbounds("a form", by_form(SAID, INBOUND_URL), [REPLY]),
    Inbounds("JSON", by_json(SAID, INBOUND_URL), [REPLY]),
    Inbounds("with its plus", by_json({**SAID, "msisdn": "+447700900123"}, INBOUND_URL), [REPLY]),
    Inbounds(
        "from inside the country",
        by_json({**SAID, "msisdn": "07700900123"}, INBOUND_URL),
        [Inbound(msisdn="07700900123", text=REPLY.text, to=REPLY.to, reference="0B2")],
    ),
    Inbounds(
        "where numbers are national",
        by_json({**SAID, "msisdn": "7700900123"}, INBOUND_URL),
        [Inbound(msisdn="7700900123", text=REPLY.text, to=REPLY.to, reference="0B2")],
        rich(number_format="national"),
    ),
    Inbounds(
        "an empty text",
        by_json({**SAID, "text": ""}, INBOUND_URL),
        [Inbound(msisdn="+447700900123", text="", to="447700900555", reference="0B2")],
    ),
    Inbounds(
        "several",
        by_json({"messages": [SAID, {**SAID, "messageId": "0B3"}]}, INBOUND_URL),
        [REPLY, Inbound(msisdn=REPLY.msisdn, text=REPLY.text, to=REPLY.to, reference="0B3")],
        rich(inbound={**SETTINGS["inbound"], "items": "messages"}),
    ),
    *(
        Inbounds(
            f"sent: {told}",
            by_json({**SAID, "at": told}, INBOUND_URL),
            [replace(REPLY, sent_at=moment)],
            rich(inbound={**SETTINGS["inbound"], "time": "at", **zone}),
        )
        for told, moment, zone in (
            (1769851800, SENT_AT, {}),
            ("1769851800", SENT_AT, {}),
            (1769851800000, SENT_AT, {}),
            (1769851800.5, SENT_AT + timedelta(seconds=0.5), {}),
            ("2026-01-31T09:30:00Z", SENT_AT, {}),
            ("2026-01-31T10:30:00.000+0100", SENT_AT, {}),
            ("Sat, 31 Jan 2026 10:30:00 +0100", SENT_AT, {}),
            ("2026-01-31 09:30:00", None, {}),
            ("2026-01-31 09:30:00", SENT_AT, {"time_zone": "UTC"}),
            ("2026-01-31 10:30:00", SENT_AT, {"time_zone": "Europe/Amsterdam"}),
            ("2026-01-31T10:30:00+01:00", SENT_AT, {"time_zone": "Asia/Tokyo"}),
            ("22/Nov/2025 12:00:00", None, {"time_zone": "UTC"}),
            ("noon", None, {"time_zone": "UTC"}),
            ("0001-01-01T00:00:00+14:00", None, {}),
            ("9999-12-31T23:59:59-14:00", None, {}),
            ("9" * 400, None, {}),
            (None, None, {}),
            (["2026-01-31T09:30:00Z"], None, {}),
        )
    ),
    *(
        Inbounds(f"an id that names nothing: {given}", by_json({**SAID, "messageId": given}, INBOUND_URL), [UNNAMED])
        for given in (float("nan"), float("inf"), True, None)
    ),
    Inbounds(
        "receipts among inbound messages",
        by_json([TOLD, HEARD, {**HEARD, "kind": 7}], INBOUND_URL),
        [REPLY, REPLY],
        EITHER,
    ),
    Inbounds("receipts alone, where either may come", by_json(TOLD, INBOUND_URL), [], EITHER),
    Inbounds(
        "an inbound message without its text", by_json({"kind": "heard"}, INBOUND_URL), UnreadableCallback, EITHER
    ),
    Inbounds(
        "JSON in the charset that it names",
        Callback(
            "POST",
            INBOUND_URL,
            {"content-type": "application/json; charset=ISO-8859-1"},
            b'{"msisdn": "447700900123", "text": "Gr\xfc\xdfe"}',
        ),
        [Inbound(msisdn="+447700900123", text="Grüße")],
    ),
    Inbounds("no sender", by_json({"text": "x"}, INBOUND_URL), UnreadableCallback),
    Inbounds("no text", by_json({"msisdn": "447700900123"}, INBOUND_URL), UnreadableCallback),
    Inbounds("where none are expected", by_json(SAID, INBOUND_URL), UnreadableCallback, rich(inbound=None)),
    Inbounds("without the secret", by_json(SAID, INBOUND_URL), ForgedCallback, GUARDED),
]
STRANGERS = [
    Stranger("nothing", Callback("POST", STATUS_URL)),
    Stranger("a query", Callback("GET", f"{STATUS_URL}?x=1")),
    Stranger("bytes", Callback("POST", STATUS_URL, {}, b"\xff\x00")),
    Stranger("a document of another kind", by_json({"hello": "world"})),
    Stranger("a scalar", by_json("hello")),
    Stranger("a form of another kind", by_form({"x": "1"})),
]
