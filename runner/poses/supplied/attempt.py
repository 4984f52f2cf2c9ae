"""The user's own poses as a method of the pose stage: what is asked of the COLMAP process, what its answer means, and
what the reports say about it. Pure. What contradicts the images is not used: the ladder then begins as without it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

from runner.poses.colmap.requests import Fit, MapperRun, Moved, Register, SuppliedCamera, SuppliedFit
from runner.poses.gates import Verdict
from runner.poses.ladder import first_rung
from runner.poses.rungs import Attempt, Rung
from runner.poses.settings import PoseSettings
from runner.poses.supplied.match import SuppliedPoses
from runner.scene.pose_report import PoseReport
from scenejobs.errors import Code
from scenejobs.wording import listed

NAMED = 5  # images in one warning
OWN = "the poses were found from the pictures instead"
CHECK_FILE = "check that the file belongs to these pictures and that its axes are those of its format"


def supplied_rungs(supplied: SuppliedPoses | None, frame_count: int, settings: PoseSettings) -> list[Rung]:
    """The method to try first, with the features of the ladder's first and more pairs, which judge the poses better;
    none where nothing can be used."""
    if supplied is None or not supplied.poses:
        return []
    more = replace(settings, exhaustive_up_to=settings.exhaustive_allowed_up_to)
    return [replace(first_rung(frame_count, more), mapper="supplied", supplied=supplied.source)]


def register_request(supplied: SuppliedPoses, run: MapperRun, names: Sequence[str], seed: int) -> Register:
    """names: of all images."""
    cameras = {image: SuppliedCamera(lens=lens, pose=pose) for image, (lens, pose) in supplied.poses.items()}
    axes: Literal["opengl", "opencv"] = "opengl" if supplied.source == "transforms.json" else "opencv"
    return Register(seed=seed, run=run, supplied=cameras, names=tuple(names), axes=axes)


def judged(verdict: Verdict, fit: SuppliedFit) -> Verdict:
    """The verdict of the gates, or what is wrong with the poses."""
    if fit.contradicts:
        return Verdict(False, Code.POSES_NOT_USED, (_contradiction(fit),), CHECK_FILE)
    return verdict


def with_supplied(
    report: PoseReport, supplied: SuppliedPoses, attempts: Sequence[Attempt], chosen: Attempt
) -> PoseReport:
    """The report with what became of the supplied poses."""
    used = bool(chosen.rung.supplied)
    fit = next((attempt.fit for attempt in attempts if attempt.rung.supplied), None)
    moved = fit.moved if fit is not None and used else None
    warnings = [*supplied.warnings]
    summary = _summary(supplied, fit, moved, used)
    if not used:
        why, advice = _why_not(supplied, attempts)
        summary |= {"code": str(Code.POSES_NOT_USED), "why": why, "advice": advice}
        warnings.append(f"{Code.POSES_NOT_USED}: {supplied.source} is not used: {why}; {OWN}. Advice: {advice}")
    elif moved is not None and moved.far:
        names = listed(moved.far, NAMED)
        warnings.append(f"{len(moved.far)} supplied poses were far from where the pictures put them: {names}")
    return replace(report, supplied=summary, warnings=(*warnings, *report.warnings))


def _summary(supplied: SuppliedPoses, fit: SuppliedFit | None, moved: Moved | None, used: bool) -> dict[str, Any]:
    """As it stands in metrics.json and manifest.json."""
    start: Fit | None = fit.as_supplied if fit is not None else None
    return {
        "source": supplied.source,
        "used": used,
        "pictures_in_file": supplied.named,
        "pictures_matched": len(supplied.poses),
        "adjusted": moved is not None,
        "lens_adjusted": moved is not None and fit is not None and fit.lens_adjusted,
        "moved_deg": moved.deg if moved is not None else 0.0,
        "moved_percent": 100 * moved.share if moved is not None else 0.0,
        "error_px_as_supplied": start.error_px if start is not None and start.points else None,
    }


def _why_not(supplied: SuppliedPoses, attempts: Sequence[Attempt]) -> tuple[str, str]:
    for attempt in attempts:
        if attempt.rung.supplied:
            return "; ".join(attempt.verdict.reasons), attempt.verdict.advice
    return supplied.problem, supplied.advice


def _contradiction(fit: SuppliedFit) -> str:
    reading = f"; they would fit if they were read as {fit.fits_as}" if fit.fits_as else ""
    if fit.moved is not None:
        moved = f"by {fit.moved.deg:.1f} degrees and {fit.moved.share:.0%} of the path's size"
        return f"its poses contradict the pictures, which would move the cameras {moved}{reading}"
    found = fit.as_supplied.points
    return f"its poses contradict the pictures: with them {found} points of these have a place in space{reading}"
