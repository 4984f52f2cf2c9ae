"""Pictures of viewer and report for docs/images, of a finished result, in the installed Chromium.

    video-splat scene CLIP ... --out out/demo
    python -m scripts.screenshots out/demo

Writes viewer.png, viewer-phone.png, report.png and report-phone.png. Software rendering draws them: a minute or two.
"""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.browser import CHROMIUM, browser

IMAGES = Path(__file__).resolve().parents[1] / "docs" / "images"
SIZES = {"": (1000, 640), "-phone": (360, 740)}  # CSS pixels
DRAWN = "document.body.dataset.ready === 'yes' && getComputedStyle(document.getElementById('cover')).opacity === '0'"
LOADED = "document.readyState === 'complete'"


def main(arguments: list[str]) -> int:
    if len(arguments) != 1 or not (Path(arguments[0]) / "viewer.html").is_file():
        print("python -m scripts.screenshots FOLDER   (of a result: viewer.html and report.html)", file=sys.stderr)
        return 2
    if not CHROMIUM:
        print("no Chromium is installed: apt-get install chromium", file=sys.stderr)
        return 2
    folder = Path(arguments[0]).resolve()
    with TemporaryDirectory() as profile, browser(Path(profile)) as page:
        for suffix, size in SIZES.items():
            for name, ready in (("viewer", DRAWN), ("report", LOADED)):
                page.open(folder / f"{name}.html", size=size)
                if not page.until(ready):
                    print(f"{name}.html was not drawn in time: {page.log}", file=sys.stderr)
                    return 1
                (IMAGES / f"{name}{suffix}.png").write_bytes(page.picture())
                print(f"docs/images/{name}{suffix}.png", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
