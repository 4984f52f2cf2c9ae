"""The views that are cut out of a 360-degree frame: what each is called, and where it looks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

NAMES = ("front", "right", "back", "left")  # a quarter turn to the right from one to the next


def cam_from_first(quarter_turns: int) -> NDArray[np.float64]:
    """[3, 3] rotation from the axes of the first view (x right, y down, z ahead) to those of another."""
    angle = quarter_turns * np.pi / 2
    c, s = np.round(np.cos(angle)), np.round(np.sin(angle))
    return np.array([[c, 0.0, -s], [0.0, 1.0, 0.0], [s, 0.0, c]])
