"""Upload, watch, download: what a user does from a terminal."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from scenejobs.adapters.memory import MemoryBlobStore
from scenejobs.commands import cli, download
from scenejobs.commands import status as commands_status
from scenejobs.commands import upload as commands_upload
from scenejobs.errors import Failure, InputError, StorageError
from scenejobs.ports import Containers
from scenejobs.settings.groups import DispatchSettings
from scenejobs.state import layout
from scenejobs.state.executions import usage
from scenejobs.state.overview.status import SceneStatus
from scenejobs.state.record import SceneRecord
from tests.commands import publish, typed

ROOT = Path(__file__).parents[4]
NO_REASON = "its manifest does not say why"


def test_videos_land_under_their_scene(containers: Containers, tmp_path: Path) -> None:
    (tmp_path / "view 1.mp4").write_bytes(b"abc")
    assert commands_upload.upload(containers, "lobby", [tmp_path / "view 1.mp4"]) == ["lobby/view 1.mp4"]
    assert containers.input.read("lobby/view 1.mp4")[0] == b"abc"


def test_photos_land_beside_the_videos_of_their_scene(containers: Containers, tmp_path: Path) -> None:
    for name in ("a.mp4", "IMG_1.HEIC", "IMG_2.jpg"):
        (tmp_path / name).write_bytes(name.encode())
    files = [tmp_path / "a.mp4", tmp_path / "IMG_1.HEIC", tmp_path / "IMG_2.jpg"]
    assert commands_upload.upload(containers, "lobby", files) == ["lobby/a.mp4", "lobby/IMG_1.HEIC", "lobby/IMG_2.jpg"]
    assert containers.input.read("lobby/IMG_1.HEIC")[0] == b"IMG_1.HEIC"


def test_poses_go_ahead_of_the_pictures_they_are_for(tmp_path: Path) -> None:
    """Else a scene with a short quiet time could be sealed between them."""
    order: list[str] = []

    class Noting(MemoryBlobStore):
        def upload(self, path: Path, name: str, **options: Any) -> str:
            order.append(name)
            return super().upload(path, name, **options)

    containers = Containers(Noting("input"), *[MemoryBlobStore()] * 4)
    files = [tmp_path / name for name in ("a.jpg", "transforms.json", "b.jpg", "cameras.bin")]
    for file in files:
        file.write_bytes(b"abc")
    names = commands_upload.upload(containers, "lobby", files)
    assert names == ["lobby/a.jpg", "lobby/transforms.json", "lobby/b.jpg", "lobby/cameras.bin"]
    assert order == ["lobby/transforms.json", "lobby/cameras.bin", "lobby/a.jpg", "lobby/b.jpg"]


def test_what_a_drone_wrote_beside_its_film_goes_with_it_and_ahead_of_it(
    containers: Containers, tmp_path: Path
) -> None:
    files = [tmp_path / card / name for card in ("card1", "card2") for name in ("DJI_0001.MP4", "DJI_0001.SRT")][:3]
    for file in files:
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(b"abc")
    names = commands_upload.upload(containers, "lobby", files)
    assert names == ["lobby/card1/DJI_0001.MP4", "lobby/card1/DJI_0001.SRT", "lobby/card2/DJI_0001.MP4"]


@pytest.mark.parametrize("name", ["missing.mp4", "notes.txt"])
def test_what_is_no_video_is_refused_before_anything_is_uploaded(
    containers: Containers, tmp_path: Path, name: str
) -> None:
    (tmp_path / "good.mp4").write_bytes(b"abc")
    (tmp_path / "notes.txt").write_bytes(b"abc")
    with pytest.raises(InputError, match=name):
        commands_upload.upload(containers, "lobby", [tmp_path / "good.mp4", tmp_path / name])
    assert list(containers.input.list()) == []


@pytest.mark.parametrize(
    ("depth", "scene", "names"),
    [
        (1, "lobby", ["card1/DCIM/v.mp4", "card2/DCIM/v.mp4", "w.mp4"]),
        (2, "site/lobby", ["card1/DCIM/v.mp4", "card2/DCIM/v.mp4", "w.mp4"]),
        (2, "lobby", ["card1_DCIM_v.mp4", "card2_DCIM_v.mp4", "w.mp4"]),  # a folder more would be another scene
    ],
)
def test_files_of_two_cards_with_one_name_are_both_uploaded(
    depth: int, scene: str, names: list[str], containers: Containers, tmp_path: Path
) -> None:
    """A file that is named twice is uploaded once."""
    files = [tmp_path / "card1/DCIM/v.mp4", tmp_path / "card2/DCIM/v.mp4", tmp_path / "card2/DCIM/w.mp4"]
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(str(file))
    again = tmp_path / "card1" / ".." / "card1" / "DCIM" / "v.mp4"
    uploaded = commands_upload.upload(containers, scene, [*files, again], depth)
    assert uploaded == [f"{scene}/{name}" for name in names]
    assert [containers.input.read(name)[0].decode() for name in uploaded] == [str(file) for file in files]


def test_a_scene_name_that_leaves_its_folder_is_refused(containers: Containers, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="dot segment"):
        commands_upload.upload(containers, "../other", [])


def test_a_download_brings_what_the_manifest_names(containers: Containers, tmp_path: Path) -> None:
    publish(containers, {"lobby.ply": b"ply", "sub/a.txt": b"x"})
    containers.output.write("lobby/runs/r1/lobby.ply", b"older")
    paths = download.download(containers, "lobby", tmp_path / "out")
    assert [path.relative_to(tmp_path / "out").as_posix() for path in paths] == [
        "lobby.ply", "sub/a.txt", "manifest.json",
    ]  # fmt: skip
    assert (tmp_path / "out" / "lobby.ply").read_bytes() == b"ply"


@pytest.mark.parametrize("said", [{}, {"suspect": True, "doubt": {"reasons": ["14 dB"]}}, {"suspect": True}])
def test_a_download_of_a_suspect_result_says_so(
    said: dict[str, Any],
    containers: Containers,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    containers.output.write("lobby/manifest.json", json.dumps({"outputs": [], **said}).encode())
    assert typed(["download", "lobby", str(tmp_path / "out")], containers) == 0
    told = capsys.readouterr().err
    assert told == ("" if not said else f"lobby is doubtful: {'14 dB' if 'doubt' in said else NO_REASON}\n")


def test_a_changed_output_is_noticed(containers: Containers, tmp_path: Path) -> None:
    publish(containers, {"lobby.ply": b"ply"})
    containers.output.write("lobby/lobby.ply", b"PLY")
    with pytest.raises(StorageError, match=r"lobby\.ply"):
        download.download(containers, "lobby", tmp_path / "out")


def test_a_manifest_that_names_a_path_outside_is_refused(containers: Containers, tmp_path: Path) -> None:
    containers.output.write("lobby/manifest.json", json.dumps({"outputs": [{"name": "../../evil"}]}).encode())
    with pytest.raises(StorageError, match="tampered"):
        download.download(containers, "lobby", tmp_path / "out")


def test_a_scene_without_result_says_so(containers: Containers, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no finished result"):
        download.download(containers, "lobby", tmp_path / "out")


def test_a_result_that_is_being_published_is_none_yet(containers: Containers, tmp_path: Path) -> None:
    publish(containers, {"lobby.ply": b"ply"})
    containers.output.write("lobby/manifest.json", b'{"publishing": "run-2", "outputs": []}')
    with pytest.raises(InputError, match="no finished result"):
        download.download(containers, "lobby", tmp_path / "out")


def test_watching_shows_each_change_once_and_ends_with_the_scene(containers: Containers) -> None:
    failure = Failure("validation", "NO_VIDEO", "no video", "upload one")
    failing = SceneRecord("lobby").given_up(failure, (), "r", containers.state.now())
    history = iter([failing, failing, failing.closed({}, containers.state.now())])
    shown: list[SceneStatus] = []

    def pause(_: float) -> None:
        """Between two looks the system goes one step on."""
        record = next(history)
        containers.state.write(layout.record_name("lobby"), json.dumps(record.to_json()).encode())
        if record.ending:
            containers.input.delete("lobby/v.mp4")

    containers.input.write("lobby/v.mp4", b"")
    ended = commands_status.watch(containers, "lobby", 1, show=shown.append, pause=pause)
    assert ended.reason.startswith("no video: upload one")
    assert [str(status.state) for status in shown] == ["settling", "archiving", "failed"]


def test_a_scene_that_would_become_part_of_another_is_refused(containers: Containers, tmp_path: Path) -> None:
    """With one level of folders `site/lobby` is a folder of scene `site`; with two it is a scene."""
    (tmp_path / "a.mp4").write_bytes(b"abc")
    with pytest.raises(InputError, match=r"SCENE_PREFIX_DEPTH=1 .* part of scene 'site'.*site-lobby"):
        commands_upload.upload(containers, "site/lobby", [tmp_path / "a.mp4"])
    assert list(containers.input.list()) == []
    assert commands_upload.upload(containers, "site/lobby", [tmp_path / "a.mp4"], 2) == ["site/lobby/a.mp4"]
    with pytest.raises(InputError, match="cannot be called 'runs'"):
        commands_upload.upload(containers, "site/runs", [tmp_path / "a.mp4"], 2)


@pytest.mark.parametrize("manifest", [b"{", b"[]", b"{}", b'{"outputs": 3}', b'{"outputs": [{}]}', b"[" * 9999])
def test_a_manifest_that_is_none_is_said_to_be_none(containers: Containers, tmp_path: Path, manifest: bytes) -> None:
    containers.output.write("lobby/manifest.json", manifest)
    with pytest.raises(StorageError, match="cannot be read"):
        download.download(containers, "lobby", tmp_path / "out")


COMMANDS = ("upload {} FILE", "status {}", "status {} --wait", "download {} DIR", "redrive {}", "redrive {} --apply")


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("scene", ["..", "../a", "a/../b", "a\\b", ".scenejobs", "a\nb", "x" * 1020, "a//b", "\ud800"])
def test_a_name_that_no_scene_has_is_one_line_and_an_exit_code(
    command: str, scene: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATA_PATH", str(tmp_path / "data"))
    (tmp_path / "a.mp4").write_bytes(b"abc")
    given = {"FILE": str(tmp_path / "a.mp4"), "DIR": str(tmp_path / "out"), "{}": scene}
    code = cli.main([given.get(word, word) for word in command.split()])
    told = capsys.readouterr()
    assert code in (1, 2)
    assert len((told.err + told.out).splitlines()) in (1, 2)


@pytest.mark.parametrize("place", ["file", "folder in the way", "read-only"])
def test_a_download_that_cannot_be_written_says_which_path(containers: Containers, tmp_path: Path, place: str) -> None:
    publish(containers, {"lobby.ply": b"ply"})
    out = tmp_path / "out"
    if place == "file":
        out.write_bytes(b"mine")
    elif place == "folder in the way":
        (out / "lobby.ply" / "full").mkdir(parents=True)
    else:
        out = Path("/proc/nowhere")
    with pytest.raises(InputError, match="cannot be written") as caught:
        download.download(containers, "lobby", out)
    assert str(out) in str(caught.value)
    if place == "file":
        assert out.read_bytes() == b"mine"


def test_a_local_file_that_cannot_be_read_is_no_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATA_PATH", str(tmp_path / "data"))
    (tmp_path / "a.mp4").write_bytes(b"abc")
    monkeypatch.setattr("scenejobs.adapters.folder.blobs.FolderBlobStore.upload", _denied)
    assert cli.main(["upload", "lobby", str(tmp_path / "a.mp4")]) == 1
    assert capsys.readouterr().err.startswith("error: a.mp4: Permission denied: check the path")


def _denied(*_: object, **__: object) -> str:
    raise PermissionError(13, "Permission denied", "a.mp4")


def test_who_is_interrupted_while_waiting_sees_no_traceback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATA_PATH", str(tmp_path / "data"))

    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(commands_status, "watch", interrupt)
    assert cli.main(["status", "lobby", "--wait"]) == 130


def test_a_reader_that_has_seen_enough_ends_the_command(tmp_path: Path) -> None:
    """`scenejobs status | head -1`."""
    data = tmp_path / "data"
    (data / "input").mkdir(parents=True)
    shell = f"{sys.executable} -m scenejobs refused | true; exit ${{PIPESTATUS[0]}}"
    (data / "input" / "..a").touch()
    done = subprocess.run(["bash", "-c", shell], cwd=ROOT, capture_output=True, text=True, check=False,
                          env={**os.environ, "DATA_PATH": str(data)})  # fmt: skip
    assert "Traceback" not in done.stderr
    assert done.returncode in (0, 130)


def test_doctor_looks_at_the_minutes_of_the_day(containers: Containers, capsys: pytest.CaptureFixture[str]) -> None:
    now = containers.state.now()
    usage.write(containers.state, "x1-token", now, now.date(), 3600.0)
    assert typed(["doctor"], containers, settings=DispatchSettings(max_gpu_minutes=600)) == 0
    assert "ok     minutes today: 60 of 600 (MAX_GPU_MINUTES_PER_DAY)" in capsys.readouterr().out
    assert typed(["doctor"], containers, settings=DispatchSettings(max_gpu_minutes=60)) == 1
    assert "nothing starts before tomorrow (UTC)" in capsys.readouterr().out
