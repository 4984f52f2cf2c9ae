"""Pictures of the page (docs/web.md) for docs/images, over the emulator, with made-up scenes in four states.

    python -m scripts.page_screenshots

Writes page.png and page-phone.png.
"""

from __future__ import annotations

import io
import sys
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from PIL import Image

from local.azurite import Azurite
from scenejobs.adapters.azure.clients import open_containers
from scenejobs.errors import Failure
from scripts.screenshots import IMAGES
from tests.azurite import fresh_settings
from tests.browser import CHROMIUM, browser
from tests.web import Web
from tests.web_host import hosted

SIZES = {"": (1100, 900), "-phone": (360, 740)}  # CSS pixels
READY = "document.body.dataset.ready === 'yes' && [...document.images].every(one => one.complete)"
DOUBT = Failure("quality", "POSES_SUSPECT", "held-out views of platform.mp4 score 14 dB", "film it again, sideways")
FAILURE = Failure(
    "colmap_reconstruction", "NO_OVERLAP", "the clips show two places that nothing joins: stairs.mp4 and boiler.mp4",
    "film the way between them",
)  # fmt: skip


def main() -> int:
    if not CHROMIUM:
        print("no Chromium is installed: apt-get install chromium", file=sys.stderr)
        return 2
    posters = halves(IMAGES / "demo.png")
    with Azurite() as azurite, TemporaryDirectory() as profile, pytest.MonkeyPatch.context() as patch:
        storage = fresh_settings(azurite)
        web = Web()
        web.containers = open_containers(storage)
        web.site = replace(web.site, containers=web.containers)
        fill(web, posters)
        with hosted(azurite, storage, patch) as address, browser(Path(profile)) as page:
            for suffix, size in SIZES.items():
                page.open(f"{address}/api/ui", size=size)
                if not page.until(READY, 60):
                    print(f"the page was not ready in time: {page.log}", file=sys.stderr)
                    return 1
                (IMAGES / f"page{suffix}.png").write_bytes(page.picture(whole=True))
                print(f"docs/images/page{suffix}.png", flush=True)
    return 0


def fill(web: Web, posters: list[bytes]) -> None:
    files = ("viewer.html", "report.html", "poster.jpg", "scene.ply")
    web.finished("courtyard", files)
    web.finished("station hall", files, doubt=DOUBT)
    for scene, poster in zip(("courtyard", "station hall"), posters, strict=False):
        web.containers.output.write(f"{scene}/poster.jpg", poster)
    web.failed("cellar", FAILURE)
    web.containers.input.write("garden/walk.mp4", b"video")


def halves(picture: Path) -> list[bytes]:
    """The left and the right one, as JPEGs."""
    whole = Image.open(picture).convert("RGB")
    middle = whole.width // 2
    found = []
    for left, right in ((0, middle), (middle, whole.width)):
        made = io.BytesIO()
        whole.crop((left, 0, right, whole.height)).save(made, "JPEG", quality=85)
        found.append(made.getvalue())
    return found


if __name__ == "__main__":
    sys.exit(main())
