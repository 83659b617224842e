"""The shapes of templates as clients send and see them."""

from datetime import datetime
from typing import Annotated, Final
from uuid import UUID

from pydantic import Field, StringConstraints

from api.examples import shown
from api.schemas import Body, Out
from api.templates import examples
from api.texts.schemas import MeasuredOut
from shared.domain.contact import Scalar

Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
Words = Annotated[str, StringConstraints(min_length=1, max_length=1600)]
Variables = dict[str, Scalar | dict[str, Scalar | None] | None]

VARIABLES: Final = (
    "Values told with this message: found under `variables.<key>`, and in place of the tag of the same name "
    '(`{"name": "Ann", "voucher": {"code": "SPRING-25"}}`).'
)


class TemplateIn(Body):
    model_config = shown(examples.GIVEN)

    name: Name
    text: Words = Field(description="With tags (`GET /v1/tags`); one that is not known is refused.")


class TemplatePatch(Body):
    """What is left out stays."""

    model_config = shown(examples.CHANGE)

    name: Name = ""
    text: Words = Field(default="", description="Another text is a new version; the same one changes nothing.")


class TemplateOut(Out):
    model_config = shown(examples.TEMPLATE)

    id: UUID
    name: str
    text: str
    version: int = Field(description="Counts the wordings, from 1.")
    tags: list[str] = Field(description="The tags in the text, each once.")
    warnings: list[str] = Field(description="What looks like a tag in the text and is none, with the tag to write.")
    created_by: str | None
    created_at: datetime
    updated_at: datetime


class TemplateVersionOut(Out):
    model_config = shown(examples.VERSION)

    version: int
    text: str
    created_by: str | None
    created_at: datetime


class RenderIn(Body):
    """For whom: a contact, values of your own, or both; neither shows what is missing."""

    model_config = shown(examples.RENDERED_FOR)

    contact_id: UUID | None = None
    variables: Variables = Field(default_factory=dict, description=VARIABLES)
    version: int | None = Field(default=None, ge=1, description="An older wording; the newest, unless told.")


class RenderedOut(MeasuredOut):
    """The text as it would be sent; its size is of this text, not of the template's."""

    model_config = shown(examples.RENDERED)

    text: str
    missing: list[str] = Field(description="Tags without a value or a default; they are left out of the text.")
    version: int
