"""Passwords over HTTP: started once, checked once, sent again with the same code; and nothing told to who guesses."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import event, func, select, text, update
from sqlalchemy.ext.asyncio import AsyncEngine

from api.otp import queries
from api.resources import Resources
from shared.db import begin
from shared.domain.message import Kind, Status
from shared.domain.otp import derive_code
from shared.models import AuditEntry, IdempotencyKey, Message, Otp, OtpMessage
from shared.sealing import Sealer, new_key
from tests.conftest import Clock
from tests.factories import make_api_key, make_gateway, make_msisdn, make_otp

NUMBER = "+447700900123"
WRONG = "not it"


async def start(client: httpx.AsyncClient, **over: Any) -> dict[str, Any]:
    answer = await client.post("/v1/otp", json={"msisdn": NUMBER} | over)
    assert answer.status_code == 202, answer.text
    told: dict[str, Any] = answer.json()
    return told


async def verify(client: httpx.AsyncClient, otp_id: str, code: str, **over: Any) -> dict[str, Any]:
    answer = await client.post(f"/v1/otp/{otp_id}/verify", json={"code": code} | over)
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


async def code_of(resources: Resources, otp_id: str) -> str:
    """The code as the handset shows it: no answer and no row has it."""
    async with begin(resources.engine) as tx:
        row = (await tx.execute(select(Otp).where(Otp.id == UUID(otp_id)))).one()
    pepper = resources.sealer.code_pepper(row.pepper)
    assert pepper is not None
    return derive_code(pepper, challenge_id=row.id, profile_id=row.profile_id, msisdn=row.msisdn, length=row.length)


async def messages(engine: AsyncEngine) -> list[Any]:
    async with begin(engine) as tx:
        return list((await tx.execute(select(Message).order_by(Message.id))).all())


@pytest.fixture(autouse=True)
async def gateway(resources: Resources) -> None:
    """Somebody who would take the messages: else each answer says that nobody does."""
    async with begin(resources.engine) as tx:
        await make_gateway(tx, resources.sealer)


# --- start


async def test_it_starts_with_a_message_whose_place_is_open(
    client: httpx.AsyncClient, resources: Resources, clock: Clock
) -> None:
    told = await start(client)
    until = clock.now + timedelta(minutes=10)
    assert told == {
        "id": told["id"],
        "status": "pending",
        "sent": True,
        "expires_at": until.isoformat().replace("+00:00", "Z"),
        "resend_after": 30,
        "attempts_left": 5,
        "code_length": 6,
        "advice": None,
    }
    (message,) = await messages(resources.engine)
    assert (message.kind, message.status, message.priority, message.msisdn) == (Kind.OTP, Status.QUEUED, 0, NUMBER)
    assert message.text == "Your code is {{ code }}. It is valid for 10 minutes."
    assert (message.expires_at, message.segments, message.encoding) == (until, 1, "gsm7")
    assert await code_of(resources, told["id"]) not in message.text


@pytest.mark.parametrize(
    ("written", "region", "read"),
    [
        pytest.param("+44 7700 900123", None, NUMBER, id="as people write"),
        pytest.param("07700 900123", "GB", NUMBER, id="national"),
    ],
)
async def test_numbers_as_people_write_them(
    client: httpx.AsyncClient, engine: AsyncEngine, written: str, region: str | None, read: str
) -> None:
    await start(client, msisdn=written, default_region=region)
    assert [message.msisdn for message in await messages(engine)] == [read]


@pytest.mark.parametrize(
    ("body", "problem", "pointer"),
    [
        pytest.param({"msisdn": "12"}, "invalid-msisdn", "/msisdn", id="no number"),
        pytest.param({"msisdn": "07700900123"}, "invalid-msisdn", "/msisdn", id="of no country"),
        pytest.param({"msisdn": "+442079460018"}, "invalid-msisdn", "/msisdn", id="landline"),
        pytest.param({"msisdn": "+449098790000"}, "invalid-msisdn", "/msisdn", id="premium rate"),
        pytest.param({"msisdn": "1" * 10_000}, "invalid", "/msisdn", id="no end"),
        pytest.param({"msisdn": NUMBER, "profile": "none"}, "unknown-otp-profile", "/profile", id="no profile"),
        pytest.param({"msisdn": NUMBER, "client_ip": "10.0.0.0/8"}, "invalid-address", "/client_ip", id="a network"),
        pytest.param({"msisdn": NUMBER, "client_ip": "::g"}, "invalid-address", "/client_ip", id="no address"),
        pytest.param({"msisdn": NUMBER, "default_region": "XX"}, "unknown-region", "/default_region", id="no region"),
        pytest.param({"msisdn": NUMBER, "session": ""}, "invalid", "/session", id="an empty session"),
        pytest.param({"msisdn": NUMBER, "code": "123456"}, "invalid", "/code", id="a field of its own"),
        pytest.param({}, "invalid", "/msisdn", id="nothing"),
    ],
)
async def test_what_cannot_be_started(
    client: httpx.AsyncClient, engine: AsyncEngine, body: dict[str, str], problem: str, pointer: str
) -> None:
    answer = await client.post("/v1/otp", json=body)
    assert (answer.status_code, answer.json()["type"]) == (422, f"/problems/{problem}")
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]
    assert await messages(engine) == []


async def test_a_profile_is_named_by_its_name(client: httpx.AsyncClient) -> None:
    made = (await client.post("/v1/otp-profiles", json={"name": "Splash", "region": "GB"})).json()
    for given in (made["id"], "splash"):
        answer = await client.post("/v1/otp", json={"msisdn": NUMBER, "profile": given})
        assert answer.status_code == 422
        assert answer.json()["detail"].startswith(f"There is no profile {given!r}; did you mean 'Splash'?")


async def test_another_country_is_refused(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    made = await client.post("/v1/otp-profiles", json={"name": "home", "region": "ZA"})
    assert made.status_code == 201, made.text
    answer = await client.post("/v1/otp", json={"msisdn": NUMBER, "profile": "home"})
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/otp-country-not-allowed")
    assert "ZA" in answer.json()["detail"]
    assert await messages(engine) == []


async def test_the_policy_s_countries_hold_as_well(client: httpx.AsyncClient) -> None:
    assert (await client.put("/v1/policy", json={"allowed_countries": ["ZA"]})).status_code == 200
    answer = await client.post("/v1/otp", json={"msisdn": NUMBER})
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/country-not-allowed")


async def test_switched_off_for_everybody(client: httpx.AsyncClient) -> None:
    assert (await client.put("/v1/policy", json={"activated": {"otp": False}})).status_code == 200
    answer = await client.post("/v1/otp", json={"msisdn": NUMBER})
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/not-activated")


async def test_a_page_that_is_loaded_again_sends_nothing(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    first = await start(client, session="a")
    again = await start(client, session="a")
    assert again == first | {"sent": False}
    assert len(await messages(engine)) == 1


async def test_twenty_loads_at_once_send_once(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    told = await asyncio.gather(*(start(client) for _ in range(20)))
    assert len({one["id"] for one in told}) == 1
    assert sum(one["sent"] for one in told) == 1
    assert len(await messages(engine)) == 1


async def test_another_session_has_a_password_of_its_own(client: httpx.AsyncClient, resources: Resources) -> None:
    """Who knows a number cannot use up, or take over, what its owner has in hand."""
    mine, theirs, none = await start(client, session="a"), await start(client, session="b"), await start(client)
    assert len({one["id"] for one in (mine, theirs, none)}) == 3
    assert not (await verify(client, theirs["id"], await code_of(resources, mine["id"])))["verified"]
    assert (await verify(client, mine["id"], await code_of(resources, mine["id"])))["verified"]


async def test_an_idempotency_key_is_answered_as_the_first_time(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    key = {"Idempotency-Key": "page-1"}
    first = await client.post("/v1/otp", json={"msisdn": NUMBER}, headers=key)
    again = await client.post("/v1/otp", json={"msisdn": NUMBER}, headers=key)
    assert first.status_code == 202
    assert (again.json(), again.headers["idempotent-replayed"]) == (first.json(), "true")
    assert len(await messages(engine)) == 1


async def test_not_required(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    await client.post("/v1/otp-profiles", json={"name": "open", "enabled": False, "region": "ZA"})
    told = await start(client, profile="open")
    assert (told["id"], told["status"], told["sent"]) == (None, "not_required", False)
    assert await messages(engine) == []
    answer = await client.post("/v1/otp", json={"msisdn": "12", "profile": "open"})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/msisdn")


async def test_the_text_of_a_profile_with_its_web_domain(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    await client.post(
        "/v1/otp-profiles",
        json={
            "name": "web",
            "text": "{{code}} for {{minutes}} min",
            "ttl_seconds": 300,
            "length": 8,
            "web_domain": "Login.Example.com",
            "location_id": "delft",
        },
    )
    told = await start(client, profile="web")
    (message,) = await messages(engine)
    assert message.text == "{{ code }} for 5 min\n\n@login.example.com #{{ code }}"
    assert (message.location_id, told["code_length"]) == ("delft", 8)


# --- verify


async def test_the_right_code_once(client: httpx.AsyncClient, resources: Resources) -> None:
    otp_id = (await start(client))["id"]
    code = await code_of(resources, otp_id)
    assert await verify(client, otp_id, f" {code[:3]}-{code[3:]} ") == {"verified": True, "attempts_left": 4}
    assert await verify(client, otp_id, code) == {"verified": False, "attempts_left": 3}
    assert (await client.get(f"/v1/otp/{otp_id}")).json()["status"] == "verified"


async def test_an_answer_that_was_lost_is_told_again(client: httpx.AsyncClient, resources: Resources) -> None:
    """The right code is used by the first try: whoever heard nothing of it would be told that it is wrong."""
    otp_id = (await start(client))["id"]
    path, sent = f"/v1/otp/{otp_id}/verify", {"code": await code_of(resources, otp_id)}
    first, again = [await client.post(path, json=sent, headers={"Idempotency-Key": "try-1"}) for _ in range(2)]
    assert first.json() == again.json() == {"verified": True, "attempts_left": 4}
    assert again.headers["idempotent-replayed"] == "true"
    other = await client.post(path, json={"code": WRONG}, headers={"Idempotency-Key": "try-1"})
    assert other.json()["type"] == "/problems/idempotency-key-reused"
    assert not (await client.post(path, json=sent, headers={"Idempotency-Key": "try-2"})).json()["verified"]
    async with begin(resources.engine) as tx:
        kept = (await tx.execute(select(IdempotencyKey).where(IdempotencyKey.key == "try-1"))).one()
    # No digest stands there that a million tries would find the code of.
    typed = sha256(b"\nbody\n" + first.request.content).digest()
    assert typed not in kept.fingerprint


async def test_a_wrong_code_that_is_told_again_costs_one_try(client: httpx.AsyncClient) -> None:
    otp_id = (await start(client))["id"]
    for _ in range(3):
        told = await client.post(f"/v1/otp/{otp_id}/verify", json={"code": WRONG}, headers={"Idempotency-Key": "try-1"})
        assert told.json() == {"verified": False, "attempts_left": 4}


async def test_unknown_wrong_expired_and_used_look_alike(
    client: httpx.AsyncClient, resources: Resources, clock: Clock
) -> None:
    wrong, used, expired, cancelled = [await start(client, session=name) for name in ("a", "b", "c", "d")]
    await client.post(f"/v1/otp/{cancelled['id']}/cancel")
    async with begin(resources.engine) as tx:
        await tx.execute(text("UPDATE otps SET used_at = created_at WHERE id = :id"), {"id": used["id"]})
        await tx.execute(text("UPDATE otps SET expires_at = created_at WHERE id = :id"), {"id": expired["id"]})
    answers = []
    for one in (wrong, used, expired, cancelled, {"id": str(uuid4())}):
        code = WRONG if one is wrong or one["id"] not in {used["id"], expired["id"], cancelled["id"]} else None
        given = code or await code_of(resources, one["id"])
        answer = await client.post(f"/v1/otp/{one['id']}/verify", json={"code": given})
        answers.append((answer.status_code, answer.json(), sorted(answer.headers)))
    assert all(one == answers[0] for one in answers)
    assert answers[0][:2] == (200, {"verified": False, "attempts_left": 4})


GUESSES = 7
PROFILES = {"short": 3, "usual": 5, "long": 6}


async def left_over(client: httpx.AsyncClient, otp_id: str, **over: Any) -> tuple[int, ...]:
    """What is told about how many codes may be tried, one wrong code after the other."""
    return tuple([(await verify(client, otp_id, WRONG, **over))["attempts_left"] for _ in range(GUESSES)])


async def test_what_is_not_there_counts_down_like_what_is(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    """By the answers nobody tells them apart: one share of each sequence comes from either."""
    for name, most in PROFILES.items():
        made = await client.post("/v1/otp-profiles", json={"name": name, "max_attempts": most})
        assert made.status_code == 201, made.text
    there = [
        (await start(client, msisdn=make_msisdn(number), profile=name, session=name))["id"]
        for name in PROFILES
        for number in range(2)
    ]
    real = {await left_over(client, otp_id) for otp_id in there}
    assert real == {tuple(max(0, most - n) for n in range(1, GUESSES + 1)) for most in PROFILES.values()}
    unknown = Counter([await left_over(client, str(uuid4())) for _ in range(90)])
    assert set(unknown) == real
    # The profile `default` allows 5 as well, so 22 of 90 is the least share that is to be expected; 8 is 4 sigma below.
    assert all(count >= 8 for count in unknown.values()), unknown


async def test_what_is_not_there_keeps_its_count(client: httpx.AsyncClient, resources: Resources, clock: Clock) -> None:
    """For the same id the count goes on; for a profile that is named it starts at what that allows."""
    await client.post("/v1/otp-profiles", json={"name": "long", "max_attempts": 20})
    otp_id = str(uuid4())
    assert (await left_over(client, otp_id, profile="long"))[0] == 19
    clock.advance(timedelta(hours=3))
    assert (await verify(client, otp_id, WRONG, profile="long"))["attempts_left"] == 12
    async with begin(resources.engine) as tx:
        rows = (await tx.execute(text("SELECT count(*), sum(failures) FROM otp_subjects"))).one()
    assert tuple(rows) == (1, 8)


@contextmanager
def statements_of(engine: AsyncEngine) -> Iterator[list[str]]:
    """What is asked of the database, by its first words."""
    asked: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        asked.append(" ".join(statement.split()[:3]).replace(" AS", ""))

    event.listen(engine.sync_engine, "before_cursor_execute", note)
    try:
        yield asked
    finally:
        event.remove(engine.sync_engine, "before_cursor_execute", note)


@pytest.mark.parametrize("named", [{}, {"profile": "default"}], ids=["plain", "with its profile"])
async def test_the_same_is_asked_of_the_database_whatever_is_wrong(
    client: httpx.AsyncClient, resources: Resources, engine: AsyncEngine, named: dict[str, str]
) -> None:
    """Who watches the clock sees as many trips, and of the same kind, for an id that is none."""
    wrong, used, expired = [(await start(client, session=name))["id"] for name in ("a", "b", "c")]
    async with begin(engine) as tx:
        await tx.execute(text("UPDATE otps SET used_at = created_at WHERE id = :id"), {"id": used})
        await tx.execute(text("UPDATE otps SET expires_at = created_at WHERE id = :id"), {"id": expired})
    asked = {}
    for what, otp_id in {"wrong": wrong, "unknown": str(uuid4()), "used": used, "expired": expired}.items():
        await verify(client, otp_id, WRONG, **named)  # the second time, so that rows are there
        with statements_of(engine) as statements:
            await verify(client, otp_id, WRONG, **named)
        asked[what] = statements
    assert len(asked["wrong"]) >= 4
    assert asked == dict.fromkeys(asked, asked["wrong"])


async def test_another_key_s_challenge_counts_down_as_if_it_were_not_there(
    client: httpx.AsyncClient, anonymous: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    otp_id = (await start(client))["id"]
    async with begin(engine) as tx:
        key = {"Authorization": f"Bearer {(await make_api_key(tx, 'send')).text}"}
    told = [await anonymous.post(f"/v1/otp/{otp_id}/verify", json={"code": WRONG}, headers=key) for _ in range(6)]
    assert [one.json() for one in told] == [{"verified": False, "attempts_left": n} for n in (4, 3, 2, 1, 0, 0)]
    assert (await start(client))["attempts_left"] == 5


async def test_guesses_at_what_is_not_there_leave_numbers_alone(
    client: httpx.AsyncClient, resources: Resources
) -> None:
    """A key of either kind never meets one of the other: a number's right code is right whatever else was tried."""
    otp_id = (await start(client))["id"]
    for _ in range(3):
        await left_over(client, str(uuid4()))
    assert (await verify(client, otp_id, await code_of(resources, otp_id)))["verified"]


