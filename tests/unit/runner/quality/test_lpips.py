"""LPIPS is that of the paper, is measured where its published weights are at hand, and with no others."""

from __future__ import annotations

import json
import os
import pickle
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from runner import cli
from runner.files import json_file
from runner.job.request import Job, decode, encode
from runner.pipeline import settings as pipeline_settings
from runner.quality.evaluate import Evaluation, evaluate, render_view
from runner.quality.lpips import LEAST_SIDE, Lpips, load_lpips
from runner.quality.lpips_weights import BACKBONE, LINEAR, Weights
from runner.raster import parameters, rasterizer
from runner.report import documents
from runner.report.html import report_page
from runner.scene.views import TrainingScene, View
from scenejobs.errors import Code, ConfigurationError
from scenejobs.settings.pipeline import PipelineSettings
from tests.pages import Reader
from tests.perceptual import random_tensors, random_weights, reference, write_weights
from tests.results import RESULTS, RUN, TRAINING
from tests.tiny_scene import ground_truth, looking_at_origin

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Weights:
    return random_weights(tmp_path_factory.mktemp("weights"))


@pytest.fixture(scope="module")
def lpips(weights: Weights) -> Lpips:
    return load_lpips(weights, CPU)


def noise(height: int, width: int, seed: int) -> torch.Tensor:
    return torch.rand(height, width, 3, generator=torch.Generator().manual_seed(seed))


# ---- the number ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("height", "width"), [(31, 31), (48, 64), (67, 50), (96, 35)])
def test_it_is_that_of_the_paper(lpips: Lpips, height: int, width: int) -> None:
    """Another implementation, in float64: pictures of noise, alike ones, and flat ones."""
    one = noise(height, width, 1)
    for other in (noise(height, width, 2), one * 0.9 + 0.05 * noise(height, width, 3), torch.full_like(one, 0.5)):
        expected = reference(one.numpy(), other.numpy(), *random_tensors())
        assert lpips(one, other) == pytest.approx(expected, rel=1e-4)
        assert expected > 1e-3


def test_equal_pictures_are_0_apart_and_both_ways_are_as_long(lpips: Lpips) -> None:
    one, other = noise(48, 64, 1), noise(48, 64, 2)
    assert lpips(one, one.clone()) == 0.0
    assert lpips(one, other) == pytest.approx(lpips(other, one), rel=1e-6)


def test_more_noise_is_further_away(lpips: Lpips) -> None:
    one, other = noise(64, 64, 1), noise(64, 64, 2)
    distances = [lpips(one, torch.lerp(one, other, share)) for share in (0.0, 0.1, 0.3, 1.0)]
    assert distances == sorted(set(distances))


def test_a_picture_too_small_for_the_network_has_no_value(lpips: Lpips) -> None:
    """The last pooling would leave nothing of it."""
    for height, width in ((LEAST_SIDE - 1, 200), (200, LEAST_SIDE - 1), (1, 1)):
        assert lpips(noise(height, width, 1), noise(height, width, 2)) is None
    assert lpips(noise(LEAST_SIDE, 40, 1), noise(LEAST_SIDE, 40, 2)) is not None


def test_pictures_of_two_sizes_are_an_error(lpips: Lpips) -> None:
    with pytest.raises(ValueError, match="differ in size"):
        lpips(noise(40, 50, 1), noise(50, 40, 1))


def test_what_torch_is_told_about_convolutions_is_taken_back(lpips: Lpips) -> None:
    before = torch.backends.cudnn.allow_tf32, torch.backends.cudnn.deterministic, torch.backends.cudnn.enabled
    lpips(noise(40, 40, 1), noise(40, 40, 2))
    cudnn = torch.backends.cudnn
    assert (cudnn.allow_tf32, cudnn.deterministic, cudnn.enabled) == before


# ---- the files -------------------------------------------------------------------------------------------------------


def refused(weights: Weights) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load_lpips(weights, CPU)
    assert (caught.value.code, caught.value.stage) == (Code.INVALID_SETTING, "configuration")
    assert "docs/configuration.md" in caught.value.advice
    return str(caught.value)


def test_every_file_that_is_missing_is_named_with_its_source(tmp_path: Path) -> None:
    told = refused(Weights(tmp_path / "none"))
    for words in (str(tmp_path), BACKBONE.name, LINEAR.name, BACKBONE.source, LINEAR.source, "No such file"):
        assert words in told


