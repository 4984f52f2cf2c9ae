"""The verdict: the result in words, where it is weak, and what to film next; and the drawings beside it."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from runner.report.maps import MOST_POINTS, SIDE, along_the_path, maps
from runner.report.verdict import Verdict, verdict, weak_stretches
from runner.scene.views import View
from tests.splats import ring_of_views

UP = (0.0, -1.0, 0.0)
NO_CLIPS: list[dict[str, Any]] = []


def walk(count: int = 12) -> list[View]:
    """Two clips, a picture a second."""
    views = ring_of_views(count, np.zeros(3))
    half = count // 2
    return [
        replace(view, video="a.mp4" if k < half else "b.mp4", timestamp_s=float(k % half))
        for k, view in enumerate(views)
    ]


def scores(views: list[View], weak: dict[int, float], usual: float = 28.0) -> list[dict[str, Any]]:
    return [{"image": view.image, "psnr": weak.get(k, usual)} for k, view in enumerate(views)]


def metrics(psnr: float | None, heldout: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    return {
        "psnr_heldout": psnr,
        "doubt": None,
        "training": {"heldout_views": heldout, "gap_db": more.pop("gap", 1.0)},
        **more,
    }


def raised(view: View) -> View:
    """The same camera, looking up by 45 degrees."""
    c = float(np.sqrt(0.5))
    turn = np.eye(4)
    turn[:3, :3] = [[1, 0, 0], [0, c, c], [0, -c, c]]
    return replace(view, world_to_camera=turn @ view.world_to_camera)


@pytest.mark.parametrize(
    ("psnr", "grade", "says"),
    [
        (29.0, "good", "sharp everywhere"),
        (24.0, "fair", "soft"),
        (18.0, "poor", "film it again"),
        (None, "not measured", "no picture"),
    ],
)
def test_the_grade_is_in_words(psnr: float | None, grade: str, says: str) -> None:
    told = verdict(metrics(psnr, scores(walk(), {})), walk(), NO_CLIPS, UP)
    assert told.grade == grade
    assert says in told.sentence
    assert told.next_steps == ()


def test_want_of_time_is_not_blamed_on_the_film() -> None:
    """A training that had ended after a second was told as blurred in most views, film it again."""

    def told(psnr: float, gap: float = 9.0, **training: Any) -> Verdict:
        found = metrics(psnr, scores(walk(), {2: 10.0}), gap=gap)
        return verdict(found | {"training": found["training"] | training}, walk(), NO_CLIPS, UP)

    hardly = told(9.0, witness={"trained_too_little": True}, cut_short=True)
    assert (hardly.grade, hardly.weak, hardly.next_steps) == ("not measured", (), ())
    assert "more time" in hardly.sentence
    for psnr, grade in ((18.0, "poor"), (24.0, "fair")):
        early = told(psnr, cut_short=True)
        assert early.grade == grade
        assert "more time before you film again" in early.sentence
        assert "film it again" not in early.sentence
    assert told(18.0, cut_short=False).sentence.endswith("film it again")


def test_a_result_in_doubt_is_never_called_good() -> None:
    told = verdict(metrics(30.0, scores(walk(), {}), doubt={"code": "X", "reasons": ["r"]}), walk(), NO_CLIPS, UP)
    assert told.grade == "doubtful"


def test_a_weak_stretch_is_named_by_clip_time_and_where_the_camera_looked() -> None:
    views = walk()
    views[2:4] = [raised(view) for view in views[2:4]]
    told = verdict(metrics(28.0, scores(views, {2: 20.0, 3: 22.0, 9: 24.0})), views, NO_CLIPS, UP)
    assert [each.where for each in told.weak] == ["a.mp4 from 0:02 to 0:03, looking up", "b.mp4 at 0:03"]
    assert "sharp but for a.mp4 from 0:02 to 0:03, looking up; b.mp4 at 0:03" in told.sentence
    assert told.next_steps[0].startswith("What a.mp4 from 0:02 to 0:03, looking up shows (20.0 dB)")
    assert "looking" not in weak_stretches(scores(views, {2: 20.0}), views, None)[0].where, "up is unknown"


def test_what_could_not_be_placed_and_too_few_places_are_steps_as_well() -> None:
    clips = [{"name": "a.mp4", "chosen": 10, "registered": 10}, {"name": "b.mp4", "chosen": 10, "registered": 4}]
    told = verdict(metrics(28.0, [], gap=6.5), walk(), clips, UP)
    assert len(told.next_steps) == 2
    assert "b.mp4" in told.next_steps[0]
    assert "6 of 10" in told.next_steps[0]
    assert "6.5 dB" in told.next_steps[1]


def test_the_map_shows_all_cameras_and_most_points_in_its_square_and_an_outlier_does_not_shrink_it() -> None:
    views = walk()
    rng = np.random.default_rng(0)
    cloud = rng.normal(0, 1, (6000, 3)).astype(np.float32)
    cloud[0] = (5000, 0, 0)
    above, side = maps(views, cloud, scores(views, {4: 20.0}), UP)
    for drawn in (above, side):
        spots = np.array([pair.split(",") for path in drawn.paths for pair in path.split()], float)
        assert len(drawn.paths) == 2
        assert len(spots) == len(views)
        assert ((spots >= 0) & (spots <= SIDE)).all()
        assert 100 < drawn.points.count("M") <= MOST_POINTS
        assert [camera.grade for camera in drawn.held_out].count("bad") == 1
    ring = np.array([pair.split(",") for path in above.paths for pair in path.split()], float)
    assert np.ptp(ring, axis=0).min() > SIDE / 3, "seen from above, the ring is a ring"
    flat = np.array([pair.split(",") for path in side.paths for pair in path.split()], float)
    assert np.ptp(flat[:, 1]) < 2, "and from the side a line"
    assert all(re.fullmatch(r"(M[\d.e-]+ [\d.e-]+h0)+", drawn.points) for drawn in (above, side))


def test_nothing_is_drawn_of_what_there_is_not() -> None:
    assert maps(walk()[:1], None, [], UP) == ()
    still = [replace(view, world_to_camera=np.eye(4)) for view in walk()]
    assert len(maps(still, None, [], None)) == 2
    assert along_the_path(walk(), scores(walk(), {})[:1]) is None


def test_quality_along_the_path_is_in_its_order_with_a_line_for_each_clip() -> None:
    views = walk()
    line = along_the_path(views, scores(views, {7: 20.0}))
    assert line is not None
    assert [spot.x for spot in line.spots] == sorted(spot.x for spot in line.spots)
    assert max(line.spots, key=lambda spot: spot.y).title == "b.mp4 at 0:01: 20.0 dB"
    assert [name for _, _, name in line.clips] == ["a.mp4", "b.mp4"]


def test_names_along_the_path_do_not_run_into_each_other() -> None:
    views = [
        replace(view, video=f"a film with a long name {number // 3}.mp4") for number, view in enumerate(walk(count=30))
    ]
    line = along_the_path(views, scores(views, {}))
    assert line is not None
    assert len(line.clips) == 10
    for (_, left, name), (_, after, _) in itertools.pairwise(line.clips):
        assert left + 7 * len(name) <= after
        assert name == "" or name.endswith("…")


def test_photos_are_told_by_their_names_and_nobody_is_asked_to_film() -> None:
    """A set of photos was told as `photos at 0:04`, a second that no photo has, and to be filmed again."""
    views = [replace(view, video="photos", timestamp_s=float(k)) for k, view in enumerate(walk())]
    photos = {view.image: f"IMG_{k}.jpg" for k, view in enumerate(views)}
    clips = [{"name": "photos", "photos": True, "chosen": 20, "registered": 12}]
    weak = scores(views, {2: 12.0, 3: 13.0, 9: 11.0})
    for psnr, training in ((18.0, {}), (24.0, {"cut_short": True}), (28.0, {})):
        numbers = metrics(psnr, weak, gap=9.0)
        told = verdict(numbers | {"training": numbers["training"] | training}, views, clips, UP, photos)
        assert [each.where for each in told.weak] == ["IMG_9.jpg", "IMG_2.jpg, IMG_3.jpg"]
        words = " ".join((told.sentence, *told.next_steps))
        assert not re.search(r"\d:\d\d|film|slow|round", words), words
        assert "8 of 20 photos" in words
        assert "more photos" in words
    line = along_the_path(views, weak, photos)
    assert line is not None
    assert max(line.spots, key=lambda spot: spot.y).title == "IMG_9.jpg: 11.0 dB"
    assert "IMG_9.jpg" in {camera.title for camera in maps(views, None, weak, UP, photos)[0].held_out}


def test_beside_films_photos_keep_their_names_and_films_their_times() -> None:
    views = [replace(view, video="photos") if view.video == "b.mp4" else view for view in walk()]
    photos = {view.image: f"IMG_{k}.jpg" for k, view in enumerate(views) if view.video == "photos"}
    told = verdict(metrics(18.0, scores(views, {2: 12.0, 9: 11.0})), views, NO_CLIPS, UP, photos)
    assert [each.where for each in told.weak] == ["IMG_9.jpg", "a.mp4 at 0:02"]
    assert told.sentence.endswith("film it again")


def test_pictures_of_another_exposure_are_not_called_blurred() -> None:
    """Nine sharp photos with automatic exposure: 19.7 dB as they are, 23.2 exposure aside."""
    views = walk()
    dark = [{**score, "psnr_corrected": 24.0} for score in scores(views, {2: 12.0, 3: 12.0}, 23.5)]
    told = verdict(metrics(19.7, dark, psnr_heldout_exposure_corrected=23.2), views, NO_CLIPS, UP)
    assert told.grade == "fair"
    assert (told.weak, told.next_steps) == ((), ())
    torn = [{**score, "psnr_corrected": score["psnr"] + 0.5} for score in scores(views, {2: 12.0, 3: 12.0}, 23.5)]
    told = verdict(metrics(19.7, torn, psnr_heldout_exposure_corrected=20.2), views, NO_CLIPS, UP)
    assert told.grade == "poor"
    assert [(each.where, each.psnr) for each in told.weak] == [("a.mp4 from 0:02 to 0:03", 12.5)]
