"""Whether a campaign's attachments can go with it: that they are there, and that a gateway takes them."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from api.campaigns.queries import AnyRow
from api.resources import Resources
from shared.domain.attachment import AttachmentGone, Media, NoGatewayForAttachments
from shared.gateways import ADAPTERS, adapter_for
from shared.queries.attachments import find_media
from shared.queries.audience import count_locations
from shared.queries.gateways import ConfiguredGateway, list_configured

NOT_CARRIED: Final = (AttachmentGone, NoGatewayForAttachments)
_MOST_TOLD: Final = 5


async def check_media(
    tx: AsyncConnection, campaign: AnyRow, steps: Sequence[AnyRow], res: Resources, *, now: datetime, hold: bool = True
) -> None:
    """Raise where a message could not be sent with all that goes with it; without it, it never is.

    What is there is held until the transaction ends, unless that only reads.
    """
    wanted: dict[UUID, Media] = {one.id: one for step in steps for one in map(Media.read, step.attachments)}
    if not wanted:
        return
    known = await find_media(tx, wanted.keys(), hold=hold)
    gone = [each for each in wanted.values() if each.id not in known]
    if gone:
        raise AttachmentGone(
            f"{_named(gone)} of this campaign was deleted; upload it again, and name the new attachment in the message."
        )
    enabled = await list_configured(tx, sealer=res.sealer, public_url=res.public_url, enabled_only=True)
    able = [one for one in enabled if _takes_attachments(one)]
    if not able:
        raise NoGatewayForAttachments(
            f"The messages carry {_named(list(wanted.values()))}, and {_told(enabled)}; enable one whose "
            "capabilities.attachments is true, or leave the attachments out."
        )
    if campaign.sender_id is not None and not any(campaign.sender_id in one.sender_ids for one in able):
        raise NoGatewayForAttachments(
            f"The messages carry {_named(list(wanted.values()))}, and no gateway that takes attachments has the sender "
            f"{campaign.sender_id!r}; choose another sender, or leave the attachments out."
        )
    sending = [one for one in able if campaign.sender_id is None or campaign.sender_id in one.sender_ids]
    # Of a frozen audience some have had it: who has not waits, and the campaign is held, as for any other reason.
    if campaign.frozen_at is None and all(one.location_ids for one in sending):
        await _check_locations(tx, campaign, frozenset().union(*(one.location_ids for one in sending)), wanted, now)


async def _check_locations(
    tx: AsyncConnection, campaign: AnyRow, served: AbstractSet[str], wanted: Mapping[UUID, Media], now: datetime
) -> None:
    """Raise where somebody is at a location that none of the gateways serves which could send this."""
    counts = await count_locations(tx, campaign.id, now=now)
    unserved = {location: people for location, people in counts.items() if location not in served}
    if unserved:
        several = [f"{_place(location)} ({people})" for location, people in list(unserved.items())[:_MOST_TOLD]]
        more = f" and {len(unserved) - _MOST_TOLD} more" if len(unserved) > _MOST_TOLD else ""
        raise NoGatewayForAttachments(
            f"The messages carry {_named(list(wanted.values()))}, and no gateway that takes attachments and could send "
            f"them serves these recipients: {', '.join(several)}{more}; add the locations to one, leave these "
            "recipients out, or leave the attachments out."
        )


def _place(location: str | None) -> str:
    return "without a location" if location is None else f"at {location!r}"


def _takes_attachments(one: ConfiguredGateway) -> bool:
    if one.account is None or one.kind not in ADAPTERS:
        return False
    return adapter_for(one.kind, one.account).CAPABILITIES.attachments


def _named(media: Sequence[Media]) -> str:
    names = ", ".join(repr(each.name) for each in media[:_MOST_TOLD])
    return names if len(media) <= _MOST_TOLD else f"{names} and {len(media) - _MOST_TOLD} more"


def _told(enabled: Sequence[ConfiguredGateway]) -> str:
    if not enabled:
        return "no gateway is enabled"
    names = ", ".join(repr(one.name) for one in enabled[:_MOST_TOLD])
    return f"no enabled gateway takes attachments ({names}{', ...' if len(enabled) > _MOST_TOLD else ''})"
