"""A training that was stopped goes on from its saved state to the same bytes, and from no other state."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runner.files.array_file import StateFile
from runner.raster import Rasterizer
from runner.scene.progress import Progress
from runner.scene.views import TrainingScene
from runner.training.loop import Trained
from scenejobs.errors import Interrupted
from tests.trainings import (
    SETTINGS,
    Spoiled,
    fields_equal,
    replace_state,
    run_training,
    saved_state,
    state_file,
    step_of,
    stopping_after,
)


def test_a_stop_saves_and_the_next_attempt_continues_to_the_same_bytes(
    scene: TrainingScene, backend: Rasterizer, trained: Trained, tmp_path: Path
) -> None:
    with pytest.raises(Interrupted):
        run_training(scene, SETTINGS, backend, stopping_after(16), folder=tmp_path)
    steps: list[int] = []
    result = run_training(
        scene, SETTINGS, backend, Progress(lambda report: steps.append(step_of(report))), folder=tmp_path
    )
    assert result.steps == 300
    assert steps[0] > 100
    assert result.resumed_at == (steps[0],)
    assert trained.resumed_at == ()
    assert [line.step for line in result.history] == [line.step for line in trained.history]
    assert fields_equal(result.gaussians, trained.gaussians)


def test_a_state_of_other_settings_or_a_damaged_one_is_not_continued(
    scene: TrainingScene, backend: Rasterizer, tmp_path: Path
) -> None:
    short = replace(SETTINGS, iterations=20)
    with pytest.raises(Interrupted):
        run_training(scene, short, backend, stopping_after(0), folder=tmp_path)
    fresh = run_training(scene, replace(short, seed=1), backend)
    assert fields_equal(
        fresh.gaussians, run_training(scene, replace(short, seed=1), backend, folder=tmp_path).gaussians
    )
    state_file(tmp_path).write_bytes(b"not a state")
    result = run_training(scene, short, backend, folder=tmp_path)
    assert (result.steps, result.resumed_at) == (20, ())


def test_a_finished_training_is_not_done_again(scene: TrainingScene, backend: Rasterizer, tmp_path: Path) -> None:
    """What comes after it may fail and be repeated."""
    short = replace(SETTINGS, iterations=20)
    first = run_training(scene, short, backend, folder=tmp_path)
    spoiled = Spoiled(backend, lambda call: True)
    again = run_training(scene, short, spoiled, folder=tmp_path)
    assert spoiled.calls == 0
    assert fields_equal(first.gaussians, again.gaussians)
    assert (again.steps, again.resumed_at, again.wall_s) == (20, (20,), first.wall_s)


def test_the_budget_counts_the_time_of_earlier_attempts(
    scene: TrainingScene, backend: Rasterizer, tmp_path: Path
) -> None:
    long = replace(SETTINGS, iterations=1_000_000, budget_s=3600)
    with pytest.raises(Interrupted):
        run_training(scene, long, backend, stopping_after(3), folder=tmp_path)
    state = saved_state(tmp_path)
    used_up = StateFile({**state.values, "seconds": 3600.0}, state.arrays)
    replace_state(tmp_path, used_up)
    result = run_training(scene, long, backend, folder=tmp_path)
    assert (result.stopped, result.steps) == ("budget", state.values["step"])


def test_a_plan_that_was_shortened_to_nothing_is_begun_anew_and_a_shortened_one_is_not(
    scene: TrainingScene, backend: Rasterizer, tmp_path: Path
) -> None:
    """Its schedules are over, so that more time would change nothing."""
    for step, resumed in ((40, ()), (280, (280,))):
        with pytest.raises(Interrupted):
            run_training(scene, SETTINGS, backend, stopping_after(3), folder=tmp_path)
        state = saved_state(tmp_path)
        plan = {"pace": float(step), "from_step": 0, "from_share": 0.0}
        replace_state(tmp_path, StateFile({**state.values, "step": step, "plan": plan}, state.arrays))
        assert run_training(scene, SETTINGS, backend, folder=tmp_path).resumed_at == resumed
        state_file(tmp_path).unlink()


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("params/means", np.zeros((9, 3), np.float32)),  # fewer Gaussians than the others have
        ("params/means", np.zeros((150, 2), np.float32)),
        ("params/quats", np.zeros((150, 4), np.float64)),
        ("params/means", np.float32(1)),
        ("params/more", np.zeros((150, 3), np.float32)),
        ("params", np.zeros(1, np.float32)),
        ("average/means", np.zeros((9, 3), np.float32)),
        ("moments/means/exp_avg", np.zeros((3, 3), np.float32)),
        ("moments/more/step", np.float32(1)),
        ("densifier/count", np.zeros(3, np.float32)),
        ("exposures/gains", np.zeros((10, 3), np.float32)),  # where none are learned
        ("rng/cpu", np.zeros(3, np.uint8)),
        ("rng/cpu", np.zeros(5056, np.float32)),
        ("plan", np.zeros(3, np.float32)),
    ],
)  # fmt: skip
def test_a_state_whose_parts_do_not_fit_together_is_not_continued(
    scene: TrainingScene, backend: Rasterizer, tmp_path: Path, name: str, array: np.ndarray
) -> None:
    """It has the right fingerprint, so only its content can tell; the attempt begins as if there were none."""
    short = replace(SETTINGS, iterations=5)
    fresh = run_training(scene, short, backend, folder=tmp_path)
    state = saved_state(tmp_path)
    replace_state(tmp_path, StateFile(state.values, {**state.arrays, name: np.array(array)}))
    result = run_training(scene, short, backend, folder=tmp_path)
    assert result.resumed_at == ()
    assert fields_equal(result.gaussians, fresh.gaussians)


@pytest.mark.parametrize("values", [{"plan": {}}, {"plateau": 3}, {"history": [1]}, {"step": "7"}, {"seconds": None}])
def test_a_state_with_foreign_values_is_not_continued(
    scene: TrainingScene, backend: Rasterizer, tmp_path: Path, values: dict[str, Any]
) -> None:
    short = replace(SETTINGS, iterations=5)
    run_training(scene, short, backend, folder=tmp_path)
    state = saved_state(tmp_path)
    replace_state(tmp_path, StateFile({**state.values, **values}, state.arrays))
    assert run_training(scene, short, backend, folder=tmp_path).resumed_at == ()