@pytest.mark.parametrize(
    "typed",
    [
        pytest.param("abcdef", id="letters"),
        pytest.param("12 34", id="too short"),
        pytest.param("１２３４５６７", id="too long, full width"),  # noqa: RUF001 - the point
        pytest.param("-", id="a dash"),
        pytest.param("9" * 64, id="as long as is read"),
        pytest.param("'; DROP TABLE otps; --", id="something else"),
    ],
)
async def test_what_is_no_code_is_a_wrong_one(client: httpx.AsyncClient, typed: str) -> None:
    otp_id = (await start(client))["id"]
    assert await verify(client, otp_id, typed) == {"verified": False, "attempts_left": 4}


async def test_digits_of_another_script_are_the_same_digits(client: httpx.AsyncClient, resources: Resources) -> None:
    otp_id = (await start(client))["id"]
    code = await code_of(resources, otp_id)
    arabic = "".join(chr(0x0660 + int(digit)) for digit in code)
    assert (await verify(client, otp_id, arabic))["verified"]


@pytest.mark.parametrize("body", [{"code": "1" * 10_000}, {"code": 123456}, {"code": None}, {}, {"code": "1", "x": 1}])
async def test_a_body_that_is_none_costs_no_attempt(client: httpx.AsyncClient, body: dict[str, Any]) -> None:
    otp_id = (await start(client))["id"]
    assert (await client.post(f"/v1/otp/{otp_id}/verify", json=body)).status_code == 422
    assert (await start(client))["attempts_left"] == 5


