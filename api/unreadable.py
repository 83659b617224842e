"""What is wrong with a body that the framework could not read: it says the same of all, and each has its own remedy."""

import re
import sys
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request

from api.problems import UnreadableBody, UnsupportedContentEncoding
from api.schemas import DEEPEST
from shared.errors import Invalid, ServiceError

# What the parser of forms says, and what to do about it.
_OF_FORMS: Final = (
    (
        r"Missing boundary",
        "The Content-Type names no boundary; leave that header to your HTTP library, which writes both.",
    ),
    (r'"name" must be provided', "A part of the form has no name; give each part the name of a field."),
    (r"Too many (files|fields)\. Maximum number of \w+ is (\d+)", "The form has more {0} than this path takes: {1}."),
    (
        r"(?:Part|Field) exceeded maximum size of (\d+)KB",
        "A field of the form is larger than {0} kB; only files may be.",
    ),
    (
        r"Invalid multipart",
        "The form has no parts between the boundaries that its Content-Type names; have a library write it.",
    ),
)


def find_encoded(request: Request) -> ServiceError | None:
    """The refusal of a compressed body, which is read as it came and makes no sense."""
    encoding = request.headers.get("content-encoding", "").strip().lower()
    if encoding in {"", "identity"}:
        return None
    return UnsupportedContentEncoding(
        "The body is compressed (`Content-Encoding`); send it as it is, without that header."
    )


def refusal_of(request: Request, error: HTTPException) -> ServiceError:
    """Why the body was not read, in words for who sent it."""
    if encoded := find_encoded(request):
        return encoded
    match error.__cause__:
        case ServiceError() as refusal:
            return refusal
        case RecursionError():
            return Invalid(f"The body is nested too deep; {DEEPEST} levels are the most.", pointer="")
        case UnicodeDecodeError() as broken:
            return UnreadableBody(f"The body is no UTF-8 at byte {broken.start}; JSON has to be UTF-8.")
        case ValueError():
            most = sys.get_int_max_str_digits()
            return Invalid(f"A number of the body has more than {most:,} digits; send it as a text.", pointer="")
        case _:
            return UnreadableBody(_of_form(str(error.detail)))


def _of_form(told: str) -> str:
    for pattern, words in _OF_FORMS:
        if found := re.search(pattern, told):
            return words.format(*found.groups())
    return "The body cannot be read in the form that its Content-Type names."
