"""One-time passwords over HTTP. What stands for a code is derived where it is needed, and written nowhere."""

from datetime import datetime, timedelta
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Path

from api.deps import CanRead, Deeds, Now, Reader
from api.examples import answered
from api.idempotency import IdempotentRoute
from api.otp import examples, guard, queries
from api.otp.check import check
from api.otp.desk import AtDesk, Desk, tell_of
from api.otp.schemas import OtpDetailOut, OtpIn, OtpOut, TypedIn, VerifiedOut
from api.otp.start import challenge_of, check_number, check_sender, send, start
from api.otp_profiles import queries as profiles
from api.problems import problems
from shared.domain import msisdn as numbers
from shared.domain import otp as law
from shared.domain import policy as rules
from shared.domain.advice import CODE_WAITS
from shared.domain.event import EventType
from shared.domain.otp_limits import InvalidAddress
from shared.domain.otp_numbers import OtpCountryNotAllowed
from shared.domain.quota import QuotaExceeded
from shared.queries.policy import get_policy

router = APIRouter(prefix="/otp", tags=["otp"], route_class=IdempotentRoute)

OtpId = Annotated[UUID, Path(description="The password's id.")]
_REFUSED: Final = (
    rules.NotActivated,
    numbers.InvalidMsisdn,
    OtpCountryNotAllowed,
    rules.CountryNotAllowed,
    rules.SenderNotAllowed,
    InvalidAddress,
    profiles.UnknownOtpProfile,
    law.OtpLimited,
    QuotaExceeded,
)


@router.post("", status_code=202, responses=problems(*_REFUSED))
async def start_otp(wanted: OtpIn, desk: AtDesk) -> OtpOut:
    """Send somebody a code, or find the one that is under way. Where none is required, only the number is checked."""
    row, sent = await start(desk, wanted)
    if row is None:
        return OtpOut(
            id=None,
            status=law.Status.NOT_REQUIRED,
            sent=False,
            expires_at=None,
            resend_after=None,
            attempts_left=None,
            code_length=None,
            advice=None,
        )
    profile = await profiles.get_profile(desk.tx, row.profile_id)
    return _shown(row, profile.max_sends, sent=sent, now=desk.now, advice=await _advice(desk, row, profile))


@router.post("/{otp_id}/verify", responses=problems(404))
async def verify_otp(otp_id: OtpId, typed: TypedIn, desk: AtDesk) -> VerifiedOut:
    """Check a code. The right one counts once; what is wrong with another is not told, only how many may be tried.

    Without an `Idempotency-Key`, a right code whose answer was lost on its way is a wrong one when it is sent again.
    """
    verified, left = await check(desk, otp_id, typed)
    return VerifiedOut(verified=verified, attempts_left=left)


@router.post(
    "/{otp_id}/resend",
    status_code=202,
    responses={
        **problems(
            *(law.OtpNotPending, law.OtpResendTooEarly, law.OtpLimited, law.OtpProfileOff, rules.NotActivated),
            *(QuotaExceeded, numbers.InvalidMsisdn, OtpCountryNotAllowed, rules.CountryNotAllowed),
            rules.SenderNotAllowed,
        ),
        **answered(examples.RESENT, status=202),
    },
)
async def resend_otp(otp_id: OtpId, desk: AtDesk) -> OtpOut:
    """Send the same code again. Wrong codes that were tried still count, and its life gets no longer.

    What would be refused at a start is refused here: a country that was closed meanwhile, a profile that is off.
    """
    policy = await get_policy(desk.tx)
    rules.check_activated(policy, rules.Feature.OTP)
    row = await _lock_pending(desk, otp_id)
    profile = await profiles.find_profile(desk.tx, row.profile_id)
    if profile is None:
        raise law.not_pending()
    law.check_resend(challenge_of(row, max_sends=profile.max_sends), now=desk.now)
    law.check_profile_on(profile.name, enabled=profile.enabled)
    if row.test_code is not None:
        row = await _sent_again(desk, row, profile)
    else:
        check_number(row.msisdn, profile, desk.res, policy)
        check_sender(profile, policy)
        async with guard.counted_sending(desk.tx, desk.res, row, profile, now=desk.now):
            row = await _sent_again(desk, row, profile)
            await send(desk, row, profile)
    sent = row.test_code is None
    return _shown(row, profile.max_sends, sent=sent, now=desk.now, advice=await _advice(desk, row, profile))


