"""`/postman.json`: the OpenAPI document as a Postman collection (v2.1), ready to import.

Each operation is a request with its example filled in; `{{url}}` and `{{key}}` are the collection's variables, so a key
is typed once and kept out of every request.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from starlette.requests import Request

from api.deps import Res

router = APIRouter(tags=["operation"])

SCHEMA: Final = "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"
_METHODS: Final = ("get", "put", "post", "patch", "delete")
_JSON: Final = "application/json"


@router.get("/postman.json", include_in_schema=False)
async def read_postman_collection(request: Request, resources: Res) -> JSONResponse:
    """Every route with its example, for Postman and what else reads its collections."""
    return JSONResponse(collection_of(request.app.openapi(), url=resources.public_url))


def collection_of(document: Mapping[str, Any], *, url: str) -> dict[str, Any]:
    """The collection: a folder for each tag, in the document's order."""
    folders: dict[str, list[dict[str, Any]]] = {tag["name"]: [] for tag in document["tags"]}
    for path, method, operation in _operations(document):
        folders[operation["tags"][0]].append(_item(path, method, operation))
    told = {tag["name"]: tag["description"] for tag in document["tags"]}
    return {
        "info": {
            "name": f"{document['info']['title']} {document['info']['version']}",
            "description": document["info"]["description"],
            "schema": SCHEMA,
        },
        "auth": {"type": "bearer", "bearer": [{"key": "token", "value": "{{key}}", "type": "string"}]},
        "variable": [{"key": "url", "value": url}, {"key": "key", "value": "", "description": "An API key: lw_..."}],
        "item": [{"name": tag, "description": told[tag], "item": items} for tag, items in folders.items() if items],
    }


def _operations(document: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    for path, item in document["paths"].items():
        for method in _METHODS:
            if method in item:
                yield path, method, item[method]


def _item(path: str, method: str, operation: Mapping[str, Any]) -> dict[str, Any]:
    parameters = operation.get("parameters", ())
    headers = [
        {"key": each["name"], "value": "{{$guid}}", "disabled": not each.get("required"), "description": _told(each)}
        for each in parameters
        if each["in"] == "header"
    ]
    body = _body(operation.get("requestBody", {}).get("content", {}))
    if body is not None and body["mode"] == "raw":
        headers.append({"key": "Content-Type", "value": _JSON})
    request: dict[str, Any] = {
        "method": method.upper(),
        "description": operation.get("description", ""),
        "header": headers,
        "url": _url(path, parameters),
    }
    if "security" not in operation:
        request["auth"] = {"type": "noauth"}
    if body is not None:
        request["body"] = body
    return {"name": operation["summary"], "request": request, "response": []}


def _url(path: str, parameters: Any) -> dict[str, Any]:
    parts = [f":{part[1:-1]}" if part.startswith("{") else part for part in path.strip("/").split("/")]
    query = [
        {"key": each["name"], "value": str(_example_of(each)), "disabled": not each.get("required")}
        for each in parameters
        if each["in"] == "query"
    ]
    variables = [{"key": each["name"], "value": str(_example_of(each))} for each in parameters if each["in"] == "path"]
    return {
        "raw": "{{url}}/" + "/".join(parts),
        "host": ["{{url}}"],
        "path": parts,
        "query": query,
        "variable": variables,
    }


def _body(content: Mapping[str, Any]) -> dict[str, Any] | None:
    if _JSON in content:
        text = json.dumps(_example_of(content[_JSON]), indent=2, ensure_ascii=False)
        return {"mode": "raw", "raw": text, "options": {"raw": {"language": "json"}}}
    for media_type, shape in content.items():
        if media_type == "multipart/form-data":
            given = _example_of(shape) or {}
            fields = [{"key": name, "value": str(value), "type": "text"} for name, value in given.items()]
            return {
                "mode": "formdata",
                "formdata": [{"key": "file", "type": "file", "src": ""}, *(f for f in fields if f["key"] != "file")],
            }
    return None


def _example_of(shape: Mapping[str, Any]) -> Any:
    """The example as the document has it, of whichever of its places for one."""
    if "example" in shape:
        return shape["example"]
    for place in (shape, shape.get("schema", {})):
        examples = place.get("examples")
        if isinstance(examples, Mapping) and examples:
            return next(iter(examples.values()))["value"]
        if isinstance(examples, list) and examples:
            return examples[0]
    return shape.get("schema", {}).get("default", "")


def _told(parameter: Mapping[str, Any]) -> str:
    return str(parameter.get("description", ""))
