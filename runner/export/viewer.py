"""`viewer.html`: the scene in one file that opens offline in a browser.

The splats (colours without view dependence) are embedded as .splat; the page starts at a training camera and flies
along all of them.

A policy in the page lets run what the page was shipped with and nothing else: style and script are named by their
hashes, and the one worker is made from a part of that script. So whatever a title or a note might bring into the page,
it could run nothing, load nothing and send nothing.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from runner.files.atomic import write_atomically
from runner.scene.viewpoint import focus_point, most_central
from runner.scene.views import View

BYTES_PER_SPLAT = 32
MAX_EMBEDDED = 1_000_000  # splats; .splat is sorted by importance, so the first ones matter most. About 43 MB of page


def write_viewer(
    splat: Path,
    views: Sequence[View],
    path: Path,
    *,
    title: str,
    note: str,
    doubt: str = "",
    up: Sequence[float] | NDArray[np.float64] | None = None,
) -> int:
    """Writes the page from an existing .splat file; returns how many splats are in it.

    title, note: plain text; both are escaped. doubt: the same, why the scene may be wrong: a banner over it.
    views: at least one. up: unit vector of the world, where it is known; else the page uses the mean upper side of the
    cameras.
    """
    data = splat.read_bytes()[: MAX_EMBEDDED * BYTES_PER_SPLAT]
    cameras = [
        {
            "world_to_camera": np.round(view.world_to_camera, 6).tolist(),
            "height": view.height,
            "fy": round(float(view.K[1, 1]), 3),
        }
        for view in views
    ]
    focus = focus_point(views)
    scene = {"cameras": cameras, "focus": focus, "first": most_central(views, focus), "note": note, "doubt": doubt}
    scene["up"] = None if up is None else [float(value) for value in up]
    page = resources.files("runner.export").joinpath("viewer.html").read_text(encoding="utf-8")
    parts = {
        "__POLICY__": _policy(page),
        "__TITLE__": _escape(title),
        "__SCENE__": _json_in_html(scene),
        "__SPLATS__": base64.b64encode(data).decode("ascii"),
    }
    page = re.sub("|".join(parts), lambda found: parts[found[0]], page)  # one pass: no text can name another part
    write_atomically(path, [page.encode()])
    return len(data) // BYTES_PER_SPLAT


def _policy(page: str) -> str:
    """The Content-Security-Policy of the page as it is shipped, before anybody's text is in it."""
    hashes = {}
    for element in ("style", "script"):
        (text,) = re.findall(rf"<{element}>(.*?)</{element}>", page, re.DOTALL)
        hashes[element] = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")
    return (
        f"default-src 'none'; style-src 'sha256-{hashes['style']}'; script-src 'sha256-{hashes['script']}'; "
        "worker-src blob:; base-uri 'none'; form-action 'none'"
    )


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")


def _json_in_html(value: object) -> str:
    """JSON that cannot end its script element, whatever text is in it."""
    return json.dumps(value, allow_nan=False).replace("<", "\\u003c").replace("\u2028", "\\u2028")
