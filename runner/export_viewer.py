"""`viewer.html`: the scene in one file that opens offline in a browser.

The splats (colours without view dependence) are embedded as .splat; the page starts at a training camera and flies
along all of them.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

import numpy as np

from runner.atomic import write_atomically
from runner.scene import View

BYTES_PER_SPLAT = 32
MAX_EMBEDDED = 1_000_000  # splats; .splat is sorted by importance, so the first ones matter most. About 43 MB of page


def write_viewer(
    splat: Path, views: Sequence[View], path: Path, *, title: str, note: str, up: Sequence[float] | None = None
) -> int:
    """Writes the page from an existing .splat file; returns how many splats are in it.

    title, note: plain text; both are escaped. views: at least one. up: unit vector of the world, where it is known;
    else the page takes the mean upper side of the cameras.
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
    scene = {"cameras": cameras, "focus": focus, "first": most_central(views, focus), "note": note}
    scene["up"] = None if up is None else [float(value) for value in up]
    page = resources.files("runner").joinpath("viewer/viewer.html").read_text(encoding="utf-8")
    parts = {
        "__TITLE__": _escape(title),
        "__SCENE__": _json_in_html(scene),
        "__SPLATS__": base64.b64encode(data).decode("ascii"),
    }
    page = re.sub("|".join(parts), lambda found: parts[found[0]], page)  # one pass: no text can name another part
    write_atomically(path, [page.encode()])
    return len(data) // BYTES_PER_SPLAT


def focus_point(views: Sequence[View]) -> list[float]:
    """The point nearest to all viewing rays in the least-squares sense: what the cameras look at. World frame [3]."""
    normal = np.zeros((3, 3))
    moment = np.zeros(3)
    centres = []
    for view in views:
        rotation = view.world_to_camera[:3, :3]
        centre = -rotation.T @ view.world_to_camera[:3, 3]
        across = np.eye(3) - np.outer(rotation[2], rotation[2])  # projects onto the plane across the ray
        normal += across
        moment += across @ centre
        centres.append(centre)
    # A little weight on "some way ahead of the middle camera" keeps parallel rays (a forward walk) well posed.
    middle = views[len(views) // 2].world_to_camera[2, :3]
    ahead = np.mean(centres, axis=0) + middle * max(1e-6, float(np.ptp(np.array(centres), axis=0).max()))
    weight = 1e-3 * len(views)
    return [float(value) for value in np.linalg.solve(normal + weight * np.eye(3), moment + weight * ahead)]


def most_central(views: Sequence[View], focus: Sequence[float]) -> int:
    """The view to begin with: of those that have the focus near the middle of the picture, the one farthest away."""

    def score(view: View) -> float:
        x, y, z = view.world_to_camera[:3, :3] @ np.asarray(focus) + view.world_to_camera[:3, 3]
        off_axis = float(np.hypot(x, y) / z) if z > 0 else np.inf  # tangent of the angle
        return off_axis / max(float(z), 1e-9)

    return min(range(len(views)), key=lambda k: score(views[k]))


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")


def _json_in_html(value: object) -> str:
    """JSON that cannot end its script element, whatever text is in it."""
    return json.dumps(value, allow_nan=False).replace("<", "\\u003c").replace("\u2028", "\\u2028")
