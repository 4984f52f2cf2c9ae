"""What is read by HTTP: lists that cost few questions however many scenes there are, one scene, links to its files."""

from __future__ import annotations

import json

import pytest

from scenejobs.errors import Failure
from scenejobs.estimate.learned import Finished
from scenejobs.names import PREVIEW_FILES
from scenejobs.state import estimates
from scenejobs.state.blobs import InputBlob
from scenejobs.state.layout import preview_folder, progress_name, record_name
from scenejobs.state.record import SceneRecord
from tests.counting import Counts
from tests.web import Web, answered

FAILURE = Failure("colmap_reconstruction", "NO_OVERLAP", "the clips show two places", "film the way between them")
DOUBT = Failure("quality", "POSES_SUSPECT", "14 dB", "look at it")


def many(count: int) -> Web:
    """Finished scenes, one a second."""
    web = Web()
    for number in range(count):
        web.finished(f"scene-{number:04d}", ())
        web.clock.advance(1)
    return web


def test_a_list_shows_each_scene_as_status_tells_it_those_that_changed_last_first() -> None:
    web = Web()
    web.finished("lobby", doubt=DOUBT)
    web.clock.advance(60)
    web.failed("cellar", FAILURE)
    web.clock.advance(60)
    web.containers.input.write("roof/a.mp4", b"video")
    found = web.document("scenes")
    assert [(one["scene"], one["state"]) for one in found["scenes"]] == [
        ("roof", "settling"), ("cellar", "failed"), ("lobby", "done"),
    ]  # fmt: skip
    roof, cellar, lobby = found["scenes"]
    assert (roof["uploads"], roof["has_result"], roof["poster"]) == (1, False, "")
    assert roof["expected"] is not None
    assert cellar["failure"] == {
        "stage": "poses", "code": "NO_OVERLAP", "cause": FAILURE.cause, "advice": FAILURE.advice,
    }  # fmt: skip
    assert (lobby["doubtful"], lobby["has_result"], lobby["failure"]) == (True, True, None)
    assert lobby["poster"].startswith("https://memory.example/output/lobby/poster.jpg?")
    assert (found["total"], found["next"]) == (3, None)


def test_a_scene_whose_name_its_record_does_not_tell_is_listed_by_its_name() -> None:
    web = Web()
    web.finished("Große Halle")
    assert [one["scene"] for one in web.document("scenes")["scenes"]] == ["Große Halle"]


def test_pages_hold_every_scene_once() -> None:
    web = many(23)
    seen: list[str] = []
    after = {}
    while True:
        page = web.document("scenes", limit="10", **after)
        assert (len(page["scenes"]) <= 10, page["total"]) == (True, 23)
        seen += [one["scene"] for one in page["scenes"]]
        if page["next"] is None:
            break
        after = {"after": page["next"]}
    assert seen == [f"scene-{number:04d}" for number in reversed(range(23))]


def test_a_list_can_be_asked_for_a_part_of_the_name() -> None:
    web = Web()
    for scene in ("lobby", "lobby-2", "roof"):
        web.finished(scene)
    page = web.document("scenes", name="LOB")
    assert (sorted(one["scene"] for one in page["scenes"]), page["total"]) == (["lobby", "lobby-2"], 2)


@pytest.mark.parametrize(
    "query", [{"limit": "0"}, {"limit": "201"}, {"limit": "x"}, {"limit": "９"}, {"after": "x"}, {"after": "bnVsbA=="}]
)
def test_what_is_no_page_is_refused(query: dict[str, str]) -> None:
    assert web_problem(Web(), "scenes", 400, **query)["detail"]


def web_problem(web: Web, path: str, status: int, **query: str) -> dict[str, object]:
    response = web.ask("GET", path, **query)
    assert response.headers["Content-Type"] == "application/problem+json"
    problem: dict[str, object] = answered(response, status)
    assert (problem["status"], problem["type"]) == (status, "about:blank")
    return problem


