"""The courtyard as cameras film it that change their exposure: one kind of change in each scene.

All are made in linear light from pictures of one exposure, as a camera would: gains of the light, per channel for the
white balance, a falloff towards the corners, then the cut at white and the curve of sRGB.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from runner.scene.views import TrainingScene

Gains = NDArray[np.float64]  # [V, 3] of the light, by view and channel
JUMPS_EV = (-0.7, 0.6, -0.2, 0.8, -0.5, 0.1)  # of the stretches between two jumps, in stops
STRETCHES = 3  # of a clip, each of one exposure
FLICKER_EV = 0.25  # standard deviation of photos whose automatic exposure is told by what they show
METERED, BALANCED = 0.7, 0.5  # of the differences in brightness and in tint, that a camera takes away
CORNER = 0.4  # of the light that reaches the corners through a lens that vignettes
BRIGHT_EV = (0.4, 1.5)  # of clips whose sky is cut


def jumps(scene: TrainingScene) -> Gains:
    """A new exposure at each third of a clip."""
    clip, way = _places(scene)
    return np.asarray(
        2.0 ** np.array([JUMPS_EV[(STRETCHES * c + int(STRETCHES * w)) % 6] for c, w in zip(clip, way, strict=True)])
    )


def ramps(scene: TrainingScene) -> Gains:
    """From one exposure to another over each clip; the next clip begins elsewhere."""
    clip, way = _places(scene)
    ends = {0: (0.0, -0.8), 1: (0.6, 0.0), 2: (-0.5, 0.3)}
    return np.asarray(2.0 ** np.array([np.interp(w, (0, 1), ends[c % 3]) for c, w in zip(clip, way, strict=True)]))


def photos(scene: TrainingScene) -> Gains:
    """Each picture has an exposure of its own."""
    generator = np.random.default_rng(5)
    return np.asarray(2.0 ** generator.normal(0, FLICKER_EV, len(scene.views)))


def white_balance(scene: TrainingScene) -> Gains:
    """Red and blue go against each other, over each clip and between clips."""
    clip, way = _places(scene)
    warmth = np.array(
        [np.interp(w, (0, 1), ((-0.3, 0.2), (0.3, -0.1), (0.0, 0.35))[c % 3]) for c, w in zip(clip, way, strict=True)]
    )
    return np.asarray(2.0 ** np.stack([warmth, np.zeros_like(warmth), -warmth], axis=1))


def clipped_skies(scene: TrainingScene) -> Gains:
    """Bright, brighter and back within a clip: what is light in the scene is cut at white."""
    clip, way = _places(scene)
    low, high = BRIGHT_EV
    return np.asarray(
        2.0 ** np.array([(low, high, low)[int(3 * w)] + 0.2 * (c - 1) for c, w in zip(clip, way, strict=True)])
    )


def metered(scene: TrainingScene) -> Gains:
    """Automatic exposure and white balance: what a picture shows is drawn towards grey, and the clip's mean is kept."""
    means = np.array([to_light(image).mean(axis=(0, 1)) for image in scene.pixels])
    brightness = means.mean(axis=1)
    exposure = (brightness / np.exp(np.log(brightness).mean())) ** -METERED
    tint = np.log(means / brightness[:, None])
    return np.asarray(exposure[:, None] * np.exp(-BALANCED * (tint - tint.mean(axis=0))))


def drifting_as(scene: TrainingScene, gains: Gains, corner: float = 1.0) -> TrainingScene:
    """The scene filmed with these gains, [V] or [V, 3], and a lens that lets `corner` of the light to the corners."""
    by_channel = np.broadcast_to(gains[:, None] if gains.ndim == 1 else gains, (len(scene.views), 3))
    pixels = []
    for image, gain in zip(scene.pixels, by_channel, strict=True):
        light = to_light(image) * gain * falloff(*image.shape[:2], corner)[..., None]
        pixels.append(to_srgb(light))
    return replace(scene, pixels=tuple(pixels))


def falloff(height: int, width: int, corner: float) -> NDArray[np.float64]:
    """[H, W] share of the light, 1 in the middle and `corner` in the corners: cos^4 of the angle to the axis."""
    y, x = np.mgrid[:height, :width]
    r2 = ((x + 0.5 - width / 2) ** 2 + (y + 0.5 - height / 2) ** 2) / ((width / 2) ** 2 + (height / 2) ** 2)
    return np.asarray((1 + r2 * (corner**-0.5 - 1)) ** -2.0)


def to_light(image: NDArray[np.uint8]) -> NDArray[np.float64]:
    """0..1 of the light, from sRGB (IEC 61966-2-1)."""
    value = image / 255.0
    return np.asarray(np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4))


def to_srgb(light: NDArray[np.float64]) -> NDArray[np.uint8]:
    """0..255; light beyond 1 is cut."""
    light = np.clip(light, 0.0, 1.0)
    value = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.rint(255 * value).astype(np.uint8)


def _places(scene: TrainingScene) -> tuple[list[int], list[float]]:
    """By view: the number of its clip, and how far in it, 0 to below 1."""
    clips = sorted({view.video for view in scene.views})
    last = {clip: max(view.timestamp_s for view in scene.views if view.video == clip) for clip in clips}
    return (
        [clips.index(view.video) for view in scene.views],
        [min(view.timestamp_s / max(last[view.video], 1e-9), 0.999) for view in scene.views],
    )


def _still(scene: TrainingScene) -> Gains:
    return np.ones(len(scene.views))


KINDS: Mapping[str, tuple[Callable[[TrainingScene], Gains], float]] = {
    "none": (_still, 1.0),
    "jumps": (jumps, 1.0),
    "ramps": (ramps, 1.0),
    "photos": (photos, 1.0),
    "white-balance": (white_balance, 1.0),
    "vignetting": (_still, CORNER),
    "clipped-skies": (clipped_skies, 1.0),
    "metered": (metered, 1.0),
    "vignetting-jumps": (jumps, CORNER),
}
"""By kind of drift: the gains, and what of the light reaches the corners."""


def drift_of_kind(kind: str, scene: TrainingScene) -> TrainingScene:
    """The scene filmed with this kind of drift. Raises KeyError for an unknown one."""
    gains, corner = KINDS[kind]
    return drifting_as(scene, gains(scene), corner)
