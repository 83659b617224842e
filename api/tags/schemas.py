"""Tags as clients see them."""

from pydantic import Field

from api.examples import shown
from api.schemas import Out
from shared.domain.tags import Source, Use


class TagOut(Out):
    tag: str = Field(description='Written as `{{ tag }}`, with a default as `{{ tag | default("there") }}`.')
    source: Source
    description: str
    example: str
    uses: list[Use] = Field(description="Where it can be used: in a campaign's text, or only in a stored template.")


class TagsOut(Out):
    """Every tag. `filters` may follow a tag after `|`."""

    model_config = shown(
        {
            "items": [
                {
                    "tag": "name",
                    "source": "contact",
                    "description": "The contact's name.",
                    "example": "Amara Okafor",
                    "uses": ["campaign", "template"],
                },
                {
                    "tag": "fields.city",
                    "source": "field",
                    "description": "The contact's field `city`.",
                    "example": "Delft",
                    "uses": ["campaign", "template"],
                },
            ],
            "filters": ["default", "truncate", "upper", "lower", "capitalize", "title", "trim", "first_word"],
        }
    )

    items: list[TagOut]
    filters: list[str]
