"""The stages of exports: every format once, and what each stage says about its files."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from runner.export.formats import EXPORTERS
from runner.pipeline.splats import EXPORTS, Exported, FinishedSplats
from runner.pipeline.splats import _doubt as banner_of
from tests.splats import random_splats


def test_every_format_is_written_in_one_stage() -> None:
    assert sorted(suffix for suffixes in EXPORTS.values() for suffix in suffixes) == sorted(EXPORTERS)


@pytest.mark.parametrize("suffix", EXPORTERS)
def test_a_format_reads_what_it_writes(tmp_path: Path, suffix: str) -> None:
    exporter, path = EXPORTERS[suffix], tmp_path / f"scene.{suffix}"
    degree = 3 if exporter.view_dependent else 0
    assert exporter.write(random_splats(300, degree), path).count == 300
    after = exporter.read(path)
    assert (after.count, after.sh_degree) == (300, degree)


def test_a_stage_of_one_file_reports_all_of_it_and_one_of_several_their_sizes() -> None:
    """As .checkpoint.json has it."""
    report = {"count": 1, "dropped": 0, "size_bytes": 17, "sha256": "0"}
    assert Exported({"ply": report}).summary == report
    assert Exported({"spz": report, "compressed_ply": report}).summary == {"spz": 17, "compressed_ply": 17}


@pytest.mark.parametrize(
    ("doubts", "banner"),
    [
        ((), ""),
        (("held-out frames are 14 dB.",), "This scene is doubtful: held-out frames are 14 dB. report.html says more."),
        (("14 dB.", "No view."), "This scene is doubtful: 14 dB (and 1 more). report.html says more."),
    ],
)
def test_the_viewer_page_of_a_suspect_scene_begins_with_its_first_doubt(doubts: tuple[str, ...], banner: str) -> None:
    assert banner_of(cast(FinishedSplats, SimpleNamespace(doubts=doubts))) == banner
