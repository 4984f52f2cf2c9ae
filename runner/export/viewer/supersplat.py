"""`viewer.html` by PlayCanvas' SuperSplat viewer, where VIEWER=supersplat: the package's page with the scene inside.

What is filled in are the places of the package's own `renderViewerHtml`, which needs Node: the block of settings, the
style sheet, the import of the bundle, the beginning of the body.

The page turns what it loads half a turn around z (`setLocalEulerAngles(0, 0, 180)`): cameras are told in that world.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from runner.export.compressed_ply import write_compressed
from runner.export.viewer.embedded import data_url, escaped, json_in_html, most_important, sha256_of
from runner.export.viewer.package import Package
from runner.files.atomic import write_atomically
from runner.scene.gaussians import Gaussians
from runner.scene.viewpoint import focus_point, most_central
from runner.scene.views import View, evenly

CONTENT = "scene.compressed.ply"  # its ending tells the page the format
FOV = (10.0, 120.0)  # degrees, that the package draws
KEYFRAMES = 1000  # most of them that it takes
FRAMES_PER_S = 30
PATH_S = (10.0, 60.0)  # a flight along the cameras, as in our own page
HALF_TURN = np.array([-1.0, -1.0, 1.0])  # around z
PLACE_OF_POLICY, PLACE_OF_TITLE, PLACE_OF_NOTES, PLACE_OF_SCENE = (
    f"__OUR_{name}__" for name in ("POLICY", "TITLE", "NOTES", "SCENE")
)
HANDLERS = "'unsafe-hashes' '" + sha256_of("event.stopPropagation()") + "'"  # attributes of the package's page
BOOTSTRAP = r'(<script type="application/json" id="sse-bootstrap">)[\s\S]*?(</script>)'
NOTE = (
    '<div role="note" style="position:absolute;z-index:1;left:0;right:0;top:0;padding:6px 10px;font:14px sans-serif;'
    'pointer-events:none;color:#000;background:#ffd43b">{text}</div>'
)


def write_supersplat(
    gaussians: Gaussians,
    views: Sequence[View],
    path: Path,
    *,
    package: Package,
    title: str,
    note: str,
    doubt: str = "",
    poster: Path | None = None,
) -> int:
    """Writes the page; returns how many Gaussians are in it. Parameters as in `write_viewer`.

    The Gaussians are in it as compressed PLY, spherical harmonics included. It begins at the most central camera, and
    its animation goes along the clip with the most views.

    Raises ConfigurationError when the package is not the known one, RunnerError when no Gaussian can be drawn,
    ResourceError when the disk is full.
    """
    files = package.page()
    content = path.with_name(f".{path.name}.ply")
    try:
        count = write_compressed(most_important(gaussians), content).count
        packed = content.read_bytes()
    finally:
        content.unlink(missing_ok=True)
    bootstrap = {
        "settings": settings(views),
        "contentUrl": data_url("application/octet-stream", packed),
        "contentFilename": CONTENT,
        "posterUrl": data_url("image/jpeg", poster.read_bytes()) if poster else None,
    }
    write_atomically(path, [_page(files, title, _notes(note, doubt), json_in_html(bootstrap)).encode()])
    return count


def settings(views: Sequence[View]) -> dict[str, object]:
    """The package's ExperienceSettings, version 2: plain colours, a first camera, and an animation along a clip."""
    point = focus_point(views)
    focus = np.asarray(point, np.float64)
    first = _pose(views[most_central(views, point)], focus)
    off = {"enabled": False}
    return {
        "version": 2,
        "tonemapping": "none",
        "highPrecisionRendering": False,
        "background": {"color": [0, 0, 0]},
        "postEffectSettings": {
            "sharpness": {**off, "amount": 0},
            "bloom": {**off, "intensity": 0.1, "blurLevel": 2},
            "grading": {**off, "brightness": 1, "contrast": 1, "saturation": 1, "tint": [1, 1, 1]},
            "vignette": {**off, "intensity": 0.5, "inner": 0.3, "outer": 0.75, "curvature": 1},
            "fringing": {**off, "intensity": 0.5},
        },
        "animTracks": _tracks(views, focus),
        "cameras": [{"initial": {"position": first.position, "target": first.target, "fov": first.fov[0]}}],
        "annotations": [],
        "startMode": "default",
    }


