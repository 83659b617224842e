"""How large a body may be. Counted while it arrives, so that nobody fills the memory by lying about the length.

A route that takes more says so: `@router.post("/import", max_body_size=IMPORT_LIMIT)`.
"""

from typing import Final

from shared.domain.attachment import LARGEST

JSON_LIMIT: Final = 1 << 20
CALLBACK_LIMIT: Final = 64 << 10
IMPORT_LIMIT: Final = 200 << 20
ATTACHMENT_LIMIT: Final = LARGEST + (64 << 10)  # the largest file, and the form around it
