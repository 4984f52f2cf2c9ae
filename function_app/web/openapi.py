"""The OpenAPI 3.1 document, made of the routes and of the types that they answer and take."""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

import msgspec

from function_app.web import documents
from function_app.web.caller import OWN
from function_app.web.http import JSON, MAX_BODY_BYTES
from function_app.web.route import NAME, SCENE, Route

REF = "#/components/schemas/{name}"
EVERYWHERE = (
    HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.SERVICE_UNAVAILABLE,
)  # fmt: skip
LATER = {
    "Retry-After": {
        "schema": {"type": "integer", "minimum": 1},
        "description": "Seconds until it is worth asking again.",
    }
}
PARTS = {
    SCENE: "The scene's name. One of several folders is one segment: site%2Flobby.",
    NAME: "The file's name, as the scene tells it.",
}
HEADER = {
    "name": "X-Requested-With", "in": "header", "required": True, "schema": {"type": "string", "enum": [OWN[1]]},
    "description": "What changes something needs it; pages of other sites cannot send it.",
}  # fmt: skip


def document(routes: tuple[Route, ...]) -> dict[str, Any]:
    """The whole of it, as JSON can hold it."""
    used = {kind for route in routes for kind in (route.answers, route.takes) if kind not in (None, dict)}
    kinds = sorted({*used, documents.Problem}, key=lambda kind: kind.__name__)
    _, schemas = msgspec.json.schema_components(kinds, ref_template=REF)
    schemas["State"] = {**schemas["State"], "type": "string"}
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(f"/{route.path}", {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "3DGS Video Processor",
            "version": "1",
            "description": "Scenes: where they stand, their files, new uploads, decisions. docs/web.md says who may, "
            "and how often.",
        },
        "servers": [{"url": "/api"}],
        "security": [{"entra": []}, {"key": []}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "entra": {"type": "http", "scheme": "bearer", "description": "App Service authentication."},
                "key": {"type": "apiKey", "in": "header", "name": "x-functions-key"},
            },
        },
    }


def _operation(route: Route) -> dict[str, Any]:
    parts = [part for part in (SCENE, NAME) if part in route.path]
    parameters: list[dict[str, Any]] = [
        {"name": part[1:-1], "in": "path", "required": True, "schema": {"type": "string"}, "description": PARTS[part]}
        for part in parts
    ]
    parameters += [
        {"name": each.name, "in": "query", "description": each.about, "schema": dict(each.schema)}
        for each in route.parameters
    ]
    if route.changes:
        parameters.append(HEADER)
    operation: dict[str, Any] = {
        "operationId": route.id,
        "summary": route.about,
        "description": f"Needs the role {route.needs}.",
        "parameters": parameters,
        "responses": {**dict(_good(route)), **dict(_bad((*route.refuses, *EVERYWHERE)))},
    }
    if route.takes is not None:
        operation["requestBody"] = {"required": True, "content": {JSON: {"schema": _ref(route.takes)}}}
    return operation


def _good(route: Route) -> Iterable[tuple[str, dict[str, Any]]]:
    described: dict[str, Any] = {"description": "Done."}
    if route.answers is None:
        described["content"] = {"text/html": {"schema": {"type": "string"}}}
    else:
        described["content"] = {JSON: {"schema": _ref(route.answers)}}
    if route.method == "GET":
        described["headers"] = {"ETag": {"schema": {"type": "string"}, "description": "For If-None-Match."}}
        yield "304", {"description": "As it was when that ETag was given."}
    yield str(int(route.status)), described
    if NAME in route.path:
        location = {"schema": {"type": "string", "format": "uri"}, "required": True}
        yield "302", {"description": "There it is, for some minutes.", "headers": {"Location": location}}


def _bad(statuses: Iterable[HTTPStatus]) -> Iterable[tuple[str, dict[str, Any]]]:
    for status in statuses:
        content = {"application/problem+json": {"schema": _ref(documents.Problem)}}
        described: dict[str, Any] = {"description": status.phrase, "content": content}
        if status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE):
            described["headers"] = LATER
        if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            described["description"] += f": a body has {MAX_BODY_BYTES} bytes at most."
        yield str(int(status)), described


def _ref(kind: type) -> dict[str, str]:
    if kind is dict:
        return {"type": "object"}
    return {"$ref": REF.format(name=kind.__name__)}
