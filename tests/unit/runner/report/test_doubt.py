"""A suspect result: its documents and pages say that it may be wrong, and why, and those of any other do not."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

from runner.export.viewer.own import write_viewer
from runner.files import json_file
from runner.report import documents
from runner.report.documents import SCHEMA_FILE
from runner.report.html import report_page
from scenejobs.errors import REMEDIES, Code
from tests.browser import CHROMIUM
from tests.browser import page as open_page
from tests.pages import Reader
from tests.results import OUTPUTS, RESULTS, RUN
from tests.splats import ring_of_views, some_gaussians

REASONS = ("Held-out frames are 14.0 dB, 12 dB below training frames.", "<b>No</b> view explains b/000000.png.")
SUSPECT = replace(RESULTS, doubts=REASONS)
SCHEMA = json.loads(SCHEMA_FILE.read_text(encoding="utf-8"))


def page(results: documents.Results) -> str:
    metrics: dict[str, Any] = json_file.plain(documents.metrics(RUN, results))
    metrics["training"] = {"settings": {}}
    return report_page(results, metrics, "2026-11-23T12:00:00Z", {})


def test_manifest_and_metrics_say_that_a_result_is_suspect_and_why() -> None:
    doubt = {"code": "POSES_SUSPECT", "reasons": list(REASONS), "advice": REMEDIES[Code.POSES_SUSPECT]}
    for document in (documents.manifest(RUN, SUSPECT, OUTPUTS), documents.metrics(RUN, SUSPECT)):
        assert (document["suspect"], document["doubt"]) == (True, doubt)
    for document in (documents.manifest(RUN, RESULTS, OUTPUTS), documents.metrics(RUN, RESULTS)):
        assert (document["suspect"], document["doubt"]) == (False, None)


def test_the_schema_wants_reasons_of_a_suspect_result_and_of_no_other(tmp_path: Path) -> None:
    """A manifest of an earlier program, which says nothing of it, is as valid as ever."""
    good, suspect = (json_file.plain(documents.manifest(RUN, each, OUTPUTS)) for each in (RESULTS, SUSPECT))
    earlier = {key: value for key, value in good.items() if key not in ("suspect", "doubt")}
    for valid in (good, suspect, earlier):
        jsonschema.validate(valid, SCHEMA)
    for spoilt in (
        {**suspect, "doubt": None},
        {key: value for key, value in suspect.items() if key != "doubt"},
        {**suspect, "doubt": {**suspect["doubt"], "reasons": []}},
        {**suspect, "suspect": False},
        {**earlier, "doubt": suspect["doubt"]},
    ):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(spoilt, SCHEMA)


def test_the_report_begins_with_the_doubt() -> None:
    shown, good = Reader(page(SUSPECT)), Reader(page(RESULTS))
    assert ("role", "alert") in shown.attributes
    assert shown.text.index("This result is doubtful") < shown.text.index("PSNR on held-out images")
    assert all(reason in shown.text for reason in ("POSES_SUSPECT", *REASONS))
    assert "b" not in Reader(page(replace(SUSPECT, doubts=REASONS[1:]))).elements[:20], "a reason is text"
    assert "doubtful" not in good.text
    assert ("role", "alert") not in good.attributes


@pytest.mark.skipif(not CHROMIUM, reason="no Chromium is installed")
def test_in_a_browser_the_banner_is_seen_over_a_suspect_scene_and_over_no_other(tmp_path: Path) -> None:
    views = ring_of_views(4, np.zeros(3))
    for name, doubt in (("good", ""), ("suspect", "This scene is doubtful: <b>14 dB</b>.")):
        write_viewer(some_gaussians(50), views, tmp_path / f"{name}.html", title="lobby", note="50", doubt=doubt)
        with open_page(tmp_path / f"{name}.html", tmp_path / f"profile of {name}") as opened:
            assert opened.until("document.body.dataset.ready === 'yes'")
            height = opened.value("document.getElementById('doubt').getBoundingClientRect().height")
            assert (height > 20) == bool(doubt)
            assert opened.value("document.getElementById('doubt').textContent") == doubt
            assert not opened.log, "the page's policy lets it be shown"


def test_whoever_took_photos_is_not_only_told_to_film() -> None:
    assert "take more photos" in documents.metrics(RUN, SUSPECT)["doubt"]["advice"]
