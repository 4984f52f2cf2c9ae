"""Progress for a person: one line that changes on a terminal, a line now and then in a file or a pipe."""

from __future__ import annotations

import shutil
import time
from types import TracebackType
from typing import TextIO

from runner.scene.progress import Report
from scenejobs.stages import in_words

TERMINAL_S = 0.2  # between two changes of the line
PLAIN_S = 15.0  # between two lines of the same stage


class ProgressLine:
    """Context manager; leaves the terminal with a clean line."""

    def __init__(self, stream: TextIO, *, quiet: bool = False) -> None:
        self._stream = stream
        self._quiet = quiet
        self._terminal = stream.isatty()
        self._shown_at = 0.0
        self._stage = ""

    def __enter__(self) -> ProgressLine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._terminal and self._stage:
            self._stream.write("\r\x1b[K")
            self._stream.flush()

    def show(self, report: Report) -> None:
        now = time.monotonic()
        interval_s = TERMINAL_S if self._terminal else PLAIN_S
        if self._quiet or (report.stage == self._stage and now - self._shown_at < interval_s):
            return
        self._stage, self._shown_at = report.stage, now
        text = describe(report)
        if self._terminal:
            width = shutil.get_terminal_size().columns
            self._stream.write(f"\r\x1b[K{text[: width - 1]}")
        else:
            self._stream.write(text + "\n")
        self._stream.flush()


def describe(report: Report) -> str:
    """`42%  training: step 1200/5000, 23.4 dB, about 3 min left`"""
    text = f"{report.total_fraction:4.0%}  {in_words(report.stage)}"
    if report.detail:
        text += f": {report.detail}"
    if report.eta_s is not None:
        left = f"{report.eta_s:.0f} s" if report.eta_s < 90 else f"{report.eta_s / 60:.0f} min"
        text += f", about {left} left"
    return text
