"""What the sparse points say about exposures and lenses."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from runner.scene.views import TrainingScene
from runner.training.exposure.drift import cameras_of, measure_drift
from runner.training.exposure.evidence import CONTRADICTION_MIN, why_not_tried
from tests.drifting_scenes import CORNER, drift_of_kind
from tests.true_scene import DRIFT, drifting


def test_the_sparse_points_tell_each_pictures_gain_to_two_hundredths(still: TrainingScene) -> None:
    """On the scale of the pictures a gain of the light by g is g^(1/2.2)."""
    drift = measure_drift(drifting(still))
    train_views = still.subset("train")
    clips = sorted(DRIFT)
    true = []
    for index, view in enumerate(still.views):
        times = [other.timestamp_s for other in still.views if other.video == view.video]
        true.append(np.interp(view.timestamp_s, (min(times), max(times)), DRIFT[clips[index // 12]]))
    logs = np.log(np.array(true)[train_views]) / 2.2
    assert drift.log_gains[train_views].mean(axis=1) == pytest.approx(logs - logs.mean(), abs=0.02)
    assert drift.spread == pytest.approx(logs.std(), abs=0.005)


def test_the_sparse_points_tell_the_falloff_of_a_lens(still: TrainingScene) -> None:
    """Light that falls to c in the corners is a value that falls to about c^(1/2.2)."""
    drift = measure_drift(drift_of_kind("vignetting", still))
    assert drift.falloff == pytest.approx(-np.log(CORNER) / 2.2, abs=0.08)
    assert drift.spread < 0.03, "a falloff is no exposure"
    assert why_not_tried(still, drift) is not None, "it is told, and not corrected"


def test_one_exposure_and_an_even_lens_measure_as_none(still: TrainingScene) -> None:
    drift = measure_drift(still)
    assert drift.spread < 0.02
    assert drift.contradiction < CONTRADICTION_MIN
    assert drift.falloff < 0.05
    assert why_not_tried(still, drift) is not None


@pytest.mark.parametrize("kind", ["jumps", "ramps", "photos", "white-balance", "clipped-skies"])
def test_every_kind_of_drift_is_worth_a_try(still: TrainingScene, kind: str) -> None:
    assert why_not_tried(still, measure_drift(drift_of_kind(kind, still))) is None


def test_held_out_pictures_are_not_looked_at(still: TrainingScene) -> None:
    """A measurement that had seen them would be training on them."""
    blinded = tuple(
        np.zeros_like(picture) if view.split == "test" else picture
        for view, picture in zip(still.views, still.pixels, strict=True)
    )
    drift = measure_drift(replace(still, pixels=blinded))
    assert np.array_equal(drift.log_gains, measure_drift(still).log_gains)
    assert not drift.log_gains[still.subset("test")].any()


def test_a_scene_without_sightings_has_no_drift(still: TrainingScene) -> None:
    drift = measure_drift(replace(still, sightings=np.zeros((0, 2), np.int32)))
    assert (drift.spread, drift.pairs_per_view, drift.falloff) == (0.0, 0.0, 0.0)


def test_views_of_one_size_and_focal_length_are_of_one_camera(still: TrainingScene) -> None:
    """The courtyard's second clip is upright."""
    assert cameras_of(still.views) == [0] * 12 + [1] * 12 + [0] * 12
