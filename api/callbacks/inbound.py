"""An inbound message becomes a row, and a STOP or START in it an opt-out or the end of one, in one transaction.

Nobody is answered from here: a gateway that knows the word answers by itself.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from api.callbacks import queries
from shared.adapter import Inbound
from shared.domain.automation import OPT_IN
from shared.domain.event import EventType
from shared.domain.keywords import Keyword, Own, classify, fold_own, sounds_like_refusal
from shared.domain.msisdn import InvalidMsisdn, parse
from shared.domain.opt_out import left_after_start, sender_meant
from shared.domain.policy import OptOutScope
from shared.ids import uuid7
from shared.queries import audit
from shared.queries.automations import tell_inside
from shared.queries.events import Event, tell
from shared.queries.opt_outs import NewOptOut, insert_opt_outs, leave_opt_out, lock_opt_out_of
from shared.queries.policy import get_policy
from shared.sealing import hash_msisdn


async def record_inbound(
    tx: AsyncConnection,
    messages: Sequence[Inbound],
    *,
    gateway_id: UUID,
    pepper: bytes,
    default_region: str | None,
    now: datetime,
) -> None:
    """Keep what handsets wrote. A message told twice changes nothing, so a replayed STOP opts nobody out again."""
    policy = await get_policy(tx)
    scope, own = policy.opt_out_scope, fold_own(policy.keywords)
    for message in messages:
        msisdn = _msisdn(message.msisdn, default_region=default_region)
        keyword = _keyword(message, own)
        inbound_id = uuid7(now)
        row = {
            "id": inbound_id,
            "gateway_id": gateway_id,
            "msisdn": msisdn,
            "to": _storable(message.to),
            "text": _storable(message.text),
            "reference": message.reference,
            "keyword": keyword,
            "contact_id": await queries.find_contact_id(tx, msisdn),
            "campaign_id": await queries.find_last_campaign_id(tx, msisdn, now=now),
            "received_at": now,
            "sent_at": message.sent_at,
            "review": keyword is None and sounds_like_refusal(message.text, own),
        }
        if not await queries.insert_inbound(tx, row):
            continue
        await tell(tx, Event(EventType.INBOUND_RECEIVED, inbound_id), now=now)
        if keyword in {Keyword.STOP, Keyword.START}:
            senders = sender_meant(scope, message.to)
            said = NewOptOut(msisdn, hash_msisdn(pepper, msisdn), "inbound", gateway_id, senders)
            obey = _stop if keyword is Keyword.STOP else _start
            await obey(tx, said, scope, inbound_id=inbound_id, now=now)


async def _stop(tx: AsyncConnection, said: NewOptOut, _scope: OptOutScope, *, inbound_id: UUID, now: datetime) -> None:
    added = await insert_opt_outs(tx, [said], now=now)
    for opt_out_id in added.values():
        await _record(tx, "opt_out.added", opt_out_id, said, inbound_id=inbound_id, now=now)


async def _start(tx: AsyncConnection, said: NewOptOut, scope: OptOutScope, *, inbound_id: UUID, now: datetime) -> None:
    """End what the word ends; what it may have meant beyond that is for a person to read."""
    row = await lock_opt_out_of(tx, said.msisdn_hash)
    if row is None:
        return
    held = None if row.sender_ids is None else tuple(row.sender_ids)
    left = left_after_start(scope, held, meant=said.sender_ids, by_handset=row.source == "inbound")
    if left is None or left == held:
        if left is None or said.sender_ids is None:
            await queries.ask_for_review(tx, inbound_id)
        return
    await leave_opt_out(tx, row.id, left)
    lifted = None if held is None else [one for one in held if one not in left]
    await tell_inside(tx, OPT_IN, msisdn=said.msisdn, data={"sender_ids": lifted}, now=now)
    await _record(tx, "opt_out.removed", row.id, said, inbound_id=inbound_id, now=now)


async def _record(
    tx: AsyncConnection, action: str, opt_out_id: UUID, said: NewOptOut, *, inbound_id: UUID, now: datetime
) -> None:
    senders = None if said.sender_ids is None else list(said.sender_ids)
    await audit.record(
        tx,
        caller=f"gateway:{said.gateway_id}",
        action=action,
        subject=("opt_out", str(opt_out_id)),
        detail={"source": "inbound", "inbound_id": str(inbound_id), "sender_ids": senders},
        now=now,
    )


def _msisdn(raw: str, *, default_region: str | None) -> str:
    """In the form all other numbers have; as it came, where it is a short code or a name."""
    try:
        return parse(raw, default_region=default_region)
    except InvalidMsisdn:
        return _storable(raw)


def _keyword(message: Inbound, own: Own) -> Keyword | None:
    """What the gateway calls it, else what it says."""
    if message.keyword in set(Keyword):
        return Keyword(message.keyword)
    return classify(message.text, own)


def _storable(text: str) -> str:
    """Postgres keeps neither NUL nor half a character."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()
