"""Percentages that people watch go on, and never back."""

from __future__ import annotations

from runner.scene.progress import Report, never_back
from runner.scene.stages import Stage


def test_a_percentage_never_falls_within_a_run() -> None:
    """Frames that are looked at again, another way to the poses, steps that are taken back."""
    told: list[Report] = []
    emit = never_back(told.append)
    given = [
        (Stage.FRAMES, 0.6), (Stage.FRAMES, 0.2), (Stage.POSES, 0.0), (Stage.POSES, 1.0), (Stage.POSES, 0.75),
        (Stage.TRAINING, 0.0), (Stage.TRAINING, 0.4), (Stage.TRAINING, 0.3), (Stage.TRAINING, 0.5),
    ]  # fmt: skip
    for number, (stage, fraction) in enumerate(given):
        emit(Report(stage, fraction, f"step {number}", eta_s=3.0))
    totals = [report.total_fraction for report in told]
    assert totals == sorted(totals)
    assert [report.fraction for report in told] == [0.6, 0.6, 0.0, 1.0, 1.0, 0.0, 0.4, 0.4, 0.5]
    assert [report.detail for report in told] == [f"step {number}" for number in range(len(given))], "words go on"
