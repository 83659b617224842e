"""One runner for every gateway: an adapter without a table fails here, by name."""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from importlib import import_module
from types import ModuleType
from typing import Any
from urllib.parse import parse_qsl, urlsplit
from uuid import UUID

import pytest
from _pytest.mark import ParameterSet
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.adapter import Account, Adapter, Answer, Callback, ForgedCallback, UnreadableAnswer, UnreadableCallback
from shared.domain.outcome import Accepted, Outcome, Refused
from shared.errors import Invalid
from shared.gateways import (
    ACCOUNT_WIDE,
    ADAPTERS,
    BATCHED,
    CONFIGURED,
    LOGINS,
    METERED,
    SCRIPTED,
    SEARCHABLE,
    WARNED,
    adapter_for,
    metered_for,
    sandbox,
)
from tests.gateways import smsportal as smsportal_table
from tests.gateways import twilio as twilio_table
from tests.gateways.cases import Balances, Inbounds, Logins, Lookups, Reads, Receives, Sends, Settings, Stranger

# By the name under which a table says, to mypy, that its module is one.
PROTOCOLS: dict[str, Mapping[str, Any]] = {
    "ADAPTER": ADAPTERS,
    "METERED": METERED,
    "SEARCHABLE": SEARCHABLE,
    "BATCHED": BATCHED,
    "LOGIN_FIRST": LOGINS,
    "ACCOUNT_WIDE": ACCOUNT_WIDE,
    "CONFIGURED": CONFIGURED,
    "WARNED": WARNED,
    "SCRIPTED": SCRIPTED,
}
TABLES: dict[str, ModuleType] = {kind: import_module(f"tests.gateways.{kind}") for kind in ADAPTERS}


def speaker(kind: str, account: Account | None = None) -> Adapter:
    return adapter_for(kind, account or TABLES[kind].ACCOUNT)


def rows(name: str) -> list[ParameterSet]:
    return [
        pytest.param(kind, case, id=f"{kind}: {case.label}")
        for kind, table in TABLES.items()
        for case in getattr(table, name, [])
    ]


@pytest.mark.parametrize("kind", ADAPTERS)
def test_the_table_is_complete(kind: str) -> None:
    table, adapter = TABLES[kind], ADAPTERS[kind]
    assert kind == adapter.KIND
    for name, listed in PROTOCOLS.items():
        assert getattr(table, name, None) is listed.get(kind), f"{name} of its table"
    assert table.SENDS
    assert table.READS
    assert table.SETTINGS
    assert table.STRANGERS
    assert adapter.CAPABILITIES.balance is (kind in METERED) is hasattr(table, "BALANCES")
    assert adapter.CAPABILITIES.lookup is (kind in SEARCHABLE) is hasattr(table, "LOOKUPS")
    assert (kind in LOGINS) is hasattr(table, "LOGINS")
    assert kind not in BATCHED or adapter.CAPABILITIES.largest_batch > 1
    assert len(table.BATCH) <= adapter.CAPABILITIES.largest_batch


@pytest.mark.parametrize(("kind", "case"), rows("SETTINGS"))
def test_check_settings(kind: str, case: Settings) -> None:
    check = ADAPTERS[kind].check_settings
    if case.stored is not None:
        assert check(case.given, case.secrets) == case.stored
        assert check(case.stored, case.secrets) == case.stored, "stored settings pass again"
        return
    with pytest.raises(Invalid) as refusal:
        check(case.given, case.secrets)
    assert [error.pointer for error in refusal.value.errors] == list(case.pointers)
    for error in refusal.value.errors:
        assert error.pointer.rpartition("/")[2] in error.detail
        for secret in case.secrets.values():
            assert len(secret) < 4 or secret.strip() not in error.detail


@pytest.mark.parametrize(("kind", "case"), rows("SENDS"))
def test_build_send(kind: str, case: Sends) -> None:
    account = case.account or TABLES[kind].ACCOUNT
    call = speaker(kind, account).build_send(account, case.batch)
    assert call == case.call
    for secret in [*account.secrets.values(), *(sms.msisdn for sms in case.batch)]:
        assert secret not in repr(call)
        assert secret not in repr(account)
    assert not any(sms.msisdn in repr(sms) or sms.text in repr(sms) for sms in case.batch)


