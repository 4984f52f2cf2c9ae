"""What all stages share: times, checkpoint, errors with their stage, documents with the hash of every file."""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from runner.pipeline import backend, reconstruct
from runner.pipeline import settings as pipeline_settings
from runner.pipeline.mock import reconstruct_mock
from runner.pipeline.presets import PRESETS
from runner.pipeline.settings import JobSettings
from runner.pipeline.stages import JobContext, Stages
from runner.scene.frames import Clip
from runner.scene.progress import SILENT, Progress
from runner.scene.stages import MADE_AGAIN
from scenejobs.errors import Code, ConfigurationError, InputError, Interrupted, RunnerError
from scenejobs.settings.pipeline import PipelineSettings


@pytest.fixture
def mock() -> JobSettings:
    return pipeline_settings.resolve(PipelineSettings(backend="mock"), "run-1")


@pytest.fixture
def clip(tmp_path: Path) -> Clip:
    path = tmp_path / "0001.mp4"
    path.write_bytes(b"bytes")
    return Clip("cam1/view1.mp4", path)


def stages_of(out: Path, settings: JobSettings, progress: Progress = SILENT) -> Stages:
    return Stages(JobContext(out / "workspace", progress, out=out, name="lobby", settings=settings))


def checkpoint(out: Path) -> Any:
    return json.loads((out / ".checkpoint.json").read_text())


def test_an_error_without_a_stage_gets_the_one_it_was_raised_in(mock: JobSettings, tmp_path: Path) -> None:
    stages = stages_of(tmp_path, mock)
    with pytest.raises(InputError) as caught, stages.stage("frame_extraction"):
        raise InputError("no video")
    assert caught.value.stage == "frame_extraction"
    with pytest.raises(RunnerError) as known, stages.stage("training"):
        raise RunnerError("crash", stage="colmap_reconstruction")
    assert known.value.stage == "colmap_reconstruction"


def test_the_checkpoint_says_what_each_finished_stage_left_and_how_long_it_took(
    mock: JobSettings, tmp_path: Path
) -> None:
    stages = stages_of(tmp_path, mock)
    with stages.stage("frame_extraction") as left:
        time.sleep(0.02)
        left.update(frames=12)
    done = checkpoint(tmp_path)["finished"]["frame_extraction"]
    assert done["frames"] == 12
    assert done["seconds"] >= 0.02
    assert stages.seconds["frame_extraction"] == done["seconds"]


def test_what_makes_a_scene_again_is_a_time_of_its_own(mock: JobSettings, tmp_path: Path) -> None:
    """Minutes of poses and training were told as clean-up. Progress and checkpoint keep the promised names."""
    stages = stages_of(tmp_path, mock)
    with stages.stage("clean_up"):
        pass
    with stages.stage("clean_up", MADE_AGAIN) as left:
        time.sleep(0.02)
        left.update(removed=3)
    assert stages.seconds[MADE_AGAIN] >= 0.02 > stages.seconds["clean_up"]
    assert list(checkpoint(tmp_path)["finished"]) == ["clean_up"]
    assert checkpoint(tmp_path)["finished"]["clean_up"]["removed"] == 3


def test_a_stage_that_failed_is_not_called_finished(mock: JobSettings, tmp_path: Path) -> None:
    stages = stages_of(tmp_path, mock)
    with stages.stage("validation"):
        pass
    with pytest.raises(RunnerError), stages.stage("training"):
        raise RunnerError("crash")
    assert list(checkpoint(tmp_path)["finished"]) == ["validation"]


def test_no_stage_begins_after_a_stop_was_asked_for(mock: JobSettings, tmp_path: Path) -> None:
    stages = stages_of(tmp_path, mock, Progress(lambda _: None, lambda: True))
    with pytest.raises(Interrupted), stages.stage("training"):
        raise AssertionError("the stage began")


