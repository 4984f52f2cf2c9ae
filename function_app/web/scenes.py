"""What is read: all scenes page by page, one scene with its files, links to these."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from function_app.web import documents
from function_app.web.http import Refused, Request, Response
from function_app.web.site import Site
from scenejobs.errors import InputError, UnreadableRecord
from scenejobs.parallel import Crew
from scenejobs.ports import Containers
from scenejobs.stages import in_words
from scenejobs.state import codec, previews, records
from scenejobs.state.copies import find
from scenejobs.state.incoming.accepted import check_scene
from scenejobs.state.layout import MANIFEST, published_name, record_name
from scenejobs.state.overview import seen, times
from scenejobs.state.overview.published import outputs_of
from scenejobs.state.overview.scenes import Entry, known_scenes
from scenejobs.state.overview.status import SceneStatus, State, scene_status
from scenejobs.state.record import Phase, SceneRecord

POSTER = "poster.jpg"
MOST_A_PAGE = 200
USUAL_A_PAGE = 50
LONG_AGO = datetime.min.replace(tzinfo=UTC)


def page(site: Site, request: Request, _: Mapping[str, str]) -> Response:
    """GET /api/scenes."""
    limit = _limit(request.query.get("limit", ""))
    words = request.query.get("name", "").casefold()
    containers, depth = seen.look(site.containers, site.kept), site.dispatch.prefix_depth
    entries = sorted(known_scenes(containers, depth), key=_newest_first)
    entries = [entry for entry in entries if words in entry.scene.casefold()]
    begin = 0
    if after := request.query.get("after", ""):
        last = _newest_first(_entry(after))
        begin = sum(_newest_first(entry) <= last for entry in entries)
    shown = entries[begin : begin + limit]
    outcome = Crew(site.at_once).each(lambda entry: described(site, containers, entry), shown)
    if outcome.failed:
        raise outcome.failed[0][1]
    more = begin + limit < len(entries)
    return Response.of(
        documents.ScenePage(
            scenes=tuple(outcome.results), total=len(entries), next=_cursor(shown[-1]) if more else None
        )
    )


def one(site: Site, _: Request, names: Mapping[str, str]) -> Response:
    """GET /api/scenes/{scene}."""
    scene = names["scene"]
    check_scene(scene)
    described_now = described(site, site.containers, _entry_of(site.containers, scene), with_times=True)
    if described_now.state is State.UNKNOWN:
        raise unknown(scene)
    files: tuple[documents.File, ...] = ()
    if described_now.has_result:
        try:
            found = outputs_of(site.containers, scene)
        except InputError:  # its files are being replaced
            found = ()
        files = tuple(documents.File(name=each.name, size_bytes=each.size_bytes, sha256=each.sha256) for each in found)
    return Response.of(documents.SceneDetail(scene=described_now, files=files))


def _entry_of(containers: Containers, scene: str) -> Entry:
    found = find(containers.state, record_name(scene))
    return Entry(scene, found.modified if found else None)


def file(site: Site, request: Request, names: Mapping[str, str]) -> Response:
    """GET /api/scenes/{scene}/files/{name}: where it is, as JSON for who asks for that."""
    scene, name = names["scene"], names["name"]
    check_scene(scene)
    try:
        known = {MANIFEST, *(each.name for each in outputs_of(site.containers, scene))}
    except InputError as exc:
        raise Refused(HTTPStatus.NOT_FOUND, exc.cause, code=str(exc.code), advice=exc.advice) from exc
    if name not in known:
        raise Refused(HTTPStatus.NOT_FOUND, f"the result of scene {scene} has no file {name}")
    start, until = site.minutes()
    as_file = request.query.get("download", "") in ("1", "true")
    url = site.links.read(published_name(scene, name), start, until, as_file=as_file)
    if documents_wanted(request):
        return Response.of(documents.Link(url=url, until=until))
    return Response(HTTPStatus.FOUND, headers={"Location": url, "Cache-Control": "no-store"})


def preview(site: Site, request: Request, names: Mapping[str, str]) -> Response:
    """GET /api/scenes/{scene}/preview/{name}: of the run that goes on, as `file`."""
    scene, name = names["scene"], names["name"]
    check_scene(scene)
    record = _record(site.containers, scene)
    running = record.phase is Phase.RUNNING
    found = previews.of_run(site.containers.state, scene, record.run) if running else {}
    if name not in found:
        raise Refused(HTTPStatus.NOT_FOUND, f"there is no first look at scene {scene} called {name}")
    start, until = site.minutes()
    url = site.links.read(found[name], start, until, kind="state")
    if documents_wanted(request):
        return Response.of(documents.Link(url=url, until=until))
    return Response(HTTPStatus.FOUND, headers={"Location": url, "Cache-Control": "no-store"})


def documents_wanted(request: Request) -> bool:
    return "application/json" in request.headers.get("accept", "")


def unknown(scene: str) -> Refused:
    return Refused(HTTPStatus.NOT_FOUND, f"there is no scene {scene}", code="NO_SCENE")


def described(site: Site, containers: Containers, entry: Entry, *, with_times: bool = False) -> documents.Scene:
    """with_times: of a finished scene what it took, for one read more. Raises StorageError."""
    status = scene_status(containers, entry.scene, site.dispatch.prefix_depth, site.dispatch)
    if with_times:
        status = times.timed(status, containers.state)
    record = _record(containers, entry.scene)
    failure = record.ending.failure if record.ending and status.state is State.FAILED else None
    has_result = record.published is not None and not record.is_expired
    start, until = site.minutes()
    first = {} if not status.first_look else previews.of_run(site.containers.state, entry.scene, record.run)
    poster = ""
    if has_result:
        poster = site.links.read(published_name(entry.scene, POSTER), start, until)
    elif POSTER in first:
        poster = site.links.read(first[POSTER], start, until, kind="state")
    return documents.Scene(
        **_told(status), has_result=has_result, has_preview=bool(first), poster=poster, changed_at=entry.changed_at,
        failure=None if failure is None else documents.Failure(
            stage=in_words(failure.stage), code=failure.code, cause=failure.cause, advice=failure.advice
        ),
    )  # fmt: skip


def _told(status: SceneStatus) -> dict[str, Any]:
    return {
        "scene": status.scene, "state": status.state, "doubtful": status.doubtful, "stage": in_words(status.stage),
        "progress": status.fraction, "detail": status.detail, "seconds_left": status.eta_s, "attempt": status.attempt,
        "estimate_seconds": status.estimate_s, "took_seconds": status.took_s,
        "since": status.since, "expected": status.expected, "uploads": status.waiting, "note": status.note,
        "reason": status.reason,
    }  # fmt: skip


def _record(containers: Containers, scene: str) -> SceneRecord:
    """An empty one where there is none, or nobody can read it: the status says so."""
    try:
        stored = records.load(containers.state, scene)
    except UnreadableRecord:
        stored = None
    return stored.record if stored else SceneRecord(scene)


def _limit(text: str) -> int:
    if not text:
        return USUAL_A_PAGE
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:6]) <= MOST_A_PAGE):
        raise Refused(HTTPStatus.BAD_REQUEST, f"limit is a whole number from 1 to {MOST_A_PAGE}")
    return int(text)


def _newest_first(entry: Entry) -> tuple[float, str]:
    return -(entry.changed_at or LONG_AGO).timestamp(), entry.scene


def _cursor(entry: Entry) -> str:
    """Where the next page begins, for `after`. Whoever makes one up sees no more than the list."""
    text = json.dumps([entry.changed_at.isoformat() if entry.changed_at else "", entry.scene])
    return base64.urlsafe_b64encode(text.encode()).decode()


def _entry(cursor: str) -> Entry:
    try:
        time, scene = codec.loads(base64.urlsafe_b64decode(cursor))
        return Entry(str(scene), codec.parse_time(time) if time else None)
    except (ValueError, TypeError, OverflowError) as exc:
        raise Refused(HTTPStatus.BAD_REQUEST, "`after` is no value of `next`") from exc