@pytest.mark.parametrize("typed", ["", "   ", "\t\n", "\u00a0"])
async def test_a_form_sent_empty_costs_no_attempt(client: httpx.AsyncClient, resources: Resources, typed: str) -> None:
    """And is told so of every password alike: one that is there, one that has ended, one that never was."""
    otp_id, ended = (await start(client))["id"], (await start(client, session="b"))["id"]
    await client.post(f"/v1/otp/{ended}/cancel")
    answers = [await client.post(f"/v1/otp/{one}/verify", json={"code": typed}) for one in (otp_id, ended, uuid4())]
    assert [answer.status_code for answer in answers] == [422] * 3
    assert [answer.json()["errors"][0]["pointer"] for answer in answers] == ["/code"] * 3
    assert len({answer.json()["detail"] for answer in answers}) == 1
    assert (await verify(client, otp_id, WRONG))["attempts_left"] == 4
    assert (await verify(client, otp_id, await code_of(resources, otp_id)))["verified"]


async def test_after_too_many_even_the_right_one_is_wrong(client: httpx.AsyncClient, resources: Resources) -> None:
    otp_id = (await start(client))["id"]
    left = [(await verify(client, otp_id, WRONG))["attempts_left"] for _ in range(6)]
    assert left == [4, 3, 2, 1, 0, 0]
    code = await code_of(resources, otp_id)
    assert await verify(client, otp_id, code) == {"verified": False, "attempts_left": 0}
    assert (await client.get(f"/v1/otp/{otp_id}")).json()["status"] == "exhausted"


