"""Which blob belongs to which scene, and which names are refused."""

from __future__ import annotations

import re
from pathlib import PurePath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenejobs.names import (
    MAX_NAME_CHARS,
    is_companion,
    is_media,
    is_photo,
    is_pose_file,
    is_ready_marker,
    is_sidecar,
    is_video,
    output_stem,
    refusal,
    scene_key,
    scene_of,
    shortest_tails,
    upload_refusal,
    within_scene,
)
from scenejobs.state.layout import archive_names, batch_name, progress_name, record_name, refused_name, run_folder

ANY_NAME = st.lists(st.text(min_size=1, max_size=12), min_size=1, max_size=4).map("/".join)


@pytest.mark.parametrize(
    "name",
    [
        "lobby/cam1.mp4", "a.mp4", "lobby/my video (1).mp4", "lobby/100%.mp4", "видео/📱.mp4", "lobby/...mp4",
        "a/b..c/d.mp4",
        "lobby/.hidden.mp4", "a/..b", "x" * MAX_NAME_CHARS, "/".join("a" * 254), "lobby/a%2Fb.mp4", "lobby/-rf",
    ],
)  # fmt: skip
def test_odd_but_honest_names_are_taken(name: str) -> None:
    assert refusal(name) is None


@pytest.mark.parametrize(
    "name",
    [
        "", "/", "/a", "a/", "a//b", ".", "..", "a/..", "a/../b", "./a", "a/./b", "..\\a", "a\\..\\b", "a\\b",
        "a/%2e%2e/b", "a/%2E./b", "a/%252e%252e/b", "%2e%2e%2fb", "a%2f..%2fb", "a%5c..%5cb", "a/\u2025/b",
        "a/\uff0e\uff0e/b",
        "a\uff0f..\uff0fb", "a/ .. /b", "a/.. /b", "a\nb", "a\x00b", "a\x7fb", "a\x85b", "a\ud800b", "a\ufffeb",
        "a\U0001ffffb",
        "x" * (MAX_NAME_CHARS + 1), "/".join("a" * 255),
    ],
)  # fmt: skip
def test_names_that_could_mean_another_blob_are_refused_with_a_reason(name: str) -> None:
    """Dot segments in every disguise a proxy or a library could undo, and what no log or header can carry."""
    assert refusal(name)


@pytest.mark.parametrize(
    "name", ["..mp4", "...mp4", ". .mp4", "%2e.mp4", "\u2025.mp4", "..a/b.mp4", "..a.mp4", "..a.b.c", "..a"]
)
def test_a_root_file_whose_scene_would_be_a_dot_is_refused(name: str) -> None:
    """Its stem names the scene, and the scene names the folder of the results."""
    assert refusal(name)


@given(ANY_NAME, st.integers(1, 3))
def test_a_name_that_is_taken_gives_a_scene_that_is_taken(name: str, depth: int) -> None:
    """So that every blob name built from it, in any container, is taken too."""
    if refusal(name) is None:
        scene = scene_of(name, depth)
        assert refusal(scene) is None
        assert name.startswith(scene)
        names = (record_name(scene), batch_name(scene, "0" * 16), progress_name(scene), refused_name(name))
        for built in (*names, f"{run_folder(scene, 'run')}x", *archive_names(scene, name, 1, "run", depth)):
            assert refusal(built) is None or len(built) > MAX_NAME_CHARS or built.count("/") > 250


@pytest.mark.parametrize(
    ("name", "depth", "scene"),
    [
        ("lobby/a.mp4", 1, "lobby"),
        ("lobby/cam1/a.mp4", 1, "lobby"),
        ("lobby/cam1/a.mp4", 2, "lobby/cam1"),
        ("lobby/a.mp4", 2, "lobby"),
        ("lobby2/a.mp4", 1, "lobby2"),
        ("lobby.mp4", 1, "lobby"),
        ("lobby.tar.gz", 1, "lobby.tar"),
        ("lobby", 1, "lobby"),
        (".hidden", 1, ".hidden"),
    ],
)
def test_the_scene_of_a_blob(name: str, depth: int, scene: str) -> None:
    assert scene_of(name, depth) == scene


@pytest.mark.parametrize("name", [".scenejobs", ".scenejobs/a.mp4", ".SceneJobs.mp4", ".scenejobs.tar.gz"])
def test_the_private_folder_is_no_scene(name: str) -> None:
    assert "reserved" in str(refusal(name))