def test_a_thousand_scenes_cost_a_few_listings_and_one_read_each_and_nothing_when_asked_again() -> None:
    web, counts = many(1000), Counts()
    web.over(counts.containers(web.containers))
    seen, after = 0, {}
    while True:
        page = web.document("scenes", limit="200", **after)
        seen += len(page["scenes"])
        if page["next"] is None:
            break
        after = {"after": page["next"]}
    assert seen == 1000
    reads = counts.calls["state.read"]
    assert reads == 1000
    assert counts.total - reads <= 5 * 8, counts.calls  # of each page: a listing of each folder, and the time
    counts.clear()
    assert len(web.document("scenes", limit="200")["scenes"]) == 200
    assert counts.total <= 8, counts.calls


def test_an_answer_that_did_not_change_is_not_sent_again() -> None:
    web = Web()
    web.finished()
    first = web.ask("GET", "scenes")
    again = web.ask("GET", "scenes", headers={"if-none-match": f'"other", W/{first.headers["ETag"]}'})
    assert (again.status, again.body, again.headers["ETag"]) == (304, b"", first.headers["ETag"])
    web.clock.advance(60)  # the links in it are the same for some minutes
    assert web.ask("GET", "scenes", headers={"if-none-match": first.headers["ETag"]}).status == 304
    web.failed("cellar", FAILURE)
    assert web.ask("GET", "scenes", headers={"if-none-match": first.headers["ETag"]}).status == 200