async def test_after_its_time_it_is_wrong(client: httpx.AsyncClient, resources: Resources, clock: Clock) -> None:
    otp_id = (await start(client))["id"]
    code = await code_of(resources, otp_id)
    clock.advance(timedelta(minutes=10))
    assert not (await verify(client, otp_id, code))["verified"]
    assert (await client.get(f"/v1/otp/{otp_id}")).json()["status"] == "expired"


@pytest.mark.parametrize(
    ("began", "named", "verified"),
    [
        pytest.param({"session": "a"}, {"session": "a"}, True, id="the same session"),
        pytest.param({"session": "a"}, {}, True, id="none named"),
        pytest.param({"session": "a"}, {"session": "b"}, False, id="another session"),
        pytest.param({}, {"session": "b"}, False, id="a session where none began it"),
        pytest.param({}, {"profile": "default"}, True, id="the same profile"),
        pytest.param({}, {"profile": "other"}, False, id="another profile"),
    ],
)
async def test_what_is_named_has_to_be_what_began_it(
    client: httpx.AsyncClient, resources: Resources, began: dict[str, str], named: dict[str, str], *, verified: bool
) -> None:
    otp_id = (await start(client, **began))["id"]
    told = await verify(client, otp_id, await code_of(resources, otp_id), **named)
    assert told == {"verified": verified, "attempts_left": 4}


