"""Our own `viewer.html`: the scene in one file that opens offline in a browser.

The page is put together here from the files in `page` (page, style, scripts in the order of `SCRIPTS`). The
Gaussians are embedded as SPZ of version 3, which browsers unpack by themselves: the values of the .spz file, spherical
harmonics included, so the page draws what was scored. It starts at a training camera and flies along all of them.

A policy in the page lets run what the page was shipped with and nothing else: style and script are named by their
hashes, and the one worker is made from a part of that script. So whatever a title or a note might bring into the page,
it could run nothing, load nothing and send nothing.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from runner.export.spz import spz_bytes
from runner.export.viewer.embedded import data_url, escaped, json_in_html, most_important, sha256_of
from runner.files.atomic import write_atomically
from runner.scene.gaussians import Gaussians
from runner.scene.viewpoint import focus_point, most_central
from runner.scene.views import View

SOURCES = Path(__file__).with_name("page")
SCRIPTS = ("decode", "shaders", "drawing", "sorting", "camera", "picking", "controls", "main")


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
    packed, count = spz_bytes(most_important(gaussians), path.name)
    style, script = (_source("style.css"), "".join(_source(f"{name}.js") for name in SCRIPTS))
    parts = {
        "__POLICY__": _policy(style, script),
        "__STYLE__": style,
        "__SCRIPT__": script,
        "__TITLE__": escaped(title),
        "__POSTER__": f'src="{data_url("image/jpeg", poster.read_bytes())}"' if poster else "",
        "__SCENE__": json_in_html(scene),
        "__SPLATS__": base64.b64encode(packed).decode("ascii"),
    }
    page = re.sub(
        "|".join(parts), lambda found: parts[found[0]], _source("page.html")
    )  # one pass: no text names a part
    write_atomically(path, [page.encode()])
    return count


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
    return (
        f"default-src 'none'; style-src '{sha256_of(style)}'; script-src '{sha256_of(script)}'; img-src data:; "
        "worker-src blob:; base-uri 'none'; form-action 'none'"
    )
