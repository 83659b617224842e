"""Profiles over HTTP: what a splash page's passwords look like, for how long, for whom, and how often."""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Path, Response
from sqlalchemy.ext.asyncio import AsyncConnection

from api.deps import CanManage, CanRead, Deeds, Now, Page, Reader, Res, Tx
from api.examples import answered
from api.idempotency import IdempotentRoute
from api.messages.values import UnknownSender
from api.otp_profiles import examples, queries
from api.otp_profiles.schemas import ProfileIn, ProfileOut, ProfilePatch
from api.paging import PageOut, page_of
from api.places import id_of
from api.problems import problems
from api.security import Caller, require
from shared.domain import msisdn as numbers
from shared.domain import otp_text, strange_tags
from shared.domain import policy as rules
from shared.domain.carriers import Carrier
from shared.domain.otp_numbers import InvalidTestNumber, allowed_countries, check_test_number
from shared.errors import Invalid
from shared.ids import uuid7
from shared.queries.audit import difference
from shared.queries.gateways import list_carriers
from shared.queries.policy import get_policy
from shared.queries.sender_ids import find_sender

router = APIRouter(prefix="/otp-profiles", tags=["otp profiles"], route_class=IdempotentRoute)

ProfileId = Annotated[UUID, Path(description="The profile's id.")]
_REFUSED: Final = (
    queries.OtpProfileNameTaken,
    otp_text.InvalidOtpText,
    UnknownSender,
    rules.SenderNotAllowed,
    InvalidTestNumber,
)


@router.post("", status_code=201, responses={**problems(*_REFUSED), **answered(examples.NEW, status=201)})
async def create_otp_profile(
    body: ProfileIn, tx: Tx, caller: CanManage, now: Now, res: Res, deeds: Deeds
) -> ProfileOut:
    """Make a profile for a splash page or any other place that asks for a code."""
    values = await _values(tx, body.model_dump(), caller)
    _check_text(values)
    row = await queries.insert_profile(tx, {**values, "id": uuid7(now), "created_at": now, "updated_at": now})
    await deeds.write("otp_profile.created", ("otp_profile", row.id), _told(values))
    return shown(row, carriers=await list_carriers(tx), deployment=res.default_region)


@router.get("", responses=problems(422))
async def list_otp_profiles(tx: Reader, _caller: CanRead, page: Page, res: Res) -> PageOut[ProfileOut]:
    """All profiles, the oldest first."""
    rows = await queries.list_profiles(tx, after=id_of(page), limit=page.limit + 1)
    kept, cursor = page_of(rows, page, place=lambda row: {"id": row.id})
    carriers = await list_carriers(tx)
    items = [shown(row, carriers=carriers, deployment=res.default_region) for row in kept]
    return PageOut(items=items, next_cursor=cursor)


@router.get("/{profile_id}", responses=problems(404))
async def get_otp_profile(profile_id: ProfileId, tx: Reader, _caller: CanRead, res: Res) -> ProfileOut:
    """One profile."""
    return shown(
        await queries.get_profile(tx, profile_id), carriers=await list_carriers(tx), deployment=res.default_region
    )


@router.patch("/{profile_id}", responses=problems(404, *_REFUSED))
async def change_otp_profile(
    profile_id: ProfileId, body: ProfilePatch, tx: Tx, caller: CanManage, res: Res, deeds: Deeds
) -> ProfileOut:
    """Change a profile. Passwords under way keep the length, the life and the attempts that they began with."""
    row = await queries.lock_profile(tx, profile_id)
    asked = await _values(tx, body.model_dump(exclude_unset=True), caller)
    values = {name: value for name, value in asked.items() if value != getattr(row, name)}
    if row.name == queries.DEFAULT and "name" in values:
        raise queries.OtpProfileInUse("The profile default keeps its name; make another one instead.")
    if values:
        _check_text({**row._mapping, **values})  # noqa: SLF001 - SQLAlchemy's public name for a row as a mapping
        before = _told({name: getattr(row, name) for name in values})
        row = await queries.update_profile(tx, profile_id, {**values, "updated_at": deeds.now})
        await deeds.write("otp_profile.changed", ("otp_profile", profile_id), difference(before, _told(values)))
    return shown(row, carriers=await list_carriers(tx), deployment=res.default_region)


