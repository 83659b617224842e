"""What profiles ask of the database."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, String, cast, delete, exists, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.domain import otp, otp_text
from shared.errors import Conflict, Invalid, NotFound
from shared.models import Otp, OtpProfile

AnyRow = Row[Any]

DEFAULT: Final = "default"
DEFAULT_ID: Final = UUID("0197c0de-0000-7000-8000-00000000d0f0")


class OtpProfileNameTaken(Conflict):
    """Another profile has this name."""


class OtpProfileInUse(Conflict):
    """Passwords of this profile are waiting for their codes, or it is the one that is always there."""


class UnknownOtpProfile(Invalid):
    """There is no profile of this name."""


async def insert_profile(tx: AsyncConnection, values: Mapping[str, Any]) -> AnyRow:
    try:
        return (await tx.execute(insert(OtpProfile).values(**values).returning(OtpProfile))).one()
    except IntegrityError as error:
        raise _taken(values["name"]) from error


async def update_profile(tx: AsyncConnection, profile_id: UUID, values: Mapping[str, Any]) -> AnyRow:
    change = update(OtpProfile).where(OtpProfile.id == profile_id).values(**values).returning(OtpProfile)
    try:
        return (await tx.execute(change)).one()
    except IntegrityError as error:
        raise _taken(values["name"]) from error


async def get_profile(tx: AsyncConnection, profile_id: UUID) -> AnyRow:
    return _there((await tx.execute(select(OtpProfile).where(OtpProfile.id == profile_id))).one_or_none())


async def lock_profile(tx: AsyncConnection, profile_id: UUID) -> AnyRow:
    question = select(OtpProfile).where(OtpProfile.id == profile_id).with_for_update()
    return _there((await tx.execute(question)).one_or_none())


async def find_profile(tx: AsyncConnection, profile_id: UUID) -> AnyRow | None:
    return (await tx.execute(select(OtpProfile).where(OtpProfile.id == profile_id))).one_or_none()


async def get_named(tx: AsyncConnection, name: str, *, now: datetime) -> AnyRow:
    """The profile of a name. The one named `default` is there whenever it is asked for."""
    question = select(OtpProfile).where(OtpProfile.name == name)
    row = (await tx.execute(question)).one_or_none()
    if row is None and name == DEFAULT:
        await tx.execute(insert(OtpProfile).values(**_default(now)).on_conflict_do_nothing())
        row = (await tx.execute(question)).one_or_none()
    if row is None:
        meant = await _meant(tx, name)
        remedy = f"did you mean {meant!r}? profile is the name" if meant else "make it with POST /v1/otp-profiles"
        raise UnknownOtpProfile(f"There is no profile {name!r}; {remedy}, or leave profile out.", pointer="/profile")
    return row


async def _meant(tx: AsyncConnection, name: str) -> str | None:
    """The name of the profile whose id was given for it, or whose name differs in its case only."""
    same = or_(func.lower(OtpProfile.name) == name.lower(), cast(OtpProfile.id, String) == name.lower())
    return (await tx.execute(select(OtpProfile.name).where(same).limit(1))).scalar_one_or_none()


async def find_by_name(tx: AsyncConnection, name: str) -> AnyRow | None:
    return (await tx.execute(select(OtpProfile).where(OtpProfile.name == name))).one_or_none()


async def list_profiles(tx: AsyncConnection, *, after: UUID | None, limit: int) -> Sequence[AnyRow]:
    """A page of profiles, the oldest first."""
    question = select(OtpProfile).order_by(OtpProfile.id).limit(limit)
    if after is not None:
        question = question.where(OtpProfile.id > after)
    return (await tx.execute(question)).all()


async def check_unused(tx: AsyncConnection, profile: AnyRow, *, now: datetime) -> None:
    """Raise for the default one, and while somebody may still enter a code of it."""
    if profile.name == DEFAULT:
        raise OtpProfileInUse("The profile default is always there; switch it off with enabled instead.")
    waiting = exists().where(
        Otp.created_at > now - otp.LONGEST_LIFE,
        Otp.profile_id == profile.id,
        Otp.expires_at > now,
        Otp.used_at.is_(None),
        Otp.cancelled_at.is_(None),
    )
    if await tx.scalar(select(waiting)):
        raise OtpProfileInUse(
            f"Passwords of {profile.name} are waiting for their codes; switch it off with enabled, and delete it when "
            "they are over."
        )


async def delete_profile(tx: AsyncConnection, profile_id: UUID) -> None:
    await tx.execute(delete(OtpProfile).where(OtpProfile.id == profile_id))


def _default(now: datetime) -> dict[str, Any]:
    return {
        "id": DEFAULT_ID,
        "name": DEFAULT,
        "enabled": True,
        "length": otp.USUAL_LENGTH,
        "ttl_seconds": otp.USUAL_TTL_SECONDS,
        "max_attempts": otp.USUAL_ATTEMPTS,
        "resend_waits": list(otp.USUAL_WAITS),
        "max_sends": otp.USUAL_SENDS,
        "text": otp_text.USUAL_TEXT,
        "created_at": now,
        "updated_at": now,
    }


def _there(row: AnyRow | None) -> AnyRow:
    if row is None:
        raise NotFound("There is no profile with this id.")
    return row


def _taken(name: str) -> OtpProfileNameTaken:
    return OtpProfileNameTaken(f"There is a profile named {name!r} already; choose another name.", pointer="/name")
