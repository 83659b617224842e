"""The shapes of field definitions as clients send and see them."""

from datetime import datetime
from typing import Annotated, Final

from pydantic import Field, StringConstraints, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from api.contact_fields import examples
from api.examples import shown
from api.schemas import LEFT_OUT, Body, Out
from shared.domain.contact import MAX_KEY_CHARACTERS
from shared.domain.contact_field import MAX_CHOICES, FieldType

MOST_COUNTED: Final = 10_000
_NO_CHOICES: Final = 'A field of the type choice needs its choices: give a list, such as ["gold", "family"].'

Choice = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]
Choices = Annotated[list[Choice], Field(max_length=MAX_CHOICES)]


class ContactFieldIn(Body):
    """A field of your own. From now on every contact and every import keeps to it."""

    model_config = shown(examples.GIVEN)

    key: str = Field(min_length=1, max_length=MAX_KEY_CHARACTERS, description="As tags write it: `fields.<key>`.")
    type: FieldType
    choices: Choices = Field(
        default_factory=list, validate_default=True, description="Of a `choice`: what it may be, in any case."
    )
    description: str | None = Field(default=None, max_length=500)

    @field_validator("choices")
    @classmethod
    def _choices_of_a_choice(cls, choices: list[str], info: ValidationInfo) -> list[str]:
        field_type = info.data.get("type", FieldType.CHOICE if choices else None)
        if field_type is FieldType.CHOICE and not choices:
            raise PydanticCustomError(LEFT_OUT, _NO_CHOICES)
        if field_type not in {FieldType.CHOICE, None} and choices:
            raise ValueError("Only a field of the type choice has choices: set type to choice, or leave them out.")
        return choices


class ContactFieldPatch(Body):
    """What is left out stays. The type stays in any case: conditions are built on it."""

    model_config = shown(examples.CHANGE)

    choices: Annotated[Choices, Field(min_length=1)] | None = Field(
        default=None, description="In place of those before; contacts that have another one keep it."
    )
    description: str | None = Field(default=None, max_length=500)


class ContactFieldOut(Out):
    model_config = shown(examples.FIELD)

    key: str
    type: FieldType
    choices: list[str]
    description: str | None
    defined: bool = Field(description="Whether it has a definition; otherwise it was seen in somebody's fields only.")
    defined_at: datetime | None
    defined_by: str | None
    created_at: datetime
    updated_at: datetime


class DefinedFieldOut(ContactFieldOut):
    model_config = shown(examples.DEFINED)

    unfit: int = Field(
        description="How many contacts have a value from before that does not fit. It stays as it is, and conditions "
        f"take it for none. Counted up to {MOST_COUNTED:,}."
    )
