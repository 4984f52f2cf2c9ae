"""The OpenAPI document is one to a validator that is not ours, and what is answered is what it says."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from function_app.web import openapi, routes
from scenejobs.errors import Failure
from tests.web import Web, answered

DOCUMENT = openapi.document(routes.ROUTES)


def check(document: Any, kind: str) -> None:
    """Against the schema of this name, with the others beside it."""
    schema = {"$ref": f"#/components/schemas/{kind}", "components": DOCUMENT["components"]}
    jsonschema.validate(document, schema, cls=jsonschema.Draft202012Validator)


def test_a_foreign_validator_takes_it() -> None:
    OpenAPIV31SpecValidator(DOCUMENT).validate()


def test_every_route_is_in_it_and_it_is_served() -> None:
    found = {(method.upper(), path) for path, item in DOCUMENT["paths"].items() for method in item}
    assert found == {(route.method, f"/{route.path}") for route in routes.ROUTES}
    assert Web().document("openapi.json") == DOCUMENT


def test_what_is_answered_is_what_it_says() -> None:
    web = Web()
    web.finished()
    web.failed("cellar", Failure("training", "BUG", "it broke", "report it"))
    web.containers.input.write("roof/a.mp4", b"video")
    check(web.document("scenes"), "ScenePage")
    check(web.document("scenes/lobby"), "SceneDetail")
    check(answered(web.ask("GET", "scenes/lobby/files/poster.jpg", headers={"accept": "application/json"})), "Link")
    check(web.document("scenes/nowhere", 404), "Problem")
    files = {"scene": "hall", "files": [{"name": "a.mp4", "size_bytes": 3}]}
    check(files, "NewUploads")
    check(answered(web.ask("POST", "uploads", files)), "Tickets")
    check(answered(web.ask("DELETE", "scenes/lobby")), "Deleted")


def test_another_answer_would_be_noticed() -> None:
    with pytest.raises(jsonschema.ValidationError):
        check({"scenes": [{"scene": 3}], "total": 1, "next": None}, "ScenePage")


def test_every_refusal_of_a_route_is_in_it() -> None:
    for path, item in DOCUMENT["paths"].items():
        for operation in item.values():
            assert {"401", "403", "503"} <= operation["responses"].keys(), path
