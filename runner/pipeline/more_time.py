"""What an attempt gets after attempts that ended for want of time."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class MoreTime:
    """Times the usual budgets, and what limits them."""

    poses: float = 1.0  # times the budget for camera poses
    training: float = 1.0  # times that for training
    most_s: float = 0.0  # but neither is extended beyond that
    again: bool = False  # whether another attempt may follow this one

    def for_poses(self, budget_s: float) -> float:
        return max(budget_s, min(self.poses * budget_s, self.most_s))

    def for_training(self, budget_s: float) -> float:
        return max(budget_s, min(self.training * budget_s, self.most_s))

    def may_follow(self, budget_s: float) -> bool:
        """Whether another attempt follows that has more time than this one. budget_s: what this one has."""
        return self.again and self.most_s > budget_s


USUAL = MoreTime()
