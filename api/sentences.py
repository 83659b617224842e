"""What is wrong with a value of a request, in plain words: pydantic's name of the fault, and what it knows of it.

A sentence never holds the value. `describe` names the places, too, for whoever reads nothing but the detail.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

from shared.errors import FieldError

# By pydantic's name of the fault; filled with what it knows of it, never with the value.
_SENTENCES: Final = {
    "missing": "This field is required.",
    "string_type": "Give a text, in quotation marks.",
    "string_too_short": "The text is too short; give at least {min_length} character(s).",
    "string_too_long": "The text is too long; shorten it to at most {max_length} characters.",
    "string_unicode": "The text holds half a character (a lone surrogate); remove it, or send the whole of it.",
    "list_type": "Give a list, in square brackets.",
    "too_short": "There are too few entries; give at least {min_length}.",
    "too_long": "There are too many entries; give at most {max_length}, and split what is more over several requests.",
    "dict_type": "Give an object, in curly brackets.",
    "model_attributes_type": "Give an object, in curly brackets.",
    "model_type": "Give an object, in curly brackets.",
    "union_tag_not_found": "The field {discriminator} is required here.",
    "union_tag_invalid": "Set {discriminator} to one of {expected_tags}.",
    "int_type": "Give an integer, such as 7.",
    "int_parsing": "Give an integer, such as 7.",
    "int_parsing_size": "The number is too large; give a smaller one.",
    "int_from_float": "Give an integer, such as 7.",
    "float_type": "Give a number, such as 7.5.",
    "float_parsing": "Give a number, such as 7.5.",
    "decimal_type": "Give a number, such as 7.5, with a point and without a unit.",
    "decimal_parsing": "Give a number, such as 7.5, with a point and without a unit.",
    "decimal_max_places": "Give at most {decimal_places} digits behind the point.",
    "decimal_max_digits": "Give at most {max_digits} digits in all.",
    "decimal_whole_digits": "Give at most {whole_digits} digits before the point.",
    "finite_number": "Give a number that is finite.",
    "bool_type": "Give true or false.",
    "bool_parsing": "Give true or false.",
    "literal_error": "Use {expected}.",
    "enum": "Use {expected}.",
    "greater_than": "Give a number above {gt}.",
    "greater_than_equal": "Give a number of at least {ge}.",
    "less_than": "Give a number below {lt}.",
    "less_than_equal": "Give a number of at most {le}.",
    "uuid_type": "Give an id as it was told, such as `0192f0c1-3b7a-7c3e-9a51-5b1f2c9d7e10`.",
    "uuid_parsing": "Give an id as it was told, such as `0192f0c1-3b7a-7c3e-9a51-5b1f2c9d7e10`.",
    "timezone_aware": "The time has no zone; end it with `Z` for UTC, or with an offset such as `+02:00`.",
    "datetime_type": "Give a time with its zone, such as `2026-03-01T09:00:00Z`.",
    "datetime_parsing": "Give a time with its zone, such as `2026-03-01T09:00:00Z`.",
    "datetime_from_date_parsing": "Give a time with its zone, such as `2026-03-01T09:00:00Z`.",
}
# What a text of this form is to whoever writes one; a test finds a pattern of a body or a parameter that is not here.
FORMS: Final = {
    r"^([01][0-9]|2[0-3]):[0-5][0-9]$": "Give a time of day, hours and minutes with two digits each, such as `08:00`.",
    r"^[a-z]{2,3}(-[A-Za-z]{2,4})?$": "Give a language's code, such as `de` or `pt-BR`.",
    r"^[0-9A-Za-z]{12}$": "Give the id of a key as `GET /v1/api-keys` tells it: 12 letters and digits.",
    r"^[\x21-\x7e]+$": "Give letters, digits and signs of ASCII without blanks, such as a UUID.",
    r"^[A-Z]{3}$": "Give a currency's code, three capital letters such as `EUR`.",
    r"^[a-z][a-z0-9_]{0,63}$": "Give a name of at most 64 characters, `a` to `z`, `0` to `9` and `_`, a letter first.",
    r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$": (
        "Give a name of at most 63 letters, digits, `.`, `_` and `-`, without blanks, a letter or a digit first."
    ),
    r"^[0-9]{4,10}$": "Give 4 to 10 digits, in quotation marks.",
    r"^(msisdn|fields\.[^.]{1,64})$": (
        "Give `msisdn`, or `fields.` with the key of a field of yours behind it, such as `fields.second_phone`."
    ),
    r"^[a-z][a-z0-9_.]{0,63}$": (
        "Give a name of at most 64 characters, `a` to `z`, `0` to `9`, `_` and `.`, a letter first, such as "
        "`voucher_nearly_used`."
    ),
    r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*){0,3}$": (
        "Give a path into `data`, such as `percent` or `order.total`."
    ),
}
# 2026-03-01T09:00:00+01:00 in an address, where a plus is a blank.
_PLUS_LOST: Final = re.compile(r".*[0-9] [0-9]{2}:?[0-9]{2}")
_ESCAPE_THE_PLUS: Final = "In an address a plus is a blank: write `%2B` for it, or give the time in UTC, with `Z`."

_MOST_NAMED: Final = 10


# Of a part of a form that names no file: the framework takes it for a text.
_NO_FILE: Final = "Expected UploadFile"
_NAME_THE_FILE: Final = 'This is a text; send a file, as a part with a `filename` (curl: `-F "{field}=@menu.pdf"`).'


def sentence_of(found: dict[str, Any]) -> str:
    """What pydantic found, with the remedy; in its own words only where there are no better ones."""
    context = found.get("ctx", {})
    if _NO_FILE in found["msg"]:
        return _NAME_THE_FILE.format(field=found["loc"][-1])
    if (
        found["type"].startswith("datetime")
        and found["loc"][0] == "query"
        and _PLUS_LOST.fullmatch(f"{found['input']}")
    ):
        return _ESCAPE_THE_PLUS
    sentence = FORMS.get(context.get("pattern", ""), "") or _SENTENCES.get(found["type"], "")
    sentence = sentence.format_map({name: _shown(value) for name, value in context.items()})
    sentence = sentence or str(found["msg"]).removeprefix("Value error, ")
    return sentence if sentence.endswith((".", "?", "!")) else f"{sentence}."


def _shown(value: object) -> object:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def in_one(sentences: Iterable[str]) -> str:
    """What the members of a union say of one field, each once."""
    first, *others = sentences
    more = "".join(f", or {sentence[0].lower()}{sentence[1:].removesuffix('.')}" for sentence in others)
    return f"{first.removesuffix('.')}{more}." if more else first


def describe(fields: Sequence[FieldError]) -> str:
    """The `detail` of a refusal: every place by its name, so that it can be read without `errors`."""
    if len(fields) == 1:
        place = _named(fields[0])
        return f"{place}: {fields[0].detail}" if place else fields[0].detail
    named = ", ".join(_named(field) or "the body" for field in fields[:_MOST_NAMED])
    more = f" and {len(fields) - _MOST_NAMED} more" if len(fields) > _MOST_NAMED else ""
    return f"{len(fields)} fields cannot be used: {named}{more}."


def _named(field: FieldError) -> str:
    return field.pointer.removesuffix(":")
