"""Films with something drawn over them that has no box: dates, logos, crosshairs, the corners of a case."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.footage_cases.case import Case, Run
from benchmarks.footage_cases.formats import pictures
from benchmarks.footage_cases.reports import FOX, fox_truth, right_cameras
from tests.stamps import Picture, covering, crosshair, dark_case, faint_logo, outlined_date, ticker
from tests.videos import write_video

FPS = 5  # of the fox


def drawn(draw: Callable[[Picture, int], Picture]) -> Callable[[Path], Sequence[Path]]:
    """The clips of the fox with something drawn over each frame."""

    def make(folder: Path) -> Sequence[Path]:
        made = []
        for name in FOX:
            drawn = (draw(picture, number) for number, picture in enumerate(pictures(name)))
            made.append(write_video(folder / Path(name).name, drawn, fps=FPS, crf=20))
        return made

    return make


def news(picture: Picture, number: int) -> Picture:
    """Text that runs over the film, and a logo."""
    return RUNNING(faint_logo(picture, number), number)


RUNNING = ticker(share=0.08, pace=0.03, opacity=0.0)


def _masked(run: Run) -> str:
    """Right cameras, and the overlay is told."""
    if wrong := right_cameras(run):
        return wrong
    return "" if any("is ignored" in warning for warning in run.warnings()) else "the overlay is not told"


CASES = tuple(
    Case(name, "9 stamp", what, drawn(draw), _masked, truth=fox_truth)
    for name, what, draw in (
        ("date-outlined", "a date with an outline and no box", outlined_date),
        ("logo-faint", "a logo of an opacity of two fifths", faint_logo),
        ("crosshair", "two thin lines in the middle", crosshair),
        ("dark-case", "corners that a case covers", dark_case),
        ("finger", "a finger over the edge, out of focus", covering(24.0, (1.0, 0.3))),
        (
            "ticker",
            "news that run along the lower edge on a bar, a tenth of the height",
            ticker(pace=0.024, label=True),
        ),
        ("ticker-plain", "news that run over the film without a bar, and a logo", news),
    )
)