@router.delete("/{profile_id}", status_code=204, responses=problems(404, queries.OtpProfileInUse))
async def delete_otp_profile(profile_id: ProfileId, tx: Tx, _caller: CanManage, now: Now, deeds: Deeds) -> Response:
    """Take a profile away of which no password waits for its code."""
    row = await queries.lock_profile(tx, profile_id)
    await queries.check_unused(tx, row, now=now)
    await queries.delete_profile(tx, profile_id)
    await deeds.write("otp_profile.deleted", ("otp_profile", profile_id), {"name": row.name})
    return Response(status_code=204)


def shown(row: queries.AnyRow, *, carriers: Sequence[Carrier], deployment: str | None) -> ProfileOut:
    text = otp_text.compose(row.text, ttl_seconds=row.ttl_seconds, web_domain=row.web_domain)
    segments = otp_text.measure_filled(text, length=row.length).segments
    return ProfileOut.model_validate(
        {**row._mapping, "segments": segments, "warnings": _warnings(row, carriers, deployment)}  # noqa: SLF001 - as above
    )


def _warnings(row: queries.AnyRow, carriers: Sequence[Carrier], deployment: str | None) -> list[str]:
    warnings = []
    if row.enabled and not allowed_countries(row.allowed_countries, region=row.region, deployment=deployment):
        warnings.append("Passwords go to every country; set region or allowed_countries to where your people are.")
    if row.enabled and row.sender_id and not any(row.sender_id in one.sender_ids for one in carriers):
        warnings.append(
            f"No enabled gateway has the sender {row.sender_id!r}, so these passwords wait and expire: enable one that "
            "has it, register it with one under /v1/sender-ids, or set another sender_id."
        )
    if row.test_numbers:
        warnings.append("Test numbers are let in with fixed codes; take them out before real people use it.")
    return [*warnings, *strange_tags.warnings(row.text, known=otp_text.TAGS)]


async def _values(tx: AsyncConnection, given: dict[str, Any], caller: Caller) -> dict[str, Any]:
    """The columns as they are stored, of what was given."""
    values = dict(given)
    for name in ("name", "enabled", "length", "ttl_seconds", "max_attempts", "resend_waits", "max_sends", "text"):
        if name in values and values[name] in (None, ""):
            raise Invalid(f"{name} cannot be empty; leave it out to keep it.", pointer=f"/{name}")
    if values.get("sender_id") is not None:
        values["sender_id"] = await _sender(tx, values["sender_id"])
    if "limits" in values:
        values["limits"] = {scope: speeds for scope, speeds in values["limits"].items() if speeds is not None}
    if "test_numbers" in values:
        if values["test_numbers"]:
            require(caller, "admin")
        values["test_numbers"] = [_test_number(one, place) for place, one in enumerate(values["test_numbers"])]
    return values


async def _sender(tx: AsyncConnection, wanted: str) -> str:
    found = await find_sender(tx, wanted)
    if found is None:
        raise UnknownSender(
            f"There is no sender {wanted!r}; register it under /v1/sender-ids, or leave it out.", pointer="/sender_id"
        )
    if told := rules.find_sender_refused(await get_policy(tx), found):
        raise rules.SenderNotAllowed(told, pointer="/sender_id")
    return found


def _test_number(given: Mapping[str, str], place: int) -> dict[str, str]:
    pointer = f"/test_numbers/{place}/msisdn"
    try:
        msisdn = numbers.parse(given["msisdn"], default_region=None)
        check_test_number(msisdn)
    except Invalid as refusal:
        raise refusal.at(pointer) from None
    return {"msisdn": msisdn, "code": given["code"]}


def _check_text(values: Mapping[str, Any]) -> None:
    try:
        otp_text.check_size(
            values["text"], length=values["length"], ttl_seconds=values["ttl_seconds"], web_domain=values["web_domain"]
        )
    except Invalid as refusal:
        raise refusal.at("/text") from None


def _told(values: Mapping[str, Any]) -> dict[str, Any]:
    """What was set, as the audit log may hold it: a mark for the text, a count for the test numbers."""
    told = {name: value for name, value in values.items() if name not in {"text", "test_numbers"}}
    if "text" in values:
        told["text"] = sha256(values["text"].encode()).hexdigest()[:8]
    if "test_numbers" in values:
        told["test_numbers"] = len(values["test_numbers"])
    return told
