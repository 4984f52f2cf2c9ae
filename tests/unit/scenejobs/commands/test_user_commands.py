"""Upload, watch, download: what a user does from a terminal."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from scenejobs.adapters.memory import MemoryBlobStore
from scenejobs.commands import download
from scenejobs.commands import status as commands_status
from scenejobs.commands import upload as commands_upload
from scenejobs.errors import Failure, InputError, StorageError
from scenejobs.ports import Containers
from scenejobs.state import layout
from scenejobs.state.record import SceneRecord
from scenejobs.state.status import SceneStatus


@pytest.fixture
def containers() -> Containers:
    return Containers(*(MemoryBlobStore(name) for name in ("input", "output", "processed", "error", "state")))


def publish(containers: Containers, files: dict[str, bytes]) -> None:
    outputs = [{"name": name, "sha256": hashlib.sha256(data).hexdigest()} for name, data in files.items()]
    for name, data in files.items():
        containers.output.write(f"lobby/{name}", data)
    containers.output.write("lobby/manifest.json", json.dumps({"outputs": outputs}).encode())


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


@pytest.mark.parametrize("name", ["missing.mp4", "notes.txt"])
def test_what_is_no_video_is_refused_before_anything_is_uploaded(
    containers: Containers, tmp_path: Path, name: str
) -> None:
    (tmp_path / "good.mp4").write_bytes(b"abc")
    (tmp_path / "notes.txt").write_bytes(b"abc")
    with pytest.raises(InputError, match=name):
        commands_upload.upload(containers, "lobby", [tmp_path / "good.mp4", tmp_path / name])
    assert list(containers.input.list()) == []


def test_two_files_of_one_name_would_overwrite_each_other_and_are_refused(
    containers: Containers, tmp_path: Path
) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "v.mp4").write_bytes(folder.encode())
    with pytest.raises(InputError, match=r"v\.mp4"):
        commands_upload.upload(containers, "lobby", [tmp_path / "a" / "v.mp4", tmp_path / "b" / "v.mp4"])


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


def test_all_scenes_with_uploads_results_or_failures_are_known(containers: Containers) -> None:
    containers.input.write("a/v.mp4", b"")
    containers.output.write("b/manifest.json", b"")
    containers.output.write("b/runs/1/manifest.json", b"")
    containers.error.write("c/error.json", b"")
    assert commands_status.known_scenes(containers, 1) == ["a", "b", "c"]


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
    assert ended.reason == "no video"
    assert [str(status.state) for status in shown] == ["settling", "archiving", "failed"]
