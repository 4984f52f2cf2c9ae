"""A drone's film and what it wrote beside it, through the cloud: by blob names, archived together, never a reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from runner.job.request import Job
from runner.job.supervise import Supervision
from runner.media.settings import Limits
from runner.scene.inputs.sidecars import MOST_BYTES, attached
from runner.worker.usable_uploads import never_used, usable_files
from scenejobs.state.blobs import InputBlob
from scenejobs.state.overview.status import State, scene_status
from tests.growth import GrowingScene
from tests.runner_world import echo_job
from tests.telemetry import srt

PLACES = [(48.1, 11.5), (48.2, 11.6)]


class Watched(GrowingScene):
    """Remembers which sidecar each film of each run had, and what was not used."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.beside: list[dict[str, str]] = []
        self.unused: list[dict[str, str]] = []

    def run(self) -> None:
        def job(job: Job, supervision: Supervision) -> Any:
            found, unused = attached(job.clips)
            for clip in found:
                assert clip.sidecar is None or clip.sidecar.path.read_bytes() == srt(PLACES)
            self.beside.append({clip.name: clip.sidecar.name if clip.sidecar else "" for clip in found})
            self.unused.append({each.name: each.reason for each in (*job.unused, *unused)})
            return echo_job(job, supervision)

        self.settle(job)


def test_film_and_sidecar_are_taken_archived_and_used_again_together(tmp_path: Path) -> None:
    scene = Watched(tmp_path)
    for name in ("lobby/card1/DJI_0001.SRT", "lobby/card1/DJI_0001.MP4", "lobby/card2/DJI_0001.MP4"):
        scene.upload(name, srt(PLACES) if name.endswith("SRT") else name.encode())
    scene.run()
    expected = {"card1/DJI_0001.MP4": "card1/DJI_0001.SRT", "card2/DJI_0001.MP4": ""}
    assert (scene.beside, scene.unused) == ([expected], [{}])
    assert "lobby/card1/DJI_0001.SRT" in scene.cloud.names("processed")
    scene.upload("lobby/late.mp4", b"late")
    scene.run()
    assert scene.beside[1:] == [{**expected, "late.mp4": ""}]
    assert scene.violations() == []


def test_alone_it_is_no_scene_and_waits_for_its_film(tmp_path: Path) -> None:
    scene = Watched(tmp_path)
    scene.upload("lobby/DJI_0001.srt", srt(PLACES))
    scene.run()
    assert scene.beside == []
    assert scene_status(scene.containers, "lobby").state is State.SETTLING
    scene.upload("lobby/DJI_0001.mp4", b"film")
    scene.run()
    assert scene.beside == [{"DJI_0001.mp4": "DJI_0001.srt"}]
    assert scene.violations() == []


def test_beside_other_films_it_is_told_and_what_comes_late_waits_for_the_next_run(tmp_path: Path) -> None:
    scene = Watched(tmp_path)
    scene.upload("lobby/a.mp4", b"film")
    scene.upload("lobby/b.srt", srt(PLACES))
    scene.run()
    assert scene.unused == [{"b.srt": "it tells where the camera of the film of its name was, and there is no such "
                                      "film beside it"}]  # fmt: skip
    scene.upload("lobby/a.srt", srt(PLACES))
    scene.run()
    assert len(scene.beside) == 1
    assert scene_status(scene.containers, "lobby").state is State.DONE
    scene.upload("lobby/b.mp4", b"its film")
    scene.run()
    assert scene.beside[1:] == [{"a.mp4": "a.srt", "b.mp4": "b.srt"}]
    assert scene.violations() == []


def test_one_larger_than_any_is_not_downloaded_and_told() -> None:
    film, sidecar = InputBlob("lobby/a.mp4", "1", 5), InputBlob("lobby/a.srt", "2", MOST_BYTES + 1)
    assert usable_files("lobby", (film, sidecar), Limits()).files == [film]
    (told,) = never_used("lobby", (film, sidecar))
    assert (told.name, told.reason) == ("a.srt", "it is larger than any list of places (67.1 MB)")
