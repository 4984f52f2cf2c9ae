"""Scenes of few views, and of many, from scenes whose poses are known (`python -m benchmarks.scenes`)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from runner.scene.views import TrainingScene

MIN_TRACK = 2  # training views that see a sparse point, or it is not there

Split = Callable[[int, int], str]
"""("train" | "test" | "") of the view at a place of so many, in the order in which they were taken."""


def every(step: int, scored: int) -> Split:
    """Trains on every `step`-th view and scores those `scored` places behind it; the others are not there."""
    return lambda place, count: {0: "train", scored: "test"}.get(place % step, "") if place < _last(count, step) else ""


def all_but(first: int, step: int) -> Split:
    """Scores every `step`-th view from `first` on, never the last one, and trains on the others."""
    return lambda place, count: "test" if place % step == first and place < count - 1 else "train"


def _last(count: int, step: int) -> int:
    """Behind the last view that is trained on: what is scored lies between two of them."""
    return (count - 1) // step * step + 1


SETS: dict[str, tuple[str, Split]] = {
    "sceaux, 8": ("sceaux_photos", all_but(1, 4)),
    "sceaux, 9": ("sceaux_photos", all_but(3, 4)),
    "banana, 10": ("banana_photos", all_but(1, 3)),
    "fox, 13": ("fox", every(4, 2)),
    "walk, 16": ("walk", every(4, 2)),
    "fountain, 8": ("fountain-P11", all_but(1, 4)),
    "Herz-Jesus, 6": ("Herz-Jesus-P8", all_but(1, 4)),
    "entry, 8": ("entry-P10", all_but(1, 4)),
    "castle, 14": ("castle-P19", all_but(1, 4)),
    "kermit, 8": ("kermit", all_but(1, 4)),
    "ET, 7": ("ET", all_but(1, 4)),
}
"""Few views: name to (scene, split). The last six are public: Strecha et al. (CVPR 2008), and photos of Bundler."""


def split_by(scene: TrainingScene, split: Split) -> TrainingScene:
    """The scene with that split. Of the sparse points those stay that MIN_TRACK training views saw.

    Poses are what they were with all views. Tracks are counted over the training views.
    """
    order = sorted(range(len(scene.views)), key=lambda i: (scene.views[i].video, scene.views[i].timestamp_s, i))
    parts = {index: split(place, len(order)) for place, index in enumerate(order)}
    kept = [index for index in order if parts[index]]
    number = np.full(len(scene.views), -1)
    number[kept] = np.arange(len(kept))
    train = np.array([parts[index] == "train" for index in range(len(scene.views))])
    seen = scene.sightings[train[scene.sightings[:, 0]]]
    tracks = np.bincount(seen[:, 1], minlength=len(scene.points))
    points = tracks >= MIN_TRACK
    point_number = np.cumsum(points) - 1
    mine = (number[scene.sightings[:, 0]] >= 0) & points[scene.sightings[:, 1]]
    sightings = scene.sightings[mine]
    return replace(
        scene,
        views=tuple(replace(scene.views[index], split=parts[index]) for index in kept),
        pixels=tuple(scene.pixels[index] for index in kept),
        points=scene.points[points],
        colors=scene.colors[points],
        point_errors=scene.point_errors[points],
        track_lengths=tracks[points].astype(np.int32),
        sightings=np.stack([number[sightings[:, 0]], point_number[sightings[:, 1]]], axis=1).astype(np.int32),
        seen_at=scene.seen_at[mine] if len(scene.seen_at) else scene.seen_at,
        masks=tuple(scene.masks[index] for index in kept) if scene.masks else (),
    )