@pytest.mark.parametrize(("kind", "case"), rows("READS"))
def test_read_send(kind: str, case: Reads) -> None:
    batch = TABLES[kind].BATCH if case.batch is None else case.batch
    assert list(speaker(kind, case.account).read_send(batch, case.answer)) == list(case.outcomes)


@pytest.mark.parametrize(("kind", "case"), rows("RECEIVES"))
def test_read_callback(kind: str, case: Receives) -> None:
    account, read = case.account or TABLES[kind].ACCOUNT, speaker(kind, case.account).read_callback
    if isinstance(case.receipts, type):
        with pytest.raises(case.receipts) as refusal:
            read(account, case.callback)
        assert refusal.type is case.receipts
    else:
        assert list(read(account, case.callback)) == list(case.receipts)


@pytest.mark.parametrize(("kind", "case"), rows("INBOUNDS"))
def test_read_inbound(kind: str, case: Inbounds) -> None:
    account, read = case.account or TABLES[kind].ACCOUNT, speaker(kind, case.account).read_inbound
    if isinstance(case.inbounds, type):
        with pytest.raises(case.inbounds) as refusal:
            read(account, case.callback)
        assert refusal.type is case.inbounds
    else:
        assert list(read(account, case.callback)) == list(case.inbounds)


@pytest.mark.parametrize(("kind", "case"), rows("STRANGERS"))
def test_a_stranger_s_callback_is_refused(kind: str, case: Stranger) -> None:
    for read in (speaker(kind).read_callback, speaker(kind).read_inbound):
        with pytest.raises(UnreadableCallback):
            read(TABLES[kind].ACCOUNT, case.callback)


@pytest.mark.parametrize(("kind", "case"), rows("BALANCES"))
def test_read_balance(kind: str, case: Balances) -> None:
    metered = metered_for(kind, case.account or TABLES[kind].ACCOUNT)
    assert metered is not None
    if case.balance is None:
        with pytest.raises(UnreadableAnswer):
            metered.read_balance(case.answer)
    else:
        assert metered.read_balance(case.answer) == case.balance


@pytest.mark.parametrize(("kind", "case"), rows("LOGINS"))
def test_read_login(kind: str, case: Logins) -> None:
    if isinstance(case.login, type):
        with pytest.raises(case.login) as refusal:
            LOGINS[kind].read_login(getattr(TABLES[kind], "LOGGING_IN", TABLES[kind].ACCOUNT), case.answer)
        assert refusal.type is case.login
    else:
        login = LOGINS[kind].read_login(getattr(TABLES[kind], "LOGGING_IN", TABLES[kind].ACCOUNT), case.answer)
        assert login == case.login
        assert login.token not in repr(login)


@pytest.mark.parametrize(("kind", "case"), rows("LOOKUPS"))
def test_read_lookup(kind: str, case: Lookups) -> None:
    if case.found is None:
        with pytest.raises(UnreadableAnswer):
            SEARCHABLE[kind].read_lookup(case.wanted, case.answer)
    else:
        assert SEARCHABLE[kind].read_lookup(case.wanted, case.answer) == case.found


