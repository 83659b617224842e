"""A new order of the gateways: it names each of them once, or it is refused with what is wrong with it."""

from collections.abc import Mapping, Sequence
from typing import Final
from uuid import UUID

from shared.errors import FieldError, Invalid

_MOST_NAMED: Final = 20


def check_order(ids: Sequence[UUID], there: Mapping[UUID, str]) -> None:
    """Raise unless `ids` are those that are there, each once. `there` has their names."""
    first: dict[UUID, int] = {}
    errors: list[FieldError] = []
    for place, id_ in enumerate(ids):
        pointer = f"/ids/{place}"
        if id_ not in there:
            errors.append(FieldError(pointer, f"There is no gateway {id_}; take it out."))
        elif id_ in first:
            earlier = f"ids/{first[id_]}"
            errors.append(FieldError(pointer, f"{there[id_]!r} ({id_}) stands at {earlier} already; take it out."))
        first.setdefault(id_, place)
    missing = [f"{name!r} ({id_})" for id_, name in there.items() if id_ not in first]
    if missing:
        named = ", ".join(missing[:_MOST_NAMED]) + (", ..." if len(missing) > _MOST_NAMED else "")
        errors.append(FieldError("/ids", f"ids leaves out {named}; give each its place."))
    if errors:
        raise Invalid(
            f"ids must name each of the {len(there)} gateways exactly once. {errors[0].detail}", errors=errors[:100]
        )
