"""Watch mode as its user sees it: files copied to a folder, results in another, whatever happens in between."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runner.sandbox import landlock
from tests.folders import above
from tests.watching import ROOT, Watching, wait_for

GROWING_S = 3.5  # more than twice the stability time


@pytest.fixture(scope="module", autouse=True)
def crashed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watching]:
    """A watch whose machine was lost in mid-training, and that was started again. Its lease ends during other tests."""
    watching = Watching(tmp_path_factory.mktemp("crashed"))
    watching.put("lobby/a.mp4", b"survives")
    try:
        watching.start(MOCK_SECONDS="600")
        wait_for(lambda: (watching.health().get("current_job") or {}).get("stage") == "training", "the training begins")
        watching.put("attic/a.mp4", b"came meanwhile")
        watching.kill(everything=True)
        yield watching.start()
    finally:
        watching.close()


@pytest.fixture(scope="module")
def watching(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watching]:
    watching = Watching(tmp_path_factory.mktemp("watching"))
    watching.put("there/a.mp4", b"was there before")
    try:
        watching.start(AZURE_STORAGE_SAS_TOKEN="sig=canary", AZURE_CLIENT_SECRET="canary")
        wait_for(lambda: watching.is_done("there"), "what was there before is done")
        yield watching
    finally:
        watching.close()


def test_what_is_copied_to_the_folder_becomes_a_scene(watching: Watching) -> None:
    """Also what was there at the start. Results and archive lie where they are looked for."""
    watching.put("hall/a.mp4", b"first")
    watching.put("hall/b.mp4", b"second")
    wait_for(lambda: watching.is_done("there") and watching.is_done("hall"), "both scenes are done")
    assert watching.files("input") == {}
    assert watching.files("processed") == {
        "hall/a.mp4": b"first", "hall/b.mp4": b"second", "there/a.mp4": b"was there before",
    }  # fmt: skip
    assert {"hall/manifest.json", "hall/hall.ply", "hall/hall.splat", "there/there.ply"} <= watching.files(
        "output"
    ).keys()
    videos = json.loads(watching.files("output")["hall/manifest.json"])["videos"]
    assert [video["filename"] for video in videos] == ["a.mp4", "b.mp4"]


def test_a_scene_grows_and_runs_again_when_it_is_told_to(watching: Watching) -> None:
    def files() -> list[tuple[str, int]]:
        manifest = json.loads(watching.files("output")["yard/manifest.json"])
        return [(file["filename"], file["generation"]) for file in manifest.get("files", [])]

    def record() -> str:
        (found,) = (watching.data / "state/scenes").glob("yard.json")
        return found.read_text().replace(" ", "")

    def told(*arguments: str) -> None:
        command = [sys.executable, "-m", "scenejobs", *arguments]
        env = {"PATH": os.environ["PATH"], "DATA_PATH": str(watching.data)}
        done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    watching.put("yard/a.mp4", b"first of the yard")
    wait_for(lambda: watching.is_done("yard"), "the first result")
    watching.put("yard/b.mp4", b"late")
    wait_for(lambda: files() == [("a.mp4", 1), ("b.mp4", 2)], "the result of both")
    wait_for(lambda: '"phase":"idle"' in record(), "the end of the work, which comes after the result")
    told("exclude", "yard", "a.mp4")
    wait_for(lambda: files() == [("b.mp4", 2)], "the result without the first")
    assert {"yard/a.mp4", "yard/b.mp4"} <= watching.files("processed").keys()


def test_what_cannot_work_goes_to_error_with_its_reason(watching: Watching) -> None:
    watching.put("empty/a.mp4", b"")
    wait_for(lambda: watching.is_done("empty"), "the dead letter")
    found = watching.files("error")
    assert found["empty/a.mp4"] == b""
    assert json.loads(found["empty/error.json"])["code"] == "EMPTY_FILE"


def test_a_file_that_still_grows_is_not_taken(watching: Watching) -> None:
    """Neither is its finished neighbour, however old; whole, both are."""
    watching.put("slow/b.mp4", b"whole")
    path, parts = watching.put("slow/a.mp4", b""), []

    def copy() -> None:
        end = time.monotonic() + GROWING_S
        with path.open("ab", buffering=0) as file:
            while time.monotonic() < end:
                parts.append(b"%d " % len(parts))
                file.write(parts[-1])
                time.sleep(0.7)  # less than the stability time, and several looks

    copying = threading.Thread(target=copy)
    copying.start()
    while copying.is_alive():
        assert not list((watching.data / "state/batches").glob("slow/*")), "it was taken while it grew"
        time.sleep(0.05)
    wait_for(lambda: watching.is_done("slow"), "the scene is done")
    assert watching.files("processed")["slow/a.mp4"] == b"".join(parts)


def test_it_tells_how_it_is_and_its_numbers(watching: Watching) -> None:
    def ended() -> list[int]:
        committed = [name for name in watching.files("output") if "/runs/" in name and name.endswith("/manifest.json")]
        return [sum(name.endswith("/error.json") for name in watching.files("error")), len(committed)]

    def counted() -> list[object]:
        body = watching.health()
        return [body.get("jobs_failed"), body.get("jobs_succeeded")]

    watching.put("hollow/a.mp4", b"")
    wait_for(lambda: watching.is_done("hollow"), "the dead letter")
    wait_for(lambda: counted() == ended(), "the ended scenes are counted")
    failed, succeeded = ended()
    assert failed
    assert succeeded
    body = watching.health()
    assert body["status"] == "healthy"
    assert body["disk_free_gb"] > 0
    assert (body["jobs_processed"], body["jobs_failed"]) == (failed + succeeded, failed)
    assert watching.ask("/health/live")[0] == watching.ask("/health/ready")[0] == 200
    assert watching.ask("/elsewhere")[0] == watching.ask("/metrics")[0] == 404
    status, text = watching.ask("/metrics", watching.metrics_port)
    assert status == 200
    assert f'video_splat_scenes_total{{outcome="failed"}} {failed}.0\n' in text
    assert f'video_splat_scenes_total{{outcome="succeeded"}} {succeeded}.0\n' in text


def test_the_line_of_a_finished_scene_has_the_fields_of_the_guide(watching: Watching) -> None:
    def lines() -> list[dict[str, Any]]:
        return [json.loads(line) for line in watching.log.splitlines() if line.startswith("{")]

    def finished() -> list[dict[str, Any]]:
        return [line for line in lines() if line.get("scene") == "porch" and "gaussian_count" in line]

    watching.put("porch/a.mp4", b"first")
    wait_for(finished, "the line about the scene's end")
    (line,) = finished()
    assert line.keys() >= {"timestamp", "level", "target", "message", "job_id", "duration_secs", "frames_extracted"}
    (manifest,) = [data for name, data in watching.files("output").items() if name == "porch/manifest.json"]
    assert (
        (line["job_id"], line["run_id"])
        == ("porch", json.loads(manifest)["run_id"])
        == ("porch", json.loads(manifest)["job_id"])
    )
    of_worker = [
        line for line in lines() if line["target"].startswith("runner.worker") and "scene porch" in line["message"]
    ]
    assert {line.get("job_id") for line in of_worker} == {"porch"}, "every line about a scene, the worker's too"
    assert {each["run_id"] for each in of_worker if "attempt" in each["message"]} == {line["run_id"]}
    frames = sum(video["frame_count"] for video in json.loads(manifest)["videos"])
    assert (line["frames_extracted"], line["gaussian_count"]) == (frames, 8), "the mock's"


def test_no_secret_of_the_environment_reaches_log_or_files(watching: Watching) -> None:
    """A mount may need an account; the watch does not, and its workers are not told of it."""
    assert "canary" not in watching.log
    assert all(b"canary" not in path.read_bytes() for path in watching.data.rglob("*") if path.is_file())


def test_a_lost_mount_makes_it_unwell_and_its_return_well_again(watching: Watching) -> None:
    """An unmounted volume leaves an empty folder: it is not taken for an input folder without scenes."""
    wait_for(lambda: watching.ask("/health/ready")[0] == 200, "it is ready")
    folder, aside = watching.data / "input", watching.data / "aside"
    folder.rename(aside)
    folder.mkdir()
    wait_for(lambda: watching.ask("/health/ready")[0] == 503, "it is not ready")
    assert "is the volume mounted?" in watching.health()["reason"]
    assert watching.ask("/health/live")[0] == 200, "starting it anew would not bring the mount back"
    folder.rmdir()
    aside.rename(folder)
    wait_for(lambda: watching.ask("/health/ready")[0] == 200, "it is ready again")


def test_what_no_scene_could_work_with_is_told_and_costs_no_attempt(tmp_path: Path) -> None:
    """No GPU for a backend that needs one, a disk below the limit: not ready before the first scene comes, nor after.

    Mended, the scene is done at its first attempt.
    """
    watching = Watching(tmp_path)
    kinds = ["disk", "device"]
    try:
        watching.start(BACKEND="gsplat", CUDA_VISIBLE_DEVICES="", MIN_DISK_SPACE_GB="1000000000")
        wait_for(lambda: [each["kind"] for each in watching.health().get("problems", [])] == kinds, "both are told")
        reason = watching.health()["reason"]
        assert "1e+09 GB are asked for (MIN_DISK_SPACE_GB)" in reason
        assert "BACKEND=gsplat needs a GPU" in reason
        watching.put("lobby/a.mp4", b"x")
        wait_for(lambda: list((watching.data / "state/batches").glob("*/*")), "the scene is complete")
        time.sleep(1)  # several looks
        assert watching.ask("/health/ready")[0] == 503
        numbers = watching.ask("/metrics", watching.metrics_port)[1]
        assert "video_splat_healthy 0.0" in numbers
        assert all(f'video_splat_problem{{kind="{kind}"}} 1.0' in numbers for kind in kinds)
        assert watching.files("error") == watching.files("output") == {}
        assert watching.stop() == 0
        watching.start()
        wait_for(lambda: watching.is_done("lobby"), "the scene is done")
        assert json.loads((watching.data / "state/generations/lobby/1.json").read_text())["attempts"] == 1
        assert watching.ask("/health/ready")[0] == 200
    finally:
        watching.close()


def test_two_watches_with_an_input_folder_each_do_their_own_scenes(tmp_path: Path) -> None:
    """On one data folder, as the guide shows it. Each counts its own; what would be one result waits, and is told."""
    first, second = Watching(tmp_path / "1"), Watching(tmp_path / "2")
    data = first.data
    for number, name in enumerate(["a", "b", "c", "d"]):
        path = data / f"input-{number % 2 + 1}" / name / "a.mp4"
        path.parent.mkdir(parents=True)
        path.write_bytes(name.encode())
    try:
        for number, each in enumerate((first, second), 1):
            each.start(DATA_PATH=str(data), INPUT_PATH=str(data / f"input-{number}"), INSTANCE_NAME=f"watch-{number}")
        done = {f"{name}/a.mp4" for name in "abcd"}
        wait_for(lambda: first.files("processed").keys() == done, "all scenes are done")
        wait_for(lambda: [each.health()["jobs_processed"] for each in (first, second)] == [2, 2], "each counts its own")
        assert [each.health()["instance"] for each in (first, second)] == ["watch-1", "watch-2"]
        again = data / "input-2/a/a.mp4"
        again.parent.mkdir(exist_ok=True)
        again.write_bytes(b"another place of that name")
        wait_for(lambda: "has a scene of that name" in second.health().get("reason", ""), "the name is told")
        assert first.ask("/health/ready")[0] == 200
        assert 'video_splat_problem{kind="instance"} 1.0' in second.ask("/metrics", second.metrics_port)[1]
    finally:
        first.close()
        second.close()


@pytest.mark.skipif(landlock.abi() == 0, reason="root without rights is made with Landlock's helper")
def test_a_folder_of_another_owner_waits_is_told_and_goes_on_when_it_is_mended(tmp_path: Path) -> None:
    """Before any work: nothing could be archived. So does one that cannot be opened at all; other scenes go on."""
    prefix = [sys.executable, "-m", "tests.read_only_root", str(tmp_path), "--"]
    watching = Watching(tmp_path, prefix=prefix)
    watching.put("theirs/a.mp4", b"x")
    watching.put("closed/a.mp4", b"x")
    theirs, closed = watching.data / "input/theirs", watching.data / "input/closed"
    for path in [*above(tmp_path), tmp_path, *tmp_path.rglob("*")]:
        path.chmod(0o777)  # whoever nobody is
    theirs.chmod(0o555)
    closed.chmod(0o000)
    try:
        watching.start()
        wait_for(lambda: "theirs" in watching.health().get("reason", ""), "the folder is told")
        ours = watching.put("ours/a.mp4", b"x")
        for path in (ours.parent, ours):
            path.chmod(0o777)
        wait_for(lambda: watching.is_done("ours"), "the other scene is done")
        body = watching.health()
        assert [each["kind"] for each in body["problems"]] == ["rights", "rights"]
        assert re.findall(r"sudo chown -R \d+:\d+ (\S+?)(?:;|$)", body["reason"]) == [str(theirs), str(closed)]
        assert [path.name for path in (watching.data / "state/batches").glob("*")] in ([], ["ours"]), "no work began"
        assert watching.log.count("work does not go on") == 2, "once each"
        theirs.chmod(0o777)
        closed.chmod(0o777)
        wait_for(lambda: watching.is_done("theirs") and watching.is_done("closed"), "both are done")
        wait_for(lambda: watching.ask("/health/ready")[0] == 200, "it is ready again")
        assert watching.files("input") == {}
    finally:
        closed.chmod(0o777)
        watching.close()


def test_told_to_stop_it_gives_the_scene_back_and_ends_with_0(tmp_path: Path) -> None:
    """The next start goes on at once, and the attempt cost none."""
    watching = Watching(tmp_path)
    watching.put("lobby/a.mp4", b"x")
    try:
        watching.start(MOCK_SECONDS="600")
        wait_for(lambda: (watching.health().get("current_job") or {}).get("stage") == "training", "the training begins")
        assert watching.stop() == 0
        record = json.loads((tmp_path / "data/state/scenes/lobby.json").read_text())
        assert (record["phase"], record["attempts"]) == ("idle", 0)
        watching.start()
        wait_for(lambda: watching.is_done("lobby"), "the scene is done")
    finally:
        watching.close()


@pytest.mark.skipif(landlock.abi() == 0, reason="this kernel has no Landlock to make a read-only root of")
def test_nobody_on_a_read_only_root_can_run_it_and_a_killed_watch_leaves_no_worker(tmp_path: Path) -> None:
    """Only data and scratch are written to. The orphaned worker gives its scene back by itself."""
    prefix = [sys.executable, "-m", "tests.read_only_root", str(tmp_path), "--"]
    watching = Watching(tmp_path, prefix=prefix)
    watching.put("lobby/a.mp4", b"x")
    for path in [*above(tmp_path), tmp_path, *tmp_path.rglob("*")]:
        path.chmod(0o777)  # whoever nobody is
    try:
        watching.start(MOCK_SECONDS="600")
        wait_for(lambda: (watching.health().get("current_job") or {}).get("stage") == "training", "the training begins")
        watching.kill(everything=False)
        record = tmp_path / "data/state/scenes/lobby.json"
        wait_for(
            lambda: json.loads(record.read_text())["phase"] == "idle", "the worker gave it back, nobody else is there"
        )
        assert json.loads(record.read_text())["attempts"] == 0
        watching.start()
        wait_for(lambda: watching.is_done("lobby"), "the scene is done")
    finally:
        watching.close()


def test_old_archives_go_and_inputs_never(tmp_path: Path) -> None:
    """RETENTION_DAYS is a part of a second here."""
    watching = Watching(tmp_path)
    watching.put("lobby/a.mp4", b"x")
    watching.put("empty/a.mp4", b"")
    stays = watching.put("waits/unfinished.mp4.part", b"still being copied")
    os.utime(stays, (1, 1))
    try:
        watching.start(RETENTION_DAYS="0.000001", TIDY_INTERVAL_SECS="0.5")
        wait_for(lambda: "lobby/manifest.json" in watching.files("output"), "the result")
        wait_for(lambda: watching.files("input").keys() == {"waits/unfinished.mp4.part"}, "both ended")
        wait_for(lambda: not watching.files("processed") and not watching.files("error"), "the archives are empty")
        assert "lobby/manifest.json" in watching.files("output")
        assert watching.files("input") == {"waits/unfinished.mp4.part": b"still being copied"}
        records = tmp_path / "data/state/scenes"
        wait_for(lambda: not (records / "empty.json").exists(), "the state of a scene that left nothing is gone")
        assert (records / "lobby.json").exists(), "its result is there: so is its story"
    finally:
        watching.close()


def test_old_results_go_where_that_is_asked_for_and_are_not_lost(tmp_path: Path) -> None:
    """OUTPUT_RETENTION_DAYS is a part of a second here: what remains is the record that tells of it."""
    watching = Watching(tmp_path)
    watching.put("lobby/a.mp4", b"x")
    record = tmp_path / "data/state/scenes/lobby.json"
    try:
        watching.start(OUTPUT_RETENTION_DAYS="0.000001", TIDY_INTERVAL_SECS="0.5")
        wait_for(lambda: record.exists() and "expired" in json.loads(record.read_text()), "the record says so")
        wait_for(lambda: not watching.files("output"), "the result is removed")
        assert watching.files("processed") == {"lobby/a.mp4": b"x"}
        watching.put("lobby/a.mp4", b"x")
        wait_for(lambda: not watching.files("input"), "the same clip is put away")
        assert json.loads(record.read_text())["generation"] == 2, "nothing was made again"
        assert watching.health()["status"] == "healthy"
        env = {"PATH": os.environ["PATH"], "DATA_PATH": str(watching.data)}
        audit = [sys.executable, "-m", "scenejobs", "audit"]
        done = subprocess.run(audit, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout
    finally:
        watching.close()


def test_a_lost_machine_loses_nothing(crashed: Watching) -> None:
    """Everything was killed in mid-training. What was in work and what came meanwhile are each done once."""
    wait_for(lambda: crashed.is_done("lobby") and crashed.is_done("attic"), "both scenes are done")
    assert crashed.files("processed") == {"lobby/a.mp4": b"survives", "attic/a.mp4": b"came meanwhile"}
    assert [path.name for path in (crashed.data / "state/generations").rglob("*.json")] == ["1.json", "1.json"]
    assert crashed.health()["jobs_processed"] == 2
