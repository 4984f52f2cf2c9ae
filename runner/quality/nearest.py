"""What a view looks like to somebody who has no scene at all: its most similar training picture, as it is.

A rendering that is no better than that has learned nothing about the place. Compared after a gain and a bias per
channel (`exposure_corrected`), so that a drift of the exposure is nobody's fault.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from runner.quality.evaluate import ViewScore, exposure_corrected, used_pixels
from runner.quality.metrics import psnr
from runner.scene.views import TrainingScene, evenly

THUMB_PX = 48  # long side of the pictures among which the most similar one is looked for
MOST_VIEWS = 12  # of each split, evenly chosen
SAME_DB = 24.0  # more alike, and a picture is the same once more: slow films have such, and nothing has to beat them


@dataclass(frozen=True)
class Gain:
    """How much better a rendered view is than the training picture that is most like it."""

    image: str  # View.image
    rendered: float  # dB, of the rendering
    nearest: float  # dB, of the most similar training picture other than itself, SAME_DB at most

    @property
    def db(self) -> float:
        return self.rendered - self.nearest


def gains(scene: TrainingScene, scores: Sequence[ViewScore]) -> tuple[Gain, ...]:
    """Of at most MOST_VIEWS of the scored views; without those that no other training picture has the size of."""
    index_of = {view.image: index for index, view in enumerate(scene.views)}
    train = scene.subset("train")
    thumbs = {index: thumb(scene.pixels[index]) for index in train}
    found = []
    for score in (scores[number] for number in evenly(range(len(scores)), MOST_VIEWS)):
        view = index_of[score.image]
        truth = scene.pixels[view]
        others = [index for index in train if index != view and scene.pixels[index].shape == truth.shape]
        if others:
            best = _most_similar(thumbs.get(view, thumb(truth)), {index: thumbs[index] for index in others})
            nearest = min(SAME_DB, _corrected_psnr(scene, best, view))
            found.append(Gain(score.image, score.psnr_corrected, nearest))
    return tuple(found)


def thumb(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """[M, 3] small, each channel with mean 0 and length 1."""
    height, width = pixels.shape[:2]
    shrink = min(1.0, THUMB_PX / max(height, width))
    size = max(1, round(width * shrink)), max(1, round(height * shrink))
    small = np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BOX), np.float64).reshape(-1, 3)
    small = small - small.mean(axis=0)
    return np.asarray(small / np.maximum(np.linalg.norm(small, axis=0), 1e-9))


def _most_similar(thumb: NDArray[np.float64], others: Mapping[int, NDArray[np.float64]]) -> int:
    """The one that leaves least of the picture over, after a gain and a bias for each channel."""
    return max(others, key=lambda index: float(((thumb * others[index]).sum(axis=0) ** 2).sum()))


def _corrected_psnr(scene: TrainingScene, other: int, view: int) -> float:
    """dB, of another picture instead of that of a view, over the pixels of the view that count."""
    image, wanted = (torch.tensor(scene.pixels[index], dtype=torch.float32) / 255 for index in (other, view))
    used = used_pixels(scene, view, image.device)
    return psnr(exposure_corrected(image, wanted, used), wanted, used)
