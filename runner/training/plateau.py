"""Early stopping: whether the training loss has reached a plateau."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass
class Plateau:
    """Compares the mean loss of neighbouring windows of the plan. Windows are long enough to see every view often.

    Only fed while neither the image size nor the number of Gaussians changes: both change the loss by themselves.
    """

    window_share: float = 0.15  # of the plan
    gain: float = 1e-3  # less improvement than this part of the loss counts as none
    begin: float = -1.0  # share at which the current window began; negative: not begun
    total: float = 0.0  # of the losses in the current window
    count: int = 0
    last_mean: float = math.inf  # of the window before

    def add(self, share: float, loss: float) -> bool:
        """Adds the loss of one step; True when a window ended that was no better than the one before."""
        if self.begin < 0:
            self.begin = share
        self.total += loss
        self.count += 1
        if share - self.begin < self.window_share:
            return False
        mean, last_mean = self.total / self.count, self.last_mean
        self.begin, self.total, self.count, self.last_mean = share, 0.0, 0, mean
        return mean > last_mean * (1.0 - self.gain)
