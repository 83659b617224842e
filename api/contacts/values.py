"""What a client says of a contact, as columns; whatever cannot be stored is refused at once, by its pointer."""

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import Any, Final

from api.contacts.schemas import ContactIn, ContactPatch
from api.sentences import describe
from shared.domain import msisdn
from shared.domain.contact import InvalidContact, merge_fields, read_text, read_time_zone
from shared.domain.contact_field import Definition, read_fields
from shared.errors import FieldError, Invalid

_TEXTS: Final = ("name", "external_id", "location_id", "consent_source")


def values_of(
    body: ContactIn | ContactPatch,
    *,
    default_region: str | None,
    fields: Mapping[str, Any],
    definitions: Mapping[str, Definition],
    now: datetime,
) -> dict[str, Any]:
    """The columns that the body sets. `fields` are those there already, `definitions` says what they may be."""
    given = body.model_fields_set
    values: dict[str, Any] = {}
    errors: list[FieldError] = []

    def take(name: str, read: Callable[[], Any]) -> None:
        if name not in given:
            return
        try:
            values[name] = read()
        except Invalid as refusal:
            errors.extend(refusal.errors or [FieldError(f"/{name}", refusal.detail)])

    take("msisdn", lambda: read_msisdn(body.msisdn, region=body.default_region or default_region))
    for name in _TEXTS:
        take(name, partial(_text, getattr(body, name), name=name))
    take("time_zone", lambda: read_time_zone(body.time_zone or ""))
    take("fields", lambda: merge_fields(fields, read_fields(body.fields, definitions)))
    if errors:
        detail = errors[0].detail if len(errors) == 1 else describe(errors)
        raise InvalidContact(detail, errors=errors)
    return values | _consent(body, now=now)


def read_msisdn(raw: str, *, region: str | None) -> str:
    """The number in E.164; an unknown region is refused by its own pointer."""
    if region is not None:
        try:
            region = msisdn.parse_region(region)
        except Invalid as refusal:
            raise refusal.at("/default_region") from None
    try:
        return msisdn.parse(raw, default_region=region)
    except Invalid as refusal:
        raise refusal.at("/msisdn") from None


def _text(value: str | None, *, name: str) -> str | None:
    return None if value is None else read_text(value, name=name)


def _consent(body: ContactIn | ContactPatch, *, now: datetime) -> dict[str, Any]:
    """A status that is told without its time is of now."""
    given = body.model_fields_set
    values: dict[str, Any] = {}
    if "consent_status" in given:
        values |= {"consent_status": body.consent_status.value, "consent_at": now}
    if "consent_at" in given and (body.consent_at is not None or "consent_status" not in given):
        values["consent_at"] = body.consent_at
    return values
