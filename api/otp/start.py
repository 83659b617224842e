"""How a password begins: for whom, whether it may be sent, its challenge, its message with the code's place open."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from api.otp import guard, queries
from api.otp.desk import Desk, tell_of
from api.otp.schemas import OtpIn
from api.otp_profiles import queries as profiles
from api.regions import region_of
from api.resources import Resources
from shared.domain import msisdn as numbers
from shared.domain import otp as law
from shared.domain import otp_numbers, otp_text
from shared.domain import policy as rules
from shared.domain.event import EventType
from shared.domain.message import PRIORITY_OF, Kind, Status
from shared.domain.otp_limits import read_address
from shared.errors import Invalid
from shared.ids import uuid7
from shared.queries.policy import get_policy
from shared.queries.quota import hold_message
from shared.sealing import hash_msisdn


@dataclass(frozen=True, slots=True)
class Person:
    """Whom a password is for, as far as it matters."""

    msisdn: str
    msisdn_hash: bytes
    address_hash: bytes | None
    session_hash: bytes | None
    country: str
    prefix: str
    test_code: str | None


async def start(desk: Desk, wanted: OtpIn) -> tuple[queries.AnyRow | None, bool]:
    """The challenge and whether a message goes out; no challenge where the profile asks for none.

    A page that is loaded again finds the challenge that is open, and sends nothing.
    """
    policy = await get_policy(desk.tx)
    rules.check_activated(policy, rules.Feature.OTP)
    profile = await profiles.get_named(desk.tx, wanted.profile, now=desk.now)
    person = _person(desk.res, profile, wanted, policy)
    if not profile.enabled:
        return None, False
    if person.test_code is None:
        check_number(person.msisdn, profile, desk.res, policy)
        check_sender(profile, policy)
    await queries.lock_number(desk.tx, person.msisdn_hash)
    pending = await queries.find_pending(desk.tx, person, profile_id=profile.id, created_by=desk.reach, now=desk.now)
    if pending is not None:
        return pending, False
    if person.test_code is not None:
        return await _begin(desk, profile, person), False
    async with guard.counted_sending(desk.tx, desk.res, person, profile, now=desk.now):
        row = await _begin(desk, profile, person)
        await send(desk, row, profile)
    return row, True


async def _begin(desk: Desk, profile: queries.AnyRow, person: Person) -> queries.AnyRow:
    row = await queries.insert_otp(desk.tx, _challenge(desk, profile, person))
    await tell_of(desk, EventType.OTP_STARTED, row)
    return row


async def send(desk: Desk, row: queries.AnyRow, profile: queries.AnyRow) -> None:
    """Queue a message for the challenge, within what may be spent."""
    left = row.expires_at - desk.now
    text = otp_text.compose(profile.text, ttl_seconds=int(left.total_seconds()), web_domain=profile.web_domain)
    measured = otp_text.measure_filled(text, length=row.length)
    await guard.spend(desk.tx, profile, segments=measured.segments, now=desk.now)
    message_id = uuid7(desk.now)
    filled = otp_text.fill(text, "0" * row.length)  # as long as the real one
    await hold_message(desk.tx, message_id, filled, policy=await get_policy(desk.tx), now=desk.now)
    await queries.insert_message(
        desk.tx,
        row.id,
        {
            "id": message_id,
            "kind": Kind.OTP,
            "status": Status.QUEUED,
            "priority": PRIORITY_OF[Kind.OTP],
            "msisdn": row.msisdn,
            "msisdn_hash": row.msisdn_hash,
            "text": text,
            "encoding": measured.encoding.value,
            "segments": measured.segments,
            "sender_id": profile.sender_id,
            "location_id": profile.location_id,
            "not_before": desk.now,
            "expires_at": row.expires_at,
            "created_by": desk.caller.id,
            "created_at": desk.now,
            "status_at": desk.now,
        },
    )
    desk.bell.ring("urgent")


def challenge_of(row: queries.AnyRow, *, max_sends: int) -> law.Challenge:
    return law.Challenge(
        attempts=row.attempts,
        max_attempts=row.max_attempts,
        sends=row.sends,
        max_sends=max_sends,
        resend_at=row.resend_at,
        expires_at=row.expires_at,
        used_at=row.used_at,
        cancelled_at=row.cancelled_at,
    )


def session_hash(pepper: bytes, session: str | None) -> bytes | None:
    return None if session is None else hash_msisdn(pepper, f"session {session}")


def _person(res: Resources, profile: queries.AnyRow, wanted: OtpIn, policy: rules.Policy) -> Person:
    home = profile.region or policy.default_region or res.default_region
    try:
        msisdn = numbers.parse(wanted.msisdn, default_region=region_of(wanted.default_region, home))
    except Invalid as refusal:
        raise refusal if refusal.errors else refusal.at("/msisdn") from None
    try:
        address = read_address(wanted.client_ip) if wanted.client_ip else None
    except Invalid as refusal:
        raise refusal.at("/client_ip") from None
    fixed: Mapping[str, str] = {one["msisdn"]: one["code"] for one in profile.test_numbers}
    return Person(
        msisdn=msisdn,
        msisdn_hash=hash_msisdn(res.pepper, msisdn),
        address_hash=None if address is None else hash_msisdn(res.pepper, f"address {address}"),
        session_hash=session_hash(res.pepper, wanted.session),
        country=otp_numbers.country_of(msisdn),
        prefix=otp_numbers.prefix_of(msisdn),
        test_code=fixed.get(msisdn),
    )


def check_number(msisdn: str, profile: queries.AnyRow, res: Resources, policy: rules.Policy) -> None:
    """Refuse what no password goes to: what cannot be read there, and countries that profile or policy leave out.

    Looked at before each message and not once for a challenge: whoever closes a country means the open ones as well.
    """
    deployment = policy.default_region or res.default_region
    allowed = otp_numbers.allowed_countries(profile.allowed_countries, region=profile.region, deployment=deployment)
    try:
        otp_numbers.check_reachable(msisdn)
        otp_numbers.check_country(msisdn, allowed)
    except Invalid as refusal:
        raise refusal.at("/msisdn") from None
    if told := rules.find_country_refused(policy, msisdn):
        raise rules.CountryNotAllowed(told, pointer="/msisdn")


def check_sender(profile: queries.AnyRow, policy: rules.Policy) -> None:
    """Refuse a profile whose sender is a name, where names were switched off since it was saved."""
    if told := rules.find_sender_refused(policy, profile.sender_id):
        raise rules.SenderNotAllowed(f"Profile {profile.name!r}: {told}")


def _challenge(desk: Desk, profile: queries.AnyRow, person: Person) -> dict[str, Any]:
    otp_id: UUID = uuid4()  # random, and not telling the time: who knows one knows no other
    return {
        "id": otp_id,
        "profile_id": profile.id,
        "msisdn": person.msisdn,
        "msisdn_hash": person.msisdn_hash,
        "session_hash": person.session_hash,
        "address_hash": person.address_hash,
        "pepper": desk.res.sealer.pepper_version,
        "length": len(person.test_code) if person.test_code else profile.length,
        "max_attempts": profile.max_attempts,
        "sends": 1,
        "resend_at": desk.now + timedelta(seconds=law.wait_after(1, profile.resend_waits)),
        "country": person.country,
        "prefix": person.prefix,
        "test_code": person.test_code,
        "created_by": desk.caller.id,
        "created_at": desk.now,
        "expires_at": desk.now + timedelta(seconds=profile.ttl_seconds),
    }
