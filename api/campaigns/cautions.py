"""What an owner should know of a campaign before it goes, although nothing forbids it."""

from collections.abc import Iterator, Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from api.campaigns.queries import AnyRow
from shared.domain import carriers, strange_tags
from shared.domain.template import CAMPAIGN_TAGS
from shared.queries.gateways import list_carriers


async def list_cautions(tx: AsyncConnection, campaign: AnyRow, steps: Sequence[AnyRow]) -> list[str]:
    """A sentence each: nobody to hand it to, and tags in another service's manner."""
    return [*carriers.warnings(await list_carriers(tx), sender_id=campaign.sender_id), *_of_texts(steps)]


def _of_texts(steps: Sequence[AnyRow]) -> Iterator[str]:
    for step in steps:
        for told in strange_tags.warnings(step.text, known=CAMPAIGN_TAGS):
            yield f"Message {step.position}: {told}" if len(steps) > 1 else told
