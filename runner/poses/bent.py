"""Which films have pictures that a program bent, each in another way: what no lens can have seen finds no cameras."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from runner.poses.gates import NAMED
from runner.scene.shots import Shot
from scenejobs.wording import listed

LEAST_PAIRS = 4
BENT = 0.08  # of the matches in the middling part of a picture that no motion of a camera explains; see decision 329


def may_be_bent(shots: Sequence[Shot]) -> list[Shot]:
    """Those of films as a lens sees them. Photos have no neighbours in time, and a fisheye bends more than is tried."""
    return [
        shot for shot in shots
        if not shot.clip.projection and shot.clip.view is None and not shot.clip.turns
        and not any(frame.photo for frame in shot.frames)
    ]  # fmt: skip


def bent_clips(shots: Sequence[Shot], shares: Sequence[Sequence[float]]) -> tuple[str, ...]:
    """Names of the clips. shares: of each shot what `find_bent` says of its pairs."""
    of_clip: dict[str, list[float]] = {}
    for shot, found in zip(shots, shares, strict=True):
        of_clip.setdefault(shot.clip.name, []).extend(found)
    return tuple(
        name for name, found in of_clip.items() if len(found) >= LEAST_PAIRS and float(np.median(found)) > BENT
    )


def bent_in_words(clips: Sequence[str]) -> str:
    """For the person who filmed; "" for no clip."""
    if not clips:
        return ""
    return (
        f"the pictures of {listed(clips, NAMED)} are bent, each in another way, as by a program that steadies a film "
        "or adds an effect; or all that is seen moves by itself, as water and leaves do"
    )
