"""The cache of stages: what was found is found again, only for the same content, and never in the place of a result."""

from __future__ import annotations

import hashlib
import json
import os
import time
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from runner.cache.store import CacheSettings, StageCache, key
from runner.context import StageContext
from runner.media.extract import extract_frames
from runner.media.settings import FrameSettings, Limits
from runner.poses.find import find_poses
from runner.poses.settings import PoseSettings
from runner.scene.frames import Clip
from runner.scene.progress import SILENT
from tests.synthetic import render, walk, write_frames
from tests.videos import pan, write_video

DAY_S = 86400.0
ONE, OTHER = f"poses-{'1' * 32}", f"poses-{'2' * 32}"
FILES = ("a.bin", "deep/b.bin")
SETTINGS = PoseSettings(features=600, max_image_size=320, threads=1, min_points=200)


def cache_in(folder: Path, max_bytes: int = 1 << 30) -> StageCache:
    return StageCache(CacheSettings(folder / "cache", max_bytes))


def kept(folder: Path, name: str = ONE, content: bytes = b"first") -> StageCache:
    cache = cache_in(folder)
    cache.put(name, {FILES[0]: content, FILES[1]: b"second"})
    return cache


def test_an_entry_comes_back_as_it_was_put(tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(b"x" * 3_000_000)
    cache = cache_in(tmp_path)
    cache.put(ONE, {FILES[0]: tmp_path / "source", FILES[1]: b""})
    assert cache.get(ONE, FILES, tmp_path / "out")
    assert (tmp_path / "out/a.bin").read_bytes() == b"x" * 3_000_000
    assert (tmp_path / "out/deep/b.bin").read_bytes() == b""
    assert not cache.get(OTHER, FILES, tmp_path / "none")


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[:-1],
        lambda data: data[: len(data) // 2],
        lambda data: b"",
        lambda data: data.replace(b"first", b"worst"),
        lambda data: data + b" ",
        lambda data: data.replace(b'"format": 1', b'"format": 2'),
        lambda data: b"[" * 60_000 + b"\n" + data,
        lambda data: b"{}\n",
    ],
    ids=["torn", "half", "empty", "changed", "longer", "newer", "nested", "foreign"],
)
def test_what_is_torn_or_changed_is_removed_and_never_used(tmp_path: Path, damage) -> None:
    cache = kept(tmp_path)
    entry = tmp_path / "cache" / ONE
    changed = damage(entry.read_bytes())
    assert changed != entry.read_bytes()
    entry.write_bytes(changed)
    assert not cache.get(ONE, FILES, tmp_path / "out")
    assert not entry.exists()
    assert [path for path in (tmp_path / "out").rglob("*") if path.is_file()] == []


def meta(**changed: object) -> bytes:
    digests = [hashlib.sha256(content).hexdigest() for content in (b"first", b"second")]
    return json.dumps({"format": 1, "name": ONE, "sha256": digests, **changed}).encode()


MEMBERS = {FILES[0]: b"first", FILES[1]: b"second"}


