"""`python -m api.catalogue`: the page of every kind of problem, from the kinds themselves. `make docs` keeps it."""

import sys
from collections.abc import Iterator
from http import HTTPStatus
from itertools import groupby
from typing import Final

from api.problems import known_kinds, meaning_of, remedy_of, status_of
from shared.errors import ServiceError

_HEAD: Final = """\
# Problems

Every refusal is a problem document (RFC 9457, `application/problem+json`). `type` names its kind and is a path of the
service that explains it; `detail` says what happened this time; `errors[].pointer` names the fields; `request_id` finds
it in the log. Programs decide by `type`, never by the words.

```json
{
  "type": "/problems/invalid-msisdn",
  "title": "Invalid msisdn",
  "status": 422,
  "detail": "555 is too short for a number of US; give it whole, such as +12025550142.",
  "errors": [{"pointer": "/msisdn", "detail": "555 is too short for a number of US; ..."}],
  "request_id": "0192f0c1-3b7a-7c3e-9a51-5b1f2c9d7e10"
}
```

What may be repeated as it is: 408, 409 `idempotency-key-busy`, 429, 500, 503 and whatever was not answered at all, each
with the `Idempotency-Key` of the first try. Everything else has to be mended first.

This page is written by `make docs` from the kinds of problems themselves; `GET /problems` tells the same.
"""


def page() -> str:
    """The whole page, by status and name."""
    return _HEAD + "".join(_sections())


def _sections() -> Iterator[str]:
    kinds = [kind for kind in known_kinds().items() if kind[1].__module__.partition(".")[0] in ("api", "shared")]
    kinds.sort(key=lambda kind: (status_of(kind[1]), kind[0]))
    for status, same in groupby(kinds, key=lambda kind: status_of(kind[1])):
        yield f"\n## {status} {HTTPStatus(status).phrase}\n\n| kind | means | do |\n|---|---|---|\n"
        yield from (_row(slug, kind) for slug, kind in same)


def _row(slug: str, kind: type[ServiceError]) -> str:
    cells = (f"`{slug}`", meaning_of(kind), remedy_of(kind))
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


if __name__ == "__main__":
    # Every kind of the service is known once all of it has been imported.
    import api.main  # noqa: F401 - for what it brings in

    sys.stdout.write(page())