async def test_an_old_key_still_answers_for_its_codes(
    client: httpx.AsyncClient, app: Any, resources: Resources
) -> None:
    otp_id = (await start(client))["id"]
    code = await code_of(resources, otp_id)
    rotated = Sealer((*Sealer.from_texts([new_key()]).keys, *resources.sealer.keys))
    object.__setattr__(resources, "sealer", rotated)
    assert (await verify(client, otp_id, code))["verified"]


async def test_without_its_key_no_code_is_right(client: httpx.AsyncClient, resources: Resources) -> None:
    otp_id = (await start(client))["id"]
    code = await code_of(resources, otp_id)
    object.__setattr__(resources, "sealer", Sealer.from_texts([new_key()]))
    for typed in (code, "0", "-"):
        assert not (await verify(client, otp_id, typed))["verified"]


async def test_a_message_that_has_not_left_is_called_back_by_the_right_code(
    client: httpx.AsyncClient, resources: Resources, clock: Clock
) -> None:
    otp_id = (await start(client))["id"]
    clock.advance(timedelta(seconds=30))
    await client.post(f"/v1/otp/{otp_id}/resend")
    await verify(client, otp_id, await code_of(resources, otp_id))
    assert all(message.cancel_requested_at == clock.now for message in await messages(resources.engine))


@pytest.mark.parametrize("status", Status)
@pytest.mark.parametrize("end", ["cancelled", "verified"])
async def test_a_password_that_is_over_calls_back_whatever_may_leave_yet(
    client: httpx.AsyncClient, resources: Resources, status: Status, end: str
) -> None:
    """Also what is at a gateway's door: one that is refused there comes back to the queue."""
    otp_id = (await start(client))["id"]
    async with begin(resources.engine) as tx:
        await tx.execute(update(Message).values(status=status))
    if end == "verified":
        assert (await verify(client, otp_id, await code_of(resources, otp_id)))["verified"]
    else:
        assert (await client.post(f"/v1/otp/{otp_id}/cancel")).status_code == 200
    (message,) = await messages(resources.engine)
    may_leave = status in {Status.QUEUED, Status.SENDING, Status.UNCONFIRMED}
    assert (message.status, message.cancel_requested_at is not None) == (status, may_leave)


async def test_owners_systems_are_told(client: httpx.AsyncClient, resources: Resources) -> None:
    hook = {"url": "https://hooks.example.com/otp", "events": ["otp.*"]}
    assert (await client.post("/v1/webhooks", json=hook)).status_code == 201
    right, wrong = (await start(client, session="a"))["id"], (await start(client, session="b"))["id"]
    await verify(client, right, await code_of(resources, right))
    await verify(client, right, WRONG)
    for _ in range(7):
        await verify(client, wrong, WRONG)
    async with begin(resources.engine) as tx:
        question = "SELECT type, subject_id::text, data->>'msisdn' FROM webhook_events ORDER BY id"
        told = [tuple(one) for one in (await tx.execute(text(question))).all()]
    assert {msisdn for _, _, msisdn in told} == {NUMBER}
    assert [kind for kind, subject, _ in told if subject == right] == ["otp.started", "otp.verified"]
    assert [kind for kind, subject, _ in told if subject == wrong] == [
        "otp.started",
        *["otp.failed"] * 4,
        "otp.exhausted",
    ]


# --- guessing


async def test_a_thousand_guesses_at_once_are_five(client: httpx.AsyncClient, resources: Resources) -> None:
    """The right code is the last one: of those in a line before it, four may be looked at."""
    otp_id = (await start(client))["id"]
    code = await code_of(resources, otp_id)
    wrong = [f"{number:06d}" for number in range(1_001) if f"{number:06d}" != code][:999]
    door = asyncio.Semaphore(60)  # a busy machine must not let them wait for a connection for ten seconds

    async def guess(typed: str) -> dict[str, Any]:
        async with door:
            return await verify(client, otp_id, typed)

    told = await asyncio.gather(*(guess(typed) for typed in [*wrong, code]))
    assert sum(one["verified"] for one in told) <= 1
    left = sorted((one["attempts_left"] for one in told if one["attempts_left"]), reverse=True)
    assert left == [4, 3, 2, 1]  # and zero for all others: the fifth, and those that were not looked at
    async with begin(resources.engine) as tx:
        (failures,) = (await tx.execute(text("SELECT sum(failures) FROM otp_subjects"))).one()
    assert failures in {5, None} or any(one["verified"] for one in told)


async def test_the_right_code_a_hundred_times_at_once_is_right_once(
    client: httpx.AsyncClient, resources: Resources
) -> None:
    otp_id = (await start(client))["id"]
    code = await code_of(resources, otp_id)
    told = await asyncio.gather(*(verify(client, otp_id, code) for _ in range(100)))
    assert sum(one["verified"] for one in told) == 1


