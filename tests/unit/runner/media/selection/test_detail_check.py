"""Pictures that show nothing stop a scene in seconds, with the reason, the clip and the time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from runner.media.selection.detail_check import require_detail, shows_nothing
from runner.media.selection.measures import FrameMeasures, isotropy, sharpness
from runner.scene.frames import Frame
from scenejobs.errors import Code, InputError
from tests.videos import wall

GOOD = FrameMeasures(0, 0.0, 300.0, 0.0)


def scene(good: int, *bad: FrameMeasures) -> list[tuple[Frame, FrameMeasures]]:
    return [(Frame("a/000000.png", "a.mp4", 0, 0.0, 300.0), GOOD)] * good + [
        (Frame("b/000000.png", "b.mp4", 0, one.timestamp_s, one.sharpness), one) for one in bad
    ]


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (FrameMeasures(0, 2.0, 1.0, 0.0, luma=120), "blurred or blank"),
        (FrameMeasures(0, 2.0, 20.0, 0.0, luma=6), "too dark"),  # what is left is the noise of the sensor
        (FrameMeasures(0, 2.0, 20.0, 0.0, luma=250), "over-exposed"),
        (FrameMeasures(0, 2.0, 300.0, 0.0, isotropy=0.03), "smeared by motion"),
    ],
)
def test_a_scene_of_which_most_shows_nothing_is_refused_with_reason_clip_and_time(bad, why):
    with pytest.raises(InputError) as caught:
        require_detail(scene(12, *[bad] * 13), 12)
    assert caught.value.code == Code.NO_DETAIL
    assert f"13 of 25 frames show no detail ({why}): b.mp4 2.0-2.0 s" in caught.value.cause
    assert require_detail(scene(13, *[bad] * 12), 12)[0].startswith("12 of 25 frames")  # half is enough, with a warning


def test_photos_that_show_nothing_are_told_by_their_names():
    """They have no time: it said `photos 3.0-7.0 s`."""
    blurred = FrameMeasures(0, 3.0, 1.0, 0.0, luma=120)
    photos = [
        (replace(frame, photo=f"IMG_{number}.jpg"), measures)
        for number, (frame, measures) in enumerate(scene(12, blurred, blurred))
    ]
    told = "2 of 14 frames show no detail (blurred or blank): IMG_12.jpg, IMG_13.jpg"
    assert require_detail(photos, 8) == (told,)


def test_a_scene_needs_so_many_frames_that_show_something():
    with pytest.raises(InputError):
        require_detail(scene(11, FrameMeasures(0, 2.0, 1.0, 0.0)), 12)


def test_a_night_with_lamps_is_no_darkness():
    assert not shows_nothing(FrameMeasures(0, 0.0, 300.0, 0.0, luma=8))
    assert require_detail(scene(20), 12) == ()


def test_motion_blur_takes_the_detail_of_one_direction():
    """Averaging over 60 px along rows leaves little across them; the same holds for any direction of the blur."""
    luma = wall(320, 240).mean(axis=2)
    summed = np.cumsum(luma, axis=1)
    smeared = ((summed[:, 60:] - summed[:, :-60]) / 60).astype(np.uint8)
    assert isotropy(luma.astype(np.uint8)) > 0.5
    assert isotropy(smeared) < 0.06
    assert isotropy(smeared) == pytest.approx(isotropy(smeared.T.copy()), rel=1e-3)
    assert isotropy(np.zeros((2, 50), np.uint8)) == 1.0
    assert sharpness(smeared) > 0