def test_an_old_manifest_is_gone_as_soon_as_a_run_begins(mock: JobSettings, tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text("{}")
    stages_of(tmp_path, mock)
    assert not (tmp_path / "manifest.json").exists()


def test_the_manifest_holds_the_hash_of_every_other_file_and_is_the_newest(
    mock: JobSettings, clip: Clip, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    metrics = reconstruct_mock([clip], tmp_path / "w", out, "lobby", mock, SILENT)
    manifest = json.loads((out / "manifest.json").read_text())
    files = {path.name: path for path in out.iterdir() if path.name != "manifest.json"}
    assert {entry["name"]: (entry["size_bytes"], entry["sha256"]) for entry in manifest["outputs"]} == {
        name: (path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest()) for name, path in files.items()
    }
    newest = max(path.stat().st_mtime_ns for path in files.values())
    assert (out / "manifest.json").stat().st_mtime_ns >= newest
    assert (manifest["job_id"], metrics["job_id"]) == ("run-1", "run-1")
    assert manifest["videos"][0]["filename"] == "cam1/view1.mp4"


def test_the_mock_is_refused_unless_asked_for_by_name(mock: JobSettings, clip: Clip, tmp_path: Path) -> None:
    real = replace(mock, backend="cpu")
    assert backend.choose(mock) is reconstruct_mock
    assert backend.choose(real) is reconstruct.reconstruct
    with pytest.raises(ConfigurationError, match="by name"):
        reconstruct_mock([clip], tmp_path, tmp_path / "o", "n", real, SILENT)


def test_a_scene_without_clips_or_with_a_missing_one_is_refused_in_validation(
    mock: JobSettings, tmp_path: Path
) -> None:
    for clips, code in (([], Code.NO_VIDEO), ([Clip("a.mp4", tmp_path / "none")], Code.INPUT_GONE)):
        with pytest.raises(InputError) as caught:
            reconstruct.reconstruct(clips, tmp_path / "w", tmp_path / "o", "n", replace(mock, backend="cpu"), SILENT)
        assert (caught.value.code, caught.value.stage) == (code, "validation")


# ---- settings --------------------------------------------------------------------------------------------------------


def test_without_overrides_a_preset_is_what_the_table_says() -> None:
    """But for the limits of PipelineSettings, whose defaults must agree with those of the presets."""
    for name, preset in PRESETS.items():
        assert pipeline_settings.resolve(PipelineSettings(preset=name, backend="cpu"), "").preset == preset


def test_overrides_reach_their_stage() -> None:
    settings = PipelineSettings(
        preset="draft", backend="cpu", frame_count=33, frame_rate=2.5, features=999, min_points=77, min_long_side=320,
        min_short_side=240, min_frames=5, min_duration_s=0.5, threads=3, seed=9,
    )  # fmt: skip
    preset = pipeline_settings.resolve(settings, "").preset
    assert (preset.frames.budget, preset.frames.rate_fps) == (33, 2.5)
    limits = preset.frames.limits
    assert (limits.min_long_side, limits.min_short_side, limits.min_frames, limits.min_duration_s) == (320, 240, 5, 0.5)
    assert (preset.poses.features, preset.poses.min_points, preset.poses.threads, preset.poses.seed) == (999, 77, 3, 9)
    assert preset.poses.features_for(10) == 999  # what was asked for holds for few frames as well
    assert (preset.train.threads, preset.train.seed) == (3, 9)
    assert preset.train.iterations == PRESETS["draft"].train.iterations


def test_auto_takes_the_laptop_preset_where_no_gpu_is_wanted() -> None:
    settings = pipeline_settings.resolve(PipelineSettings(force_cpu=True), "")
    assert (settings.backend, settings.preset.name) == ("cpu", "laptop")


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        (PipelineSettings(preset="best"), Code.INVALID_SETTING),
        (PipelineSettings(backend="tpu"), Code.INVALID_SETTING),  # type: ignore[arg-type]
        (PipelineSettings(backend="gsplat", force_cpu=True), Code.NO_GPU),
    ],
)
def test_settings_that_cannot_be_met_are_named(settings: PipelineSettings, code: Code) -> None:
    with pytest.raises(ConfigurationError) as caught:
        pipeline_settings.resolve(settings, "")
    assert (caught.value.code, caught.value.stage) == (code, "configuration")
    assert caught.value.advice


# ---- going on from what an earlier attempt left ----------------------------------------------------------------------


@pytest.mark.parametrize("stage", ["training", "frame_extraction", "validation"])
def test_an_attempt_after_out_of_memory_asks_for_half_in_training(stage: str) -> None:
    usual = PRESETS["standard"]
    settings = pipeline_settings.resolve(PipelineSettings(preset="standard", backend="cpu"), "", out_of_memory=stage)
    train = settings.preset.train
    assert train.cap == usual.train.cap // 2
    assert 0.45 < (train.long_side / usual.train.long_side) ** 2 < 0.55
    assert (settings.preset.frames, settings.preset.poses) == (usual.frames, usual.poses), "poses would be found anew"
    for number in ("500,000", "1120 px", "1,000,000", "1600 px"):
        assert number in settings.smaller


def test_an_attempt_after_out_of_memory_in_the_poses_asks_for_half_the_features() -> None:
    settings = pipeline_settings.resolve(
        PipelineSettings(preset="standard", backend="cpu"), "", out_of_memory="colmap_reconstruction"
    )
    assert settings.preset.poses.features == PRESETS["standard"].poses.features // 2
    assert settings.preset.train == PRESETS["standard"].train


def test_the_mock_goes_on_in_the_same_workspace_and_says_so(
    mock: JobSettings, clip: Clip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOCK_SECONDS", "0.5")
    straight = reconstruct_mock([clip], tmp_path / "other", tmp_path / "o", "lobby", mock, SILENT)
    assert straight["resumed"] is None
    reports: list[Any] = []
    stopping = Progress(reports.append, lambda: sum(report.stage == "training" for report in reports) > 3)
    with pytest.raises(Interrupted):
        reconstruct_mock([clip], tmp_path / "w", tmp_path / "o", "lobby", mock, stopping)
    reports.clear()
    metrics = reconstruct_mock([clip], tmp_path / "w", tmp_path / "o", "lobby", mock, Progress(reports.append))
    step = metrics["resumed"]["at_steps"][0]
    assert 0 < step < 5
    assert metrics["resumed"] == {"found": ["frames", "sparse"], "times": 1, "at_steps": [step]}
    assert json.loads((tmp_path / "o" / "manifest.json").read_text())["resumed"] == metrics["resumed"]
    assert f"mock step {step}/5 (resumed at step {step})" in [report.detail for report in reports]


def test_the_mock_does_not_go_on_with_another_video(mock: JobSettings, clip: Clip, tmp_path: Path) -> None:
    reconstruct_mock([clip], tmp_path / "w", tmp_path / "o", "lobby", mock, SILENT)
    clip.path.write_bytes(b"other bytes")
    metrics = reconstruct_mock([clip], tmp_path / "w", tmp_path / "o", "lobby", mock, SILENT)
    assert metrics["resumed"]["at_steps"] == []
