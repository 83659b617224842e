"""The only place where rows are made up. Each maker takes what matters to the test and makes up the rest."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.api_keys import NewKey, new_key
from shared.clock import utc_now
from shared.domain.campaign import Status as CampaignStatus
from shared.domain.campaign import StepStatus
from shared.domain.message import PRIORITY_OF, Kind, Status
from shared.domain.otp import derive_code
from shared.domain.otp_numbers import country_of, prefix_of
from shared.domain.segments import measure
from shared.ids import uuid7
from shared.models import (
    ApiKey,
    Attempt,
    Campaign,
    CampaignMessage,
    CampaignTarget,
    Contact,
    Gateway,
    Message,
    OptOut,
    Otp,
    OtpMessage,
    ReceiptRow,
    SenderIdRow,
    TargetGroup,
    TargetGroupMember,
)
from shared.queries.gateways import seal_secrets
from shared.sealing import Sealer, hash_msisdn

# What tests look for where it must not be.
TEXT = "Your table waits at eight."
OTP_TEXT = "Your code is {{ code }}. Tell nobody."
OTP_PROFILE_ID = UUID(int=7)
GATEWAY_SECRET = "canary-gateway-secret-7c1f"  # opens nothing


async def make_api_key(tx: AsyncConnection, *scopes: str, **over: Any) -> NewKey:
    """A live key with these scopes (`read` unless told); `text` goes into the Authorization header."""
    key = new_key()
    created_at: datetime = utc_now() - timedelta(days=1)
    row = {
        "id": uuid7(created_at),
        "public_id": key.public_id,
        "digest": key.digest,
        "name": "a key for a test",
        "scopes": list(scopes or ("read",)),
        "created_by": "admin",
        "created_at": created_at,
    }
    await tx.execute(insert(ApiKey).values(row | over))
    return key


async def make_contact(tx: AsyncConnection, **over: Any) -> UUID:
    """A contact by its number; its id."""
    now = utc_now()
    row: dict[str, Any] = {"id": uuid7(), "msisdn": "+12025550142", "created_at": now, "updated_at": now} | over
    await tx.execute(insert(Contact).values(**row))
    contact_id: UUID = row["id"]
    return contact_id


async def make_target_group(tx: AsyncConnection, *contact_ids: UUID, **over: Any) -> UUID:
    """A static group of these contacts; its id."""
    now = utc_now()
    group_id = uuid7()
    row = {"id": group_id, "name": f"group {group_id}", "kind": "static", "created_at": now, "updated_at": now}
    await tx.execute(insert(TargetGroup).values(**(row | over)))
    for contact_id in contact_ids:
        member = {"target_group_id": group_id, "contact_id": contact_id, "added_at": now}
        await tx.execute(insert(TargetGroupMember).values(**member))
    return group_id


def make_msisdn(number: int) -> str:
    """One of a thousand numbers that are kept for fiction."""
    return f"+447700900{number:03d}"


async def make_gateway(tx: AsyncConnection, sealer: Sealer, name: str = "first", **over: Any) -> UUID:
    """A gateway that speaks Twilio's dialect at https://{name}.example.com; the sandbox if `kind` says so."""
    now = utc_now()
    gateway_id: UUID = over.pop("id", None) or uuid7(now)
    sandbox = over.get("kind") == "sandbox"
    secrets = over.pop("secrets", {} if sandbox else {"api_secret": GATEWAY_SECRET})
    settings = {"base_url": f"https://{name}.example.com", "account_sid": "AC" + "0" * 32, "from": "+12025550100"}
    row = {
        "id": gateway_id,
        "name": name,
        "kind": "twilio",
        "priority": 1,
        "settings": {} if sandbox else settings,
        "secrets_sealed": seal_secrets(secrets, gateway_id=gateway_id, sealer=sealer),
        "callback_token": f"token-of-{name}",
        "created_at": now,
        "updated_at": now,
    }
    await tx.execute(insert(Gateway).values(row | over))
    return gateway_id


async def make_sender_id(tx: AsyncConnection, gateway_id: UUID, value: str) -> UUID:
    row = {"id": uuid7(), "gateway_id": gateway_id, "value": value, "kind": "alphanumeric"}
    await tx.execute(insert(SenderIdRow).values(row | {"created_at": utc_now()}))
    return row["id"]  # type: ignore[return-value]  # the id among the texts


