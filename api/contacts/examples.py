"""Contacts in the document's examples."""

from typing import Any, Final

from api import example_world as world

_FIELDS: Final = {"city": "Delft", "visits": 3}

GIVEN: Final[dict[str, Any]] = {
    "msisdn": "(202) 555-0142",
    "default_region": "US",
    "name": "Ada",
    "external_id": "guest-1042",
    "fields": _FIELDS,
    "location_id": "delft-centre",
    "time_zone": "Europe/Amsterdam",
    "consent_status": "granted",
    "consent_source": "splash page",
}
CHANGE: Final[dict[str, Any]] = {"name": "Ada L.", "fields": {"visits": 4, "city": None}}
CONTACT: Final[dict[str, Any]] = {
    "id": world.CONTACT,
    "msisdn": world.MSISDN,
    "name": "Ada",
    "external_id": "guest-1042",
    "fields": _FIELDS,
    "location_id": "delft-centre",
    "time_zone": "Europe/Amsterdam",
    "consent_status": "granted",
    "consent_source": "splash page",
    "consent_at": world.DAY_BEFORE,
    "opt_out": None,
    "created_at": world.DAY_BEFORE,
    "updated_at": world.DAY_BEFORE,
}
CHANGED: Final[dict[str, Any]] = CONTACT | {"name": "Ada L.", "fields": {"visits": 4}, "updated_at": world.CREATED}
EXPORTED: Final = (
    "msisdn,name,external_id,location_id,time_zone,consent_status,consent_source,consent_at,fields.city,fields.visits\r\n"
    f"'{world.MSISDN},Ada,guest-1042,delft-centre,Europe/Amsterdam,granted,splash page,{world.DAY_BEFORE},Delft,3\r\n"
)
