"""The shapes of target groups and of what is done to their members."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field, StringConstraints

from api.contacts.schemas import ContactOut
from api.examples import shown
from api.schemas import Body, Out
from api.target_groups import examples
from shared.domain.conditions import COLUMNS, OPERATORS

MAX_MEMBERS_AT_ONCE = 10_000

Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]


Conditions = dict[str, Any]
_CONDITIONS = (
    "Of a dynamic group: a tree of `{and: [...]}`, `{or: [...]}`, `{not: {...}}` over comparisons "
    "`{field, op, value}`. "
    f"A field is one of {', '.join(COLUMNS)}, or `fields.<key>`. Operators: "
    + "; ".join(f"{kind}: {', '.join(operators)}" for kind, operators in OPERATORS.items())
    + ". Moments and dates may be relative: `-30d`, `+2w`, `-12h`, `today`, `now`."
)


class TargetGroupIn(Body):
    model_config = shown(examples.GIVEN)

    name: Name = Field(examples=["Cafe guests"])
    kind: Literal["static", "dynamic"] = Field(
        default="static",
        description="`static`: members are added one by one or by an import. `dynamic`: whoever meets `conditions`, at "
        "any moment.",
    )
    conditions: Conditions | None = Field(default=None, description=_CONDITIONS, examples=[examples.CONDITIONS])


class TargetGroupPatch(Body):
    """What is left out stays; the kind stays in any case."""

    model_config = shown(examples.CHANGE)

    name: Name = ""
    conditions: Conditions | None = Field(default=None, description="Of a dynamic group: in place of those before.")


class TargetGroupOut(Out):
    model_config = shown(examples.GROUP)

    id: UUID
    name: str
    kind: str
    conditions: Conditions | None
    members: int | None = Field(
        description="How many contacts it holds; null for dynamic groups in a list, where counting would take long."
    )
    created_at: datetime
    updated_at: datetime


class PreviewIn(Body):
    model_config = shown(examples.PREVIEW_OF)

    conditions: Conditions = Field(description=_CONDITIONS)
    sample: int = Field(default=10, ge=0, le=50, description="How many contacts to show.")


class GroupPreviewOut(Out):
    """Whom these conditions find now."""

    model_config = shown(examples.PREVIEW)

    count: int
    sample: list[ContactOut] = Field(description="The first of them, oldest first.")


class MembersIn(Body):
    model_config = shown(examples.MEMBERS)

    contact_ids: list[UUID] = Field(min_length=1, max_length=MAX_MEMBERS_AT_ONCE)


class AddedOut(Out):
    """What became of the ids; one that was given twice counts once."""

    model_config = shown(examples.ADDED)

    added: int
    already: int = Field(description="Members before.")
    unknown: list[UUID] = Field(description="Ids of no contact; nothing was done with them.")


class RemovedOut(Out):
    model_config = shown(examples.REMOVED)

    removed: int
    absent: int = Field(description="Ids that were no members.")
