"""What was probably meant by a field that a body does not have, and what the body does have at that place."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, get_args

from pydantic import BaseModel

from shared.domain.nearest import find_nearest

_LONGEST: Final = 100
_SHORTEST_PART: Final = 4
_MOST_NAMED: Final = 25
# What other services call it. A word counts where the body has what it stands for.
_ELSEWHERE: Final[Mapping[str, tuple[str, ...]]] = {
    "msisdn": ("to", "phone", "phone_number", "number", "mobile", "recipient", "tel", "destination"),
    "msisdns": ("to", "phones", "numbers", "recipients", "phone_numbers", "msisdn"),
    "text": ("message", "body", "content", "sms", "msg"),
    "messages": ("message", "body", "texts", "steps"),
    "sender_id": ("from", "sender", "source", "originator"),
    "value": ("sender", "sender_id", "number"),
    "send_at": ("schedule", "scheduled_at", "schedule_at", "send_time", "time"),
    "units": ("amount", "count", "quantity"),
    "name": ("title", "label", "event"),
    "event": ("trigger", "name", "on"),
    "operator": ("op", "comparison"),
    "code": ("otp", "pin", "password"),
    "ttl_seconds": ("ttl_minutes", "expires_in", "lifetime"),
    "max_chars": ("max_length",),
    "contact_ids": ("contacts", "members", "ids"),
    "target_group_ids": ("groups", "target_groups", "audience"),
    "attachment_ids": ("attachments", "media", "files"),
    "consent_status": ("consent", "opt_in"),
}
# Where a body takes what is the caller's own.
_OPEN: Final = ("fields", "data", "variables")


def hint_for(name: str, path: Sequence[str | int], body: object) -> str:
    """What to say of a field that is none of the body's; empty where nothing is known of the place.

    `body` is the annotation of the whole body, `path` the way from there to what holds the field.
    """
    models = list(_models_at(body, path))
    known = tuple(dict.fromkeys(field for each in models for field in _fields_of(each)))
    if not known:
        return ""
    there = f" The fields here are {_listed(known)}."
    home = next((home for each in models for home in _homes_of(name, each)), None)
    meant = _elsewhere(name, known) or home or near(name, known)
    if meant:
        return f" Did you mean `{meant}`?{there}"
    own = next((field for field in _OPEN if field in known), None)
    return f"{f' Values of your own go into `{own}`.' if own else ''}{there}"


def near(name: str, known: Sequence[str]) -> str | None:
    """The known name that was probably meant: one spelt much like it, or one that it is a part of."""
    shown = name[:_LONGEST].lower()
    # `region` is a part of `default_region`, and too short to be near it
    part = (field for field in known if len(name) >= _SHORTEST_PART and shown in field)
    return find_nearest(shown, known) or next(part, None)


def _elsewhere(name: str, known: Sequence[str]) -> str | None:
    return next((field for field in known if name.lower() in _ELSEWHERE.get(field, ())), None)


def _homes_of(name: str, model: type[BaseModel]) -> Iterator[str]:
    """Where inside the body's own fields the name stands, such as `messages[].text`."""
    for field, info in model.model_fields.items():
        for inner in models_in(info.annotation):
            known = _fields_of(inner)
            meant = name if name in known else _elsewhere(name, known)
            if meant:
                yield f"{info.alias or field}{'[]' if 'list[' in str(info.annotation) else ''}.{meant}"


def _fields_of(model: type[BaseModel]) -> list[str]:
    return [info.alias or name for name, info in model.model_fields.items()]


def _models_at(annotation: Any, path: Sequence[str | int]) -> Iterator[type[BaseModel]]:
    models = list(models_in(annotation))
    if not path:
        yield from models
        return
    first, *rest = path
    fields = [
        info.annotation for each in models for name, info in each.model_fields.items() if first in (name, info.alias)
    ]
    if fields:
        for each in fields:
            yield from _models_at(each, rest)
    else:  # a place in a list, a key of a mapping, or what pydantic adds for the members of a union
        yield from _models_at(annotation, rest)


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """The bodies that an annotation lets in, through lists, unions and what is annotated to them."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from models_in(inner)


def _listed(known: Sequence[str]) -> str:
    more = f" and {len(known) - _MOST_NAMED} more" if len(known) > _MOST_NAMED else ""
    return ", ".join(f"`{each}`" for each in known[:_MOST_NAMED]) + more
