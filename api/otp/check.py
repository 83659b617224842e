"""How a typed code is checked: count it, then look at it; and what is wrong with it stays here, in the log."""

import logging
from typing import Final
from uuid import UUID

from api.otp import queries
from api.otp.desk import Desk, tell_of
from api.otp.schemas import TypedIn
from api.otp.start import session_hash
from api.otp_profiles import queries as profiles
from api.otp_watch import queries as watch
from shared.domain import otp as law
from shared.domain.event import EventType
from shared.queries.events import tell_nobody
from shared.sealing import hash_msisdn

log = logging.getLogger(__name__)

_NOBODY: Final = bytes(16)
_NOTHING: Final = UUID(int=0)


async def check(desk: Desk, otp_id: UUID, typed: TypedIn) -> tuple[bool, int]:
    """Whether the code is right, and how many more may be tried.

    Whatever the answer, the same statements run and a code is derived and compared: who watches the clock learns
    nothing. The attempt is counted before the code is looked at, and the number's as well, over all its challenges.
    """
    counted = await queries.count_attempt(desk.tx, otp_id, created_by=desk.reach, now=desk.now)
    limits = await watch.get_limits(desk.tx)
    if counted is None:
        return False, await _count_unknown(desk, otp_id, typed)
    reason = await _why_not(desk, counted, typed)
    may = await queries.count_subject(desk.tx, counted.msisdn_hash, most=0 if reason else limits.failures, now=desk.now)
    right = law.is_right(law.read_typed(typed.code), _expected(desk, counted))
    left = max(0, counted.max_attempts - counted.attempts)
    reason = reason or ("" if may else "number is locked") or ("" if right else "wrong")
    if reason:
        log.info("password not verified", extra={"otp_id": str(otp_id), "reason": reason})
        if not counted.is_open:
            await tell_nobody(desk.tx, now=desk.now)
        elif left:
            await tell_of(desk, EventType.OTP_FAILED, counted, attempts_left=left)
        else:
            await tell_of(desk, EventType.OTP_EXHAUSTED, counted)
        return False, left
    verified = await queries.use_otp(desk.tx, otp_id, counted.msisdn_hash, now=desk.now)
    await queries.call_back_messages(desk.tx, otp_id, now=desk.now)
    await tell_of(desk, EventType.OTP_VERIFIED, counted)
    return verified, left


async def _count_unknown(desk: Desk, otp_id: UUID, typed: TypedIn) -> int:
    """The same for a challenge that is not there: it is counted down as if it were, and a code is compared."""
    if typed.profile is not None:
        await profiles.find_profile(desk.tx, _NOTHING)  # as for one that is there
    key = hash_msisdn(desk.res.pepper, f"challenge {otp_id}")
    left = await queries.count_unknown(desk.tx, key, profile=typed.profile, now=desk.now)
    law.is_right(law.read_typed(typed.code), _expected(desk, None))
    log.info("password not verified", extra={"otp_id": str(otp_id), "reason": "unknown"})
    await tell_nobody(desk.tx, now=desk.now)
    return left


async def _why_not(desk: Desk, counted: queries.AnyRow, typed: TypedIn) -> str:
    """Why the code need not be looked at; empty if it has to be. The profile is looked up whatever it is."""
    profile = await profiles.find_profile(desk.tx, counted.profile_id) if typed.profile is not None else None
    if not counted.is_open:
        return "not pending"
    if typed.session is not None and session_hash(desk.res.pepper, typed.session) != counted.session_hash:
        return "another session"
    if typed.profile is not None and (profile is None or profile.name != typed.profile):
        return "another profile"
    return ""


def _expected(desk: Desk, counted: queries.AnyRow | None) -> str:
    """The code of the challenge; of one that is not there, a code all the same."""
    sealer = desk.res.sealer
    pepper = sealer.code_pepper(sealer.pepper_version if counted is None else counted.pepper) or _NOBODY
    code = law.derive_code(
        pepper,
        challenge_id=_NOTHING if counted is None else counted.id,
        profile_id=_NOTHING if counted is None else counted.profile_id,
        msisdn="" if counted is None else counted.msisdn,
        length=law.USUAL_LENGTH if counted is None else counted.length,
    )
    if counted is not None and counted.test_code is not None:
        return str(counted.test_code)
    # Of a key that is gone nobody can tell the code: then nothing is right, not even what an empty pepper would give.
    return code if pepper is not _NOBODY else "-"
