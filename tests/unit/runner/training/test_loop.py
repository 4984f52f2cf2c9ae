"""Training recovers a scene, keeps its cap, its budget and its seed, and fails with a reason."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from runner.files.array_file import StateFile, read_state, write_state
from runner.quality.evaluate import evaluate, mean_psnr, render_view
from runner.raster import Rasterizer, Rendering, parameters, rasterizer
from runner.report.pictures import write_comparisons
from runner.scene.gaussians import Gaussians
from runner.scene.progress import SILENT, Progress, Report
from runner.scene.views import TrainingScene, View
from runner.training.initialise import initial_gaussians
from runner.training.loop import Trained, train
from runner.training.schedule import Plan
from runner.training.settings import TrainSettings
from scenejobs.errors import Code, InputError, Interrupted, RunnerError

WIDTH, HEIGHT = 60, 48
SETTINGS = TrainSettings(iterations=300, cap=400, sh_degree=1, budget_s=600, evaluations=2, seed=7)


def looking_at_origin(angle: float) -> np.ndarray:
    """[4, 4] world to camera, 4 units from the origin on a circle, a little above."""
    position = np.array([4 * np.sin(angle), -0.8, -4 * np.cos(angle)])
    forward = -position / np.linalg.norm(position)
    right = np.cross([0.0, 1.0, 0.0], forward)
    right /= np.linalg.norm(right)
    rotation = np.stack([right, np.cross(forward, right), forward])
    return np.block([[rotation, (-rotation @ position)[:, None]], [np.zeros((1, 3)), np.ones((1, 1))]])


def ground_truth(count: int = 150) -> Gaussians:
    rng = np.random.default_rng(3)
    return Gaussians(
        means=rng.uniform(-1, 1, (count, 3)).astype(np.float32),
        quats=rng.standard_normal((count, 4)).astype(np.float32),
        log_scales=np.log(rng.uniform(0.05, 0.25, (count, 3))).astype(np.float32),
        opacity_logits=rng.uniform(0, 4, count).astype(np.float32),
        sh0=rng.uniform(-1.5, 1.5, (count, 3)).astype(np.float32),
        sh_rest=np.zeros((count, 0, 3), np.float32),
    )


@pytest.fixture(scope="module")
def backend() -> Rasterizer:
    return rasterizer("cpu")


@pytest.fixture(scope="module")
def scene(backend: Rasterizer) -> TrainingScene:
    """Eight training views and two between them for testing; sparse points are noisy centres of the true Gaussians."""
    truth = ground_truth()
    K = np.array([[60.0, 0, WIDTH / 2], [0, 60.0, HEIGHT / 2], [0, 0, 1]])
    views = tuple(
        View(
            f"a/{i}.png",
            "a.mp4",
            i / 5,
            WIDTH,
            HEIGHT,
            K,
            looking_at_origin(0.12 * i),
            "test" if i in (3, 6) else "train",
        )
        for i in range(10)
    )
    params = parameters.parameters(truth, backend.device)
    pixels = tuple((render_view(params, view, backend).numpy() * 255).round().astype(np.uint8) for view in views)
    rng = np.random.default_rng(0)
    return TrainingScene(
        views,
        pixels,
        points=(truth.means + rng.normal(0, 0.01, truth.means.shape)).astype(np.float32),
        colors=((0.5 + 0.2821 * truth.sh0).clip(0, 1) * 255).astype(np.uint8),
        point_errors=np.full(truth.count, 0.5, np.float32),
        track_lengths=np.full(truth.count, 5, np.int32),
    )


@pytest.fixture(scope="module")
def trained(scene: TrainingScene, backend: Rasterizer) -> Trained:
    return train(scene, SETTINGS, backend, SILENT)


def test_training_improves_unseen_views_by_far(scene: TrainingScene, backend: Rasterizer, trained: Trained) -> None:
    """6 dB is half the error. The truth is Gaussians seen by every camera, so more than that has to be gained."""
    first = initial_gaussians(scene, cap=400, sh_degree=1, opacity=0.1, scale=1.0, seed=7)
    before = mean_psnr(parameters.parameters(first, backend.device), scene, backend, "test", 1)
    after = evaluate(trained.gaussians, scene, backend)
    assert before is not None
    assert after.test.psnr is not None
    assert after.test.psnr > before + 8
    assert after.gap_db is not None
    assert after.gap_db < 5
    assert trained.stopped == "plan"
    assert trained.steps == 300
    assert [line.step for line in trained.history] == [150, 300]
    assert trained.history[-1].psnr_heldout == pytest.approx(after.test.psnr, abs=1e-3)


@pytest.mark.parametrize("strategy", ["default", "mcmc"])
def test_the_cap_holds(scene: TrainingScene, backend: Rasterizer, strategy: str) -> None:
    result = train(scene, replace(SETTINGS, cap=170, strategy=strategy), backend, SILENT)
    assert result.gaussians.count <= 170
    assert result.gaussians.count > 150  # it did grow
    assert train(scene, replace(SETTINGS, iterations=5, cap=60), backend, SILENT).gaussians.count <= 60


def test_the_same_seed_gives_the_same_bytes(scene: TrainingScene, backend: Rasterizer, trained: Trained) -> None:
    again = train(scene, SETTINGS, backend, SILENT)
    other = train(scene, replace(SETTINGS, seed=8), backend, SILENT)
    assert fields_equal(trained.gaussians, again.gaussians)
    assert not fields_equal(trained.gaussians, other.gaussians)


def test_the_global_generator_is_left_alone(scene: TrainingScene, backend: Rasterizer) -> None:
    before = torch.get_rng_state()
    train(scene, replace(SETTINGS, iterations=5), backend, SILENT)
    assert torch.equal(before, torch.get_rng_state())


def test_the_time_budget_ends_training_with_a_usable_result(scene: TrainingScene, backend: Rasterizer) -> None:
    result = train(scene, replace(SETTINGS, iterations=1_000_000, budget_s=2.0), backend, SILENT)
    assert result.stopped == "budget"
    assert 0 < result.steps < 1_000_000
    assert result.wall_s < 10
    assert all(np.isfinite(array).all() for array in vars(result.gaussians).values())
    assert result.history[-1].step == result.steps


def test_a_plan_far_too_long_for_its_budget_is_gone_through_in_the_budget(
    scene: TrainingScene, backend: Rasterizer, tmp_path: Path
) -> None:
    """At a second per step 0.1 % of the plan fits; its pace must be looked at long before 5 % have passed."""
    clocked = Spoiled(backend, lambda _: False)
    long = replace(SETTINGS, iterations=200_000, budget_s=200.0)
    result = train(scene, long, clocked, SILENT, tmp_path, clock=lambda: float(clocked.calls))
    state = read_state(tmp_path / "state.npz", fingerprint_in(tmp_path))
    assert state is not None
    assert result.stopped == "budget"
    assert 150 < result.steps <= 210
    assert Plan(**state.values["plan"]).share(result.steps) > 0.95


def test_a_stop_saves_and_the_next_attempt_continues_to_the_same_bytes(
    scene: TrainingScene, backend: Rasterizer, trained: Trained, tmp_path: Path
) -> None:
    checks = iter(range(1000))
    stopping = Progress(lambda _: None, stop_requested=lambda: next(checks) >= 16)
    with pytest.raises(Interrupted):
        train(scene, SETTINGS, backend, stopping, resume_dir=tmp_path)
    steps: list[int] = []
    result = train(
        scene, SETTINGS, backend, Progress(lambda report: steps.append(step_of(report))), resume_dir=tmp_path
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
    now = Progress(lambda _: None, stop_requested=lambda: True)
    with pytest.raises(Interrupted):
        train(scene, short, backend, now, resume_dir=tmp_path)
    fresh = train(scene, replace(short, seed=1), backend, SILENT)
    assert fields_equal(fresh.gaussians, train(scene, replace(short, seed=1), backend, SILENT, tmp_path).gaussians)
    (tmp_path / "state.npz").write_bytes(b"not a state")
    result = train(scene, short, backend, SILENT, tmp_path)
    assert (result.steps, result.resumed_at) == (20, ())


def test_a_finished_training_is_not_done_again(scene: TrainingScene, backend: Rasterizer, tmp_path: Path) -> None:
    """What comes after it may fail and be repeated."""
    short = replace(SETTINGS, iterations=20)
    first = train(scene, short, backend, SILENT, tmp_path)
    spoiled = Spoiled(backend, lambda call: True)
    again = train(scene, short, spoiled, SILENT, tmp_path)
    assert spoiled.calls == 0
    assert fields_equal(first.gaussians, again.gaussians)
    assert (again.steps, again.resumed_at, again.wall_s) == (20, (20,), first.wall_s)


def test_the_budget_counts_the_time_of_earlier_attempts(
    scene: TrainingScene, backend: Rasterizer, tmp_path: Path
) -> None:
    long = replace(SETTINGS, iterations=1_000_000, budget_s=3600)
    checks = iter(range(100))
    with pytest.raises(Interrupted):
        train(scene, long, backend, Progress(lambda _: None, lambda: next(checks) >= 3), resume_dir=tmp_path)
    state = read_state(tmp_path / "state.npz", fingerprint_in(tmp_path))
    assert state is not None
    used_up = StateFile({**state.values, "seconds": 3600.0}, state.arrays)
    write_state(tmp_path / "state.npz", used_up, fingerprint_in(tmp_path))
    result = train(scene, long, backend, SILENT, tmp_path)
    assert (result.stopped, result.steps) == ("budget", state.values["step"])


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("params/means", np.zeros((9, 3), np.float32)),  # fewer Gaussians than the others have
        ("params/means", np.zeros((150, 2), np.float32)),
        ("params/quats", np.zeros((150, 4), np.float64)),
        ("params/means", np.float32(1)),
        ("params/more", np.zeros((150, 3), np.float32)),
        ("params", np.zeros(1, np.float32)),
        ("moments/means/exp_avg", np.zeros((3, 3), np.float32)),
        ("moments/more/step", np.float32(1)),
        ("densifier/count", np.zeros(3, np.float32)),
        ("exposures/values", np.zeros((10, 2, 3), np.float32)),  # where none are learned
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
    fresh = train(scene, short, backend, SILENT, tmp_path)
    fingerprint = fingerprint_in(tmp_path)
    state = read_state(tmp_path / "state.npz", fingerprint)
    assert state is not None
    write_state(tmp_path / "state.npz", StateFile(state.values, {**state.arrays, name: np.array(array)}), fingerprint)
    result = train(scene, short, backend, SILENT, tmp_path)
    assert result.resumed_at == ()
    assert fields_equal(result.gaussians, fresh.gaussians)


@pytest.mark.parametrize("values", [{"plan": {}}, {"plateau": 3}, {"history": [1]}, {"step": "7"}, {"seconds": None}])
def test_a_state_with_foreign_values_is_not_continued(
    scene: TrainingScene, backend: Rasterizer, tmp_path: Path, values: dict[str, Any]
) -> None:
    short = replace(SETTINGS, iterations=5)
    train(scene, short, backend, SILENT, tmp_path)
    fingerprint = fingerprint_in(tmp_path)
    state = read_state(tmp_path / "state.npz", fingerprint)
    assert state is not None
    write_state(tmp_path / "state.npz", StateFile({**state.values, **values}, state.arrays), fingerprint)
    assert train(scene, short, backend, SILENT, tmp_path).resumed_at == ()


class Spoiled:
    """A rasteriser that draws NaN at some of its calls with gradients."""

    name = "cpu"

    def __init__(self, inner: Rasterizer, spoils: Any) -> None:
        self._inner, self._spoils, self.device, self.calls = inner, spoils, inner.device, 0

    def render(self, params: Mapping[str, Tensor], *args: Any, **kwargs: Any) -> Rendering:
        rendering = self._inner.render(params, *args, **kwargs)
        self.calls += 1
        if self._spoils(self.calls):
            return Rendering(rendering.image * float("nan"), rendering.alpha, rendering.info)
        return rendering


def test_one_bad_step_is_rolled_back_and_left_behind(scene: TrainingScene, backend: Rasterizer) -> None:
    result = train(scene, SETTINGS, Spoiled(backend, lambda call: call == 150), SILENT)
    assert result.rollbacks == 1
    assert result.steps == 300
    assert all(np.isfinite(array).all() for array in vars(result.gaussians).values())


def test_values_that_stay_bad_end_as_diverged(scene: TrainingScene, backend: Rasterizer) -> None:
    with pytest.raises(RunnerError) as caught:
        train(scene, SETTINGS, Spoiled(backend, lambda call: call > 40), SILENT)
    assert caught.value.code == Code.TRAINING_DIVERGED
    assert "3 times" in caught.value.cause
    assert caught.value.advice


def test_progress_names_step_quality_and_count(scene: TrainingScene, backend: Rasterizer) -> None:
    reports: list[Report] = []
    train(scene, SETTINGS, backend, Progress(reports.append))
    assert reports[-1].stage == "training"
    assert reports[-1].fraction == pytest.approx(1.0)
    assert reports[-1].detail.startswith("step 300/300, ")
    assert " dB, " in reports[-1].detail
    assert reports[-1].detail.endswith(" Gaussians")
    assert [report.fraction for report in reports] == sorted(report.fraction for report in reports)


@pytest.mark.parametrize("kept", [0, 1])
def test_too_few_views_are_refused(scene: TrainingScene, backend: Rasterizer, kept: int) -> None:
    few = replace(scene, views=scene.views[:kept], pixels=scene.pixels[:kept])
    with pytest.raises(InputError, match=f"{kept} of {kept} views"):
        train(few, SETTINGS, backend, SILENT)


@pytest.mark.parametrize("kept", [0, 2])
def test_too_few_points_are_refused(scene: TrainingScene, backend: Rasterizer, kept: int) -> None:
    few = replace(
        scene,
        points=scene.points[:kept],
        colors=scene.colors[:kept],
        point_errors=scene.point_errors[:kept],
        track_lengths=scene.track_lengths[:kept],
    )
    with pytest.raises(InputError, match="sparse points") as caught:
        train(few, SETTINGS, backend, SILENT)
    assert caught.value.advice


def test_a_scene_without_test_views_trains(scene: TrainingScene, backend: Rasterizer) -> None:
    views = tuple(replace(view, split="train") for view in scene.views)
    result = train(replace(scene, views=views), replace(SETTINGS, iterations=20), backend, SILENT)
    assert result.history[-1].psnr_heldout is None


def test_comparisons_show_picture_and_rendering_side_by_side(
    scene: TrainingScene, backend: Rasterizer, trained: Trained, tmp_path: Path
) -> None:
    """Of the worst views, worst first, and of the one in the middle where it is another."""
    from PIL import Image

    score = evaluate(trained.gaussians, scene, backend).train
    written = write_comparisons(trained.gaussians, scene, backend, score, tmp_path)
    ranked = sorted(score.views, key=lambda view: view.psnr)
    assert written == {
        ranked[0].image: "comparison_worst.png",
        ranked[1].image: "comparison_worst_2.png",
        ranked[2].image: "comparison_worst_3.png",
        ranked[3].image: "comparison_median.png",  # the lower of the two in the middle of eight
    }
    for view in ranked[:4]:
        index = next(i for i, each in enumerate(scene.views) if each.image == view.image)
        pair = np.asarray(Image.open(tmp_path / written[view.image]))
        assert pair.shape == (HEIGHT, 2 * WIDTH, 3)
        assert np.array_equal(pair[:, :WIDTH], scene.pixels[index])
        error = ((pair[:, :WIDTH] / 255.0 - pair[:, WIDTH:] / 255.0) ** 2).mean()
        assert -10 * np.log10(error) == pytest.approx(view.psnr, abs=0.1)  # rounding to bytes


def fingerprint_in(folder: Path) -> str:
    """Of the training whose state lies there."""
    with np.load(folder / "state.npz", allow_pickle=False) as file:
        value: str = json.loads(file["meta"].tobytes())["fingerprint"]
        return value


def step_of(report: Report) -> int:
    return int(report.detail.split()[1].split("/")[0])


def fields_equal(one: Gaussians, other: Gaussians) -> bool:
    return all(np.array_equal(array, vars(other)[name]) for name, array in vars(one).items())
