"""A query parameter that a route does not have is refused by its name; what it has is taken."""

import re
from typing import Any
from uuid import uuid4

import pytest
from fastapi import FastAPI
from httpx import AsyncClient


def refused(told: dict[str, Any]) -> dict[str, str]:
    assert (told["status"], told["type"]) == (422, "/problems/invalid")
    return {error["pointer"]: error["detail"] for error in told["errors"]}


async def test_a_slip_in_a_filter_does_not_show_everything(client: AsyncClient) -> None:
    answer = await client.get("/v1/messages", params={"statsu": "failed"})
    errors = refused(answer.json())
    assert list(errors) == ["?statsu"]
    assert "Did you mean `status`?" in errors["?statsu"]
    assert "`from`" in errors["?statsu"]
    assert "`from_`" not in errors["?statsu"]


async def test_each_is_named(client: AsyncClient) -> None:
    answer = await client.get("/v1/contacts", params={"limit": 3, "page": 2, "offset": 7})
    assert list(refused(answer.json())) == ["?page", "?offset"]


@pytest.mark.parametrize("path", ["/v1/contacts/{id}", "/v1/campaigns/{id}/report"])
async def test_a_path_without_parameters_says_so(client: AsyncClient, path: str) -> None:
    answer = await client.get(path.format(id=uuid4()), params={"full": "1"})
    assert refused(answer.json()) == {"?full": "This path takes no query parameters; leave it out."}


async def test_posts_are_no_exception(client: AsyncClient) -> None:
    answer = await client.post("/v1/messages", params={"dry_run": "true"}, json={"msisdn": "+12025550142", "text": "x"})
    assert list(refused(answer.json())) == ["?dry_run"]
    assert (await client.get("/v1/messages")).json()["items"] == []


async def test_one_that_is_given_twice_is_refused(client: AsyncClient) -> None:
    answer = await client.get("/v1/messages?limit=1&status=failed&limit=2&limit=2")
    errors = refused(answer.json())
    assert list(errors) == ["?limit"]
    assert "give it once" in errors["?limit"]


async def test_every_route_of_v1_takes_none_twice_but_lists(app: FastAPI, client: AsyncClient) -> None:
    asked = 0
    for path, methods in app.openapi()["paths"].items():
        for method, operation in methods.items():
            parameters = [one for one in operation.get("parameters", ()) if one["in"] == "query"]
            body = "multipart/form-data" in operation.get("requestBody", {}).get("content", {})
            if not (path.startswith("/v1/") and parameters) or body:
                continue
            shapes = {one["name"]: [one["schema"], *one["schema"].get("anyOf", ())] for one in parameters}
            single = [name for name, shape in shapes.items() if all(one.get("type") != "array" for one in shape)]
            params = {name: ["1", "1"] for name in shapes}
            answer = await client.request(method, re.sub(r"{[^}]*}", str(uuid4()), path), params=params)
            assert list(refused(answer.json())) == [f"?{name}" for name in single][:10], (method, path)
            asked += 1
    assert asked > 20


async def test_every_route_of_v1_refuses_and_takes_what_it_documents(app: FastAPI, client: AsyncClient) -> None:
    paths = app.openapi()["paths"]
    asked = 0
    for path, methods in paths.items():
        for method, operation in methods.items():
            if not path.startswith("/v1/"):
                continue
            names = [one["name"] for one in operation.get("parameters", ()) if one["in"] == "query"]
            # a value that fits few of them: names are judged before values
            params = dict.fromkeys([*names, "no_such_thing"], "1")
            body: dict[str, Any] = {}
            if "multipart/form-data" in operation.get("requestBody", {}).get("content", {}):
                body = {"files": {"file": ("a.csv", b"msisdn\n")}}
            answer = await client.request(method, re.sub(r"{[^}]*}", str(uuid4()), path), params=params, **body)
            assert list(refused(answer.json())) == ["?no_such_thing"], (method, path)
            asked += 1
    assert asked > 40


async def test_without_a_key_that_is_what_is_told(anonymous: AsyncClient) -> None:
    assert (await anonymous.get("/v1/messages", params={"statsu": "failed"})).status_code == 401