async def test_ten_thousand_guesses_over_a_hundred_passwords_are_twenty(resources: Resources, clock: Clock) -> None:
    """As many passwords for one number as if every limit on sending had been got around; a hundred guesses at each."""
    evaluated = 0
    async with begin(resources.engine) as tx:
        for _ in range(100):
            otp_id, _, _ = await make_otp(tx, resources.sealer, now=clock.now, msisdn=NUMBER)
            for _ in range(100):
                counted = await queries.count_attempt(tx, otp_id, created_by=None, now=clock.now)
                assert counted is not None
                most = 20 if counted.is_open else 0
                may = await queries.count_subject(tx, counted.msisdn_hash, most=most, now=clock.now)
                evaluated += counted.is_open and may
    assert evaluated == 20


async def test_guesses_over_new_passwords_stay_within_the_cap(
    client: httpx.AsyncClient, resources: Resources, clock: Clock
) -> None:
    """Twenty for a number, however many passwords are begun for it: a new one forgives nothing."""
    evaluated = 0
    for turn in range(30):
        answer = await client.post("/v1/otp", json={"msisdn": NUMBER, "session": str(turn)})
        if answer.status_code == 429:
            break
        otp_id = answer.json()["id"]
        for _ in range(4):
            await asyncio.gather(*(verify(client, otp_id, WRONG) for _ in range(100)))
        evaluated += 5
        clock.advance(timedelta(minutes=5))
    async with begin(resources.engine) as tx:
        failures = await tx.scalar(text("SELECT failures FROM otp_subjects"))
    assert failures == 20
    assert evaluated == 20
    assert answer.status_code == 429


async def test_a_locked_number_s_open_password_is_locked_as_well(
    client: httpx.AsyncClient, resources: Resources, clock: Clock
) -> None:
    mine = await start(client, session="mine")
    code = await code_of(resources, mine["id"])
    async with begin(resources.engine) as tx:
        hashed = await tx.scalar(select(Otp.msisdn_hash))
        await tx.execute(text("INSERT INTO otp_subjects VALUES (:hash, 20, :now)"), {"hash": hashed, "now": clock.now})
    assert not (await verify(client, mine["id"], code))["verified"]


async def test_a_day_later_the_count_begins_anew(client: httpx.AsyncClient, resources: Resources, clock: Clock) -> None:
    for name in "abcd":
        otp_id = (await start(client, session=name))["id"]
        for _ in range(5):
            await verify(client, otp_id, WRONG)
    assert (await client.post("/v1/otp", json={"msisdn": NUMBER})).status_code == 429
    clock.advance(timedelta(hours=24))
    otp_id = (await start(client))["id"]
    assert (await verify(client, otp_id, await code_of(resources, otp_id)))["verified"]


async def test_a_right_code_forgets_the_wrong_ones(client: httpx.AsyncClient, resources: Resources) -> None:
    otp_id = (await start(client))["id"]
    await verify(client, otp_id, WRONG)
    await verify(client, otp_id, await code_of(resources, otp_id))
    async with begin(resources.engine) as tx:
        assert await tx.scalar(text("SELECT count(*) FROM otp_subjects")) == 0


# --- resend and cancel


async def test_it_is_sent_again_with_the_same_code(
    client: httpx.AsyncClient, resources: Resources, clock: Clock
) -> None:
    first = await start(client)
    code = await code_of(resources, first["id"])
    await verify(client, first["id"], WRONG)
    clock.advance(timedelta(seconds=30))
    answer = await client.post(f"/v1/otp/{first['id']}/resend")
    assert answer.status_code == 202
    assert answer.json() == first | {"resend_after": 60, "attempts_left": 4}
    one, two = await messages(resources.engine)
    assert two.expires_at == one.expires_at
    assert two.text == "Your code is {{ code }}. It is valid for 9 minutes."
    async with begin(resources.engine) as tx:
        assert await tx.scalar(select(func.count(OtpMessage.otp_id.distinct()))) == 1
    assert (await verify(client, first["id"], code)) == {"verified": True, "attempts_left": 3}


async def test_waits_between_sendings(client: httpx.AsyncClient, clock: Clock, engine: AsyncEngine) -> None:
    otp_id = (await start(client))["id"]
    for wait in (30, 60, 120, 120):
        early = await client.post(f"/v1/otp/{otp_id}/resend")
        assert (early.status_code, early.json()["type"]) == (429, "/problems/otp-resend-too-early")
        assert early.headers["retry-after"] == str(wait)
        clock.advance(timedelta(seconds=wait))
        assert (await client.post(f"/v1/otp/{otp_id}/resend")).status_code == 202
    clock.advance(timedelta(seconds=120))
    answer = await client.post(f"/v1/otp/{otp_id}/resend")
    assert (answer.status_code, "as often as it may" in answer.json()["detail"]) == (429, True)
    assert len(await messages(engine)) == 5


async def test_twenty_resends_at_once_are_one(client: httpx.AsyncClient, clock: Clock, engine: AsyncEngine) -> None:
    otp_id = (await start(client))["id"]
    clock.advance(timedelta(seconds=30))
    answers = await asyncio.gather(*(client.post(f"/v1/otp/{otp_id}/resend") for _ in range(20)))
    assert sorted(answer.status_code for answer in answers) == [202] + [429] * 19
    assert len(await messages(engine)) == 2