@pytest.mark.parametrize(
    ("members", "compression", "used"),
    [
        ({**MEMBERS, ".entry": meta()}, zipfile.ZIP_STORED, True),
        ({**MEMBERS, ".entry": meta()}, zipfile.ZIP_DEFLATED, False),
        ({**MEMBERS, ".entry": meta(format=2)}, zipfile.ZIP_STORED, False),
        ({**MEMBERS, ".entry": meta(sha256=["0" * 64])}, zipfile.ZIP_STORED, False),
        ({**MEMBERS, ".entry": meta(sha256=["0" * 64, "0" * 64])}, zipfile.ZIP_STORED, False),
        ({**MEMBERS, ".entry": b"[" * 60_000}, zipfile.ZIP_STORED, False),
        ({**MEMBERS, ".entry": b" " * (1 << 16) + meta()}, zipfile.ZIP_STORED, False),
        ({**MEMBERS, "more": b"", ".entry": meta()}, zipfile.ZIP_STORED, False),
        (MEMBERS, zipfile.ZIP_STORED, False),
        ({}, zipfile.ZIP_STORED, False),
    ],
    ids=["ours", "compressed", "newer", "one hash", "other hashes", "nested", "long", "more", "no entry", "nothing"],
)
def test_a_whole_zip_file_that_is_no_entry_of_ours_is_not_used(
    tmp_path: Path, members: dict[str, bytes], compression: int, used: bool
) -> None:
    (tmp_path / "cache").mkdir()
    with zipfile.ZipFile(tmp_path / "cache" / ONE, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    assert cache_in(tmp_path).get(ONE, FILES, tmp_path / "out") is used


def test_an_entry_of_the_format_before_this_one_is_a_miss(tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    header = json.dumps({"format": 1, "name": ONE, "files": [[FILES[0], 5], [FILES[1], 6]]}).encode() + b"\n"
    data = header + b"firstsecond"
    (tmp_path / "cache" / ONE).write_bytes(data + hashlib.sha256(data).hexdigest().encode())
    cache = cache_in(tmp_path)
    assert not cache.get(ONE, FILES, tmp_path / "out")
    assert cache.names("") == []


def test_an_entry_under_the_name_of_another_is_not_believed(tmp_path: Path) -> None:
    cache = kept(tmp_path)
    (tmp_path / "cache" / ONE).rename(tmp_path / "cache" / OTHER)
    assert not cache.get(OTHER, FILES, tmp_path / "out")


def test_names_of_files_are_those_that_were_asked_for(tmp_path: Path) -> None:
    cache = cache_in(tmp_path)
    cache.put(ONE, {"../escaped": b"x", "b": b"y"})
    assert not cache.get(ONE, ("a", "b"), tmp_path / "out")
    assert not (tmp_path / "escaped").exists()


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    cache = kept(tmp_path)
    entry = tmp_path / "cache" / ONE
    entry.rename(tmp_path / "elsewhere")
    entry.symlink_to(tmp_path / "elsewhere")
    assert not cache.get(ONE, FILES, tmp_path / "out")


def aged(folder: Path, name: str, seconds: float) -> None:
    at = time.time() - seconds
    os.utime(folder / "cache" / name, (at, at))


def test_too_old_and_too_much_goes_what_was_used_last_stays(tmp_path: Path) -> None:
    names = [f"survey-{number:032x}" for number in range(4)]
    for name in names:
        kept(tmp_path, name, b"x" * 1000)
    size_bytes = (tmp_path / "cache" / names[0]).stat().st_size
    for days, name in enumerate(names):
        aged(tmp_path, name, days * DAY_S)
    (tmp_path / "cache" / "notes.txt").write_text("of somebody else")
    cache = cache_in(tmp_path, 3 * size_bytes)
    assert cache.get(names[3], FILES, tmp_path / "out")  # used: the newest now
    cache.prune()
    assert cache.names("survey-") == [names[3], names[0], names[1]]
    aged(tmp_path, names[0], 31 * DAY_S)
    cache.prune()
    assert cache.names("survey-") == [names[3], names[1]]
    assert (tmp_path / "cache" / "notes.txt").exists()


def test_what_is_put_makes_room_for_itself(tmp_path: Path) -> None:
    cache = cache_in(tmp_path, 2000)
    for days, name in ((2, ONE), (1, OTHER)):
        cache.put(name, {FILES[0]: b"x" * 1200})
        aged(tmp_path, name, days * DAY_S)
    assert cache.names("") == [OTHER]


def test_what_is_larger_than_the_cache_is_not_kept_and_costs_nothing_else(tmp_path: Path) -> None:
    cache = cache_in(tmp_path, 500)
    cache.put(ONE, {FILES[0]: b"x"})
    cache.put(OTHER, {FILES[0]: b"x" * 501})
    assert cache.names("") == [ONE]


def test_a_key_depends_on_all_that_it_is_made_from() -> None:
    assert len({key("a", 1), key("a", 2), key("b", 1), key(["a", 1])}) == 4
    assert key("a", {"b": 1, "c": 2}) == key("a", {"c": 2, "b": 1})


# ---- frames ---------------------------------------------------------------------------------------------------------


def test_a_video_that_was_looked_at_is_not_looked_at_again(tmp_path: Path) -> None:
    """Under another name and with another budget as well: the choice is the one that is made without a cache."""
    limits = Limits(min_long_side=64, min_short_side=48)
    video = write_video(tmp_path / "a.mp4", pan(30, 8))
    small, large = (FrameSettings(budget=budget, long_side=120, limits=limits) for budget in (15, 20))
    first = cache_in(tmp_path)
    extract_frames([Clip("a.mp4", video)], StageContext(tmp_path / "1", SILENT, first), small)
    assert first.used == {}
    video = video.rename(tmp_path / "b.mp4")
    second = cache_in(tmp_path)
    found = extract_frames([Clip("b.mp4", video)], StageContext(tmp_path / "2", SILENT, second), large)
    assert second.used == {"surveys of videos": 1}
    assert found == extract_frames([Clip("b.mp4", video)], StageContext(tmp_path / "3", SILENT), large)
    assert all((tmp_path / "2" / "frames" / frame.image).is_file() for frame in found.frames)

    with video.open("r+b") as file:  # one byte in the middle
        file.seek(video.stat().st_size // 2)
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ 1]))
    third = cache_in(tmp_path)
    extract_frames([Clip("b.mp4", video)], StageContext(tmp_path / "4", SILENT, third), large)
    assert third.used == {}


