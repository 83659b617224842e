"""Imports in the document's examples."""

from typing import Any, Final

from api import example_world as world

UPLOAD: Final[dict[str, Any]] = {
    "file": f"phone;name;city\r\n{world.MSISDN};Ada;Delft\r\n202 555 0143;Ben;Leiden\r\nnone;Cas;Gouda\r\n",
    "target_group_id": world.TARGET_GROUP,
    "default_region": "US",
}
IMPORT: Final[dict[str, Any]] = {
    "id": world.IMPORT,
    "kind": "contacts",
    "status": "completed",
    "file_name": "guests.csv",
    "size_bytes": 82,
    "target_group_id": world.TARGET_GROUP,
    "default_region": "US",
    "rows_total": 3,
    "rows_done": 3,
    "rows_imported": 2,
    "rows_rejected": 1,
    "contacts_created": 2,
    "contacts_updated": 0,
    "rows_duplicate": 0,
    "error": None,
    "layout": {
        "encoding": "utf-8",
        "delimiter": ";",
        "header_row": 1,
        "columns": [
            {"header": "phone", "goes_to": "msisdn"},
            {"header": "name", "goes_to": "name"},
            {"header": "city", "goes_to": "fields.city"},
        ],
        "name_from": [],
    },
    "created_by": world.API_KEY,
    "created_at": world.DAY_BEFORE,
    "started_at": world.DAY_BEFORE,
    "finished_at": world.DAY_BEFORE,
}
QUEUED: Final[dict[str, Any]] = IMPORT | {
    "status": "queued",
    "rows_total": None,
    "rows_done": 0,
    "rows_imported": 0,
    "rows_rejected": 0,
    "contacts_created": None,
    "contacts_updated": None,
    "rows_duplicate": None,
    "layout": None,
    "started_at": None,
    "finished_at": None,
}
REJECTED: Final = (
    "row,column,reason\r\n"
    '4,phone,"msisdn holds letters; write every digit of one number and leave out names and extensions."\r\n'
)
OPT_OUTS_QUEUED: Final[dict[str, Any]] = QUEUED | {
    "kind": "opt_outs",
    "file_name": "opt-outs.csv",
    "size_bytes": 149,
    "target_group_id": None,
}
