"""A refusal for want of poses says in which clip and when; an edited film is called one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np

from runner.poses.bent import bent_clips, may_be_bent
from runner.poses.coverage import Coverage
from runner.poses.gates import Verdict
from runner.poses.refusal import refusal
from runner.poses.repetition import share_that_repeats
from runner.poses.rungs import Attempt, Rung
from runner.poses.settings import PoseSettings
from scenejobs.errors import Code
from scenejobs.filming import AS_RECORDED, AS_TAKEN, EACH_PLACE, MORE_PHOTOS, MORE_TO_SEE, ONE_LENS, UNIQUE, WALK
from tests.hard_inputs import arc
from tests.pose_models import model
from tests.synthetic import render, write_frames

FIRST = Rung("exhaustive", "incremental", 4096, 1280)
FEW_POINTS = Verdict(False, Code.POSES_UNRELIABLE, ("377 points were found; 1,000 are needed",), MORE_TO_SEE)


def coverage(folder: Path, cuts_s: tuple[float, ...] = ()) -> Coverage:
    frames = write_frames(folder, {"a": [np.zeros((24, 32, 3), np.uint8)] * 12})
    return Coverage(replace(frames, clips=tuple(replace(clip, cuts_s=cuts_s) for clip in frames.clips)))


def attempt(verdict: Verdict, *parts: range) -> Attempt:
    found = [msgspec.structs.replace(model(), names=tuple(f"a/{i:06d}.png" for i in part)) for part in parts]
    return Attempt(FIRST, found[0] if found else None, verdict, tuple(found[1:]))


def test_a_film_whose_shots_dissolve_into_each_other_is_told_by_its_parts(tmp_path: Path) -> None:
    """Without a cut that anybody sees: three parts of the clip, one after the other, that nothing joins."""
    seen = coverage(tmp_path)
    error = refusal(attempt(FEW_POINTS, range(8, 12), range(4), range(4, 8)), seen)
    assert error.code == Code.NO_OVERLAP
    assert error.cause.startswith("a.mp4 0.0-0.6 s, a.mp4 0.8-1.4 s, a.mp4 1.6-2.2 s do not join")
    assert "as the camera made them" in error.advice
    once_too_fast = refusal(attempt(FEW_POINTS, range(6), range(6, 12)), seen)
    assert once_too_fast.code == Code.POSES_UNRELIABLE
    mixed = refusal(attempt(FEW_POINTS, range(0, 12, 3), range(1, 12, 3), range(2, 12, 3)), seen)
    assert mixed.code == Code.POSES_UNRELIABLE, "parts that lie within each other are no shots"


def test_what_names_no_clip_is_given_clip_and_seconds(tmp_path: Path) -> None:
    error = refusal(attempt(FEW_POINTS), coverage(tmp_path))
    assert error.code == Code.POSES_UNRELIABLE
    assert "a.mp4 0.0-2.2 s" in error.cause


def test_a_still_camera_before_something_that_is_no_turntable_is_told_to_move(tmp_path: Path) -> None:
    """A fountain, a tree in the wind: all of it moves all the time, and not as one thing."""
    seen = coverage(tmp_path)
    still = replace(seen, frames=replace(seen.frames, clips=tuple(replace(c, turns=True) for c in seen.frames.clips)))
    error = refusal(attempt(FEW_POINTS), still)
    assert error.code == Code.STATIC_CAMERA
    assert error.advice == WALK
    assert "a.mp4" in error.cause


def test_an_edited_film_is_called_one_with_its_cuts(tmp_path: Path) -> None:
    error = refusal(attempt(FEW_POINTS), coverage(tmp_path, (0.7, 1.5)))
    assert error.code == Code.NO_OVERLAP
    assert error.cause.startswith("a.mp4 is an edited film: it is cut at 0.7, 1.5 s")
    assert "as the camera made them" in error.advice
    assert "slow" not in error.advice


def test_a_still_camera_is_no_edited_film(tmp_path: Path) -> None:
    still = Verdict(False, Code.STATIC_CAMERA, ("the camera does not move: a.mp4",), "walk")
    assert refusal(attempt(still), coverage(tmp_path, (0.7,))).code == Code.STATIC_CAMERA


ODD_LENS = Verdict(False, Code.POSES_UNRELIABLE, ("an unusual lens was found from a part of the pairs alone",), UNIQUE)
TOO_LITTLE = Verdict(False, Code.STATIC_CAMERA, ("the camera moved too little: 0.056 of the depth",), WALK)


def test_walls_of_tiles_are_blamed_and_not_the_camera(tmp_path: Path) -> None:
    seen = coverage(tmp_path)
    error = refusal(attempt(TOO_LITTLE, range(12)), seen, repeats=0.7)
    assert (error.code, error.advice) == (Code.POSES_UNRELIABLE, UNIQUE)
    assert error.cause.startswith("what is filmed repeats")
    assert "0.056 of the depth" in error.cause
    few = refusal(attempt(FEW_POINTS), seen, repeats=0.7)
    assert (few.code, few.advice) == (Code.POSES_UNRELIABLE, UNIQUE)
    assert refusal(attempt(TOO_LITTLE, range(12)), seen, repeats=0.0).advice == WALK
    turns = Verdict(False, Code.STATIC_CAMERA, ("the camera turns on the spot",), WALK)
    assert refusal(attempt(turns, range(12)), seen, repeats=0.7).advice == WALK
    two = Verdict(False, Code.NO_OVERLAP, ("two places of the same weight",), EACH_PLACE)
    assert refusal(attempt(two, range(12)), seen, repeats=0.7).advice == EACH_PLACE


def test_where_nothing_repeats_the_program_that_steadied_the_film_is_blamed(tmp_path: Path) -> None:
    seen = coverage(tmp_path)
    error = refusal(attempt(ODD_LENS, range(12)), seen, repeats=0.0)
    assert (error.code, error.advice) == (Code.POSES_UNRELIABLE, AS_RECORDED)
    assert "nothing in them repeats" in error.cause
    assert refusal(attempt(ODD_LENS, range(12)), seen).advice == UNIQUE, "nobody looked"
    bent = replace(seen.frames, clips=tuple(replace(clip, steadied=True) for clip in seen.frames.clips))
    error = refusal(attempt(FEW_POINTS, range(12)), Coverage(bent), repeats=0.0)
    assert error.advice == AS_RECORDED
    assert error.cause.startswith("a.mp4 was steadied by a program")
    assert "377 points" in error.cause


def test_several_steadied_films_are_told_as_several_and_none_is_dropped_without_a_word(tmp_path: Path) -> None:
    frames = write_frames(tmp_path, {name: [np.zeros((24, 32, 3), np.uint8)] for name in "abcdefgh"})
    steadied = replace(frames, clips=tuple(replace(clip, steadied=True) for clip in frames.clips))
    cause = refusal(attempt(FEW_POINTS), Coverage(steadied), repeats=0.0).cause
    assert "f.mp4 and 2 more were steadied by a program, which bends their pictures" in cause
    one = replace(frames, clips=(replace(frames.clips[0], steadied=True), *frames.clips[1:]))
    assert (
        "a.mp4 was steadied by a program, which bends its pictures"
        in refusal(attempt(FEW_POINTS), Coverage(one), repeats=0.0).cause
    )


def test_a_film_whose_pictures_are_bent_is_told_so(tmp_path: Path) -> None:
    """And not as one that has been cut: its parts may not join either. What repeats, and two places, are told first."""
    seen = coverage(tmp_path)
    error = refusal(attempt(FEW_POINTS, range(8, 12), range(4), range(4, 8)), seen, repeats=0.0, bent=("a.mp4",))
    assert (error.code, error.advice) == (Code.POSES_UNRELIABLE, AS_RECORDED)
    assert error.cause.startswith("the pictures of a.mp4 are bent, each in another way")
    assert "377 points" in error.cause
    assert refusal(attempt(FEW_POINTS), seen, repeats=0.7, bent=("a.mp4",)).advice == UNIQUE
    two = Verdict(False, Code.NO_OVERLAP, ("two places of the same weight",), EACH_PLACE)
    assert refusal(attempt(two), seen, repeats=0.0, bent=("a.mp4",)).advice == EACH_PLACE
    turns = Verdict(False, Code.STATIC_CAMERA, ("the camera turns on the spot",), WALK)
    assert refusal(attempt(turns), seen, repeats=0.0, bent=("a.mp4",)).advice == WALK


def test_which_clips_are_bent_is_told_by_the_middling_pair_of_all_their_shots(tmp_path: Path) -> None:
    clear, bends = (0.01, 0.02, 0.3), (0.2, 0.01, 0.3)
    shots = coverage(tmp_path / "cut", (1.1,)).shots
    assert [shot.clip.name for shot in shots] == ["a.mp4", "a.mp4"]
    assert bent_clips(shots, (bends, bends)) == ("a.mp4",)
    assert bent_clips(shots, (clear, clear)) == ()
    assert bent_clips(shots[:1], (bends,)) == (), "too few pairs"


def test_only_films_as_a_lens_sees_them_are_looked_at(tmp_path: Path) -> None:
    """Photos have no neighbours in time; a camera before a turntable sees two things that move apart."""
    frames = coverage(tmp_path).frames
    assert len(may_be_bent(Coverage(frames).shots)) == 1
    photos = replace(frames, frames=tuple(replace(frame, photo="a.jpg") for frame in frames.frames))
    turns = replace(frames, clips=tuple(replace(clip, turns=True) for clip in frames.clips))
    fisheye = replace(frames, clips=tuple(replace(clip, projection="fisheye") for clip in frames.clips))
    assert [may_be_bent(Coverage(each).shots) for each in (photos, turns, fisheye)] == [[], [], []]


def test_what_repeats_is_told_by_the_pictures(tmp_path: Path) -> None:
    """A room of one small tile, and one without: of the latter no patch looks like what is beside it."""
    for tile, low, high in ((40, 0.5, 1.0), (None, 0.0, 0.05)):
        pictures = [render(*pose, size=(640, 480), focal=600.0, tile=tile) for pose in arc(-1, 1, 3)]
        frames = write_frames(tmp_path / str(tile), {"a": pictures})
        share = share_that_repeats(tmp_path / str(tile) / "frames", [frame.image for frame in frames.frames])
        assert low <= share <= high, tile
    assert share_that_repeats(tmp_path, []) == 0.0


def test_photos_are_told_by_their_names_and_how_to_take_them(tmp_path: Path) -> None:
    """They were called parts of an edited film, at seconds that no photo has, to be uploaded without cuts or titles."""
    seen = coverage(tmp_path)
    frames = tuple(replace(frame, photo=f"IMG_{number}.jpg") for number, frame in enumerate(seen.frames.frames))
    photos = Coverage(replace(seen.frames, frames=frames))
    apart = refusal(attempt(FEW_POINTS, range(8, 12), range(4), range(4, 8)), photos)
    assert apart.code == Code.POSES_UNRELIABLE
    assert apart.advice == MORE_PHOTOS
    assert "IMG_0.jpg, IMG_1.jpg, IMG_2.jpg and 9 more" in apart.cause
    assert " s" not in apart.cause.replace(" sees", "")
    lens = Verdict(False, Code.POSES_UNRELIABLE, ("the lens could not be made out",), ONE_LENS)
    assert refusal(attempt(lens), photos).advice == AS_TAKEN
    assert refusal(attempt(lens), seen).advice == ONE_LENS, "of a film"
    assert photos.counts(
        msgspec.structs.replace(model(), names=tuple(photos.names[:10])), PoseSettings(), False
    ).missing == ("IMG_10.jpg, IMG_11.jpg (2 photos)",)
