"""The user's own poses as a way of the pose stage: what is asked of pycolmap's process, what its answer means, and what
the reports say about it. Pure. What contradicts the pictures is not used: the ladder then begins as without it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from runner.poses.gates import Verdict
from runner.poses.ladder import Attempt, Rung, first_rung
from runner.poses.settings import PoseSettings
from runner.poses.supplied.match import Given
from runner.scene.pose_report import PoseReport
from scenejobs.errors import Code

NAMED = 5  # pictures in one warning
OWN = "the poses were found from the pictures instead"
CHECK_FILE = "check that the file belongs to these pictures and that its axes are those of its format"


@dataclass
class SuppliedWay:
    """The poses of one scene, and how they fared."""

    given: Given
    _told: dict[str, Any] = field(default_factory=dict)  # the numbers of pycolmap's process

    def rungs(self, frame_count: int, settings: PoseSettings) -> list[Rung]:
        """The way to try first, with the features and pairs of the ladder's first; none where nothing can be used."""
        if not self.given.poses:
            return []
        return [replace(first_rung(frame_count, settings), mapper="supplied", supplied=self.given.source)]

    def request(self, common: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
        poses = {image: {"lens": asdict(lens), "pose": pose} for image, (lens, pose) in self.given.poses.items()}
        axes = "opengl" if self.given.source == "transforms.json" else "opencv"
        return {**common, "action": "place", "given": poses, "names": list(names), "axes": axes}

    def judged(self, verdict: Verdict, told: Mapping[str, Any]) -> Verdict:
        """told: what `sfm_supplied.place` says. The verdict of the gates, or what is wrong with the poses."""
        self._told = dict(told)
        if told["contradicts"]:
            return Verdict(False, Code.POSES_NOT_USED, (_contradiction(told),), CHECK_FILE)
        return verdict

    def report(self, report: PoseReport, attempts: Sequence[Attempt], chosen: Attempt) -> PoseReport:
        """The report with what became of the supplied poses."""
        given, told, used = self.given, self._told, bool(chosen.rung.supplied)
        adjusted, start = used and bool(told.get("adjusted")), told.get("as_supplied") or {}
        summary: dict[str, Any] = {
            "source": given.source, "used": used, "pictures_in_file": given.named, "pictures_matched": len(given.poses),
            "adjusted": adjusted, "lens_adjusted": adjusted and bool(told.get("lens_adjusted")),
            "moved_deg": told.get("moved_deg", 0.0) if adjusted else 0.0,
            "moved_percent": 100 * told.get("moved_share", 0.0) if adjusted else 0.0,
            "error_px_as_supplied": start["error_px"] if start.get("points") else None,
        }  # fmt: skip
        warnings = [*given.warnings]
        if not used:
            why, advice = self._why_not(attempts)
            summary |= {"code": str(Code.POSES_NOT_USED), "why": why, "advice": advice}
            warnings.append(f"{Code.POSES_NOT_USED}: {given.source} is not used: {why}; {OWN}. Advice: {advice}")
        elif adjusted and told["far"]:
            names = ", ".join(told["far"][:NAMED]) + (", ..." if len(told["far"]) > NAMED else "")
            warnings.append(f"{len(told['far'])} supplied poses were far from where the pictures put them: {names}")
        return replace(report, supplied=summary, warnings=(*warnings, *report.warnings))

    def _why_not(self, attempts: Sequence[Attempt]) -> tuple[str, str]:
        for attempt in attempts:
            if attempt.rung.supplied:
                return "; ".join(attempt.verdict.reasons), attempt.verdict.advice
        return self.given.problem, self.given.advice


def _contradiction(told: Mapping[str, Any]) -> str:
    reading = f"; they would fit if they were read as {told['fits_as']}" if told["fits_as"] else ""
    if told["adjusted"]:
        moved = f"by {told['moved_deg']:.1f} degrees and {told['moved_share']:.0%} of the path's size"
        return f"its poses contradict the pictures, which would move the cameras {moved}{reading}"
    found = told["as_supplied"]["points"]
    return f"its poses contradict the pictures: with them {found} points of these have a place in space{reading}"
