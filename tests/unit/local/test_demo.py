"""What `make demo` prints at the end."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from local import places
from local.demo import summarise


def test_of_a_suspect_result_the_doubt_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    metrics = {
        "images_registered": 71, "images_total": 72, "n_gaussians": 39_209, "psnr_heldout": 14.0, "ssim_heldout": 0.4,
        "stage_seconds": {}, "suspect": True, "doubt": {"code": "POSES_SUSPECT", "reasons": ["14 dB", "no depth"]},
    }  # fmt: skip
    (tmp_path / "metrics.json").write_text(json.dumps(metrics))
    summarise(tmp_path, "demo", [])
    assert "doubtful (POSES_SUSPECT): 14 dB; no depth\n" in capsys.readouterr().out


@pytest.mark.parametrize(("psnr", "ssim"), [(30.314, 0.9388), (None, None)])
def test_scores_are_printed_where_there_are_some(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], psnr: float | None, ssim: float | None
) -> None:
    """A scene without held-out views, as of the mock pipeline, is summarised all the same."""
    metrics = {
        "images_registered": 71, "images_total": 72, "n_gaussians": 39_209, "psnr_heldout": psnr, "ssim_heldout": ssim,
        "stage_seconds": {"colmap_reconstruction": 132.4, "training": 98.2, "ply_export": 0.1},
    }  # fmt: skip
    (tmp_path / "metrics.json").write_text(json.dumps(metrics))
    summarise(tmp_path, "demo", ["demo/a.mp4"])
    printed = capsys.readouterr().out
    assert "seconds per stage: poses 132, training 98\n" in printed
    assert "71 of 72" in printed
    assert ("30.31" in printed and "0.939" in printed) is (psnr is not None)
    assert str(tmp_path / "metrics.json") in printed
    assert "viewer.html" not in printed, "there is none"


def test_a_folder_is_told_as_it_would_be_typed_from_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert places.shown(tmp_path / ".local/footage") == Path(".local/footage")
    assert places.shown(tmp_path.parent / "elsewhere") == tmp_path.parent / "elsewhere"