async def _sent_again(desk: Desk, row: queries.AnyRow, profile: queries.AnyRow) -> queries.AnyRow:
    sends = row.sends + 1
    resend_at = desk.now + timedelta(seconds=law.wait_after(sends, profile.resend_waits))
    row = await queries.update_otp(desk.tx, row.id, {"sends": sends, "resend_at": resend_at})
    await tell_of(desk, EventType.OTP_RESENT, row, sends=sends)
    return row


@router.post("/{otp_id}/cancel", responses={**problems(law.OtpNotPending), **answered(examples.CANCELLED)})
async def cancel_otp(otp_id: OtpId, desk: AtDesk, deeds: Deeds) -> OtpOut:
    """Call a password off: its code is right no more, and a message that has not left stays here."""
    await _lock_pending(desk, otp_id)
    row = await queries.update_otp(desk.tx, otp_id, {"cancelled_at": desk.now})
    await queries.call_back_messages(desk.tx, otp_id, now=desk.now)
    await tell_of(desk, EventType.OTP_CANCELLED, row)
    await deeds.write("otp.cancelled", ("otp", otp_id), {})
    desk.bell.ring("bulk")
    return _shown(row, row.sends, sent=False, now=desk.now)


@router.get("/{otp_id}", responses=problems(404))
async def get_otp(otp_id: OtpId, tx: Reader, _caller: CanRead, now: Now) -> OtpDetailOut:
    """Where a password stands, and the messages that carried it."""
    row = await queries.find_otp(tx, otp_id)
    if row is None:
        raise law.not_pending()
    profile = await profiles.find_profile(tx, row.profile_id)
    challenge = challenge_of(row, max_sends=profile.max_sends if profile else row.sends)
    return OtpDetailOut.model_validate(
        {
            **row._mapping,  # noqa: SLF001 - SQLAlchemy's public name for a row as a mapping
            "status": law.status_of(challenge, now=now),
            "attempts": min(row.attempts, row.max_attempts),
            "is_test": row.test_code is not None,
            "message_ids": await queries.list_message_ids(tx, otp_id),
            "resend_after": law.seconds_to_resend(challenge, now=now),
        }
    )


def _shown(row: queries.AnyRow, max_sends: int, *, sent: bool, now: datetime, advice: str | None = None) -> OtpOut:
    challenge = challenge_of(row, max_sends=max_sends)
    return OtpOut(
        id=row.id,
        status=law.status_of(challenge, now=now),
        sent=sent,
        expires_at=row.expires_at,
        resend_after=law.seconds_to_resend(challenge, now=now),
        attempts_left=max(0, row.max_attempts - row.attempts),
        code_length=row.length,
        advice=advice,
    )


async def _advice(desk: Desk, row: queries.AnyRow, profile: queries.AnyRow) -> str | None:
    """What to say about a code that waits here; None where a gateway would take it, or took it already."""
    place = {"sender_id": profile.sender_id, "location_id": profile.location_id}
    if await desk.res.outlook.may_carry(desk.tx, **place) or not await queries.is_waiting(desk.tx, row.id):
        return None
    return CODE_WAITS


async def _lock_pending(desk: Desk, otp_id: UUID) -> queries.AnyRow:
    """The challenge, if it waits for its code and is the caller's to touch; what is not is all the same."""
    row = await queries.lock_otp(desk.tx, otp_id)
    if row is None or (desk.reach is not None and row.created_by not in desk.reach):
        raise law.not_pending()
    if law.status_of(challenge_of(row, max_sends=row.sends), now=desk.now) is not law.Status.PENDING:
        raise law.not_pending()
    return row
