"""`Idempotency-Key`: a POST that is repeated creates nothing twice and is answered as it was the first time.

The key, a fingerprint of the request and its answer are written in the transaction of what it creates (which is
`deps.Tx`'s), so a crash leaves either all of them or none. Only successes are kept: who was refused may mend the
request and use the key again.
"""

from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b, sha256
from typing import Annotated, Any, ClassVar, Final

from fastapi import Depends, Header
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import Response

from api.admission import GuardedRoute
from api.deps import Identified, Now, Res, Tx
from api.problems import AnswerOutOfReach, IdempotencyKeyBusy, IdempotencyKeyReused
from api.resources import Resources
from api.security import Caller
from shared.errors import FieldError, Invalid
from shared.queries import idempotency as queries
from shared.queries.idempotency import Scope, StoredAnswer
from shared.sealing import Sealer

REPLAYED: Final = "Idempotent-Replayed"
_FORMS: Final = ("multipart/form-data", "application/x-www-form-urlencoded")
_PIECE: Final = 1 << 20
_PERSON: Final = b"idempotency"  # keeps this use of the pepper apart from the others
_KEYED: Final = b"\x01"  # how a fingerprint is made: with another way comes another byte
# For how long an answer waits is no part of what is asked for: it may be another each time.
_PATIENCE: Final = frozenset({"wait", "wait_for"})

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        pattern=r"^[\x21-\x7e]+$",
        description="Any text of your own that stands for this one request (a UUID is best). Within 72 hours the "
        "same key with the same body is answered with what the first request was told and "
        "`Idempotent-Replayed: true`, and nothing is created or sent again.",
        examples=["7f1d0c7e-5a3b-4a39-9a57-0f4f2f6f8f3c"],
    ),
]


@dataclass(frozen=True, slots=True)
class KeyClaim:
    """A key that is this request's until its transaction ends."""

    tx: AsyncConnection
    scope: Scope
    fingerprint: bytes
    sealer: Sealer
    now: datetime
    scopes: frozenset[str]

    @property
    def place(self) -> str:
        return queries.place_of_answer(self.scope)


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What a request is known by, and all that it was ever known by."""

    kept: bytes
    known: tuple[bytes, ...]


class Replay(Exception):
    """The request was answered before; this is what it was told."""

    def __init__(self, response: Response) -> None:
        super().__init__()
        self.response = response


async def claim_key(
    request: Request, caller: Caller, resources: Resources, *, tx: AsyncConnection, now: datetime, key: str | None
) -> KeyClaim | None:
    """Make the key this request's until `tx` ends; raises Replay where it was answered before. None without a key."""
    if key is None:
        return None
    if len(request.headers.getlist("Idempotency-Key")) > 1:
        told = "The header is sent more than once; send one key, for only one of them could protect the request."
        raise Invalid(told, pointer="Idempotency-Key:")
    print_ = await _fingerprint(request, pepper=resources.pepper)
    claim = KeyClaim(
        tx=tx,
        scope=Scope(caller=caller.id, method=request.method, path=request.url.path, key=key, line=caller.line),
        fingerprint=print_.kept,
        sealer=resources.sealer,
        now=now,
        scopes=caller.scopes,
    )
    if not await queries.try_lock_idempotency_key(tx, claim.scope):
        raise IdempotencyKeyBusy("The first request with this Idempotency-Key is still at work.")
    stored = await queries.find_stored_answer(tx, claim.scope, callers=caller.keys)
    if stored is None:
        return claim
    scope, answer = stored
    if answer.fingerprint not in print_.known:
        raise _reused()
    # What an answer shows may depend on how far the key reached: a gateway's callback addresses, a contact's number.
    if missing := sorted(frozenset(answer.scopes or ()) - caller.scopes):
        raise AnswerOutOfReach(_out_of_reach(missing))
    body = claim.sealer.open(answer.body, place=queries.place_of_answer(scope))
    raise Replay(Response(body, status_code=answer.status, headers={**answer.headers, REPLAYED: "true"}))


async def _claim(
    request: Request, caller: Identified, resources: Res, tx: Tx, now: Now, key: IdempotencyKey = None
) -> None:
    if key is not None and caller is not None:
        request.state.idempotency_claim = await claim_key(request, caller, resources, tx=tx, now=now, key=key)


