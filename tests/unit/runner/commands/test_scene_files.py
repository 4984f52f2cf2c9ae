"""`video-splat scene`: which files are used, under what names, and what is said about the others."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from runner import cli
from runner.commands.inputs import named_files
from tests.videos import pan, write_video

QUIET = {"PATH": os.environ["PATH"]}
BACKEND = ("--backend", "mock", "--quiet")


def scene(*arguments: object, env: dict[str, str] | None = None) -> int:
    return cli.main(["scene", *map(str, arguments)], {**QUIET, **(env or {})})


def load(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def written(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_clips_of_two_cards_with_the_same_names_are_both_used(tmp_path: Path) -> None:
    """Cameras count from 1 on every card, in folders of the same names."""
    cards = [written(tmp_path / card / "DCIM/100GOPRO/GH010001.MP4", card) for card in ("card1", "card2")]
    other = written(tmp_path / "card2/DCIM/100GOPRO/GH010002.MP4", "further")
    assert scene(*cards, other, "--out", tmp_path / "o", *BACKEND) == 0
    names = [video["filename"] for video in load(tmp_path / "o" / "manifest.json")["videos"]]
    assert names == ["card1/DCIM/100GOPRO/GH010001.MP4", "card2/DCIM/100GOPRO/GH010001.MP4", "GH010002.MP4"]


def test_names_in_another_encoding_than_utf_8_are_used_and_shown(tmp_path: Path) -> None:
    """Old cards and archives of Windows have them; no document can hold their bytes."""
    latin, folder = os.fsdecode(b"caf\xe9.mp4"), os.fsdecode(b"Fr\xfchling")
    own = written(tmp_path / latin, "latin")
    inside = written(tmp_path / folder / "a.mp4", "inside")
    assert scene(own, inside, own, "--out", tmp_path / folder / "out", *BACKEND) == 0
    manifest = load(tmp_path / folder / "out" / "manifest.json")
    assert [each["filename"] for each in manifest["videos"]] == ["caf\\xe9.mp4", "a.mp4"]
    assert scene(own, "--out", tmp_path / folder, "--backend", "mock") == 0
    assert (tmp_path / folder / "Fr_xfchling.ply").is_file()


def test_a_file_that_is_named_twice_or_copied_is_used_once_and_that_is_said(tmp_path: Path) -> None:
    first, copy = written(tmp_path / "a.mp4", "bytes"), written(tmp_path / "copy.mp4", "bytes")
    link, hard = tmp_path / "link.mp4", tmp_path / "hard.mp4"
    link.symlink_to(first)
    hard.hardlink_to(first)
    other = written(tmp_path / "b.mp4", "other")  # as long, and not the same
    assert scene(first, link, other, copy, hard, first, "--out", tmp_path / "o", *BACKEND) == 0
    assert [each["filename"] for each in load(tmp_path / "o" / "manifest.json")["videos"]] == ["a.mp4", "b.mp4"]
    metrics = load(tmp_path / "o" / "metrics.json")
    reasons = {each["name"]: each["reason"] for each in metrics["unused"]}
    same_file, same_bytes = "the same file as a.mp4", "the same bytes as a.mp4"
    assert reasons == {"link.mp4": same_file, "hard.mp4": same_file, "copy.mp4": same_bytes}
    assert any("is named twice: used once" in warning for warning in metrics["warnings"])
    page = (tmp_path / "o" / "report.html").read_text(encoding="utf-8")
    assert all(name in page for name in reasons)


def test_a_text_beside_the_photos_of_a_folder_is_left_out_and_that_is_said(tmp_path: Path) -> None:
    """`scene folder/*` ended at the README that a set of photos comes with."""
    clip, text = written(tmp_path / "a.mp4", "bytes"), written(tmp_path / "README.txt", "taken in May")
    poses = written(tmp_path / "images.txt", "# of COLMAP")  # by its name no other kind
    assert [clip.name for clip in named_files([str(text), str(clip), str(poses)]).clips] == ["a.mp4", "images.txt"]
    assert scene(text, clip, "--out", tmp_path / "o", *BACKEND) == 0
    manifest = load(tmp_path / "o" / "manifest.json")
    assert [each["filename"] for each in manifest["videos"]] == ["a.mp4"]
    reason = "is no video, no photo and no file of camera poses by its name"
    assert f"README.txt {reason}: left out" in load(tmp_path / "o" / "metrics.json")["warnings"]
    assert scene(text, "--out", tmp_path / "none", *BACKEND) == 1
    assert not (tmp_path / "none").exists()


def test_a_refused_scene_says_of_each_file_what_happened_to_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two of three clips are cut off; the third alone is too short, which is not the whole story."""
    short = write_video(tmp_path / "short.mp4", pan(11, 8), fps=10)
    whole = write_video(tmp_path / "whole.mp4", pan(30, 8), fps=10).read_bytes()
    for name in ("cut.mp4", "cut2.mp4"):
        (tmp_path / name).write_bytes(whole[: len(whole) // 3 + len(name)])
    link = tmp_path / "link.mp4"
    link.symlink_to(short)
    files = [tmp_path / "cut.mp4", short, tmp_path / "cut2.mp4", link]
    assert scene(*files, "--out", tmp_path / "o", "--backend", "cpu", "--quiet") == 1
    document = load(tmp_path / "o" / "error.json")
    assert document["code"] == "TOO_FEW_FRAMES"
    inputs = {each["name"]: each for each in document["inputs"]}
    assert inputs["short.mp4"] == {"name": "short.mp4", "used": True, "reason": ""}
    for name in ("cut.mp4", "cut2.mp4"):
        assert not inputs[name]["used"]
        assert "damaged or cut off" in inputs[name]["reason"]
    assert inputs["link.mp4"] == {"name": "link.mp4", "used": False, "reason": "the same file as short.mp4"}
    assert "3 of 4 files could not be used: " in document["cause"]
    assert "cut2.mp4 is damaged or cut off" in capsys.readouterr().err


def test_a_run_that_ends_before_it_looked_says_so_of_each_file(tmp_path: Path) -> None:
    video = written(tmp_path / "a.mp4", "bytes")
    poses = written(tmp_path / "transforms.json", "no JSON")
    assert scene(video, poses, "--out", tmp_path / "o", "--backend", "cpu", "--quiet") == 1
    (clip,) = [each for each in load(tmp_path / "o" / "error.json")["inputs"] if each["name"] == "a.mp4"]
    assert (clip["used"], clip["reason"]) == (False, "the run ended before it was looked at")


# ---- what stands in the folder of the results -----------------------------------------------------------------------


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_failed_run_leaves_no_earlier_result_beside_its_error_and_loses_none(tmp_path: Path) -> None:
    good, bad, out = written(tmp_path / "a.mp4", "bytes"), written(tmp_path / "b.mp4", ""), tmp_path / "o"
    assert scene(good, "--out", out, *BACKEND) == 0
    written(out / "notes.txt", "the user's own")
    result = {name: (out / name).read_bytes() for name in names_in(out) - {"notes.txt"}}
    assert scene(bad, "--out", out, *BACKEND) == 1
    assert names_in(out) - {".checkpoint.json"} == {"error.json", "run.log", "notes.txt", "previous"}
    assert {name: (out / "previous" / name).read_bytes() for name in names_in(out / "previous")} == result
    assert load(out / "error.json")["earlier_result"] == "previous"
    assert scene(bad, "--out", out, *BACKEND) == 1, "a second failure has nothing to put aside"
    assert names_in(out / "previous") == set(result)
    assert scene(good, "--out", out, *BACKEND) == 0
    assert {"manifest.json", "o.ply", "notes.txt"} <= names_in(out)


def test_a_result_takes_the_place_of_an_earlier_one_and_of_nothing_else(tmp_path: Path) -> None:
    video, out = written(tmp_path / "a.mp4", "bytes"), tmp_path / "o"
    assert scene(video, "--out", out, *BACKEND) == 0
    before = names_in(out)
    assert scene(video, "--out", out, *BACKEND) == 0
    assert names_in(out) == before
    (out / "report.html").write_text("a user wrote into it")
    written(out / "poster.jpg", "a user's own picture")
    assert scene(video, "--out", out, *BACKEND) == 0
    kept = {path.name: path.read_text() for path in (out / "previous").iterdir()}
    assert kept == {"report.html": "a user wrote into it", "poster.jpg": "a user's own picture"}


def test_poses_that_lie_in_the_folder_of_the_results_are_still_read(tmp_path: Path) -> None:
    video, out = written(tmp_path / "a.mp4", "bytes"), tmp_path / "o"
    assert scene(video, "--out", out, *BACKEND) == 0
    assert scene(video, "--poses", out, "--out", out, *BACKEND) == 0
    assert scene(video, "--poses", out / "cameras.json", "--out", out, *BACKEND) == 0


def test_a_result_is_never_written_over_what_it_is_made_from(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo = written(tmp_path / "poster.jpg", "photo")
    assert scene(photo, "--out", tmp_path, *BACKEND) == 2
    assert "would be written over poster.jpg" in capsys.readouterr().err
    assert photo.read_text() == "photo"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--name", "n" * 300], "it has 300 bytes, and 120 leave room"),
        (["--name", "\u00e4" * 70], "it has 140 bytes"),
        (["--name", ".."], "dot segment"),
        (["--frames", "5"], "--frames 5 is too few: a scene needs 12"),
        (["--out", "/"], "is no folder for results"),
        (["--out", "o/" + "d" * 300], "File name too long"),
    ],
)
def test_options_that_cannot_work_are_told_before_any_work_and_touch_nothing(
    arguments: list[str], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    video = written(tmp_path / "a.mp4", "bytes")
    assert scene(video, "--out", "o", *BACKEND) == 0
    before = names_in(tmp_path / "o")
    assert scene(video, "--out", "o", *arguments, *BACKEND) == 2
    assert words in capsys.readouterr().err
    assert names_in(tmp_path / "o") == before


def test_a_folder_above_and_a_long_name_of_a_folder_give_good_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    video = written(tmp_path / "site" / "below" / "a.mp4", "bytes")
    monkeypatch.chdir(video.parent)
    assert scene(video, "--out", "..", *BACKEND) == 0
    assert "site.ply" in names_in(tmp_path / "site")
    folder = tmp_path / ("d" * 250)
    assert scene(video, "--out", folder, *BACKEND) == 0
    (ply,) = (name for name in names_in(folder) if name.endswith(".ply"))
    assert len(ply) < 130
