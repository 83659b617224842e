"""Hand-over: whatever goes wrong, what comes back can be settled."""

import json
from time import monotonic
from typing import Any
from uuid import UUID

import httpx
import pytest
import respx

from dispatcher.path.conversation import LEASE_MARGIN
from dispatcher.path.handover import GATEWAY_GONE, hand_over
from dispatcher.queries.claims import Claimed
from dispatcher.queries.settlements import Settled
from shared.db import begin
from shared.domain.message import Status
from shared.domain.routing import MAX_ATTEMPTS, NOBODY_ASKED
from shared.ids import uuid7
from tests.dispatcher.answers import at, in_turn, refused, taken
from tests.factories import GATEWAY_SECRET, TEXT, make_gateway, make_msisdn
from tests.worlds import HandWorker

MSISDN = make_msisdn(7)


@pytest.fixture
async def gateway(worker: HandWorker) -> UUID:
    async with worker.transaction() as tx:
        gateway_id = await make_gateway(tx, worker.sealer)
    await read(worker)
    return gateway_id


async def read(worker: HandWorker) -> None:
    async with begin(worker.engine) as tx:
        await worker.book.read(tx)


def claimed(worker: HandWorker, **over: Any) -> Claimed:
    usual: dict[str, Any] = {
        "id": uuid7(),
        "attempt": 1,
        "kind": "personal",
        "msisdn": MSISDN,
        "msisdn_hash": b"hash",
        "text": TEXT,
        "sender_id": None,
        "location_id": None,
        "segments": 1,
        "campaign_message_id": None,
        "tried": None,
        "refused": None,
        "had": None,
        "not_before": worker.now(),
        "expires_at": None,
    }
    return Claimed(**(usual | over))


async def hand(worker: HandWorker, gateway_id: UUID, **over: Any) -> Settled:
    account = worker.book.accounts[gateway_id]
    (settled,) = await hand_over(worker, "urgent", [claimed(worker, **over)], account, monotonic() + 10)
    return settled


async def test_accepted(worker: HandWorker, router: respx.MockRouter, gateway: UUID) -> None:
    at(router)
    found = await hand(worker, gateway)
    assert (found.status, found.outcome, found.http_status) == (Status.SUBMITTED, "accepted", 201)
    assert found.exchange is None


async def test_a_refusing_status_counts_under_a_page_of_any_size(
    worker: HandWorker, router: respx.MockRouter, gateway: UUID
) -> None:
    at(router, answer=httpx.Response(429, text="<p>slow down</p>" * 10_000, headers={"Retry-After": "7"}))
    found = await hand(worker, gateway)
    assert (found.status, found.outcome, found.fault, found.http_status) == (Status.QUEUED, "refused", "throttled", 429)


async def test_a_status_is_kept_whose_body_could_not_be_read(
    worker: HandWorker, router: respx.MockRouter, gateway: UUID
) -> None:
    at(router, answer=httpx.Response(500, text="<p>away</p>" * 10_000))
    found = await hand(worker, gateway)
    assert (found.status, found.code, found.http_status) == (Status.UNCONFIRMED, "body_too_large", 500)


async def test_past_the_margin_nothing_leaves(worker: HandWorker, router: respx.MockRouter, gateway: UUID) -> None:
    route = at(router)
    account = worker.book.accounts[gateway]
    (found,) = await hand_over(worker, "urgent", [claimed(worker)], account, monotonic() - 0.001)
    assert (found.status, found.outcome, found.code) == (Status.QUEUED, "not_sent", "lease_margin")
    assert (found.delay, found.exchange) == (0.0, None)
    assert not route.called


def test_codes_that_say_that_nobody_was_asked() -> None:
    assert {LEASE_MARGIN, GATEWAY_GONE} == NOBODY_ASKED


async def test_past_the_margin_again_and_again_it_waits(worker: HandWorker, gateway: UUID) -> None:
    account = worker.book.accounts[gateway]
    (found,) = await hand_over(
        worker, "urgent", [claimed(worker, attempt=200, unasked_in_a_row=9)], account, monotonic() - 0.001
    )
    assert found.status is Status.QUEUED
    assert 5 <= found.delay <= 15


@pytest.mark.parametrize(
    ("unasked", "status"),
    [
        pytest.param(0, Status.FAILED, id="each time"),
        pytest.param(MAX_ATTEMPTS - 1, Status.QUEUED, id="once"),
        pytest.param(1, Status.QUEUED, id="once less than the limit"),
    ],
)
async def test_attempts_count_at_which_a_gateway_was_asked(
    worker: HandWorker, router: respx.MockRouter, gateway: UUID, unasked: int, status: Status
) -> None:
    at(router, answer=in_turn(httpx.ConnectError("refused")))
    found = await hand(worker, gateway, attempt=MAX_ATTEMPTS, unasked=unasked)
    assert (found.status, found.code) == (status, "refused_connection")
    if unasked == MAX_ATTEMPTS - 1:
        assert found.delay <= 1.0  # the first of a round's waits