class IdempotentRoute(GuardedRoute):
    """Takes an `Idempotency-Key` on every POST of its router.

    What was answered before is told to who may still ask, and to nobody else: the guard stands ahead of the claim.
    """

    claims: ClassVar[tuple[Callable[..., Awaitable[None]], ...]] = (_claim,)

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        if "POST" in (options.get("methods") or ()):
            claims = [Depends(claim) for claim in self.claims]
            options["dependencies"] = [*claims, *(options.get("dependencies") or ())]
        super().__init__(path, endpoint, **options)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()
        if "POST" not in (self.methods or ()):
            return handle

        async def answer(request: Request) -> Response:
            return await _answer_once(request, handle)

        return answer


class AskingRoute(IdempotentRoute):
    """A POST that holds no `Tx`: it takes no key, for asking twice changes nothing, or claims one by itself."""

    claims = ()


async def _answer_once(request: Request, handle: Callable[[Request], Awaitable[Response]]) -> Response:
    try:
        response = await handle(request)
    except Replay as replay:
        return replay.response
    claim: KeyClaim | None = getattr(request.state, "idempotency_claim", None)
    if claim is not None and 200 <= response.status_code < 300:
        await store_answer(claim, response)
    return response


async def store_answer(claim: KeyClaim, response: Response) -> None:
    """Keep what the request is told, in the transaction that holds the claim."""
    body = getattr(response, "body", None)
    if not isinstance(body, bytes):
        raise TypeError("a POST that takes an Idempotency-Key cannot stream its answer")
    headers = {name: value for name, value in response.headers.items() if name != "content-length"}
    answer = StoredAnswer(
        fingerprint=claim.fingerprint,
        status=response.status_code,
        headers=headers,
        body=claim.sealer.seal(body, place=claim.place),
        scopes=claim.scopes,
    )
    await queries.insert_stored_answer(claim.tx, claim.scope, answer, now=claim.now)


async def _fingerprint(request: Request, *, pepper: bytes) -> Fingerprint:
    """Keyed: numbers, texts and codes could be guessed from a plain digest by whoever has a dump.

    By the installation's pepper, which stays the same when the keys that seal it are rotated.
    """
    whole = request.url.query
    asked = "&".join(part for part in whole.split("&") if part.partition("=")[0] not in _PATIENCE)
    plain = await _digest(request, query=asked)
    keyed = _keyed(plain, pepper)
    known = [keyed, keyed.removeprefix(_KEYED), plain]
    # The bare ones, and those of the whole query, are of versions before this one, which kept them for 72 hours: gone
    # from the next one on.
    if whole != asked:
        known.append(_keyed(await _digest(request, query=whole), pepper))
    return Fingerprint(kept=keyed, known=tuple(known))


def _keyed(plain: bytes, pepper: bytes) -> bytes:
    return _KEYED + blake2b(plain, digest_size=32, key=pepper[:64], person=_PERSON).digest()


async def _digest(request: Request, *, query: str) -> bytes:
    """Of the query and the raw body; of a form's fields, for its boundary differs each time it is sent."""
    digest = sha256(query.encode())
    media_type = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if media_type not in _FORMS:
        digest.update(b"\nbody\n" + await request.body())
        return digest.digest()
    for name, value in (await request.form()).multi_items():
        digest.update(_measured(b"field", name.encode()))
        if isinstance(value, UploadFile):
            digest.update(_measured(b"file", (value.filename or "").encode()))
            digest.update(await _digest_of_file(value))
        else:
            digest.update(_measured(b"value", value.encode()))
    return digest.digest()


async def _digest_of_file(upload: UploadFile) -> bytes:
    """In pieces, for a file may be larger than the memory it should take."""
    digest = sha256()
    await upload.seek(0)
    while piece := await upload.read(_PIECE):
        digest.update(piece)
    await upload.seek(0)
    return digest.digest()


def _measured(kind: bytes, value: bytes) -> bytes:
    """With its length, so that two fields cannot be read as one."""
    return b"\n%s %d\n%s" % (kind, len(value), value)


def _reused() -> IdempotencyKeyReused:
    detail = "This Idempotency-Key was used before, with another body. Take a new key for a new request."
    return IdempotencyKeyReused(detail, errors=(FieldError("Idempotency-Key:", detail),))


def _out_of_reach(missing: list[str]) -> str:
    named = ", ".join(f"`{scope}`" for scope in missing)
    return (
        "The request was made before, and nothing is made again. Its answer was given to a key that reaches further: "
        f"this one lacks {named}."
    )
