"""Examples in the OpenAPI document: a schema shows its own, and each body and answer made of it shows that one.

A route whose answer is another moment of the same thing names it with `answered`. tests/api/test_openapi.py refuses
a body or an answer without one, and one that its schema would not take.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from pydantic import ConfigDict

_REF: Final = "#/components/schemas/"

# FastAPI drops every null, at any depth, from what it puts into the document. A text it leaves alone, so an example
# travels as JSON behind this mark.
_MARK: Final = "\ue000"


def _packed(example: Any) -> str:
    return _MARK + json.dumps(example, ensure_ascii=False)


def unpack_examples(document: Any) -> Any:
    """The document with its examples as what they are."""
    match document:
        case str() if document.startswith(_MARK):
            return json.loads(document.removeprefix(_MARK))
        case dict():
            return {name: unpack_examples(value) for name, value in document.items()}
        case list():
            return [unpack_examples(value) for value in document]
        case _:
            return document


def shown(example: Mapping[str, Any]) -> ConfigDict:
    """The `model_config` of a schema with this example; a schema below it needs one of its own."""
    return ConfigDict(json_schema_extra={"examples": [_packed(example)]})


def answered(example: Any, *, status: int = 200, media_type: str = "application/json") -> dict[int | str, Any]:
    """For `responses=`: what this route answers, where its schema's example would be another moment's."""
    return {status: {"content": {media_type: {"example": _packed(example)}}}}


def asked_as(example: Any, *, media_type: str) -> dict[str, Any]:
    """For `openapi_extra=`: a body that is no JSON."""
    return {"requestBody": {"content": {media_type: {"example": _packed(example)}}}}


def add_examples(operation: Mapping[str, Any], schemas: Mapping[str, Any]) -> None:
    """Give each body and answer of the operation the example of its schema, unless it has one."""
    for content in _contents(operation):
        for shape in content.values():
            if "example" not in shape and "examples" not in shape:
                example = _example_of(shape.get("schema", {}), schemas)
                if example is not None:
                    shape["example"] = example


def _contents(operation: Mapping[str, Any]) -> Iterator[Mapping[str, dict[str, Any]]]:
    yield operation.get("requestBody", {}).get("content", {})
    for status, answer in operation["responses"].items():
        if status.startswith("2"):
            yield answer.get("content", {})


def _example_of(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> Any:
    """The schema's own example; of a list and of a page, one with a single item. None where there is none."""
    if "anyOf" in schema:  # a body that may be left out
        schema = next((member for member in schema["anyOf"] if "$ref" in member), schema)
    schema = schemas[schema["$ref"].removeprefix(_REF)] if "$ref" in schema else schema
    if schema.get("examples"):
        return schema["examples"][0]
    if schema.get("type") == "array":
        item = _example_of(schema["items"], schemas)
        return None if item is None else [item]
    fields = schema.get("properties", {})
    if fields.keys() == {"items", "next_cursor"}:
        items = _example_of(fields["items"], schemas)
        return None if items is None else {"items": items, "next_cursor": None}
    return None