async def test_call_that_cannot_be_built_has_not_left(
    worker: HandWorker, router: respx.MockRouter, gateway: UUID
) -> None:
    """Settings that lost a field: certain, and not the message's fault."""
    account = worker.book.accounts[gateway]
    broken = type(account)(account.gateway_id, {}, account.secrets)
    (found,) = await hand_over(worker, "urgent", [claimed(worker)], broken, monotonic() + 10)
    assert (found.status, found.outcome, found.code) == (Status.QUEUED, "not_sent", "build_failed")
    assert not router.calls


@pytest.mark.parametrize("error", [RuntimeError("surprise"), httpx.ReadError("reset"), httpx.RemoteProtocolError("?")])
async def test_surprise_on_the_line_may_have_arrived(
    worker: HandWorker, router: respx.MockRouter, gateway: UUID, error: Exception
) -> None:
    at(router, answer=error)
    found = await hand(worker, gateway)
    assert (found.status, found.outcome) == (Status.UNCONFIRMED, "lost")
    assert found.lookup_in == worker.limits.lookup_waits[0]


async def test_url_that_cannot_be_read_is_an_outcome_too(worker: HandWorker) -> None:
    """The settings were checked once; a bad one must cost a message's attempt, and not a slot."""
    async with worker.transaction() as tx:
        bad = await make_gateway(
            tx,
            worker.sealer,
            settings={"base_url": "https://[bad", "account_sid": "AC" + "0" * 32, "from": "+12025550100"},
        )
    await read(worker)
    found = await hand(worker, bad)
    assert (found.status, found.code) == (Status.QUEUED, "bad_request")
    assert found.exchange is not None


async def test_gateway_deleted_while_it_is_on_the_line(
    worker: HandWorker, router: respx.MockRouter, gateway: UUID
) -> None:
    """The account is at hand, so the answer is read; the book has other pages by now."""

    def answer(request: httpx.Request) -> httpx.Response:
        worker.book.take([], now=worker.now())
        return taken(request)

    at(router, answer=answer)
    account = worker.book.accounts[gateway]
    (found,) = await hand_over(worker, "urgent", [claimed(worker)], account, monotonic() + 10)
    assert found.status is Status.SUBMITTED


async def test_others_are_those_that_could_take_this_message(
    worker: HandWorker, router: respx.MockRouter, gateway: UUID
) -> None:
    """The second serves another location: for this message there is nobody else, so it is final."""
    async with worker.transaction() as tx:
        await make_gateway(tx, worker.sealer, "second", priority=2, location_ids=["harbour"])
    await read(worker)
    at(router, answer=refused(21606))
    assert (await hand(worker, gateway)).status is Status.FAILED
    found = await hand(worker, gateway, location_id="harbour")
    assert (found.status, found.tried) == (Status.QUEUED, (gateway,))


@pytest.mark.parametrize(
    ("sid", "segments", "reference", "kept"),
    [
        pytest.param("SM1", "2", "SM1", 2, id="as told"),
        pytest.param("SM1", "99999", "SM1", None, id="more segments than a column holds"),
        pytest.param("SM1", "many", "SM1", None, id="no number"),
    ],
)
async def test_what_is_kept_fits_its_column(
    worker: HandWorker,
    router: respx.MockRouter,
    gateway: UUID,
    sid: str,
    segments: str,
    reference: str,
    kept: int | None,
) -> None:
    at(router, answer=httpx.Response(201, json={"sid": sid, "num_segments": segments}))
    found = await hand(worker, gateway)
    assert (found.reference, found.segments) == (reference, kept)


async def test_refusal_that_quotes_everything_keeps_nothing_private(
    worker: HandWorker, router: respx.MockRouter, gateway: UUID
) -> None:
    body = {"code": 21211, "message": f"{TEXT} to {MSISDN} by {GATEWAY_SECRET}\x00"}
    at(router, answer=httpx.Response(400, content=json.dumps(body)))
    found = await hand(worker, gateway)
    told = json.dumps([found.exchange, found.detail, found.code, found.reference], ensure_ascii=False)
    for private in (TEXT, MSISDN, MSISDN[1:], GATEWAY_SECRET):
        assert private not in json.dumps(found.exchange)
    assert TEXT not in told
    assert MSISDN[1:] not in told
    assert "\x00" not in (found.detail or "")
