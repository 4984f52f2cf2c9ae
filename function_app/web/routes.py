"""Every operation of the API as one table, and how a request finds its own."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from function_app.web import caller, changes, documents, limits, openapi, page, scenes, uploads
from function_app.web.caller import Role
from function_app.web.http import MAX_BODY_BYTES, Refused, Request, Response
from function_app.web.route import Parameter, Route
from function_app.web.site import Site
from scenejobs.errors import (
    AccessDenied,
    Busy,
    Code,
    ConfigurationError,
    InputError,
    LeaseLost,
    SceneJobError,
    StorageError,
)

log = logging.getLogger(__name__)


def _openapi(_: Site, __: Request, ___: Mapping[str, str]) -> Response:
    return Response.of(openapi.document(ROUTES))


def _me(site: Site, request: Request, _: Mapping[str, str]) -> Response:
    held = caller.roles_of(site.settings, site.env, request)
    return Response.of(documents.Caller(roles=tuple(role for role in Role if any(own.covers(role) for own in held))))


ROUTES: tuple[Route, ...] = (
    Route(
        "listScenes", "GET", "scenes", Role.READER, scenes.page,
        "All scenes, those that changed last first, page by page.", documents.ScenePage,
        parameters=(
            Parameter("after", "`next` of the page before.", {"type": "string"}),
            Parameter(
                "limit", "Scenes of a page.",
                {"type": "integer", "minimum": 1, "maximum": scenes.MOST_A_PAGE, "default": scenes.USUAL_A_PAGE},
            ),
            Parameter("name", "Only scenes whose name holds this, in any case.", {"type": "string"}),
        ),
        refuses=(HTTPStatus.BAD_REQUEST,),
    ),
    Route(
        "getFile", "GET", "scenes/{scene}/files/{name}", Role.READER, scenes.file,
        "A file of a result: a redirect to a link that works for minutes, or with `Accept: application/json` the link "
        "as a document.", documents.Link,
        parameters=(Parameter("download", "1: a browser keeps the file instead of showing it.", {"type": "string"}),),
        refuses=(HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND),
    ),
    Route(
        "getPreviewFile", "GET", "scenes/{scene}/preview/{name}", Role.READER, scenes.preview,
        "A file of the first look at a scene that is being made, as a file of its result: viewer.html, poster.jpg, "
        "preview.spz.", documents.Link, refuses=(HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND),
    ),
    Route(
        "getScene", "GET", "scenes/{scene}", Role.READER, scenes.one,
        "One scene, and the files of its result.", documents.SceneDetail,
        refuses=(HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND),
    ),
    Route(
        "retryScene", "POST", "scenes/{scene}/retry", Role.OPERATOR, changes.retry,
        "Run a scene again: a failed one with its inputs, a finished one anew.", documents.Retried,
        parameters=(
            Parameter(
                "with_what_is_there", "1: also where archived files of the published result are gone.",
                {"type": "string"},
            ),
        ),
        refuses=(HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT),
    ),
    Route(
        "cancelScene", "POST", "scenes/{scene}/cancel", Role.OPERATOR, changes.cancel,
        "Stop a scene that runs or waits. Its uploads stay, and nothing starts before retry or a new upload.",
        documents.Cancelled, refuses=(HTTPStatus.BAD_REQUEST, HTTPStatus.CONFLICT),
    ),
    Route(
        "deleteResult", "DELETE", "scenes/{scene}", Role.OPERATOR, changes.delete,
        "Remove the published result of a scene, its previews and caches. Its uploads stay in the archive.",
        documents.Deleted,
        refuses=(HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT),
    ),
    Route(
        "startUploads", "POST", "uploads", Role.UPLOADER, uploads.tickets,
        "Permission to send files into a scene: a link for each, for some hours. With `blob` the link of an upload "
        "that was begun is renewed.", documents.Tickets, takes=documents.NewUploads,
        refuses=(HTTPStatus.BAD_REQUEST, HTTPStatus.CONFLICT, HTTPStatus.UNSUPPORTED_MEDIA_TYPE),
    ),
    Route("getCaller", "GET", "me", Role.READER, _me, "What whoever asks may.", documents.Caller),
    Route("getPage", "GET", "ui", Role.READER, page.page, "The page for people."),
    Route("getOpenApi", "GET", "openapi.json", Role.READER, _openapi, "This document.", dict),
)  # fmt: skip


def answer(site: Site, request: Request, routes: tuple[Route, ...] = ROUTES) -> Response:
    """The answer to any request, whatever it holds. Raises nothing."""
    try:
        return _answered(site, request, routes).guarded()
    except Refused as exc:
        return exc.response().guarded()
    except SceneJobError as exc:
        return _of_error(exc).response().guarded()
    except Exception:  # whoever asks gets no traceback, and the next request its answer
        log.exception("the API failed at %s %r", request.method, request.path[:200])
        return Refused(HTTPStatus.INTERNAL_SERVER_ERROR, "it failed; the log says why", code="BUG").response().guarded()


def _answered(site: Site, request: Request, routes: tuple[Route, ...]) -> Response:
    limits.check(site.buckets, request, site.settings.requests_per_minute, site.monotonic_s())
    if len(request.body) > MAX_BODY_BYTES:
        raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a body has {MAX_BODY_BYTES} bytes at most")
    segments = request.segments
    found = [(route, names) for route in routes if (names := route.names_in(segments)) is not None]
    chosen = [(route, names) for route, names in found if route.method == request.method]
    if not chosen:
        # who may not even look is not told what there is
        caller.allow(site.settings, site.env, request, Role.READER, changes=False)
        if not found:
            raise Refused(HTTPStatus.NOT_FOUND, "there is nothing at this path", advice="see api/openapi.json")
        allowed = ", ".join(sorted({route.method for route, _ in found}))
        raise Refused(HTTPStatus.METHOD_NOT_ALLOWED, f"use {allowed}", headers={"Allow": allowed})
    route, names = chosen[0]
    caller.allow(site.settings, site.env, request, route.needs, changes=route.changes)
    response = route.handle(site, request, names)
    return response.tagged(request) if request.method == "GET" and response.status == HTTPStatus.OK else response


def _of_error(exc: SceneJobError) -> Refused:
    """What an error of ours is for whoever asked."""
    more: dict[str, Any] = {"code": str(exc.code), "advice": exc.advice}
    match exc:
        case InputError():
            return Refused(HTTPStatus.BAD_REQUEST, exc.cause, **more)
        case LeaseLost():
            return Refused(HTTPStatus.CONFLICT, exc.cause, **more)
        case Busy():
            return Refused(HTTPStatus.SERVICE_UNAVAILABLE, exc.cause, **more, headers={"Retry-After": "5"})
        case AccessDenied() | ConfigurationError():
            log.error("the API cannot do its work: %s", exc)
            detail = "the function app may not do this, or its settings are wrong; its log says what"
            return Refused(HTTPStatus.INTERNAL_SERVER_ERROR, detail, code=str(exc.code))
        case StorageError():
            return Refused(HTTPStatus.SERVICE_UNAVAILABLE, exc.cause, **more, headers={"Retry-After": "5"})
    log.error("the API failed: %s", exc)
    return Refused(HTTPStatus.INTERNAL_SERVER_ERROR, "it failed; the log says why", code=str(Code.BUG))
