"""What is changed: a scene runs again, stops, or its result goes. The same code as behind the commands of that name."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

from function_app.web import documents
from function_app.web.http import Refused, Request, Response
from function_app.web.scenes import unknown
from function_app.web.site import Site
from scenejobs.errors import InputError
from scenejobs.names import within_scene
from scenejobs.state import cancelling, rerun, wishes
from scenejobs.state.incoming.accepted import check_scene
from scenejobs.state.overview.status import State, scene_status
from scenejobs.state.removal import deletion


def retry(site: Site, request: Request, names: Mapping[str, str]) -> Response:
    """POST /api/scenes/{scene}/retry. Cut off anywhere, the same request goes on."""
    scene = _known(site, names)
    anyway = request.query.get("with_what_is_there", "") in ("1", "true")
    try:
        plan = rerun.plan(site.containers, scene, with_what_is_there=anyway, depth=site.dispatch.prefix_depth)
        rerun.carry_out(site.containers, site.queues, plan, with_what_is_there=anyway)
    except InputError as exc:
        raise _conflict(exc) from exc
    files = plan.files if isinstance(plan, wishes.AgainPlan) else tuple(item.name for item in plan.redrive.inputs)
    return Response.of(documents.Retried(scene=scene, files=tuple(within_scene(name, scene) for name in files)))


def cancel(site: Site, _: Request, names: Mapping[str, str]) -> Response:
    """POST /api/scenes/{scene}/cancel. Said twice it is the same."""
    scene = names["scene"]
    check_scene(scene)
    try:
        done = cancelling.cancel(site.containers, scene, site.dispatch.prefix_depth)
    except InputError as exc:
        raise _conflict(exc) from exc
    return Response.of(documents.Cancelled(scene=scene, uploads=done.uploads, stopping=done.stopping))


def delete(site: Site, _: Request, names: Mapping[str, str]) -> Response:
    """DELETE /api/scenes/{scene}. Cut off anywhere, the same request goes on."""
    scene = _known(site, names)
    try:
        removed = deletion.delete(site.containers, scene, site.dispatch.prefix_depth)
    except InputError as exc:
        raise _conflict(exc) from exc
    return Response.of(documents.Deleted(scene=scene, removed=removed))


def _known(site: Site, names: Mapping[str, str]) -> str:
    """Raises Refused for a scene of which there is nothing."""
    scene = names["scene"]
    check_scene(scene)
    if scene_status(site.containers, scene, site.dispatch.prefix_depth).state is State.UNKNOWN:
        raise unknown(scene)
    return scene


def _conflict(exc: InputError) -> Refused:
    return Refused(HTTPStatus.CONFLICT, exc.cause, code=str(exc.code), advice=exc.advice)
