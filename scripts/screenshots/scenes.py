"""The page (docs/web.md) and the terminal, over the emulator, with scenes in four states; pictures are of a result."""

from __future__ import annotations

import html
import io
import json
import os
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from PIL import Image

from local.azurite import Azurite
from scenejobs.adapters.azure.clients import open_containers
from scenejobs.adapters.memory import ManualClock
from scenejobs.errors import Failure, InfrastructureError
from scenejobs.names import PREVIEW_FILES
from scenejobs.settings.storage import StorageSettings
from scenejobs.state import layout
from scripts.screenshots.saved import SIZES, save, wait
from tests.azurite import fresh_settings
from tests.browser import Page
from tests.web import Web
from tests.web_host import hosted

READY = "document.body.dataset.ready === 'yes' && [...document.images].every(one => one.complete)"
DOUBT = Failure("quality", "POSES_SUSPECT", "held-out views of platform.mp4 score 14 dB", "film it again, sideways")
FAILURE = Failure(
    "colmap_reconstruction", "NO_OVERLAP", "the clips show two places that nothing joins: stairs.mp4 and boiler.mp4",
    "film the way between them",
)  # fmt: skip
PROGRESS = {
    "run": "run-1", "stage": "training", "total_fraction": 0.58, "detail": "step 1740/3000, 26.1 dB", "eta_s": 118.0,
    "first_look": True,
}  # fmt: skip
COMMANDS = ("scenejobs list", "scenejobs status courtyard", "scenejobs status attic", "scenejobs status cellar")
TERMINAL = """<!doctype html><title>t</title><style>
body {{ margin: 0; background: #12161a; color: #e6e9ec; font: 14px/1.55 ui-monospace, "DejaVu Sans Mono", monospace }}
pre {{ margin: 0; padding: 18px 22px; white-space: pre-wrap; font: inherit }} b {{ color: #5bc38c; font-weight: 600 }}
</style><pre>{}</pre>"""


def draw(page: Page, folder: Path) -> None:
    """page.jpg, page-phone.jpg, terminal.png. Raises InfrastructureError."""
    with Azurite() as azurite, pytest.MonkeyPatch.context() as patch:
        storage = fresh_settings(azurite)
        web = Web(clock=ManualClock(datetime.now(UTC) - timedelta(hours=3)))
        web.containers = open_containers(storage)
        web.site = replace(web.site, containers=web.containers)
        fill(web, folder)
        with hosted(azurite, storage, patch) as address:
            for suffix, size in SIZES.items():
                page.open(f"{address}/api/ui", size=size)
                wait(page, READY)
                save(page.picture(whole=True), f"page{suffix}.jpg")
        page.open("about:blank", size=(SIZES[""][0], 100))
        page.value(f"document.write({TERMINAL.format(typed(storage, azurite))!r})")
        save(page.picture(whole=True), "terminal.png")


def fill(web: Web, folder: Path) -> None:
    """One scene done, one doubtful, one failed, one that waits. folder: of the result."""
    files = ("viewer.html", "report.html", "poster.jpg", "scene.ply")
    web.finished("courtyard", files)
    web.finished("station hall", files, doubt=DOUBT)
    web.containers.output.write("courtyard/poster.jpg", (folder / "poster.jpg").read_bytes())
    web.containers.output.write("station hall/poster.jpg", filmed(folder / "comparison_worst.png"))
    web.failed("cellar", FAILURE)
    web.containers.error.write(f"cellar/{layout.ERROR_DOCUMENT}", b"{}")
    web.containers.input.write("garden/walk.mp4", b"video")
    web.running("attic")
    for name in PREVIEW_FILES:
        web.containers.state.write(
            layout.preview_folder("attic", "run-1") + name, filmed(folder / "comparison_best.png")
        )
    web.containers.state.write(layout.progress_name("attic"), json.dumps(PROGRESS).encode())


def filmed(comparison: Path) -> bytes:
    """The left half of a comparison, as a JPEG."""
    whole, made = Image.open(comparison).convert("RGB"), io.BytesIO()
    whole.crop((0, 0, whole.width // 2, whole.height)).save(made, "JPEG", quality=85)
    return made.getvalue()


def typed(storage: StorageSettings, azurite: Azurite) -> str:
    """What the commands print, as HTML. Raises InfrastructureError."""
    env = {
        **os.environ, "PYTHONPATH": os.pathsep.join(sys.path),
        "AZURE_STORAGE_CONNECTION_STRING": azurite.connection_string,
        "AZURE_BLOB_CONTAINER_INPUT": storage.input, "AZURE_BLOB_CONTAINER_OUTPUT": storage.output,
        "AZURE_BLOB_CONTAINER_STATE": storage.state, "AZURE_BLOB_CONTAINER_PROCESSED": storage.processed,
        "AZURE_BLOB_CONTAINER_ERROR": storage.error,
    }  # fmt: skip
    shown = []
    for command in COMMANDS:
        words = [sys.executable, "-m", *command.split()]
        done = subprocess.run(words, env=env, capture_output=True, text=True, check=False)
        if "Traceback" in done.stderr:
            raise InfrastructureError(f"{command}: {done.stderr}")
        shown.append(f"<b>$ {command}</b>\n{html.escape(done.stdout + done.stderr)}")
    return "".join(shown)