@pytest.mark.parametrize(
    "content", [b"[]", b"nonsense", b'{"parts": [{"frames": [[0, 1e999]]}]}', b'{"parts": []}', b"[" * 9999]
)
def test_a_survey_that_cannot_be_one_is_made_anew(tmp_path: Path, content: bytes) -> None:
    """Whole by its hash, so written by somebody who may write: it passes the same checks as what a decoder says."""
    limits = Limits(min_long_side=64, min_short_side=48)
    settings = FrameSettings(budget=20, long_side=120, limits=limits)
    clip = Clip("a.mp4", write_video(tmp_path / "a.mp4", pan(30, 8)))
    expected = extract_frames([clip], StageContext(tmp_path / "1", SILENT, cache_in(tmp_path)), settings)
    cache = cache_in(tmp_path)
    for name in cache.names("survey-"):
        cache.put(name, {"survey.json": content})
    assert extract_frames([clip], StageContext(tmp_path / "2", SILENT, cache), settings) == expected
    assert cache.used == {}


# ---- poses ----------------------------------------------------------------------------------------------------------


def sparse(workspace: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (workspace / "sparse").iterdir()}


@pytest.mark.slow
def test_the_same_frames_need_no_poses_a_second_time(tmp_path: Path) -> None:
    """Another workspace: the same model to the last bit and the same report, and pycolmap's process is not even started
    (its folder is not made). Where the poses are gone but features and matches are known, they give the reconstruction
    that a run without a cache makes. With another seed nothing is reused: pairs are verified by chance."""
    pictures = {"a": [render(*pose) for pose in walk(10)]}
    runs = {}
    for number, (settings, with_cache) in enumerate(
        [(SETTINGS, True), (replace(SETTINGS, threads=2, budget_s=99.0), True),
         (replace(SETTINGS, min_points=201), True), (replace(SETTINGS, min_points=201), False),
         (replace(SETTINGS, seed=5), True)]
    ):  # fmt: skip
        workspace, cache = tmp_path / str(number), cache_in(tmp_path)
        frames = write_frames(workspace, pictures)
        if number == 2:
            for name in cache.names("poses-"):
                cache.remove(name)
        report = find_poses(frames, StageContext(workspace, SILENT, cache if with_cache else None), settings)
        runs[number] = report, sparse(workspace), dict(cache.used)
    assert runs[0][2] == {}
    assert runs[1] == (*runs[0][:2], {"poses": 1})
    assert runs[2][2] == {"features of frames": 10, "matches of pairs": 45}
    assert runs[2][:2] == runs[3][:2]
    assert runs[4][2] == {}


@pytest.mark.slow
def test_one_more_clip_reuses_the_features_and_matches_of_the_first(tmp_path: Path) -> None:
    """Also when the clip has another name and another number of frames chosen; a damaged entry costs only time."""
    poses = walk(12)
    first = [render(*pose) for pose in poses[:9]]
    find_poses(
        write_frames(tmp_path / "1", {"a": first}), StageContext(tmp_path / "1", SILENT, cache_in(tmp_path)), SETTINGS
    )
    more = {"new": [render(*pose) for pose in poses[9:]], "renamed": first[1:]}
    cache = cache_in(tmp_path)
    report = find_poses(write_frames(tmp_path / "2", more), StageContext(tmp_path / "2", SILENT, cache), SETTINGS)
    assert report.images_registered == 11
    assert cache.used == {"features of frames": 8, "matches of pairs": 8 * 7 // 2}

    for entry in (tmp_path / "cache").iterdir():
        entry.write_bytes(entry.read_bytes()[:-70])
    cache = cache_in(tmp_path)
    again = find_poses(write_frames(tmp_path / "3", more), StageContext(tmp_path / "3", SILENT, cache), SETTINGS)
    assert cache.used == {}
    assert again.images_registered == 11
