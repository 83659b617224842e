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
from shared.domain.keywords import Keyword, classify, sounds_like_refusal
from shared.domain.msisdn import InvalidMsisdn, parse
from shared.ids import uuid7
from shared.queries import audit
from shared.queries.automations import tell_inside
from shared.queries.events import Event, tell
from shared.queries.opt_outs import NewOptOut, delete_opt_out_of, insert_opt_outs
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
    for message in messages:
        msisdn = _msisdn(message.msisdn, default_region=default_region)
        keyword = _keyword(message)
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
            "review": keyword is None and sounds_like_refusal(message.text),
        }
        if not await queries.insert_inbound(tx, row):
            continue
        await tell(tx, Event(EventType.INBOUND_RECEIVED, inbound_id), now=now)
        if keyword in {Keyword.STOP, Keyword.START}:
            await _obey(
                tx,
                keyword,
                NewOptOut(msisdn, hash_msisdn(pepper, msisdn), "inbound", gateway_id),
                inbound_id=inbound_id,
                now=now,
            )


async def _obey(tx: AsyncConnection, keyword: Keyword, said: NewOptOut, *, inbound_id: UUID, now: datetime) -> None:
    if keyword is Keyword.STOP:
        action = "opt_out.added"
        changed = (await insert_opt_outs(tx, [said], now=now)).get(said.msisdn_hash)
    else:
        action = "opt_out.removed"
        changed = await delete_opt_out_of(tx, said.msisdn_hash)
        if changed is not None:
            await tell_inside(tx, OPT_IN, msisdn=said.msisdn, now=now)
    if changed is not None:
        await audit.record(
            tx,
            caller=f"gateway:{said.gateway_id}",
            action=action,
            subject=("opt_out", str(changed)),
            detail={"source": "inbound", "inbound_id": str(inbound_id)},
            now=now,
        )


def _msisdn(raw: str, *, default_region: str | None) -> str:
    """In the form all other numbers have; as it came, where it is a short code or a name."""
    try:
        return parse(raw, default_region=default_region)
    except InvalidMsisdn:
        return _storable(raw)


def _keyword(message: Inbound) -> Keyword | None:
    """What the gateway calls it, else what it says."""
    if message.keyword in set(Keyword):
        return Keyword(message.keyword)
    return classify(message.text)


def _storable(text: str) -> str:
    """Postgres keeps neither NUL nor half a character."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()
