"""Tags that somebody in the audience has no value for: told before the send, and in its way until a default stands."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from api.campaigns.schemas import MissingOut
from shared.domain.campaign import CampaignNotStartable
from shared.domain.template import CAMPAIGN_TAGS, compile_template
from shared.queries import audience
from shared.queries.audience import Path

_MOST_TOLD = 5


class TagsMissing(CampaignNotStartable):
    """Some recipients have no value for a tag without a default; their text would have a hole."""

    remedy: ClassVar[str] = 'Give the tag a default, as in `{{ name | default("there") }}`, or the recipients a value.'


async def find_missing(
    tx: AsyncConnection, campaign_id: UUID, steps: Sequence[Any], *, now: datetime
) -> list[MissingOut]:
    """The tags that somebody lacks, in the order in which they first appear."""
    paths: dict[str, Path] = {}
    positions: dict[str, list[int]] = {}
    for step in steps:
        for tag, path in compile_template(step.text, known=CAMPAIGN_TAGS).needed.items():
            paths[tag] = path
            positions.setdefault(tag, []).append(step.position)
    found = await audience.list_missing(tx, campaign_id, paths, now=now)
    return [MissingOut(positions=positions[each.tag], **each._asdict()) for each in found]


async def refuse_missing(tx: AsyncConnection, campaign_id: UUID, steps: Sequence[Any], *, now: datetime) -> None:
    """Raise where a text would have a hole for somebody."""
    missing = await find_missing(tx, campaign_id, steps, now=now)
    if missing:
        told = "; ".join(_told(each) for each in missing[:_MOST_TOLD])
        more = f"; and {len(missing) - _MOST_TOLD} more tags" if len(missing) > _MOST_TOLD else ""
        raise TagsMissing(
            f"Tags without a value: {told}{more}. Give each a default, as in "
            f'{{{{ {missing[0].tag} | default("...") }}}}, or the recipients a value.'
        )


def _told(missing: MissingOut) -> str:
    who = f"the contact {missing.contact_id}" if missing.contact_id else f"the number {missing.msisdn}"
    people = "1 recipient" if missing.recipients == 1 else f"{missing.recipients} recipients"
    places = ", ".join(map(str, missing.positions))
    return f"`{missing.tag}` (message {places}) for {people}, such as {who}"