def test_other_weights_of_the_same_shapes_are_refused(tmp_path: Path, weights: Weights) -> None:
    """Such as a download that broke off, or alex.pth of version 0.0, which lies beside the right one."""
    folder = tmp_path / "copy"
    shutil.copytree(weights.folder, folder)
    with (folder / weights.backbone.name).open("ab") as file:
        file.write(b"\0")
    told = refused(replace(weights, folder=folder))
    assert f"{weights.backbone.name} is not the published file" in told
    assert "alex.pth" not in told
    told = refused(replace(weights, linear=LINEAR))
    assert "alex.pth is not the published file" in told
    assert "not df73285e..." in told
    assert weights.backbone.name not in told


def test_the_published_backbone_has_its_hash_in_its_name() -> None:
    assert BACKBONE.name == f"alexnet-owt-{BACKBONE.sha256}.pth"
    assert BACKBONE.source.endswith(BACKBONE.name)


def spoilt(change: Any) -> tuple[Any, Any]:
    tensors = random_tensors()
    change(*tensors)
    return tensors


@pytest.mark.parametrize(
    ("tensors", "words"),
    [
        (spoilt(lambda backbone, linear: backbone.pop("features.6.bias")), "features.6.bias should be [384] and is"),
        (
            spoilt(lambda backbone, linear: backbone.update({"features.0.weight": torch.zeros(64, 3, 7, 7)})),
            "features.0.weight should be [64, 3, 11, 11] and is [64, 3, 7, 7]",
        ),
        (spoilt(lambda backbone, linear: linear.pop("lin4.model.1.weight")), "lin4.model.1.weight should be"),
        (([], {}), "holds a list"),
        (({}, [1]), "holds a list"),
    ],
)  # fmt: skip
def test_shapes_that_are_not_alexnets_are_named(tmp_path: Path, tensors: tuple[Any, Any], words: str) -> None:
    assert words in refused(write_weights(tmp_path, *tensors))


class Harmful:
    def __reduce__(self) -> Any:
        return os.mkdir, (os.environ["HARM"],)


def test_no_code_in_a_file_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    harm = tmp_path / "harm"
    monkeypatch.setenv("HARM", str(harm))
    assert "cannot be loaded" in refused(write_weights(tmp_path, {"features.0.weight": Harmful()}, {}))
    assert not harm.exists()
    pickle.loads(pickle.dumps(Harmful()))
    assert harm.exists(), "it would have been harmful"


# ---- the setting -----------------------------------------------------------------------------------------------------


