"""Query parameters that a route does not have are refused: a filter with a slip in its name would show everything.

So is a NUL in one, which the database would refuse without its name.
"""

from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any, Final

from fastapi.dependencies.models import Dependant
from pydantic import BaseModel
from starlette.requests import Request

from api.deps import Identified
from shared.errors import FieldError, Invalid

_MOST_TOLD: Final = 10
_LONGEST_TOLD: Final = 100

_known: dict[object, tuple[str, ...]] = {}


async def only_known_parameters(request: Request, caller: Identified) -> None:
    """Raise Invalid for a NUL, and for what is not the route's; who has no key is left to be told that."""
    if caller is None or not request.query_params:
        return
    spoilt = [name for name, value in request.query_params.multi_items() if "\0" in value]
    if spoilt:
        raise Invalid("The text holds a NUL character (%00); remove it.", pointer=f"?{spoilt[0][:_LONGEST_TOLD]}")
    known = _known_to(request.scope["route"])
    unknown = [name for name in request.query_params if name not in known]
    if unknown:
        errors = [FieldError(f"?{name[:_LONGEST_TOLD]}", _told(name, known)) for name in unknown[:_MOST_TOLD]]
        detail = errors[0].detail if len(unknown) == 1 else f"{len(unknown)} query parameters are not known here."
        raise Invalid(detail, errors=errors)


def _told(name: str, known: tuple[str, ...]) -> str:
    if not known:
        return "This path takes no query parameters; leave it out."
    near = get_close_matches(name[:_LONGEST_TOLD], known, n=1)
    meant = f" Did you mean `{near[0]}`?" if near else ""
    return f"There is no such query parameter.{meant} This path takes {', '.join(f'`{each}`' for each in known)}."


def _known_to(route: Any) -> tuple[str, ...]:
    """The names as clients write them, of the route and of all that it depends on; found out once."""
    if route.endpoint not in _known:
        _known[route.endpoint] = tuple(sorted(set(_names_of(route.dependant))))
    return _known[route.endpoint]


def _names_of(dependant: Dependant) -> Iterator[str]:
    for field in dependant.query_params:
        model = field.field_info.annotation
        if isinstance(model, type) and issubclass(model, BaseModel):
            yield from (inner.alias or name for name, inner in model.model_fields.items())
        else:
            yield field.alias
    for each in dependant.dependencies:
        yield from _names_of(each)
