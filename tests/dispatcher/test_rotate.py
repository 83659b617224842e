"""Rotation: in the end the first key has sealed every sealed value, whatever happens on the way; nothing is lost."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import LargeBinary, insert, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from dispatcher.rotate import BATCH, DONE, NOT_DONE, rotate
from shared.db import begin
from shared.ids import uuid7
from shared.models import Base, Gateway, IdempotencyKey, Installation, Webhook
from shared.queries.gateways import open_secrets, seal_secrets
from shared.queries.idempotency import Scope, StoredAnswer, find_stored_answer, insert_stored_answer, place_of_answer
from shared.queries.installation import open_pepper
from shared.queries.sealed import SEALED
from shared.sealing import PLACE_OF_PEPPER, SealBroken, Sealer, new_key, place_of_webhook
from tests.factories import GATEWAY_SECRET, make_gateway

OLD, NEW, LOST = new_key(), new_key(), new_key()
BEFORE, WHILE, AFTER = Sealer.from_texts([OLD]), Sealer.from_texts([NEW, OLD]), Sealer.from_texts([NEW])
WEBHOOK_SECRET = b"a-webhook-s-secret"
ANSWERS = 350
ROOT = Path(__file__).parents[2]

# Bytes that are no secrets: digests and hashes by their names, and files that come in and go out.
PLAIN = ("digest", "fingerprint", "_hash", "sha256")
PLAIN_BYTES = {"import_chunks.data", "attachment_chunks.data"}


def columns() -> dict[str, Any]:
    return {
        f"{table.name}.{column.name}": column for table in Base.metadata.tables.values() for column in table.columns
    }


def test_every_sealed_column_is_listed() -> None:
    """A new column of bytes is a line in `SEALED`, or a line above with a reason."""
    listed = {str(sealed) for sealed in SEALED}
    assert {name for name in columns() if name.endswith("_sealed")} <= listed
    in_bytes = {name for name, column in columns().items() if isinstance(column.type, LargeBinary)}
    assert {name for name in in_bytes if not name.endswith(PLAIN)} - listed - PLAIN_BYTES == set()
    assert listed <= in_bytes


def scope(number: int) -> Scope:
    return Scope("admin", "POST", "/v1/messages", f"key-{number:05}")


async def fill(engine: AsyncEngine, now: datetime, *, sealer: Sealer = BEFORE) -> list[UUID]:
    """Something sealed of every kind."""
    async with begin(engine) as tx:
        await open_pepper(tx, sealer, now)
        gateways = [await make_gateway(tx, sealer, f"gateway {number}") for number in range(3)]
        for old in (False, True):
            webhook_id = uuid7(now)
            webhook = {
                "id": webhook_id,
                "url": "https://own.example.com",
                "events": ["*"],
                "secret_sealed": sealer.seal(WEBHOOK_SECRET, place=place_of_webhook(webhook_id)),
                "created_at": now,
                "updated_at": now,
            }
            if old:
                place = place_of_webhook(webhook_id, "old_secret_sealed")
                webhook["old_secret_sealed"] = sealer.seal(WEBHOOK_SECRET, place=place)
                place = place_of_webhook(webhook_id, "older_secrets_sealed")
                webhook["older_secrets_sealed"] = sealer.seal(WEBHOOK_SECRET, place=place)
            await tx.execute(insert(Webhook).values(webhook))
        for number in range(ANSWERS):
            body = sealer.seal(b"answer %d" % number, place=place_of_answer(scope(number)))
            answer = StoredAnswer(fingerprint=b"f", status=201, headers={}, body=body)
            await insert_stored_answer(tx, scope(number), answer, now=now)
    return gateways


async def check_opens(engine: AsyncEngine, sealer: Sealer, now: datetime) -> None:
    """All of it, with these keys alone."""
    async with begin(engine) as tx:
        assert len(await open_pepper(tx, sealer, now)) == 32
        for row in (await tx.execute(select(Gateway))).all():
            secrets = open_secrets(row.secrets_sealed, gateway_id=row.id, sealer=sealer)
            assert secrets == {"api_secret": GATEWAY_SECRET}
        for webhook in (await tx.execute(select(Webhook))).all():
            for column in ("secret_sealed", "old_secret_sealed", "older_secrets_sealed"):
                if sealed := webhook._mapping[column]:
                    assert sealer.open(sealed, place=place_of_webhook(webhook.id, column)) == WEBHOOK_SECRET
        for number in range(ANSWERS):
            found = await find_stored_answer(tx, scope(number))
            assert found is not None
            kept_in, answer = found
            assert kept_in == scope(number)
            assert sealer.open(answer.body, place=place_of_answer(scope(number))) == b"answer %d" % number


async def sealed_by(engine: AsyncEngine, sealer: Sealer) -> int:
    """How many answers the first of these keys has sealed."""
    async with begin(engine) as tx:
        bodies = (await tx.execute(select(IdempotencyKey.body))).scalars().all()
    return sum(body.startswith(sealer.head) for body in bodies)


async def run(engine: AsyncEngine, sealer: Sealer) -> tuple[int, list[str]]:
    lines: list[str] = []
    return await rotate(engine, sealer, tell=lines.append), lines


async def test_everything_opens_with_the_new_key_alone(engine: AsyncEngine, now: datetime) -> None:
    await fill(engine, now)
    with pytest.raises(SealBroken):
        await check_opens(engine, AFTER, now)
    code, lines = await run(engine, WHILE)
    assert code == DONE
    await check_opens(engine, AFTER, now)
    assert f"idempotency_keys.body: {ANSWERS} to seal anew" in lines
    assert f"idempotency_keys.body: {ANSWERS} sealed anew" in lines
    assert "gateways.secrets_sealed: done, 0 left" in lines
    assert not any(word in " ".join(lines) for word in (GATEWAY_SECRET, OLD, NEW, "answer 1"))
    code, lines = await run(engine, WHILE)
    assert code == DONE
    assert not [line for line in lines if "anew" in line]  # nothing is left to do


async def test_rows_keep_everything_else(engine: AsyncEngine, now: datetime) -> None:
    await fill(engine, now)
    async with begin(engine) as tx:
        before = (await tx.execute(select(Gateway).order_by(Gateway.id))).all()
    await run(engine, WHILE)
    async with begin(engine) as tx:
        after = (await tx.execute(select(Gateway).order_by(Gateway.id))).all()
    for one, other in zip(before, after, strict=True):
        changed = {name for name, value in one._mapping.items() if other._mapping[name] != value}
        assert changed == {"secrets_sealed"}


async def test_what_no_key_opens_is_named_and_left(engine: AsyncEngine, now: datetime) -> None:
    gateways = await fill(engine, now)
    strange = Sealer.from_texts([LOST])
    sealed = seal_secrets({"api_secret": "a-lost-secret"}, gateway_id=gateways[1], sealer=strange)
    async with begin(engine) as tx:
        await tx.execute(update(Gateway).where(Gateway.id == gateways[1]).values(secrets_sealed=sealed))
    code, lines = await run(engine, WHILE)
    assert code == NOT_DONE
    assert f"gateways.secrets_sealed: id={gateways[1]}: cannot be opened with the keys given" in lines
    assert "1 values are not sealed by the first key" in lines[-1]
    assert "lost-secret" not in " ".join(lines)
    assert await sealed_by(engine, AFTER) == ANSWERS  # and stands in nobody's way
    async with begin(engine) as tx:
        kept = (await tx.execute(select(Gateway.secrets_sealed).where(Gateway.id == gateways[1]))).scalar_one()
    assert kept == sealed


async def test_many_that_no_key_opens(engine: AsyncEngine, now: datetime) -> None:
    await fill(engine, now, sealer=Sealer.from_texts([LOST]))
    code, lines = await run(engine, WHILE)
    assert code == NOT_DONE
    assert len([line for line in lines if "cannot be opened" in line]) == 3 + 2 + 1 + 1 + 1 + 20 + 1
    assert f"idempotency_keys.body: {ANSWERS - 20} more cannot be opened" in lines


async def test_one_who_goes_on_with_the_old_key_is_noticed(
    engine: AsyncEngine, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(engine, now)
    lines: list[str] = []
    made = 0

    async def seal_with_the_old_key(number: int) -> None:
        async with begin(engine) as tx:
            body = BEFORE.seal(b"late", place=place_of_answer(scope(number)))
            answer = StoredAnswer(fingerprint=b"f", status=201, headers={}, body=body)
            await insert_stored_answer(tx, scope(number), answer, now=now)

    waiting: list[asyncio.Task[None]] = []

    def tell(line: str) -> None:
        nonlocal made
        lines.append(line)
        if line.startswith("idempotency_keys.body") and line.endswith("sealed anew"):
            made += 1
            waiting.append(
                asyncio.create_task(seal_with_the_old_key(90_000 - made))
            )  # before where the pass is by then

    code = await rotate(engine, WHILE, tell=tell)
    await asyncio.gather(*waiting)
    assert made >= 4
    assert code in {DONE, NOT_DONE}
    code, _ = await run(engine, WHILE)  # once it has been restarted
    assert code == DONE
    assert await sealed_by(engine, AFTER) == ANSWERS + made


async def test_new_value_is_not_overwritten_by_the_old_one(engine: AsyncEngine, now: datetime) -> None:
    """An owner enters a new secret while the rotation looks at the old one: it waits, and the new one stays."""
    gateways = await fill(engine, now)
    fresh = seal_secrets({"api_secret": "entered-just-now"}, gateway_id=gateways[0], sealer=WHILE)
    async with begin(engine) as tx:
        await tx.execute(update(Gateway).where(Gateway.id == gateways[0]).values(secrets_sealed=fresh))
        rotating = asyncio.create_task(run(engine, WHILE))
        await asyncio.sleep(0.3)
        assert not rotating.done()
    code, _ = await rotating
    assert code == DONE
    async with begin(engine) as tx:
        row = (await tx.execute(select(Gateway).where(Gateway.id == gateways[0]))).one()
    assert open_secrets(row.secrets_sealed, gateway_id=row.id, sealer=AFTER) == {"api_secret": "entered-just-now"}


def command(url: str, keys: Sequence[str]) -> subprocess.Popen[str]:
    environment = {
        "PATH": os.environ["PATH"],
        "LAPWING_DATABASE_URL": url,
        "LAPWING_REDIS_URL": "redis://127.0.0.1:1",
        "LAPWING_SECRET_KEYS": ",".join(keys),
    }
    return subprocess.Popen(
        [sys.executable, "-m", "dispatcher.rotate"],
        env=environment,
        cwd=ROOT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


async def test_killed_in_the_middle_and_run_again(engine: AsyncEngine, migrated_url: str, now: datetime) -> None:
    await fill(engine, now)
    async with begin(engine) as tx:
        # A row of the third handful is held, so that the command stands still between the second and its end.
        held = select(IdempotencyKey).where(IdempotencyKey.key == scope(2 * BATCH + 7).key).with_for_update()
        assert (await tx.execute(held)).one()
        process = command(migrated_url, [NEW, OLD])
        try:
            assert process.stdout is not None
            while f"body: {2 * BATCH} sealed anew" not in await asyncio.to_thread(process.stdout.readline):
                assert process.poll() is None
            process.send_signal(signal.SIGKILL)
            assert await asyncio.to_thread(process.wait) == -signal.SIGKILL
        finally:
            process.kill()
            process.communicate()
    assert await sealed_by(engine, AFTER) == 2 * BATCH
    await check_opens(engine, WHILE, now)  # whoever runs with both keys notices nothing
    again = command(migrated_url, [NEW, OLD])
    told, complained = await asyncio.to_thread(again.communicate)
    assert (again.returncode, complained) == (DONE, ""), told
    assert f"idempotency_keys.body: {ANSWERS - 2 * BATCH} to seal anew" in told
    await check_opens(engine, AFTER, now)


async def test_command_tells_what_is_wrong(engine: AsyncEngine, migrated_url: str, now: datetime) -> None:
    await fill(engine, now)
    without = command(migrated_url, [NEW])
    told, _ = await asyncio.to_thread(without.communicate)
    assert without.returncode == NOT_DONE
    assert "installation.pepper_sealed: id=1: cannot be opened" in told
    unset = command(migrated_url, [])
    _, complained = await asyncio.to_thread(unset.communicate)
    assert unset.returncode == 2
    assert "LAPWING_SECRET_KEYS" in complained
    away = command("postgresql+asyncpg://nobody@127.0.0.1:1/none", [NEW, OLD])
    told, _ = await asyncio.to_thread(away.communicate)
    assert away.returncode == NOT_DONE
    assert "run this again" in told


async def test_pepper_is_the_same_afterwards(engine: AsyncEngine, now: datetime) -> None:
    """Opt-outs are kept as hashes under it."""
    async with begin(engine) as tx:
        before = await open_pepper(tx, BEFORE, now)
    await run(engine, WHILE)
    async with begin(engine) as tx:
        assert await open_pepper(tx, AFTER, now) == before
        sealed = (await tx.execute(select(Installation.pepper_sealed))).scalar_one()
    with pytest.raises(SealBroken):
        BEFORE.open(sealed, place=PLACE_OF_PEPPER)