# What no table thinks of. The names and words are those of real answers, so that the odd value gets
# far.
_NAMES = ["sid", "code", "message", "status", "num_segments", "error_code", "messages", "balance"]
_NAMES += [
    "sendResponse",
    "errorReport",
    "faults",
    "optedOuts",
    "customerId",
    "eventId",
    "parts",
    "errors",
    "errorCode",
]
_leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=12)
    | st.sampled_from([21610, 30410, 3, "failed", "queued", "SM1", "1", "taken", "DELIVRD", "InsufficientCredits"])
)
_documents = st.recursive(
    _leaves,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_NAMES) | st.text(max_size=5), inner, max_size=6)
    ),
    max_leaves=12,
)
_bodies = st.binary(max_size=60) | _documents.map(lambda found: json.dumps(found).encode())
_header_values = st.text(max_size=40) | st.sampled_from(
    ["5", "1e9", "Sat, 22 Nov 2025 10:00:30 GMT", "Mon, 99 Foo 0000 99:99:99 -9999"]
)
_answers = st.builds(
    Answer,
    status=st.integers(100, 599) | st.sampled_from([200, 201, 400, 429, 500, 0, 999]),
    headers=st.dictionaries(st.sampled_from(["retry-after", "date", "content-type"]), _header_values),
    body=_bodies,
)
_callbacks = st.builds(
    Callback,
    method=st.sampled_from(["GET", "POST"]),
    url=st.just("https://sms.example.com/callbacks/g/t0k/status")
    | st.text(max_size=30).map("https://sms.example.com/x?m={}".format),
    headers=st.fixed_dictionaries(
        {},
        optional={
            "content-type": st.sampled_from(["application/json", "application/x-www-form-urlencoded", "text/plain"]),
            "x-twilio-signature": st.text(max_size=30),
        },
    ),
    body=_bodies,
)
_bounded = settings(max_examples=500 // len(ADAPTERS), deadline=None, database=None)


@pytest.mark.parametrize("kind", ADAPTERS)
def test_every_answer_has_an_outcome(kind: str) -> None:
    batch = TABLES[kind].BATCH

    @_bounded
    @given(_answers)
    def check(answer: Answer) -> None:
        outcomes = speaker(kind).read_send(batch, answer)
        assert len(outcomes) == len(batch)
        for outcome in outcomes:
            assert isinstance(outcome, Outcome)
            if answer.status >= 500:  # a table may know better than Lost, but not that it was taken
                assert not isinstance(outcome, Accepted)
            if isinstance(outcome, Refused):
                assert len(outcome.code) <= 64
                assert len(outcome.detail) <= 200
                assert outcome.retry_after is None or 0 <= outcome.retry_after <= 3600
            if isinstance(outcome, Accepted):
                assert 200 <= answer.status < 300

    check()


@pytest.mark.parametrize("kind", ADAPTERS)
def test_every_callback_is_read_or_refused(kind: str) -> None:
    @_bounded
    @given(_callbacks)
    def check(callback: Callback) -> None:
        for read in (speaker(kind).read_callback, speaker(kind).read_inbound):
            with suppress(UnreadableCallback):
                read(TABLES[kind].ACCOUNT, callback)

    check()


@pytest.mark.parametrize("kind", sorted(METERED.keys() | SEARCHABLE.keys() | LOGINS.keys()))
def test_every_answer_to_a_question_is_read_or_refused(kind: str) -> None:
    @_bounded
    @given(_answers)
    def check(answer: Answer) -> None:
        with suppress(UnreadableAnswer):
            if kind in METERED:
                METERED[kind].read_balance(answer)
        with suppress(UnreadableAnswer):
            if kind in LOGINS:
                LOGINS[kind].has_login_ended(TABLES[kind].ACCOUNT, answer)
                LOGINS[kind].read_login(TABLES[kind].ACCOUNT, answer)
        with suppress(UnreadableAnswer):
            if kind in SEARCHABLE:
                SEARCHABLE[kind].read_lookup(TABLES[kind].LOOKUPS[0].wanted, answer)

    check()


@pytest.mark.parametrize("label", twilio_table.FORGERIES)
def test_a_forged_inbound_is_refused_too(label: str) -> None:
    with pytest.raises(ForgedCallback):
        ADAPTERS["twilio"].read_inbound(twilio_table.ACCOUNT, twilio_table.FORGERIES[label])


def test_twilio_is_asked_with_the_sender_and_the_day() -> None:
    searched = SEARCHABLE["twilio"].build_lookup(twilio_table.ACCOUNT, twilio_table.WANTED)
    assert searched.method == "GET"
    assert searched.headers == twilio_table.HEADERS[:1]
    assert urlsplit(searched.url)._replace(query="").geturl() == twilio_table.URL
    assert dict(parse_qsl(urlsplit(searched.url).query)) == {
        "To": "+447700900123",
        "From": "+12025550142",
        "DateSent>": "2025-11-22",
        "PageSize": "25",
    }
    by_service = SEARCHABLE["twilio"].build_lookup(twilio_table.BY_KEY, replace(twilio_table.WANTED, sender_id=None))
    assert "From" not in dict(parse_qsl(urlsplit(by_service.url).query))
    balance = METERED["twilio"].build_balance(twilio_table.BY_KEY)
    assert balance.url == twilio_table.URL.replace("Messages", "Balance")
    assert balance.headers == twilio_table.KEY_HEADERS[:1]


@pytest.mark.parametrize("label", smsportal_table.ENDED)
def test_smsportal_says_when_a_login_has_ended(label: str) -> None:
    answer, ended = smsportal_table.ENDED[label]
    assert LOGINS["smsportal"].has_login_ended(smsportal_table.ACCOUNT, answer) is ended


def test_smsportal_is_asked_by_key_or_by_token() -> None:
    by_key, by_token = smsportal_table.ACCOUNT, smsportal_table.LOGGED_IN
    assert not LOGINS["smsportal"].needs_login(by_key)
    assert LOGINS["smsportal"].needs_login(by_token)
    login = LOGINS["smsportal"].build_login(by_token)
    assert (login.method, login.url) == ("GET", "https://rest.smsportal.com/v3/Authentication")
    assert login.headers == smsportal_table.KEYS[:1]
    balance = METERED["smsportal"].build_balance(by_key)
    assert (balance.method, balance.url) == ("GET", "https://rest.smsportal.com/v3/Balance")
    assert balance.headers == smsportal_table.KEYS[:1]
    assert METERED["smsportal"].build_balance(by_token).headers == (("Authorization", "Bearer eyJ.t0k.en"),)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, ["receipts and replies are believed"]),
        ({"webhook_header": "X-Hook"}, []),
        ({"signature_header": "X-Signature", "timestamp_header": "X-Time"}, []),
        (
            {"base_url": "http://portal.example", "test_mode": True},
            ["base_url begins with http", "receipts and replies are believed", "test_mode is on"],
        ),
    ],
)
def test_what_is_unwise_at_smsportal(settings: dict[str, Any], words: list[str]) -> None:
    found = WARNED["smsportal"].warnings(settings)
    assert [warning[: len(start)] for warning, start in zip(found, words, strict=True)] == words


