"""One runner for every preset: a preset without a table fails here, by name."""

from uuid import UUID

import pytest

from shared.adapter import Account, Receipt
from shared.domain.message import Status
from shared.domain.outcome import Accepted, Lost, Refused
from shared.errors import Invalid
from shared.gateways import custom
from shared.gateways.custom.presets import PRESETS, expanded
from tests.gateways.custom.callbacks import by_json
from tests.gateways.presets import CASES, Case
from tests.gateways.presets.cases import HELLO, OURS_URL, STATUS_URL


def account_of(case: Case) -> Account:
    secrets = {name: f"{name}-1" for name in PRESETS[case.name].secrets}
    settings = custom.check_settings(expanded(case.name, case.over), secrets)
    return Account(UUID(int=9), settings, secrets, status_url=STATUS_URL)


@pytest.fixture(params=sorted(PRESETS))
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]


def test_it_sends(case: Case) -> None:
    account = account_of(case)
    assert custom.of(account).build_send(account, [HELLO]) == case.call


def test_it_reads_answers(case: Case) -> None:
    speaker = custom.of(account_of(case))
    for answer, outcome in case.reads:
        assert speaker.read_send([HELLO], answer) == [outcome], answer.body


def test_its_table_has_a_success_a_refusal_and_a_doubt(case: Case) -> None:
    outcomes = [outcome for _, outcome in case.reads]
    assert any(isinstance(outcome, Accepted) for outcome in outcomes)
    assert any(isinstance(outcome, Refused) for outcome in outcomes)
    assert any(isinstance(outcome, Lost) and outcome.may_have_arrived for outcome in outcomes)


def test_its_table_has_every_fault_and_every_word(case: Case) -> None:
    settings = account_of(case).settings
    mapped = {line["fault"] for line in settings.get("faults", ())} - {"in_doubt", "duplicate"}
    assert mapped <= {str(outcome.fault) for _, outcome in case.reads if isinstance(outcome, Refused)}
    heard = {receipt.status for _, receipt in case.receipts}
    assert heard == set(settings["receipt"]["statuses"].values())
    assert len(case.receipts) >= len(settings["receipt"]["statuses"])
    assert any(receipt.opted_out for _, receipt in case.receipts) is ("opted_out_codes" in settings["receipt"])


def test_it_reads_receipts(case: Case) -> None:
    account = account_of(case)
    for callback, receipt in case.receipts:
        assert custom.of(account).read_callback(account, callback) == [receipt], callback.body


def test_infobip_s_receipts_of_several_messages_settle_each_its_own() -> None:
    """They come to the address that was given with one of them."""
    account, other = account_of(CASES["infobip"]), UUID("0199d4c2-0000-7000-8000-000000000002")
    told = [(HELLO.id, "UNDELIVERABLE"), (other, "DELIVERED")]
    results = [{"messageId": str(id_), "status": {"groupName": word}} for id_, word in told]
    found = custom.of(account).read_callback(account, by_json({"results": results}, OURS_URL))
    assert found == [
        Receipt(Status.UNDELIVERED, message_id=HELLO.id, attempt=2, reference=str(HELLO.id)),
        Receipt(Status.DELIVERED, message_id=other, reference=str(other)),
    ]


def test_it_reads_inbound_messages(case: Case) -> None:
    account = account_of(case)
    callback, inbound = case.inbound
    assert custom.of(account).read_inbound(account, callback) == [inbound]


def test_it_asks_for_its_balance(case: Case) -> None:
    account = account_of(case)
    speaker = custom.of(account)
    assert speaker.CAPABILITIES.balance is (case.balance is not None)
    if case.balance is None:
        with pytest.raises(Invalid):
            speaker.build_balance(account)
        return
    answer, balance = case.balance
    call = speaker.build_balance(account)
    assert (call.method, call.url, call.body) == ("GET", case.balance_url, b"")
    assert ("Authorization" in dict(call.headers)) is ("Authorization" in dict(case.call.headers))
    assert speaker.read_balance(answer) == balance


def test_it_is_wise(case: Case) -> None:
    """What its settings are warned of is the vendor's doing, and stands here."""
    allowed = {"kannel": ["url holds a secret", "faults takes HTTP 503"], "plivo": ["url holds a secret"]}.get(
        case.name, []
    )
    allowed = [*allowed, "receipts and replies are believed by the token"]
    found = custom.warnings(account_of(case).settings)
    assert [warning.startswith(words) for warning, words in zip(found, allowed, strict=True)] == [True] * len(allowed)


def test_it_explains_itself(case: Case) -> None:
    preset = PRESETS[case.name]
    assert preset.documentation.startswith("https://")
    assert preset.title
    assert all([*preset.secrets.values(), *preset.wanted.values()])
    if preset.wanted:
        with pytest.raises(Invalid) as refusal:
            expanded(case.name, dict.fromkeys(preset.wanted))
        assert {error.pointer for error in refusal.value.errors} == {f"/settings/{name}" for name in preset.wanted}
