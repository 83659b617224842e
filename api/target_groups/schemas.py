"""The shapes of target groups and of what is done to their members."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field, StringConstraints

from api.examples import shown
from api.schemas import Body, Out
from api.target_groups import examples

MAX_MEMBERS_AT_ONCE = 10_000

Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]


class TargetGroupIn(Body):
    model_config = shown(examples.GIVEN)

    name: Name = Field(examples=["Cafe guests"])
    kind: Literal["static", "dynamic"] = Field(
        default="static", description="`static`: members are added one by one or by an import."
    )


class TargetGroupPatch(Body):
    """What is left out stays."""

    model_config = shown(examples.CHANGE)

    name: Name = ""


class TargetGroupOut(Out):
    model_config = shown(examples.GROUP)

    id: UUID
    name: str
    kind: str
    members: int = Field(description="How many contacts it holds.")
    created_at: datetime
    updated_at: datetime


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