@given(st.integers(1, MAX_NAME_CHARS), st.integers(1, 254), st.integers(1, 3))
def test_an_upload_that_is_taken_leaves_room_for_every_name_made_from_it(chars: int, folders: int, depth: int) -> None:
    """Its place in the archive, its scene's results, whatever of the limits it uses up."""
    name = "/".join("n" * max(1, chars // folders) for _ in range(folders))
    if upload_refusal(name) is None:
        scene, run = scene_of(name, depth), "20260101T000000Z-0123456789abcdef"
        built = [*archive_names(scene, name, 10**6, run, depth), record_name(scene)]
        built += [f"{run_folder(scene, run)}{output_stem(scene)}.compressed.ply", batch_name(scene, "0" * 16)]
        assert [refusal(one) for one in built] == [None] * len(built)


def test_within_a_scene() -> None:
    assert within_scene("lobby/cam1/a.mp4", "lobby") == "cam1/a.mp4"
    assert within_scene("lobby.mp4", "lobby") == "lobby.mp4"
    assert output_stem("site/lobby") == "lobby"


@pytest.mark.parametrize("name", ["a.mp4", "b/A.MOV", "c.avi", "c.mkv", "c.webm", "c.m4v"])
def test_videos_are_known_by_their_extension(name: str) -> None:
    assert is_video(name)


@pytest.mark.parametrize("name", ["a.txt", "mp4", "a.mp4.part", "a.mp4/b", ".mp4"])
def test_other_files_are_no_videos(name: str) -> None:
    assert not is_video(name)


@pytest.mark.parametrize("name", ["a.jpg", "b/A.JPEG", "IMG_1.HEIC", "c.heif", "c.hif", "c.png", "c.tif", "c.tiff"])
def test_photos_are_known_by_their_extension(name: str) -> None:
    assert is_photo(name)
    assert is_media(name)
    assert not is_video(name)


@pytest.mark.parametrize("name", ["a.mp4", "jpg", "a.jpg.part", "a.jpg/b", "a.gif", "a.psd"])
def test_other_files_are_no_photos(name: str) -> None:
    assert not is_photo(name)
    assert is_media(name) == is_video(name)


def test_ready_markers_are_whole_file_names() -> None:
    assert is_ready_marker("lobby/_READY")
    assert is_ready_marker("lobby/.complete")
    assert not is_ready_marker("lobby/not_READY")
    assert not is_ready_marker("_READY/a.mp4")


@pytest.mark.parametrize(
    "name", ["lobby/transforms.json", "lobby/cameras.json", "a/sparse/0/images.bin", "a/points3D.txt", "rigs.bin"]
)
def test_files_of_poses_are_known_by_their_whole_name(name: str) -> None:
    """They and ready markers are what starts no job alone."""
    assert is_pose_file(name)
    assert is_companion(name)
    assert not is_media(name)


@pytest.mark.parametrize("name", ["lobby/DJI_0001.SRT", "lobby/cam1/a.srt", "a.Srt"])
def test_sidecars_are_known_by_their_extension(name: str) -> None:
    """They start no job alone either."""
    assert is_sidecar(name)
    assert is_companion(name)
    assert not is_media(name)


def test_a_film_and_its_sidecar_stay_in_one_folder() -> None:
    """Whichever of them has to be told from others."""
    paths = ["/x/card1/DJI_1.MP4", "/x/card1/dji_1.srt", "/x/card2/DJI_1.MP4", "/x/card3/DJI_2.MP4",
             "/x/card3/DJI_2.SRT", "/x/card4/DJI_2.SRT"]  # fmt: skip
    assert shortest_tails([PurePath(path) for path in paths]) == [path.removeprefix("/x/") for path in paths]
    assert shortest_tails([PurePath("/x/a.mp4"), PurePath("/x/a.srt")]) == ["a.mp4", "a.srt"]


@pytest.mark.parametrize("name", ["a/my_transforms.json", "transforms.json.bak", "a/sparse/0/cameras.mp4", "a.json"])
def test_other_files_are_no_poses(name: str) -> None:
    assert not is_pose_file(name)
    assert not is_companion(name)


@given(st.text(min_size=1, max_size=40), st.text(min_size=1, max_size=40))
def test_keys_are_safe_and_differ_where_scenes_differ(one: str, other: str) -> None:
    """Also where only case or spelling differs, for stores and disks that do not see that."""
    if refusal(one) is None and refusal(other) is None:
        assert re.fullmatch(r"[a-z0-9_~-]{1,80}", scene_key(one))
        assert (scene_key(one) == scene_key(other)) == (one == other)
        assert (scene_key(one).lower() == scene_key(other).lower()) == (one == other)


def test_keys_of_plain_scenes_are_the_scenes() -> None:
    assert scene_key("lobby-2_a") == "lobby-2_a"
    assert scene_key("Lobby").startswith("lobby~")
    assert scene_key("видео").startswith("~")
