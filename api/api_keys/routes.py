"""API keys over HTTP. To rotate one is to make its successor: both work for a while, then the old one ends."""

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Path, Response

from api.api_keys import queries
from api.api_keys.queries import KeyRow, KeyToInsert
from api.api_keys.schemas import ApiKeyIn, ApiKeyOut, ApiKeyPatch, KeyRotationIn, NewApiKeyOut
from api.deps import CanAdmin, Deeds, Now, Page, Reader, Tx
from api.idempotency import IdempotentRoute
from api.paging import PageOut, page_of
from api.places import id_of
from api.problems import problems
from shared.api_keys import new_key
from shared.domain import api_key as law

router = APIRouter(prefix="/api-keys", tags=["api keys"], route_class=IdempotentRoute)

KeyId = Annotated[str, Path(pattern="^[0-9A-Za-z]{12}$", description="The key's id.", examples=["4fK9dQ2bX7sA"])]
_NULLABLE = ("rate_limit", "expires_at")
_CHANGED = ("name", "scopes", "networks", "rate_limit", "expires_at")


@router.post("", status_code=201)
async def create_api_key(
    body: ApiKeyIn, response: Response, tx: Tx, caller: CanAdmin, now: Now, deeds: Deeds
) -> NewApiKeyOut:
    """Make a key. The answer holds the whole of it, this once."""
    law.check_ahead(body.expires_at, pointer="/expires_at", now=now)
    key = new_key()
    wanted = KeyToInsert(public_id=key.public_id, digest=key.digest, created_by=caller.id, **dict(body))
    row = await queries.insert_key(tx, wanted, now=now)
    await deeds.write("api_key.created", ("api_key", row.id), _told(row))
    response.headers["Location"] = f"/v1/api-keys/{row.id}"
    return NewApiKeyOut(**asdict(row), key=key.text)


@router.get("")
async def list_api_keys(tx: Reader, page: Page, _: CanAdmin) -> PageOut[ApiKeyOut]:
    """All keys, newest first, with those that no longer work."""
    rows = await queries.list_keys(tx, after=id_of(page), limit=page.limit + 1)
    shown, cursor = page_of(rows, page, place=lambda row: {"id": row.row_id})
    return PageOut(items=[ApiKeyOut.model_validate(row) for row in shown], next_cursor=cursor)


@router.get("/{key_id}", response_model=ApiKeyOut, responses=problems(404))
async def read_api_key(key_id: KeyId, tx: Reader, _: CanAdmin) -> KeyRow:
    """One key, without its secret."""
    return await queries.get_key(tx, key_id)


@router.patch("/{key_id}", response_model=ApiKeyOut, responses=problems(404, law.KeyNotLive, law.PredecessorLives))
async def change_api_key(key_id: KeyId, body: ApiKeyPatch, tx: Tx, _: CanAdmin, now: Now, deeds: Deeds) -> KeyRow:
    """Change what is given: how far the key reaches, from where, how often, until when. Its secret stays."""
    row = await queries.lock_key(tx, key_id)
    law.check_live(expires_at=None, revoked_at=row.revoked_at, now=now)
    law.check_ahead(body.expires_at, pointer="/expires_at", now=now)
    changes = {name: getattr(body, name) for name in body.model_fields_set}
    changes = {name: value for name, value in changes.items() if value is not None or name in _NULLABLE}
    if "expires_at" in changes and row.expires_at is not None and row.expires_at <= now:
        law.check_room([other.id for other in await queries.list_live_relatives(tx, row, now=now)])
    if changes:
        changed = await queries.update_key(tx, key_id, changes)
        await deeds.write_difference("api_key.changed", ("api_key", key_id), _told(row), _told(changed))
        row = changed
    return row


@router.post(
    "/{key_id}/rotate", status_code=201, responses=problems(404, law.KeyNotLive, law.KeyRotated, law.PredecessorLives)
)
async def rotate_api_key(  # noqa: PLR0913, PLR0917 - what a route asks for, by name
    key_id: KeyId,
    response: Response,
    tx: Tx,
    caller: CanAdmin,
    now: Now,
    deeds: Deeds,
    body: KeyRotationIn | None = None,
) -> NewApiKeyOut:
    """Make a successor with the same reach. Both keys work until `old_until`; then the old one ends by itself.

    No more than two live at a time: the successor is rotated once the old one has ended or is revoked, and the old one
    again once a lost successor is revoked. What one of them has begun the other goes on with: a password to be
    verified, a request to be repeated.
    """
    body = body or KeyRotationIn()
    old = await queries.lock_key(tx, key_id)
    law.check_live(expires_at=old.expires_at, revoked_at=old.revoked_at, now=now)
    law.check_ahead(body.expires_at, pointer="/expires_at", now=now)
    others = await queries.list_live_relatives(tx, old, now=now)
    successor = next((each.id for each in others if each.successor_of == key_id), None)
    law.check_alone(successor=successor, other=others[0].id if others else None)
    end = law.end_of_old(body.old_until, expires_at=old.expires_at, now=now)
    line = old.line or key_id
    await queries.update_key(tx, key_id, {"expires_at": end, "line": line})
    key = new_key()
    wanted = KeyToInsert(
        public_id=key.public_id,
        digest=key.digest,
        name=old.name,
        scopes=old.scopes,
        networks=old.networks,
        rate_limit=old.rate_limit,
        created_by=caller.id,
        expires_at=body.expires_at,
        successor_of=key_id,
        line=line,
    )
    row = await queries.insert_key(tx, wanted, now=now)
    await deeds.write("api_key.rotated", ("api_key", key_id), {"successor": row.id, "old_until": end, **_told(row)})
    response.headers["Location"] = f"/v1/api-keys/{row.id}"
    return NewApiKeyOut(**asdict(row), key=key.text)


@router.delete("/{key_id}", status_code=204, responses=problems(404))
async def revoke_api_key(key_id: KeyId, tx: Tx, _: CanAdmin, now: Now, deeds: Deeds) -> None:
    """Revoke a key: from the next request on it is refused, for good. Doing so twice changes nothing."""
    row = await queries.get_key(tx, key_id)
    if await queries.revoke_key(tx, key_id, now=now):
        await deeds.write("api_key.revoked", ("api_key", row.id), {"name": row.name})


def _told(row: KeyRow) -> dict[str, object]:
    return {name: getattr(row, name) for name in _CHANGED}
