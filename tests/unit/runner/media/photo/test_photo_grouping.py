"""Photos of one camera are a set in the right order, and none is there twice."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from runner.media.photo.grouping import PhotoSurvey, make_sets
from runner.scene.frames import Clip
from tests.photo_scenes import views
from tests.stamps import in_gallery
from tests.videos import pan


def survey(name: str, picture: np.ndarray, **changes) -> PhotoSurvey:
    small = np.asarray(
        Image.fromarray(picture).convert("L").resize((96, 58) if picture.shape[1] > picture.shape[0] else (58, 96))
    )
    values = {"width": 160, "height": 96, "codec": "jpeg", "recorded_at": None, "camera_model": None, "lens": None,
              "focal_px": None, "gps": None, "altitude_m": None, "sharpness": 1.0, "small": small}  # fmt: skip
    return PhotoSurvey(Clip(name, Path(name)), **{**values, **changes})


def test_the_same_picture_twice_is_taken_once_in_its_better_form():
    """A copy in another format and size, a burst from a tripod; not the neighbour a step further."""
    one, two = pan(2, 8, 160, 96)
    noisy = np.clip(one.astype(int) + np.random.default_rng(0).normal(0, 3, one.shape), 0, 255).astype(np.uint8)
    (found,) = make_sets([survey("a.jpg", one), survey("b.jpg", two), survey("burst.jpg", noisy, sharpness=0.5)])
    assert [photo.clip.name for photo in found.photos] == ["a.jpg", "b.jpg"]
    assert found.survey.info.warnings == ("1 photo shows the same as another and is left out: burst.jpg",)
    (found,) = make_sets([survey("a.jpg", one), survey("a.heic", one, width=320, height=192)])
    assert [photo.clip.name for photo in found.photos] == ["a.heic"]


def test_a_mirrored_copy_is_left_out_and_called_so():
    """Nothing in it fits the place. What is as it is from both sides is no copy of itself."""
    one, two = pan(2, 8, 160, 96)
    found, *more = make_sets([survey("a.jpg", one), survey("b.jpg", two), survey("selfie.jpg", one[:, ::-1])])
    assert not more
    assert [photo.clip.name for photo in found.photos] == ["a.jpg", "b.jpg"]
    assert [(each.name, each.reason) for each in found.left_out] == [
        ("selfie.jpg", "it shows the same as a.jpg, mirrored")
    ]
    (found,) = make_sets([survey("a.jpg", one, camera_model="X"), survey("z.jpg", one[:, ::-1], sharpness=2.0)])
    assert [photo.clip.name for photo in found.photos] == ["a.jpg"], "a program that flips forgets the camera"
    even = np.concatenate([one[:, :80], one[:, :80][:, ::-1]], axis=1)
    (found,) = make_sets([survey("even.jpg", even), survey("b.jpg", two)])
    assert len(found.photos) == 2


def test_a_turned_copy_is_left_out_and_called_so():
    """By a program that turns the pixels and writes no EXIF."""
    one, two = pan(2, 8, 160, 96)
    turned = {f"{quarters}.jpg": np.rot90(one, quarters) for quarters in (1, 2, 3)}
    (found,) = make_sets(
        [survey("a.jpg", one, camera_model="X"), survey("b.jpg", two, camera_model="X")]
        + [survey(name, each) for name, each in turned.items()]
    )
    assert {each.name: each.reason for each in found.left_out} == dict.fromkeys(
        turned, "it shows the same as a.jpg, turned"
    )


@pytest.mark.parametrize("copy", ["IMG_E1234.jpg", "IMG_1234(1).jpg", "IMG_1234-EDITED.jpg", "IMG_1234 Kopie 2.jpg"])
def test_the_original_stays_and_not_its_edited_copy(copy):
    """Which knows its camera too, and is sharper: its colours and its contrast are those of no other photo."""
    picture = pan(1, 8, 160, 96)[0]
    original = survey("IMG_1234.jpg", picture, camera_model="X")
    (found,) = make_sets([original, survey(copy, picture, camera_model="X", sharpness=9.0)])
    assert [photo.clip.name for photo in found.photos] == ["IMG_1234.jpg"]


def test_a_small_step_in_front_of_a_smooth_wall_is_another_picture():
    """Shifted by 2 % of its width it still correlates by more than 0.98; its motion tells it apart."""
    x, y = np.meshgrid(np.arange(163), np.arange(96))
    wide = np.repeat((120 + 60 * np.sin(x / 14) + 40 * np.cos(y / 11))[..., None], 3, axis=2).astype(np.uint8)
    one, two = survey("a.jpg", wide[:, :160]), survey("b.jpg", wide[:, 3:])
    assert np.corrcoef(one.small.ravel(), two.small.ravel())[0, 1] > 0.98
    (found,) = make_sets([one, two])
    assert len(found.photos) == 2


def test_blank_photos_are_not_copies_of_each_other():
    blank = np.full((96, 160, 3), 200, np.uint8)
    (found,) = make_sets([survey("a.jpg", blank), survey("b.jpg", blank // 2)])
    assert len(found.photos) == 2


@pytest.mark.parametrize("dark", [True, False])
def test_screenshots_of_a_gallery_are_the_photos_in_them(dark):
    """What is around them is the same in all, and most of the picture. A photo again is one, brighter too."""
    photos = [picture // 3 + 80 for picture in pan(4, 40, 900, 400)]
    shown = [in_gallery(photo, (450, 800), dark) for photo in photos]
    alike = [survey(f"{number}.jpg", picture) for number, picture in enumerate(shown)]
    assert np.corrcoef(alike[0].small.ravel(), alike[1].small.ravel())[0, 1] > 0.98
    (found,) = make_sets(alike)
    assert len(found.photos) == 4
    brighter = np.clip(1.2 * shown[2].astype(float), 0, 255).astype(np.uint8)
    noisy = np.clip(shown[2] + np.random.default_rng(0).normal(0, 4, shown[2].shape), 0, 255).astype(np.uint8)
    (found,) = make_sets([*alike, survey("brighter.jpg", brighter), survey("noisy.jpg", noisy)])
    assert len(found.photos) == 4


def test_photos_in_a_patterned_page_are_no_copies_that_are_a_small_step_apart():
    """What they show is alike, but moved: a copy shows it at the same place. Most of the page has not moved."""
    rng = np.random.default_rng(0)
    page = (255 * rng.integers(0, 2, (24, 14))).astype(np.uint8).repeat(4, axis=0).repeat(4, axis=1)[:, :54]
    place = 128 + 250 * gaussian_filter(rng.normal(0, 1, (36, 60)), 2)
    smalls = [page.copy() for _ in range(3)]
    for number, small in enumerate(smalls):
        small[30:66] = np.clip(place[:, number : number + 54], 0, 255)
    whole, inside = (np.corrcoef(*(small[part].ravel() for small in smalls[:2]))[0, 1] for part in np.s_[:, 30:66])
    assert whole > 0.98
    assert inside > 0.9
    shown = [survey(f"{number}.jpg", smalls[0], small=small) for number, small in enumerate(smalls)]
    (found,) = make_sets([*shown, survey("again.jpg", smalls[0], small=smalls[0], sharpness=0.5)])
    assert [photo.clip.name for photo in found.photos] == ["0.jpg", "1.jpg", "2.jpg"]


@pytest.mark.parametrize("dark", [True, False])
def test_the_buttons_of_a_gallery_say_nothing_about_two_photos_of_other_contrast(dark):
    """They are equal in both; brought to the contrast of one photo they would differ, and be alike."""
    rng = np.random.default_rng(0)
    shown = []
    for middle, spread in ((100, 300), (130, 600)):
        photo = np.clip(middle + gaussian_filter(rng.normal(0, spread, (400, 900, 1)), (9, 9, 0)), 0, 255)
        page = in_gallery(photo.astype(np.uint8).repeat(3, axis=2), (450, 800), dark)
        shown.append(survey(f"{spread}.jpg", page))
    (found,) = make_sets(shown)
    assert len(found.photos) == 2


def test_photos_are_in_the_order_of_their_times_or_else_of_their_names():
    pictures = views(3)
    times = ["2026-11-24T10:00:02", "2026-11-24T10:00:01", "2026-11-24T10:00:03"]
    timed = [
        survey(f"{i}.jpg", picture, recorded_at=time)
        for i, (picture, time) in enumerate(zip(pictures, times, strict=True))
    ]
    (found,) = make_sets(timed)
    assert [photo.clip.name for photo in found.photos] == ["1.jpg", "0.jpg", "2.jpg"]
    names = ["IMG_10.jpg", "IMG_9.jpg", "IMG_100.jpg"]
    (found,) = make_sets([survey(name, picture) for name, picture in zip(names, pictures, strict=True)])
    assert [photo.clip.name for photo in found.photos] == ["IMG_9.jpg", "IMG_10.jpg", "IMG_100.jpg"]
