"""`scenejobs estimate`: by the uploads that are there, with what earlier scenes took, and no price that is made up."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from scenejobs.estimate.learned import Finished
from scenejobs.estimate.model import STAGES
from scenejobs.ports import Containers
from scenejobs.settings.groups import DispatchSettings
from scenejobs.state import estimates
from scenejobs.state.overview import times
from scenejobs.state.overview.status import SceneStatus, State
from tests.commands import typed
from tests.counting import Counts
from tests.videos import pan, write_video


def finished(run: str, seconds: float) -> Finished:
    each = dict.fromkeys(STAGES, seconds)
    return Finished(run, "cpu", "laptop", 2.0, 50, each, each, 60.0, 180.0)


def test_a_scene_is_told_by_its_uploads(containers: Containers, capsys: pytest.CaptureFixture[str]) -> None:
    containers.input.write("lobby/a.mp4", b"x" * 100_000)
    containers.input.write("lobby/_READY", b"")
    assert typed(["estimate", "lobby"], containers) == 0
    out = capsys.readouterr().out
    assert "preset laptop, from the sizes of the files alone" in out
    assert "preset standard" in out
    assert "GPU minutes of 8 vCPU and 56 GiB; price not known" in out


def test_it_says_when_no_execution_can_hold_it(containers: Containers, capsys: pytest.CaptureFixture[str]) -> None:
    containers.input.write("lobby/a.mp4", b"x")
    settings = DispatchSettings(job_disk_gb=1.0)
    assert typed(["estimate", "lobby", "--json"], containers, settings=settings, env={"PRESET": "smoke"}) == 1
    told = json.loads(capsys.readouterr().out)
    assert (told["fits"], [each["preset"] for each in told["estimates"]]) == (False, ["smoke"])


def test_it_learns_from_scenes_that_were_finished(containers: Containers, capsys: pytest.CaptureFixture[str]) -> None:
    containers.input.write("lobby/a.mp4", b"x" * 10_000_000)
    for number in range(3):
        estimates.add(containers.state, finished(f"r{number}", 50.0))
    assert typed(["estimate", "lobby", "--preset", "laptop", "--json"], containers) == 0
    (told,) = json.loads(capsys.readouterr().out)["estimates"]
    assert told["scenes_learned_from"] == 3


@pytest.mark.parametrize(
    "words", [["estimate", "nothing"], ["estimate", "../x"], ["estimate", "lobby", "--preset", "x"]]
)
def test_what_cannot_be_estimated_is_an_error_of_one_line(
    words: list[str], containers: Containers, capsys: pytest.CaptureFixture[str]
) -> None:
    containers.input.write("lobby/a.mp4", b"x")
    assert typed(words, containers) in (1, 2)
    assert capsys.readouterr().err.startswith("error: ")


def test_status_of_a_finished_scene_has_both_times(containers: Containers) -> None:
    estimates.add(containers.state, finished("r1", 30.0))
    status = times.timed(SceneStatus("lobby", State.DONE, run="r1"), containers.state)
    assert "took 2 min (expected 1.0 to 3.0 min)" in status.line()
    assert times.timed(SceneStatus("lobby", State.DONE, run="other"), containers.state).took_s is None


def test_films_in_storage_are_asked_how_long_they_are(
    containers: Containers, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """By parts of them: a bounded number of calls and bytes, and the same numbers as of the file on a disk."""
    write_video(tmp_path / "a.mp4", pan(40, 2))
    data, counts = (tmp_path / "a.mp4").read_bytes(), Counts()
    containers.input.write("lobby/a.mp4", data)
    containers.input.write("lobby/b.MOV", b"no film at all")
    containers.input.write("lobby/c.jpg", b"photo")
    words = ["estimate", "lobby", "--preset", "laptop"]
    assert typed(words, counts.containers(containers)) == 0
    assert "from the sizes of the files alone" in capsys.readouterr().out  # of b.MOV no more is known
    assert counts.calls["input.read"] == 0
    assert 1 <= counts.calls["input.read_part"] <= 5
    containers.input.delete("lobby/b.MOV")
    assert typed(words, containers) == 0
    assert "from what headers say" in capsys.readouterr().out
