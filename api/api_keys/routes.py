"""API keys over HTTP. To rotate one, make its successor, move over, then revoke it: both work meanwhile."""

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Path, Response

from api.api_keys import queries
from api.api_keys.queries import KeyRow, KeyToInsert
from api.api_keys.schemas import ApiKeyIn, ApiKeyOut, NewApiKeyOut
from api.deps import CanAdmin, Now, Page, Reader, RequestId, Tx
from api.idempotency import IdempotentRoute
from api.paging import PageOut, page_of
from api.places import id_of
from api.problems import problems
from shared.api_keys import new_key
from shared.errors import Invalid
from shared.queries import audit

router = APIRouter(prefix="/api-keys", tags=["api keys"], route_class=IdempotentRoute)

KeyId = Annotated[str, Path(pattern="^[0-9A-Za-z]{12}$", description="The key's id.", examples=["4fK9dQ2bX7sA"])]


@router.post("", status_code=201)
async def create_api_key(
    body: ApiKeyIn, response: Response, tx: Tx, caller: CanAdmin, now: Now, request_id: RequestId
) -> NewApiKeyOut:
    """Make a key. The answer holds the whole of it, this once."""
    if body.expires_at is not None and body.expires_at <= now:
        raise Invalid("Must be in the future.", pointer="/expires_at")
    key = new_key()
    row = await queries.insert_key(
        tx,
        KeyToInsert(
            public_id=key.public_id,
            digest=key.digest,
            name=body.name,
            scopes=body.scopes,
            created_by=caller.id,
            expires_at=body.expires_at,
        ),
        now=now,
    )
    await audit.record(
        tx,
        caller=caller.id,
        action="api_key.created",
        subject=("api_key", row.id),
        detail={"name": row.name, "scopes": list(row.scopes), "expires_at": body.expires_at},
        now=now,
        request_id=request_id,
    )
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


@router.delete("/{key_id}", status_code=204, responses=problems(404))
async def revoke_api_key(key_id: KeyId, tx: Tx, caller: CanAdmin, now: Now, request_id: RequestId) -> None:
    """Revoke a key: from the next request on it is refused, for good. Doing so twice changes nothing."""
    row = await queries.get_key(tx, key_id)
    if await queries.revoke_key(tx, key_id, now=now):
        await audit.record(
            tx,
            caller=caller.id,
            action="api_key.revoked",
            subject=("api_key", row.id),
            detail={"name": row.name},
            now=now,
            request_id=request_id,
        )