def test_a_page_that_did_not_change_keeps_its_policy() -> None:
    """A browser takes the headers of a 304 for those it has: with another policy the page would not run."""
    web = Web()
    first = web.ask("GET", "ui")
    again = web.ask("GET", "ui", headers={"if-none-match": first.headers["ETag"]})
    assert again.status == 304
    assert again.headers == first.headers
    policy = dict(each.split(" ", 1) for each in first.headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == policy["frame-ancestors"] == policy["form-action"] == policy["base-uri"] == "'none'"
    assert policy["script-src"].startswith("'sha256-")
    assert "unsafe" not in first.headers["Content-Security-Policy"]
    assert policy["connect-src"] == "'self' https://memory.example"


def test_the_first_look_at_a_run_is_reached_and_no_other_blob_of_the_state() -> None:
    web = Web()
    manifest = (InputBlob("lobby/a.mp4", "e", 5),)
    web.put(SceneRecord("lobby").attempted("run-1", manifest, web.clock()))
    assert web.ask("GET", "scenes/lobby/preview/viewer.html").status == 404
    for name in PREVIEW_FILES:
        web.containers.state.write(preview_folder("lobby", "run-1") + name, b"x")
    told = {"run": "run-1", "stage": "training", "total_fraction": 0.2, "detail": "", "eta_s": None, "first_look": True}
    web.containers.state.write(progress_name("lobby"), json.dumps(told).encode())
    scene = web.document("scenes")["scenes"][0]
    assert (scene["has_preview"], scene["has_result"]) == (True, False)
    folder = "https://memory.example/state/previews/lobby/run-1/"
    assert scene["poster"].startswith(f"{folder}poster.jpg?")
    assert web.ask("GET", "scenes/lobby/preview/viewer.html").headers["Location"].startswith(f"{folder}viewer.html?")
    for name in ("..%2F..%2Fscenes%2Flobby.json", "other", "%2e%2e"):
        assert web.ask("GET", f"scenes/lobby/preview/{name}").status == 404


def test_one_scene_is_told_with_the_files_of_its_result() -> None:
    web = Web()
    web.finished("lobby", ["lobby.ply", "viewer.html"])
    found = web.document("scenes/lobby")
    assert found["scene"]["state"] == "done"
    assert [(file["name"], file["size_bytes"]) for file in found["files"]] == [("lobby.ply", 9), ("viewer.html", 11)]
    assert found["scene"]["changed_at"] is not None


def test_one_scene_tells_how_long_its_run_took_against_what_was_expected() -> None:
    """As `scenejobs status` does; a list, which reads once for a scene, does not."""
    web = Web()
    web.finished()
    run = SceneRecord.from_json(json.loads(web.containers.state.read(record_name("lobby"))[0])).ending
    assert run is not None
    assert web.document("scenes/lobby")["scene"]["took_seconds"] is None
    estimates.add(web.containers.state, Finished(run.run, "cpu", "laptop", 2, 72, {}, {"training": 120.0}, 60.0, 180.0))
    scene = web.document("scenes/lobby")["scene"]
    assert (scene["took_seconds"], scene["estimate_seconds"]) == (120.0, [60.0, 180.0])
    assert web.document("scenes")["scenes"][0]["took_seconds"] is None


def test_a_scene_that_nobody_knows_is_none() -> None:
    assert web_problem(Web(), "scenes/nowhere", 404)["code"] == "NO_SCENE"


@pytest.mark.parametrize(
    "path",
    [
        "scenes/..", "scenes/%2e%2e", "scenes/%252e%252e", "scenes/a%5Cb", "scenes/a%00b", "scenes/%2e%2e%2Fstate",
        "scenes/", "scenes//files/x", "scenes/lobby%2F..%2Fother", "scenes/.scenejobs", "scenes/%F0%9F",
        "scenes/" + "a" * 2000, "scenes/../files/manifest.json", "scenes/a%ED%A0%80",
    ],
)  # fmt: skip
def test_a_name_that_no_scene_can_have_reaches_no_storage(path: str) -> None:
    web, counts = Web(), Counts()
    web.over(counts.containers(web.containers))
    assert web_problem(web, path, 400)
    assert counts.total == 0, counts.calls


@pytest.mark.parametrize("path", ["scenes/" + "%41" * 4000, "scenes/" + "a/" * 400])
def test_a_path_that_is_too_long_is_refused(path: str) -> None:
    assert web_problem(Web(), path, 414)


def test_a_file_is_a_redirect_to_a_link_of_minutes_or_its_document() -> None:
    web = Web()
    web.finished("lobby", ["viewer.html"])
    found = web.ask("GET", "scenes/lobby/files/viewer.html")
    assert (found.status, found.headers["Cache-Control"]) == (302, "no-store")
    assert found.headers["Location"].startswith("https://memory.example/output/lobby/viewer.html?")
    assert "sp=r" in found.headers["Location"]
    link = answered(web.ask("GET", "scenes/lobby/files/viewer.html", headers={"accept": "application/json"}))
    assert link["url"] == found.headers["Location"]
    lasts_s = (web.site.minutes()[1] - web.clock()).total_seconds()
    assert 600 <= lasts_s <= 1200
    kept = web.ask("GET", "scenes/lobby/files/viewer.html", download="1").headers["Location"]
    assert "rscd=attachment" in kept


@pytest.mark.parametrize(
    "name", ["other.ply", "runs%2Frun-1%2Fviewer.html", "..%2Fcellar%2Fviewer.html", "%2e%2e", "", "a.mp4"]
)
def test_what_the_manifest_does_not_name_is_no_file(name: str) -> None:
    web = Web()
    web.finished("lobby", ["viewer.html"])
    web.finished("cellar", ["viewer.html"])
    web.containers.output.write("lobby/other.ply", b"not published")
    assert web_problem(web, f"scenes/lobby/files/{name}", 404)


def test_a_scene_of_several_folders_is_one_segment_or_as_many() -> None:
    web = Web()
    web.finished("site/lobby", ["viewer.html"])
    for path in ("scenes/site%2Flobby", "scenes/site/lobby"):
        assert web.document(path)["scene"]["scene"] == "site/lobby"
        assert web.ask("GET", f"{path}/files/viewer.html").status == 302


def test_nothing_is_kept_sniffed_framed_or_told_to_other_sites() -> None:
    for response in (Web().ask("GET", "scenes"), Web().ask("GET", "nothing"), Web().ask("PATCH", "scenes")):
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Referrer-Policy"] == "no-referrer"
        assert response.headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
        assert response.headers["Cache-Control"] in ("private, no-cache", "no-store")
        assert "Access-Control-Allow-Origin" not in response.headers


def test_a_method_that_a_path_does_not_have_is_told_those_it_has() -> None:
    found = Web().ask("POST", "scenes")
    assert (found.status, found.headers["Allow"]) == (405, "GET")
    assert json.loads(found.body)["detail"] == "use GET"
