"""Who belongs to a target group, as an expression over contacts: by hand or by its conditions."""

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, exists

from shared.domain.conditions import from_kept
from shared.models import Contact, TargetGroupMember
from shared.queries.conditions import compile_condition

DYNAMIC = "dynamic"


def belongs_to(group: Any, *, now: datetime) -> ColumnElement[bool]:
    """Whether a contact is a member; `group` is a row with `id`, `kind` and `conditions`."""
    if group.kind == DYNAMIC:
        return compile_condition(from_kept(group.conditions), now=now)
    return exists().where(TargetGroupMember.target_group_id == group.id, TargetGroupMember.contact_id == Contact.id)