def test_wrong_weights_stop_the_program_before_any_work(
    weights: Weights, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The published names with other contents, as every mode meets them: job, command line, preflight."""
    folder = tmp_path / "weights"
    shutil.copytree(weights.folder, folder)
    (folder / weights.backbone.name).rename(folder / BACKBONE.name)
    settings = PipelineSettings(backend="cpu", lpips_weights=str(folder))
    for early in (pipeline_settings.check, lambda settings: pipeline_settings.resolve(settings, "")):
        with pytest.raises(ConfigurationError, match="is not the published file"):
            early(settings)
    env = {"PATH": os.environ["PATH"], "LPIPS_WEIGHTS": str(folder), "BACKEND": "mock", "MIN_DISK_SPACE_GB": "0"}
    (tmp_path / "view1.mp4").write_bytes(b"video")
    assert cli.main(["scene", str(tmp_path / "view1.mp4"), "--out", str(tmp_path / "out")], env) == 2
    assert cli.main([], env) == 2
    for line in capsys.readouterr().err.splitlines():
        assert f"LPIPS_WEIGHTS={folder}: {BACKBONE.name} is not the published file" in line  # as text, and as a record
    assert cli.main(["preflight", "--no-storage", "--json"], env) == 2
    failed = [check for check in json.loads(capsys.readouterr().out)["checks"] if not check["passed"]]
    assert [check["name"] for check in failed] == ["lpips"]
    assert "is not the published file" in failed[0]["detail"]


def test_a_relative_folder_is_the_one_the_user_meant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The job works in another one."""
    monkeypatch.chdir(tmp_path)
    for given, meant in (("weights", str(tmp_path / "weights")), ("/opt/weights", "/opt/weights"), ("", "")):
        job = Job((), tmp_path, tmp_path, "lobby", "run-1", PipelineSettings(lpips_weights=given))
        assert decode(encode(job)).settings.lpips_weights == meant


def test_without_the_setting_nothing_is_looked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert pipeline_settings.resolve(PipelineSettings(backend="cpu"), "").lpips is None
    cli.main(["preflight", "--no-storage"], {"PATH": os.environ["PATH"], "BACKEND": "mock"})
    assert "lpips" not in capsys.readouterr().out.lower()


# ---- what is told ----------------------------------------------------------------------------------------------------


def scored(lpips: Lpips | None, *, least_height: int = 40) -> tuple[Evaluation, list[float]]:
    """Of three training views and two held-out ones, drawn a little wrong; and LPIPS of each, measured by hand."""
    backend, truth = rasterizer("cpu"), ground_truth()
    sizes = [(64, 40)] * 4 + [(64, least_height)]
    views = tuple(
        View(f"a/{i}.png", "a.mp4", i / 5, w, h, np.array([[60.0, 0, w / 2], [0, 60.0, h / 2], [0, 0, 1]]),
             looking_at_origin(0.12 * i), "test" if i > 2 else "train")
        for i, (w, h) in enumerate(sizes)
    )  # fmt: skip
    params = parameters.parameters(truth, backend.device)
    pixels = tuple((render_view(params, view, backend).numpy() * 255).round().astype(np.uint8) for view in views)
    nothing = np.zeros((0, 3), np.float32)
    scene = TrainingScene(
        views, pixels, nothing, nothing.astype(np.uint8), nothing[:, 0], nothing[:, 0].astype(np.int32)
    )
    wrong = replace(truth, sh0=truth.sh0 * 0.7)
    drawn = parameters.parameters(wrong, backend.device)
    by_hand = [
        lpips(render_view(drawn, view, backend), torch.from_numpy(picture).float() / 255) if lpips else None
        for view, picture in zip(views, pixels, strict=True)
    ]
    return evaluate(wrong, scene, backend, lpips), by_hand


def told(scores: Evaluation) -> tuple[Any, Any, str]:
    """metrics.json, the manifest's section on training, and the report's text."""
    details = {"lpips_train": scores.train.lpips, "worst_views": [vars(view) for view in scores.test.worst()]}
    training = replace(TRAINING, details=details, lpips_heldout=scores.test.lpips)
    results = replace(RESULTS, training=training)
    metrics = json_file.plain(documents.metrics(RUN, results))
    manifest = json_file.plain(documents.manifest(RUN, results, {}))
    page = report_page(results, metrics, "2026-11-23T12:00:00.000Z", {})
    return metrics, manifest["training"], Reader(page).text


def test_every_view_is_scored_and_every_document_tells_it(lpips: Lpips) -> None:
    scores, by_hand = scored(lpips)
    assert [view.lpips for view in (*scores.train.views, *scores.test.views)] == pytest.approx(by_hand)
    assert scores.train.lpips == pytest.approx(np.mean(by_hand[:3]))
    assert scores.test.lpips == pytest.approx(np.mean(by_hand[3:]))
    metrics, manifest, report = told(scores)
    assert metrics["lpips_heldout"] == manifest["lpips_heldout"] == scores.test.lpips
    assert metrics["training"]["lpips_train"] == scores.train.lpips
    assert [view["lpips"] for view in metrics["training"]["worst_views"]] == pytest.approx(
        [view.lpips for view in scores.test.worst()]
    )
    assert f"{scores.test.lpips:.3f} LPIPS on held-out images, 0 is best" in report
    assert f"SSIM LPIPS held-out images 27.50 – 0.900 {scores.test.lpips:.3f}" in report
    for value in (scores.train.lpips, *(view.lpips for view in scores.test.views)):
        assert f" {value:.3f} " in report


def test_without_weights_the_documents_hold_null_and_the_report_has_no_word_of_it() -> None:
    scores, _ = scored(None)
    assert (scores.train.lpips, scores.test.lpips) == (None, None)
    metrics, manifest, report = told(scores)
    assert metrics["lpips_heldout"] is manifest["lpips_heldout"] is metrics["training"]["lpips_train"] is None
    assert "lpips" not in report.lower()


def test_a_split_with_a_view_too_small_has_no_mean(lpips: Lpips) -> None:
    """It would be a mean over other views than PSNR's."""
    scores, by_hand = scored(lpips, least_height=LEAST_SIDE - 1)
    assert [view.lpips for view in scores.test.views] == [pytest.approx(by_hand[3]), None]
    assert (scores.test.lpips, scores.train.lpips) == (None, pytest.approx(np.mean(by_hand[:3])))
