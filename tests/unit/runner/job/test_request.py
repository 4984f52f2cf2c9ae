"""What the parent and the child of a job exchange: it arrives as it was, and nothing else is believed."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

import msgspec
import pytest

from runner.cache.store import CacheSettings
from runner.job.request import Job, decode, decode_report, decode_result, encode, encode_report, encode_result
from runner.scene.frames import Clip
from runner.scene.progress import Report
from scenejobs.errors import Code, RunnerError
from scenejobs.settings.pipeline import PipelineSettings

JOB = Job(
    (Clip("cam1/ü.mp4", Path("/w/0001.mp4")), Clip("b.mp4", Path("/w/0002.mp4"))), Path("/w"), Path("/o"),
    "lobby", "run-1", PipelineSettings(preset="draft", frame_rate=2, lpips_weights="/weights"), save_s=30,
    cache=CacheSettings(Path("/w/cache"), 1 << 40), out_of_memory="training", warnings=("<not> read",),
)  # fmt: skip


def test_a_job_arrives_as_it_was() -> None:
    assert decode(encode(JOB)) == JOB


def test_paths_that_are_no_text_arrive_as_they_were() -> None:
    path = Path(os.fsdecode(b"/w/caf\xe9/\xff.mp4"))
    job = msgspec.structs.replace(JOB, workspace=path, clips=(Clip("a.mp4", path),))
    assert decode(encode(job)) == job


@pytest.mark.parametrize(
    "place", [(), ("settings",), ("cache",), ("clips", 0)], ids=["job", "settings", "cache", "clip"]
)
def test_a_field_that_nobody_knows_is_refused(place: tuple[Any, ...]) -> None:
    request = json.loads(encode(JOB))
    inner = request
    for step in place:
        inner = inner[step]
    inner["more"] = 1
    with pytest.raises(ValueError, match=r"unknown field|does not know"):
        decode(json.dumps(request).encode())


@pytest.mark.parametrize(
    ("field", "value"),
    [("save_s", "30"), ("save_s", True), ("workspace", 1), ("clips", {}), ("warnings", "text"), ("settings", None)],
)
def test_a_value_of_another_type_is_refused(field: str, value: object) -> None:
    with pytest.raises(msgspec.ValidationError):
        decode(json.dumps({**json.loads(encode(JOB)), field: value}).encode())


def test_a_report_arrives_as_it_was() -> None:
    for report in (Report("training", 0.5, "step 1/2", 12.5), Report("validation", 1, "", None)):
        assert decode_report(encode_report(report)) == report


def test_a_share_beside_the_scale_is_brought_back_by_the_sender() -> None:
    """An estimate may be passed: that is no reason to hear nothing more of a job."""
    assert decode_report(encode_report(Report("training", 1.2, "", -3.0))) == Report("training", 1.0, "", 0.0)
    assert decode_report(encode_report(Report("training", -0.1))) == Report("training", 0.0)


@pytest.mark.parametrize("fraction", [math.nan, math.inf])
def test_a_share_that_is_no_number_is_not_heard(fraction: float) -> None:
    heard = decode_report(encode_report(Report("training", fraction)))
    assert heard is None or 0 <= heard.fraction <= 1


@pytest.mark.parametrize(
    "line",
    [
        b"", b"noise", b"{}", b"[1]", b"\xff\xfe", b"[" * 60_000,
        b'{"stage": "../../etc", "fraction": 1, "detail": ""}',
        b'{"stage": "training", "fraction": NaN, "detail": ""}',
        b'{"stage": "training", "fraction": 1e999, "detail": ""}',
        b'{"stage": "training", "fraction": 1.5, "detail": ""}',
        b'{"stage": "training", "fraction": -0.5, "detail": ""}',
        b'{"stage": "training", "fraction": "1", "detail": ""}',
        b'{"stage": "training", "fraction": true, "detail": ""}',
        b'{"stage": "training", "fraction": 1, "detail": "", "eta_s": -1}',
        b'{"stage": "training", "fraction": 1, "detail": "", "eta_s": 1e999}',
        b'{"stage": "training", "fraction": 1, "detail": "", "more": 1}',
        b'{"stage": "training", "fraction": 1, "detail": 1}',
    ],
)  # fmt: skip
def test_a_line_that_is_no_report_is_ignored(line: bytes) -> None:
    assert decode_report(line) is None


def test_a_long_detail_is_cut() -> None:
    report = decode_report(encode_report(Report("training", 0.5, "x" * 10_000)))
    assert report is not None
    assert len(report.detail) == 500


def test_a_result_arrives_as_it_was() -> None:
    summary = {"n_gaussians": 3, "psnr_heldout": None, "deep": {"list": [1, 2.5, "ü"]}}
    assert decode_result(encode_result(summary)) == summary


@pytest.mark.parametrize(
    "data",
    [
        b"", b"[]", b"{", b"[" * 100_000, b'{"n_gaussians": -1}', b'{"n_gaussians": "many"}', b'{"n_gaussians": 1.5}',
        b'{"psnr_heldout": NaN}', b'{"psnr_heldout": 1e999}', b'{"psnr_heldout": "30"}', b'{"other": Infinity}',
    ],
)  # fmt: skip
def test_a_result_that_cannot_be_one_is_a_crash(data: bytes) -> None:
    with pytest.raises(RunnerError) as caught:
        decode_result(data)
    assert caught.value.code == Code.JOB_CRASHED
