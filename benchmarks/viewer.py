"""What one picture of the viewer takes in Chromium: drawing and sorting, at a desktop's and a phone's size.

python -m benchmarks.viewer FOLDER [--out benchmarks/results/viewer.md]       FOLDER: of a result

Every third camera of the result in turn, drawn in full (no coarser picture while moving) and waited for.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from benchmarks.end_to_end import machine
from tests.browser import Page, browser

SIZES = {"desktop, 1280 x 720": (1280, 720), "phone, 360 x 740": (360, 740)}
READY = "document.body.dataset.ready === 'yes'"
SHARES = (1.0, 0.4)  # of the pixels in each direction: at rest, and the coarsest while the view moves
TIMES = """(share => {
  drawing.gl.getExtension("WEBGL_debug_renderer_info");
  const gl = drawing.gl, one = new Uint8Array(4), drawn = [], sorted = [];
  const done = () => gl.readPixels(0, 0, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, one);
  for (let k = 0; k < view.cameras.length; k += 3) {
    view.toCamera(k, 0);
    const ahead = view.axes[2], begun = performance.now();
    drawing.take(depthOrder(gaussians.positions, [...ahead, -dot(ahead, view.eye)]));
    const middle = performance.now();
    picture(share); done();
    sorted.push(middle - begun); drawn.push(performance.now() - middle);
  }
  return JSON.stringify([drawn, sorted, gaussians.count, gl.getParameter(0x9246)]);
})"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    with TemporaryDirectory() as profile, browser(Path(profile)) as page:
        text = measured(page, options.folder / "viewer.html")
    print(text)
    if options.out:
        options.out.write_text(text)


def cpu_s() -> float:
    """Of all processes of the browser that this one started, so far."""
    total = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
            if int(fields[3]) != os.getsid(0) and Path(f"/proc/{fields[3]}/stat").read_text().split()[3] == str(
                os.getpid()
            ):
                total += int(fields[11]) + int(fields[12])
        except (OSError, ValueError):  # it has ended meanwhile
            continue
    return total / os.sysconf("SC_CLK_TCK")


def measured(page: Page, path: Path) -> str:
    rows, count, renderer = [], 0, ""
    for name, size in SIZES.items():
        page.open(path.resolve(), size=size)
        assert page.until(READY), page.log
        for share in SHARES:
            page.value(f"picture({share})")  # once to warm up
            before = cpu_s()
            drawn, sorting, count, renderer = json.loads(page.value(f"{TIMES}({share})"))
            each_ms = 1000 * (cpu_s() - before) / len(drawn)
            rows.append(f"| {name} | {share:.0%} | {each_ms:.0f} | {median(drawn):.0f} | {median(sorting):.0f} |")
    lines = [
        "# The viewer, picture by picture",
        "",
        f"`python -m benchmarks.viewer`: the demo, {count:,} Gaussians, drawn by {renderer} on {machine()}; "
        f"load average {os.getloadavg()[0]:.1f}.",
        "Milliseconds a picture, over a third of its cameras. Other work was done beside, so the wall clock is an",
        "upper bound; in the page sorting is done beside, in a worker.",
        "",
        "| size | pixels in each direction | CPU time of all cores | wall clock, median | of it sorting |",
        "| --- | --- | --- | --- | --- |",
        *rows,
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
