"""`viewer.html`: the scene in one file that opens offline in a browser.

The page is put together here from the files in `viewer_page` (page, style, scripts in the order of `SCRIPTS`). The
Gaussians are embedded as SPZ of version 3, which browsers unpack by themselves: the values of the .spz file, spherical
harmonics included, so the page draws what was scored. It starts at a training camera and flies along all of them.

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
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from runner.export.splat import importance
from runner.export.spz import spz_bytes
from runner.files.atomic import write_atomically
from runner.scene.gaussians import Gaussians
from runner.scene.viewpoint import focus_point, most_central
from runner.scene.views import View

SOURCES = Path(__file__).with_name("viewer_page")
SCRIPTS = ("decode", "shaders", "drawing", "sorting", "camera", "picking", "controls", "main")
MAX_EMBEDDED = 1_000_000  # Gaussians; of more the most important ones. About 45 MB of page


def write_viewer(
    gaussians: Gaussians,
    views: Sequence[View],
    path: Path,
    *,
    title: str,
    note: str,
    doubt: str = "",
    up: Sequence[float] | NDArray[np.float64] | None = None,
    poster: Path | None = None,
    metres_per_unit: float | None = None,
) -> int:
    """Writes the page; returns how many Gaussians are in it.

    title, note: plain text; both are escaped. doubt: the same, why the scene may be wrong: a banner over it.
    views: at least one. up: unit vector of the world, where it is known; else the page uses the mean upper side of the
    cameras. poster: a JPEG that is seen while the page unpacks, and instead of the scene where it cannot be drawn.
    metres_per_unit: what the page measures is told in metres; None: in units of the scene.

    Raises RunnerError when no Gaussian can be drawn, ResourceError when the disk is full.
    """
    focus = focus_point(views)
    clips = list(dict.fromkeys(view.video for view in views))
    scene = {
        "cameras": [_camera(view, clips.index(view.video)) for view in views],
        "focus": focus,
        "first": most_central(views, focus),
        "note": note,
        "doubt": doubt,
        "up": None if up is None else [float(value) for value in up],
        "metres": metres_per_unit,
    }
    packed, count = spz_bytes(_most_important(gaussians), path.name)
    style, script = (_source("style.css"), "".join(_source(f"{name}.js") for name in SCRIPTS))
    parts = {
        "__POLICY__": _policy(style, script),
        "__STYLE__": style,
        "__SCRIPT__": script,
        "__TITLE__": _escape(title),
        "__POSTER__": _picture(poster) if poster else "",
        "__SCENE__": _json_in_html(scene),
        "__SPLATS__": base64.b64encode(packed).decode("ascii"),
    }
    page = re.sub(
        "|".join(parts), lambda found: parts[found[0]], _source("page.html")
    )  # one pass: no text names a part
    write_atomically(path, [page.encode()])
    return count


def _most_important(gaussians: Gaussians) -> Gaussians:
    """At most MAX_EMBEDDED, in their order."""
    if gaussians.count <= MAX_EMBEDDED:
        return gaussians
    rank = np.argsort(-importance(gaussians, np.arange(gaussians.count)), kind="stable")
    return gaussians.subset(np.sort(rank[:MAX_EMBEDDED]))


def _camera(view: View, clip: int) -> dict[str, object]:
    (fx, _, cx), (_, fy, cy) = view.K[0], view.K[1]
    numbers = {"fx": fx, "fy": fy, "cx": cx, "cy": cy}
    return {
        "world_to_camera": np.round(view.world_to_camera, 6).tolist(),
        "width": view.width,
        "height": view.height,
        "clip": clip,
        **{name: round(float(value), 3) for name, value in numbers.items()},
    }


def _source(name: str) -> str:
    return (SOURCES / name).read_text(encoding="utf-8")


def _policy(style: str, script: str) -> str:
    """The Content-Security-Policy of the page as it is shipped, before anybody's text is in it."""
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii") for text in (style, script)]
    return (
        f"default-src 'none'; style-src 'sha256-{hashes[0]}'; script-src 'sha256-{hashes[1]}'; img-src data:; "
        "worker-src blob:; base-uri 'none'; form-action 'none'"
    )


def _picture(path: Path) -> str:
    return f'src="data:image/jpeg;base64,{base64.b64encode(path.read_bytes()).decode("ascii")}"'


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")


def _json_in_html(value: object) -> str:
    """JSON that cannot end its script element, whatever text is in it."""
    return json.dumps(value, allow_nan=False).replace("<", "\\u003c").replace("\u2028", "\\u2028")
