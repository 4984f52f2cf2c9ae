"""How a picture of a page gets into docs/images: small."""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image

from scenejobs.errors import InfrastructureError
from tests.browser import Page

IMAGES = Path(__file__).resolve().parents[2] / "docs" / "images"
DESKTOP, PHONE = (1000, 700), (360, 740)  # CSS pixels
SIZES = {"": DESKTOP, "-phone": PHONE}
QUALITY = 82  # of JPEGs; letters stay clean


def wait(page: Page, ready: str) -> None:
    """Raises InfrastructureError where the page is not ready in time. Without scrollbars, as phones have it."""
    page.call("Emulation.setScrollbarsHidden", hidden=True)
    if not page.until(ready):
        raise InfrastructureError(f"the page was not drawn in time: {page.log}")


def save(picture: bytes, name: str) -> None:
    """picture: PNG. name: with .jpg for what has photographs in it, .png for letters alone (256 colours)."""
    image, path = Image.open(io.BytesIO(picture)).convert("RGB"), IMAGES / name
    if path.suffix == ".jpg":
        image.save(path, quality=QUALITY, subsampling=0, optimize=True, progressive=True)
    else:
        image.quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)
    print(f"docs/images/{name}: {path.stat().st_size // 1000} kB", flush=True)