async def make_campaign(
    tx: AsyncConnection,
    msisdns: Sequence[str],
    *,
    texts: Sequence[str] = (TEXT,),
    now: datetime,
    steps: Sequence[dict[str, Any]] = (),
    **over: Any,
) -> UUID:
    """A campaign that its owner has started; `steps` adds to each message's row."""
    campaign_id = uuid7(now)
    row = {
        "id": campaign_id,
        "name": f"campaign {campaign_id}",
        "status": CampaignStatus.RUNNING,
        "opt_in_acknowledged_at": now,
        "created_at": now,
        "updated_at": now,
    }
    await tx.execute(insert(Campaign).values(row | over))
    for place, words in enumerate(texts):
        step = {
            "id": uuid7(now),
            "campaign_id": campaign_id,
            "position": place + 1,
            "text": words,
            "status": StepStatus.PENDING,
        }
        more = steps[place] if place < len(steps) else {}
        await tx.execute(insert(CampaignMessage).values(step | more))
    targets = [{"id": uuid7(), "campaign_id": campaign_id, "msisdn": msisdn} for msisdn in msisdns]
    if targets:
        await tx.execute(insert(CampaignTarget), targets)
    return campaign_id


async def make_message(tx: AsyncConnection, pepper: bytes, *, now: datetime, **over: Any) -> UUID:
    """One message outside of campaigns, queued and due unless told otherwise."""
    kind = over.get("kind", Kind.PERSONAL)
    msisdn = over.get("msisdn", make_msisdn(0))
    words = over.get("text", TEXT)
    row = {
        "id": uuid7(now),
        "kind": kind,
        "status": Status.QUEUED,
        "priority": PRIORITY_OF[kind],
        "msisdn": msisdn,
        "msisdn_hash": hash_msisdn(pepper, msisdn),
        "text": words,
        "encoding": measure(words).encoding.value,
        "segments": measure(words).segments,
        "not_before": now,
        "created_at": now,
        "status_at": now,
    } | over
    await tx.execute(insert(Message).values(row))
    message_id: UUID = row["id"]
    return message_id


async def make_otp(tx: AsyncConnection, sealer: Sealer, *, now: datetime, **over: Any) -> tuple[UUID, UUID, str]:
    """A challenge and its first message, queued and due: their ids, and the code that no row has."""
    row: dict[str, Any] = {
        "id": uuid4(),
        "profile_id": OTP_PROFILE_ID,
        "msisdn": make_msisdn(0),
        "pepper": sealer.pepper_version,
        "length": 6,
        "max_attempts": 5,
        "sends": 1,
        "resend_at": now + timedelta(seconds=30),
        "created_at": now,
        "expires_at": now + timedelta(minutes=10),
    } | over
    pepper = row.pop("hash_pepper", b"p" * 16)
    msisdn = row["msisdn"]
    row |= {"msisdn_hash": hash_msisdn(pepper, msisdn), "country": country_of(msisdn), "prefix": prefix_of(msisdn)}
    await tx.execute(insert(Otp).values(**row))
    told = {"kind": Kind.OTP, "msisdn": msisdn, "text": OTP_TEXT, "expires_at": row["expires_at"]}
    message_id = await make_message(tx, pepper, now=now, **told)
    await tx.execute(insert(OtpMessage).values(message_id=message_id, otp_id=row["id"]))
    known = sealer.code_pepper(row["pepper"])
    material = {"challenge_id": row["id"], "profile_id": row["profile_id"], "msisdn": msisdn, "length": row["length"]}
    return row["id"], message_id, derive_code(known, **material) if known else ""


async def make_attempt(tx: AsyncConnection, message_id: UUID, gateway_id: UUID, *, now: datetime, **over: Any) -> None:
    row = {
        "message_id": message_id,
        "attempt": 1,
        "gateway_id": gateway_id,
        "dispatcher": "a dispatcher",
        "started_at": now,
    }
    await tx.execute(insert(Attempt).values(row | over))


async def make_receipt(tx: AsyncConnection, gateway_id: UUID, *, now: datetime, **over: Any) -> UUID:
    """News in the inbox that nobody has looked at."""
    row: dict[str, Any] = {
        "id": uuid7(now),
        "gateway_id": gateway_id,
        "status": Status.DELIVERED,
        "received_at": now,
        "next_at": now,
    } | over
    await tx.execute(insert(ReceiptRow).values(row))
    receipt_id: UUID = row["id"]
    return receipt_id


async def make_opt_out(tx: AsyncConnection, pepper: bytes, msisdn: str, **over: Any) -> None:
    """A no to everybody's messages; to those of some senders where `sender_ids` names them."""
    row: dict[str, Any] = {"id": uuid7(), "msisdn": msisdn, "msisdn_hash": hash_msisdn(pepper, msisdn)}
    await tx.execute(insert(OptOut).values(row | {"source": "api", "at": utc_now()} | over))