@pytest.mark.parametrize("path", ["/livez", "/metrics", "/problems", "/docs", "/openapi.json"])
async def test_other_paths_do_not_mind(client: AsyncClient, path: str) -> None:
    assert (await client.get(path, params={"probe": "1"})).status_code == 200


@pytest.mark.parametrize("value", ["0.5", "1764000000", " 12 ", "-1"])
@pytest.mark.parametrize("path", ["/v1/messages?to=", "/v1/inbound?from=", "/v1/campaigns?starts_to="])
async def test_a_number_is_no_time(client: AsyncClient, path: str, value: str) -> None:
    response = await client.get(path + value)
    assert response.status_code == 422
    assert "Give a time with its zone" in response.json()["detail"]


@pytest.mark.parametrize(
    ("sent", "told"),
    [({"send_at": 1764000000}, "Give a time with its zone"), ({"expires_at": 0.5}, "Give a time with its zone")],
)
async def test_nor_is_it_in_a_body(client: AsyncClient, sent: dict[str, float], told: str) -> None:
    response = await client.post("/v1/messages", json={"msisdn": "+12025550142", "text": "Hello"} | sent)
    assert response.status_code == 422
    assert told in response.json()["detail"]


@pytest.mark.parametrize("value", [0, 1, 1.0])
async def test_a_number_is_neither_true_nor_false(client: AsyncClient, value: float) -> None:
    body = {"name": "x", "messages": [{"text": "Hello"}], "opt_in_acknowledged": value}
    response = await client.post("/v1/campaigns", json=body)
    assert response.status_code == 422
    assert response.json()["errors"] == [{"pointer": "/opt_in_acknowledged", "detail": "Give true or false."}]


FORMS = {
    "/v1/contacts/import": "`file`, `target_group_id`, `default_region`",
    "/v1/opt-outs/import.csv": "`file`, `default_region`",
    "/v1/attachments": "`file`",
}
FILE = {"file": ("a.csv", b"msisdn\n+12025550142\n", "text/csv")}


def test_every_form_is_asked_about(app: FastAPI) -> None:
    posts = {path: one["post"] for path, one in app.openapi()["paths"].items() if "post" in one}
    forms = {
        path for path, post in posts.items() if "multipart/form-data" in post.get("requestBody", {}).get("content", {})
    }
    assert forms == set(FORMS)


@pytest.mark.parametrize("path", FORMS)
async def test_a_form_takes_its_own_fields_only(client: AsyncClient, path: str) -> None:
    answer = await client.post(path, files=FILE, data={"colour/x": "DE"})
    errors = refused(answer.json())
    assert errors == {"/colour~1x": f"There is no such field of the form. The form takes {FORMS[path]}."}
    assert (await client.get("/v1/imports")).json()["items"] == []


@pytest.mark.parametrize("slip", ["region", "default_regoin", "Default_Region"])
async def test_a_slip_in_a_forms_field_is_told_what_was_meant(client: AsyncClient, slip: str) -> None:
    answer = await client.post("/v1/contacts/import", files=FILE, data={slip: "DE"})
    errors = refused(answer.json())
    assert list(errors) == [f"/{slip}"]
    assert "Did you mean `default_region`?" in errors[f"/{slip}"]


async def test_each_field_of_a_form_is_named_and_a_parameter_sent_as_one_is_sent_to_its_place(
    client: AsyncClient,
) -> None:
    answer = await client.post("/v1/attachments", files=FILE, data={"name": "a.csv", "kind": "x"})
    errors = refused(answer.json())
    assert errors["/name"] == "This is no field of the form; it goes into the address, as ?name=."
    assert list(errors) == ["/name", "/kind"]


async def test_a_file_under_another_name_is_refused_by_it(client: AsyncClient) -> None:
    answer = await client.post("/v1/contacts/import", files={"csv": FILE["file"]})
    assert "/csv" in refused(answer.json())


async def test_who_has_no_key_is_told_that_first(anonymous: AsyncClient) -> None:
    assert (await anonymous.post("/v1/contacts/import", files=FILE, data={"region": "DE"})).status_code == 401
