"""Names of the document's schemas that a client can be made of: `MessageStatus`, `ContactPage`, `BalanceCheckIn`.

The framework's own tell where a class lives (`shared__domain__message__Status`) or how it was put together
(`PageOut_ContactOut_`), and become names of classes in every client that is generated.
"""

import re
from typing import Any, Final

REF: Final = "#/components/schemas/"

_PATTERNS: Final = (
    (re.compile(r"PageOut_(\w+?)(?:Out)?_"), lambda found: f"{found[1]}Page"),
    (re.compile(r"(?:\w+__)?(\w+?)__(\w+)"), lambda found: _camel(found[1]) + found[2]),
    (re.compile(r"(\w+)-Input"), lambda found: f"{found[1]}In"),
    (re.compile(r"(\w+)-Output"), lambda found: f"{found[1]}Out"),
)


def rename_schemas(document: dict[str, Any]) -> dict[str, Any]:
    """The document with plain names. One that would be taken twice stays as it was."""
    schemas = document["components"]["schemas"]
    wanted = {name: plain_name(name) for name in schemas}
    taken = list(wanted.values())
    names = {old: new if taken.count(new) == 1 else old for old, new in wanted.items()}
    renamed: dict[str, Any] = _with_refs(document, names)
    # Generators name classes by the title.
    renamed["components"]["schemas"] = {
        names[old]: {**schema, "title": names[old]} for old, schema in renamed["components"]["schemas"].items()
    }
    return renamed


def plain_name(name: str) -> str:
    for pattern, made in _PATTERNS:
        if found := pattern.fullmatch(name):
            return made(found)
    return name


def _with_refs(node: Any, names: dict[str, str]) -> Any:
    match node:
        case {"$ref": str(ref), **rest} if ref.startswith(REF):
            return {"$ref": REF + names.get(ref.removeprefix(REF), ref.removeprefix(REF)), **_with_refs(rest, names)}
        case dict():
            return {key: _with_refs(value, names) for key, value in node.items()}
        case list():
            return [_with_refs(value, names) for value in node]
        case _:
            return node


def _camel(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))