@dataclass(frozen=True)
class _Pose:
    """In the page's world."""

    position: list[float]
    target: list[float]  # as far away as the focus
    fov: list[float]  # of the longer side, degrees: the page applies it to the longer side of the window


def _pose(view: View, focus: NDArray[np.float64]) -> _Pose:
    rotation, translation = view.world_to_camera[:3, :3], view.world_to_camera[:3, 3]
    position, ahead = -rotation.T @ translation, rotation[2]
    target = position + ahead * max(float(ahead @ (focus - position)), 1e-3)
    halves = view.width / 2 / float(view.K[0, 0]), view.height / 2 / float(view.K[1, 1])
    fov = math.degrees(2 * math.atan(max(halves)))
    return _Pose(
        np.round(HALF_TURN * position, 5).tolist(),
        np.round(HALF_TURN * target, 5).tolist(),
        [round(min(max(fov, FOV[0]), FOV[1]), 3)],
    )


def _tracks(views: Sequence[View], focus: NDArray[np.float64]) -> list[dict[str, object]]:
    """One along the clip with the most views, in its own time; none where no clip has two."""
    ((clip, _),) = Counter(view.video for view in views).most_common(1)
    times = {view.timestamp_s: view for view in views if view.video == clip}
    if len(times) < 2:
        return []
    along = [times[each] for each in sorted(times)]
    along = [along[index] for index in evenly(range(len(along)), KEYFRAMES)]
    start, end = along[0].timestamp_s, along[-1].timestamp_s
    seconds = min(max(end - start, PATH_S[0]), PATH_S[1])
    frames, poses = list[int](), [_pose(view, focus) for view in along]
    for view in along:
        frame = round((view.timestamp_s - start) / (end - start) * seconds * FRAMES_PER_S)
        frames.append(max(frame, frames[-1] + 1) if frames else 0)
    values = {part.name: [number for pose in poses for number in getattr(pose, part.name)] for part in fields(_Pose)}
    track = {
        "name": "the camera's path", "duration": max(frames[-1] / FRAMES_PER_S, 0.1), "frameRate": FRAMES_PER_S,
        "loopMode": "pingpong", "interpolation": "spline", "smoothness": 1,
        "keyframes": {"times": frames, "values": values},
    }  # fmt: skip
    return [track]


def _notes(note: str, doubt: str) -> str:
    text = NOTE.format(text=escaped(doubt)) if doubt else ""
    hidden = f'<p style="position:absolute;width:1px;height:1px;overflow:hidden">{escaped(note)}</p>'
    return text + hidden


def _page(files: dict[str, str], title: str, notes: str, bootstrap: str) -> str:
    """The package's page in one file, with a policy that lets run what was shipped and loads nothing from elsewhere."""
    script = re.sub(r"\n//# sourceMappingURL=\S+\s*$", "\n", files["index.js"])
    places: tuple[tuple[str, Callable[[re.Match[str]], str]], ...] = (
        (r"<title>[^<]*</title>", lambda _: f"<title>{PLACE_OF_TITLE}</title>\n{PLACE_OF_POLICY}"),
        (r"<body\b[^>]*>", lambda found: f"{found[0]}{PLACE_OF_NOTES}"),
        (BOOTSTRAP, lambda found: f"{found[1]}{PLACE_OF_SCENE}{found[2]}"),
        (r'<link\b[^>]*href="\./index\.css"[^>]*>', lambda _: f"<style>{files['index.css']}</style>"),
        (r"import \{ createViewer \} from '\./index\.js';", lambda _: script),
    )  # the bundle last: what is in it is not looked through for another place
    page = files["index.html"]
    for pattern, filled in places:
        page = re.sub(pattern, filled, page, count=1)
    scripts = re.findall(r'<script type="module">([\s\S]*?)</script>', page)
    allowed = " ".join(f"'{sha256_of(text)}'" for text in scripts)
    policy = (
        f"default-src 'none'; script-src {allowed} {HANDLERS} 'wasm-unsafe-eval' blob:; style-src 'unsafe-inline'; "
        "img-src data: blob:; connect-src data: blob:; worker-src blob: data:; form-action 'none'"
    )
    parts = {
        PLACE_OF_POLICY: f'<meta http-equiv="Content-Security-Policy" content="{policy}" />',
        PLACE_OF_TITLE: escaped(title),
        PLACE_OF_NOTES: notes,
        PLACE_OF_SCENE: bootstrap,
    }
    return re.sub("|".join(parts), lambda found: parts[found[0]], page)
