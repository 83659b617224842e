"""Query parameters that a route does not have are refused: a filter with a slip in its name would show everything.

One that is given twice is refused as well, for one of the two would be left out in silence; lists are made that way.

So are fields of a form that the route does not have, as a JSON body's are by its own shape; and so is a NUL in a query,
which the database would refuse without its name.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final, get_args, get_origin

from fastapi import params
from fastapi.dependencies.models import Dependant
from pydantic import BaseModel
from starlette.requests import Request

from api.bodies import step
from api.deps import Identified
from api.hints import near
from api.sentences import describe
from shared.errors import FieldError, Invalid

_MOST_TOLD: Final = 10
_LONGEST_TOLD: Final = 100
_LISTS: Final = frozenset({list, set, frozenset, tuple, Sequence})
_TWICE: Final = "The parameter is given more than once, and takes one value; give it once."

_known: dict[object, Mapping[str, bool]] = {}


async def only_known_parameters(request: Request, caller: Identified) -> None:
    """Raise Invalid for a NUL, and for what is not the route's; who has no key is left to be told that."""
    if caller is None:
        return
    route = request.scope["route"]
    if request.query_params:
        _check_query(request, _known_to(route))
    fields = _fields_of(route)
    if fields:
        unknown = [name for name in dict.fromkeys(await request.form()) if name not in fields]
        _refuse(unknown, place=_place_in_form, told=partial(_told_of_field, route=route))


def _check_query(request: Request, known: Mapping[str, bool]) -> None:
    given = request.query_params.multi_items()
    spoilt = [name for name, value in given if "\0" in value]
    if spoilt:
        raise Invalid("The text holds a NUL character (%00); remove it.", pointer=f"?{spoilt[0][:_LONGEST_TOLD]}")
    unknown = [name for name in request.query_params if name not in known]
    _refuse(unknown, place="?{}".format, told=partial(_told, known=tuple(known)))
    twice = [name for name, times in Counter(name for name, _ in given).items() if times > 1 and not known[name]]
    _refuse(twice, place="?{}".format, told=lambda _: _TWICE)


def _refuse(unknown: Sequence[str], *, place: Callable[[str], str], told: Callable[[str], str]) -> None:
    if unknown:
        errors = [FieldError(place(name[:_LONGEST_TOLD]), told(name)) for name in unknown[:_MOST_TOLD]]
        raise Invalid(describe(errors), errors=errors)


def _told(name: str, *, known: tuple[str, ...]) -> str:
    if not known:
        return "This path takes no query parameters; leave it out."
    return f"There is no such query parameter.{_meant(name, known)} This path takes {_listed(known)}."


def _told_of_field(name: str, *, route: Any) -> str:
    if name in _known_to(route):
        return f"This is no field of the form; it goes into the address, as ?{name}=."
    fields = _fields_of(route)
    return f"There is no such field of the form.{_meant(name, fields)} The form takes {_listed(fields)}."


def _meant(name: str, known: tuple[str, ...]) -> str:
    meant = near(name, known)
    return f" Did you mean `{meant}`?" if meant else ""


def _listed(known: tuple[str, ...]) -> str:
    return ", ".join(f"`{each}`" for each in known)


def _place_in_form(name: str) -> str:
    return step("", name)


def _fields_of(route: Any) -> tuple[str, ...]:
    """The fields of the form that a route takes; none if it takes no form."""
    return tuple(field.alias for field in route.dependant.body_params if isinstance(field.field_info, params.Form))


def _known_to(route: Any) -> Mapping[str, bool]:
    """The names as clients write them, of the route and of all that it depends on, and which are lists; found once."""
    if route.endpoint not in _known:
        _known[route.endpoint] = dict(sorted(_asked_by(route.dependant)))
    return _known[route.endpoint]


def names_of(dependant: Dependant) -> Iterator[str]:
    return (name for name, _ in _asked_by(dependant))


def _asked_by(dependant: Dependant) -> Iterator[tuple[str, bool]]:
    for field in dependant.query_params:
        model = field.field_info.annotation
        if isinstance(model, type) and issubclass(model, BaseModel):
            yield from ((inner.alias or name, _is_list(inner.annotation)) for name, inner in model.model_fields.items())
        else:
            yield field.alias, _is_list(model)
    for each in dependant.dependencies:
        yield from _asked_by(each)


def _is_list(annotation: Any) -> bool:
    """Of such a one, each value is another entry; it may be one that can be left out."""
    return any(get_origin(each) in _LISTS for each in (annotation, *get_args(annotation)))