@pytest.mark.parametrize(
    ("path", "change", "status", "problem", "pointer"),
    [
        pytest.param(
            *("/v1/policy", {"allowed_countries": ["ZA"]}, 422, "country-not-allowed", "/msisdn"),
            id="policy's countries",
        ),
        pytest.param(
            *("/v1/otp-profiles/{}", {"allowed_countries": ["ZA"]}, 422, "otp-country-not-allowed", "/msisdn"),
            id="profile's countries",
        ),
        pytest.param(
            *("/v1/otp-profiles/{}", {"region": "ZA"}, 422, "otp-country-not-allowed", "/msisdn"), id="profile's own"
        ),
        pytest.param(
            *("/v1/otp-profiles/{}", {"enabled": False}, 409, "otp-profile-off", "/enabled"), id="profile is off"
        ),
        pytest.param(
            *("/v1/policy", {"activated": {"otp": False}}, 409, "not-activated", None), id="passwords are off"
        ),
    ],
)
async def test_what_was_closed_meanwhile_is_closed_to_a_resend(
    client: httpx.AsyncClient,
    clock: Clock,
    engine: AsyncEngine,
    path: str,
    change: dict[str, Any],
    status: int,
    problem: str,
    pointer: str | None,
) -> None:
    """What an operator does when numbers are pumped: no open challenge may cost another message."""
    profile = (await client.post("/v1/otp-profiles", json={"name": "splash"})).json()
    otp_id = (await start(client, profile="splash"))["id"]
    changed = await client.patch(path.format(profile["id"]), json=change)
    assert changed.status_code == 200, changed.text
    clock.advance(timedelta(seconds=30))
    answer = await client.post(f"/v1/otp/{otp_id}/resend")
    assert (answer.status_code, answer.json()["type"]) == (status, f"/problems/{problem}"), answer.text
    assert [error["pointer"] for error in answer.json().get("errors", [])] == ([pointer] if pointer else [])
    assert len(await messages(engine)) == 1
    undo = {"activated": {"otp": True}, "allowed_countries": None, "region": None, "enabled": True}
    await client.patch(path.format(profile["id"]), json={name: undo[name] for name in change})
    assert (await client.post(f"/v1/otp/{otp_id}/resend")).status_code == 202  # nothing was counted meanwhile


async def test_a_number_of_fiction_is_answered_again_wherever_it_is_from(
    client: httpx.AsyncClient, clock: Clock, engine: AsyncEngine
) -> None:
    """Its code is fixed and costs nothing, so no country keeps it from being tried; a profile that is off does."""
    made = await client.post(
        "/v1/otp-profiles", json={"name": "try", "region": "ZA", "test_numbers": [{"msisdn": NUMBER, "code": "123456"}]}
    )
    assert made.status_code == 201, made.text
    otp_id = (await start(client, profile="try"))["id"]
    clock.advance(timedelta(seconds=30))
    assert (await client.post(f"/v1/otp/{otp_id}/resend")).status_code == 202
    await client.patch(f"/v1/otp-profiles/{made.json()['id']}", json={"enabled": False})
    clock.advance(timedelta(seconds=60))
    answer = await client.post(f"/v1/otp/{otp_id}/resend")
    assert answer.json()["type"] == "/problems/otp-profile-off"
    assert "POST /v1/otp" in answer.json()["detail"]
    assert await messages(engine) == []


async def test_a_name_sends_no_password_once_names_are_off(
    client: httpx.AsyncClient, clock: Clock, engine: AsyncEngine
) -> None:
    """Neither the first time nor again; a number does, and so does a profile that leaves it to the gateway."""
    assert (await client.patch("/v1/policy", json={"alphanumeric_senders": True})).status_code == 200
    gateway = (await client.post("/v1/gateways", json={"name": "sandbox", "kind": "sandbox"})).json()
    sender = await client.post("/v1/sender-ids", json={"gateway_id": gateway["id"], "value": "Cafe Ada"})
    assert sender.status_code == 201, sender.text
    made = await client.post("/v1/otp-profiles", json={"name": "named", "sender_id": "Cafe Ada"})
    assert made.status_code == 201, made.text
    otp_id = (await start(client, profile="named"))["id"]
    await client.patch("/v1/policy", json={"alphanumeric_senders": False})
    clock.advance(timedelta(seconds=30))
    for answer in (
        await client.post(f"/v1/otp/{otp_id}/resend"),
        await client.post("/v1/otp", json={"profile": "named", "msisdn": "+12025550143"}),
    ):
        assert (answer.status_code, answer.json()["type"]) == (422, "/problems/sender-not-allowed"), answer.text
        assert "'named'" in answer.json()["detail"]
        assert "alphanumeric_senders" in answer.json()["detail"]
    assert len(await messages(engine)) == 1
    await client.patch(f"/v1/otp-profiles/{made.json()['id']}", json={"sender_id": None})
    assert (await client.post(f"/v1/otp/{otp_id}/resend")).status_code == 202


