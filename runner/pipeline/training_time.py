"""What is said of a training that ended for want of time, and the error where another attempt gets more of it."""

from __future__ import annotations

from runner.scene.stages import Stage
from runner.training.loop import Trained
from runner.training.settings import TrainSettings
from scenejobs.errors import Code, RunnerError

NEARLY = 0.9  # of the planned steps: beyond, nobody sees what is missing


def cut_short(trained: Trained, planned: TrainSettings) -> tuple[str, ...]:
    """What a training that ended early lacks: nothing else in the result looks different."""
    unknown = "that is too little to say how good the scene can be, or whether its cameras are right"
    if trained.stopped == "budget" and trained.steps < NEARLY * planned.iterations:
        what = unknown if not trained.can_be_judged else "on a faster or less busy machine the scene is sharper"
        return (f"{_ended(trained, planned)}: {what}",)
    if not trained.can_be_judged:
        return (f"training has {trained.steps:,} steps: {unknown}",)
    return ()


def out_of_time(trained: Trained, planned: TrainSettings) -> RunnerError:
    """For a training of so few steps that nobody can say whether the scene is right."""
    return RunnerError(
        f"{_ended(trained, planned)}, before the scene could be judged",
        code=Code.TRAINING_TIMED_OUT, stage=Stage.TRAINING,
        advice=f"raise TRAIN_BUDGET_SECS to {2 * planned.budget_s:.0f}, or use a smaller preset or a faster machine",
    )  # fmt: skip


def _ended(trained: Trained, planned: TrainSettings) -> str:
    steps = f"{trained.steps:,} of {planned.iterations:,} steps"
    return f"training ended after {steps}, for want of time ({trained.wall_s:.0f} s)"
