"""The tags that a text may hold, one by one for people: what each stands for, and what it might look like.

Which names can be read is `template_tags.py`'s to say; that every one of those is told here is tested.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Source(StrEnum):
    """Where a tag's value comes from."""

    CONTACT = "contact"  # a column of the contact
    FIELD = "field"  # one of the contact's own fields
    CAMPAIGN = "campaign"
    VOUCHER = "voucher"  # told with the message
    VARIABLES = "variables"  # told with the message, under any name


class Use(StrEnum):
    """Where a tag can be used."""

    CAMPAIGN = "campaign"
    TEMPLATE = "template"


@dataclass(frozen=True, slots=True)
class TagInfo:
    tag: str
    source: Source
    description: str
    example: str
    uses: tuple[Use, ...] = (Use.CAMPAIGN, Use.TEMPLATE)


TAGS: Final = (
    TagInfo("name", Source.CONTACT, "The contact's name.", "Amara Okafor"),
    TagInfo("msisdn", Source.CONTACT, "The number that the message goes to.", "+12025550142"),
    TagInfo("external_id", Source.CONTACT, "Your own id of the contact.", "crm-4711"),
    TagInfo("location_id", Source.CONTACT, "The contact's location.", "cafe-north"),
    TagInfo("time_zone", Source.CONTACT, "The contact's time zone.", "Africa/Johannesburg"),
    TagInfo("campaign.name", Source.CAMPAIGN, "The name of the campaign.", "Spring offer"),
    TagInfo("voucher.code", Source.VOUCHER, "The voucher's code.", "SPRING-25", (Use.TEMPLATE,)),
    TagInfo("voucher.plan", Source.VOUCHER, "What the voucher buys.", "5 GB", (Use.TEMPLATE,)),
    TagInfo("voucher.validity", Source.VOUCHER, "How long it can be used.", "30 days", (Use.TEMPLATE,)),
    TagInfo("voucher.location", Source.VOUCHER, "Where it can be used.", "Cafe North", (Use.TEMPLATE,)),
    TagInfo(
        "variables.<key>",
        Source.VARIABLES,
        "Any value told with the one message that the template is used for.",
        "17:30",
        (Use.TEMPLATE,),
    ),
)


def tag_of_field(key: str, *, description: str | None = None, example: str = "") -> TagInfo:
    """The tag for a field of the owner's own."""
    return TagInfo(f"fields.{key}", Source.FIELD, description or f"The contact's field `{key}`.", example)