@pytest.mark.parametrize("what", ["resend", "cancel"])
@pytest.mark.parametrize("how", ["used", "expired", "cancelled", "exhausted", "unknown"])
async def test_what_does_not_wait_is_all_the_same(
    client: httpx.AsyncClient, resources: Resources, what: str, how: str
) -> None:
    otp_id = (await start(client))["id"] if how != "unknown" else str(uuid4())
    change = {
        "used": "used_at = created_at",
        "expired": "expires_at = created_at",
        "cancelled": "cancelled_at = created_at",
        "exhausted": "attempts = max_attempts",
        "unknown": "attempts = attempts",
    }[how]
    async with begin(resources.engine) as tx:
        await tx.execute(text(f"UPDATE otps SET {change}"))
    answer = await client.post(f"/v1/otp/{otp_id}/{what}")
    assert (answer.status_code, answer.json()["type"]) == (404, "/problems/otp-not-pending")
    assert answer.json()["detail"] == "No password waits for its code under this id; start a new one with POST /v1/otp."


async def test_cancelled(client: httpx.AsyncClient, resources: Resources, clock: Clock) -> None:
    told = await start(client)
    answer = await client.post(f"/v1/otp/{told['id']}/cancel")
    assert answer.json() == told | {"status": "cancelled", "sent": False, "resend_after": None}
    (message,) = await messages(resources.engine)
    assert message.cancel_requested_at == clock.now
    async with begin(resources.engine) as tx:
        assert "otp.cancelled" in (await tx.execute(select(AuditEntry.action))).scalars().all()
    assert not (await verify(client, told["id"], await code_of(resources, told["id"])))["verified"]
    assert (await start(client))["id"] != told["id"]


async def test_a_password_is_not_copied_as_a_message(client: httpx.AsyncClient, resources: Resources) -> None:
    await start(client)
    (message,) = await messages(resources.engine)
    answer = await client.post(f"/v1/messages/{message.id}/resend")
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/message-not-resendable")
    assert "/v1/otp/" in answer.json()["detail"]


# --- who may


async def test_scopes(client: httpx.AsyncClient, anonymous: httpx.AsyncClient, engine: AsyncEngine) -> None:
    async with begin(engine) as tx:
        read, send, other = [await make_api_key(tx, scope) for scope in ("read", "send", "send")]
    reader, sender, stranger = [{"Authorization": f"Bearer {key.text}"} for key in (read, send, other)]
    assert (await anonymous.post("/v1/otp", json={"msisdn": NUMBER})).status_code == 401
    assert (await anonymous.post("/v1/otp", json={"msisdn": NUMBER}, headers=reader)).status_code == 403
    answer = await anonymous.post("/v1/otp", json={"msisdn": NUMBER}, headers=sender)
    otp_id = answer.json()["id"]
    path = f"/v1/otp/{otp_id}"
    assert (await anonymous.get(path, headers=sender)).status_code == 403
    assert (await anonymous.get(path, headers=reader)).json()["status"] == "pending"
    assert (await anonymous.post(f"{path}/verify", json={"code": WRONG}, headers=reader)).status_code == 403
    # A key that may only send knows of its own passwords, and of no others.
    theirs = await anonymous.post(f"{path}/verify", json={"code": WRONG}, headers=stranger)
    assert theirs.json() == {"verified": False, "attempts_left": 4}
    assert (await anonymous.post(f"{path}/cancel", headers=stranger)).status_code == 404
    assert (await anonymous.get(path, headers=reader)).json()["attempts"] == 0
    mine = await anonymous.post(f"{path}/verify", json={"code": WRONG}, headers=sender)
    assert mine.json() == {"verified": False, "attempts_left": 4}
    assert (await client.get(path)).json()["attempts"] == 1


async def test_one_password_in_full(client: httpx.AsyncClient, engine: AsyncEngine, clock: Clock) -> None:
    told = await start(client)
    (message,) = await messages(engine)
    found = (await client.get(f"/v1/otp/{told['id']}")).json()
    assert found["message_ids"] == [str(message.id)]
    assert (found["msisdn"], found["country"], found["is_test"], found["sends"]) == (NUMBER, "GB", False, 1)
    assert (found["resend_after"], found["created_by"]) == (30, "admin")
    shown = (await client.get(f"/v1/messages/{message.id}")).json()
    assert shown["text"] == "Your code is {{ code }}. It is valid for 10 minutes."
    assert (await client.get(f"/v1/otp/{uuid4()}")).status_code == 404


# --- numbers for trying out


@pytest.fixture
async def trial(client: httpx.AsyncClient) -> None:
    body = {"name": "trial", "test_numbers": [{"msisdn": "+44 7700 900999", "code": "012345"}], "region": "ZA"}
    answer = await client.post("/v1/otp-profiles", json=body)
    assert answer.status_code == 201, answer.text


async def test_a_test_number_is_sent_nothing_and_has_its_code(
    client: httpx.AsyncClient, engine: AsyncEngine, trial: None
) -> None:
    """Of another country and as often as one likes: it costs nothing. Guessing is limited all the same."""
    for turn in range(15):
        told = await start(client, msisdn=make_msisdn(999), profile="trial", session=str(turn))
        assert (told["sent"], told["code_length"]) == (False, 6)
    assert not (await verify(client, told["id"], "012346"))["verified"]
    assert (await verify(client, told["id"], "012345"))["verified"]
    assert await messages(engine) == []
    assert (await client.get(f"/v1/otp/{told['id']}")).json()["is_test"]


async def test_a_test_number_is_one_in_its_profile_alone(client: httpx.AsyncClient, trial: None) -> None:
    told = await start(client, msisdn=make_msisdn(999))
    assert told["sent"]
    assert not (await verify(client, told["id"], "012345"))["verified"]