def test_what_a_request_says_once_divides_a_batch() -> None:
    account = replace(smsportal_table.ACCOUNT, settings={"sender_id": "Ada"})
    first, second = smsportal_table.BATCH[:2]

    def alike(**change: Any) -> bool:
        key = BATCHED["smsportal"].batch_key
        return key(account, first) == key(account, replace(second, **change))

    assert alike()
    assert alike(sender_id="Ada")
    assert not alike(sender_id="Eve")
    assert not alike(expires_in=7200)
    assert alike(attempt=2)
    assert not alike(alone=True)
    with pytest.raises(ValueError, match="batch_key"):
        ADAPTERS["smsportal"].build_send(account, [first, replace(second, sender_id="Eve")])


def test_a_hundred_messages_share_a_request_and_come_back_one_by_one() -> None:
    most = ADAPTERS["smsportal"].CAPABILITIES.largest_batch
    one = smsportal_table.BATCH[0]
    batch = [replace(one, id=UUID(int=n), msisdn=f"+1202555{n:04}") for n in range(most)]
    said = json.loads(ADAPTERS["smsportal"].build_send(smsportal_table.ACCOUNT, batch).body)
    assert len(said["messages"]) == most == 100
    news = [
        ADAPTERS["smsportal"].read_callback(
            smsportal_table.ACCOUNT,
            Callback(
                "POST",
                "https://x/",
                {},
                json.dumps({"Status": "DELIVRD", "UserReference": sent["customerId"]}).encode(),
            ),
        )
        for sent in said["messages"]
    ]
    assert [(receipt.message_id, receipt.attempt) for (receipt,) in news] == [(sms.id, 1) for sms in batch]


def test_the_sandbox_goes_all_the_way_by_itself() -> None:
    table = TABLES["sandbox"]
    call = sandbox.build_send(table.ACCOUNT, table.BATCH)
    assert call.url.startswith("sandbox:")
    outcomes = sandbox.read_send(table.BATCH, sandbox.answer(call))
    news = [[receipt.status.value for receipt in sandbox.receipts_of(sms)] for sms in table.BATCH]
    assert news == [["delivered"]] * 6 + [["undelivered"]] + [[]] * 3
    for sms, outcome in zip(table.BATCH, outcomes, strict=True):
        receipts = sandbox.receipts_of(sms)
        assert bool(receipts) is isinstance(outcome, Accepted)
        for receipt in receipts:
            assert (receipt.message_id, receipt.attempt) == (sms.id, sms.attempt)
            assert isinstance(outcome, Accepted)
            assert receipt.reference == outcome.reference
    again = replace(table.BATCH[8], attempt=2)
    assert [receipt.status.value for receipt in sandbox.receipts_of(again)] == ["delivered"]
