"""`report.html`: what was made, how good it is and what went wrong, on one page that opens offline.

It shows what metrics.json holds, for people (report.html.j2). Nothing is loaded from anywhere: pictures are embedded,
the one script is the page's own (report.js), and a policy in the page lets nothing else run. Names are users' and come
from storage: the template escapes all text, whatever is in it.
"""

from __future__ import annotations

import base64
import hashlib
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from PIL import Image

from runner.files.atomic import WrittenFile, write_atomically
from runner.report.costs import costs
from runner.report.documents import Results
from runner.report.maps import along_the_path, maps
from runner.report.unplaced import unplaced
from runner.report.verdict import exposure_aside, only_photos, verdict
from scenejobs.errors import UnusedFile
from scenejobs.logs.setup import printable
from scenejobs.stages import in_words
from scenejobs.wording import listed

SCRIPT = Path(__file__).with_name("report.js").read_text(encoding="utf-8")
POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
    f"script-src 'sha256-{base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode('ascii')}'; "
    "base-uri 'none'; form-action 'none'"
)
FORMATS = {
    "ply": ("PLY", "every viewer and editor; nothing is left out"),
    "splat": (".splat", "streams in web viewers; no view-dependent colour"),
    "spz": (".spz", "small, with view-dependent colour"),
    "compressed_ply": ("compressed PLY", "SuperSplat and PlayCanvas"),
}
COMPARISONS = {
    "comparison_best.png": "The best held-out image",
    "comparison_median.png": "A held-out image of middling quality",
    "comparison_worst.png": "The worst held-out image",
    "comparison_worst_2.png": "The second worst",
    "comparison_worst_3.png": "The third worst",
}
GATES = {
    "bridge": "weakest covisibility link",
    "baseline_to_depth": "camera movement / depth",
    "focal_ratio": "focal length / long side",
    "distortion_k1": "lens distortion k1",
    "points_per_image": "points per frame",
    "triangulation_angle_deg": "angle between rays, degrees",
}
MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
MOST_ROWS = 3  # of files that are not used for one reason; metrics.json has them all
JPEG_QUALITY, LONGEST_SIDE = 82, 1280  # of the pictures in the page


@dataclass(frozen=True)
class Picture:
    """A picture in the page. drawn: data URL of the other half of a comparison, under which `url` is as filmed."""

    url: str
    width: int
    height: int
    drawn: str | None = None


def write_report(
    folder: Path, results: Results, metrics: Mapping[str, Any], processed_at: str, filming_page: str = ""
) -> WrittenFile:
    """Writes report.html beside the other files of the result and embeds their pictures.

    metrics: what metrics.json holds, in the types of JSON. processed_at: as in the manifest. filming_page: its address.
    """
    found = [file for file in ("poster.jpg", *COMPARISONS) if (folder / file).is_file()]
    pictures = {file: _embedded(folder / file, pair=file in COMPARISONS) for file in found}
    viewer = (folder / "viewer.html").is_file()
    page = report_page(results, metrics, processed_at, pictures, viewer=viewer, filming_page=filming_page)
    return write_atomically(folder / "report.html", [page.encode("utf-8", "replace")])


def report_page(
    results: Results,
    metrics: Mapping[str, Any],
    processed_at: str,
    pictures: Mapping[str, Picture],
    *,
    viewer: bool = False,
    filming_page: str = "",
) -> str:
    """Pure: the page. pictures: by file name."""
    photos = {frame.image: frame.photo for frame in results.frames.frames if frame.photo is not None}
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "sentence": lambda text: f"{text[:1].upper()}{text[1:]}",
        "decimals": decimals, "duration": duration, "moment": moment, "count": "{:,}".format, "allowed": _allowed,
        "address": quote, "stage": in_words, "called": lambda image: photos.get(image, image),
    }  # fmt: skip
    training, clips, up = metrics["training"], _clips(results), _up(metrics)
    scores = exposure_aside(training.get("heldout_views") or ())
    points = [(entry["seconds"], entry["psnr_heldout"]) for entry in metrics["history"] if _is_measured(entry)]
    return environment.get_template("report.html.j2").render(
        results=results,
        metrics=metrics,
        training=training,
        verdict=verdict(metrics, results.views, [_counted(clip) for clip in clips], up, photos),
        maps=maps(results.views, results.points, scores, up, photos),
        along=along_the_path(results.views, scores, photos),
        still=only_photos(results.views, photos),
        costs=costs(metrics.get("estimate")),
        script=Markup(SCRIPT),
        processed_at=processed_at,
        pictures=pictures,
        viewer=viewer,
        filming_page=filming_page,
        policy=POLICY,
        formats=FORMATS,
        comparisons=COMPARISONS,
        gates=GATES,
        clips=clips,
        unused=_unused(results),
        curve=curve_through(points) if len(points) > 1 else None,
        details=_details(metrics),
    )


def decimals(value: float | None, digits: int, unit: str = "", *, sign: bool = False) -> str | None:
    """None where nothing was measured."""
    if value is None or not math.isfinite(value):
        return None
    shown = f"{value + 0.0:{'+' if sign else ''}.{digits}f}"
    if float(shown) == 0:
        shown = shown.replace("-", "").replace("+", "")
    return shown + unit


def duration(seconds: float) -> str:
    """`12.5 s`, `1 min 02 s`, `2 h 05 min`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def moment(text: str) -> str:
    """`2026-11-29T19:51:20.977Z` as `29 November 2026, 19:51 UTC`."""
    time = datetime.fromisoformat(text).astimezone(UTC)
    return f"{time.day} {MONTHS[time.month - 1]} {time:%Y, %H:%M} UTC"


@dataclass(frozen=True)
class Curve:
    """A line with its scales, in the coordinates of an SVG of 640 x 240."""

    spots: Sequence[tuple[float, float]]
    grid: Sequence[tuple[float, float]]  # y, value there
    ticks: Sequence[tuple[float, str, float]]  # x, anchor of the text, value there
    lowest: float
    highest: float
    width: int = 640
    height: int = 240
    left: int = 52
    bottom: int = 46
    edge: int = 14


def curve_through(points: Sequence[tuple[float, float]]) -> Curve:
    """The curve through (x, y); at least two points."""
    (x0, x1), (y0, y1) = ((min(axis), max(axis)) for axis in zip(*points, strict=True))
    span_x, span_y = (x1 - x0) or 1.0, (y1 - y0) or 1.0

    def across(x: float) -> float:
        place: float = Curve.left + (x - x0) / span_x * (Curve.width - Curve.left - Curve.edge)
        return round(place, 1)

    def down(y: float) -> float:
        floor = Curve.height - Curve.bottom
        place: float = floor - (y - y0) / span_y * (floor - Curve.edge)
        return round(place, 1)

    shares = ((0.0, "start"), (0.5, "middle"), (1.0, "end"))
    return Curve(
        spots=[(across(x), down(y)) for x, y in points],
        grid=[(down(y0 + share * span_y), y0 + share * span_y) for share, _ in shares],
        ticks=[(across(x0 + share * span_x), anchor, x0 + share * span_x) for share, anchor in shares],
        lowest=y0,
        highest=y1,
    )


def _shown(value: object) -> object:
    """Of every value in the page: a dash for what is not there; characters that do not show, as escapes."""
    if value is None:
        return "–"
    return value if isinstance(value, Markup) else printable(str(value))


def _clips(results: Results) -> list[dict[str, Any]]:
    """Each clip that was used, with the number of its frames that were chosen and registered."""
    frames, lost = results.frames, set(results.poses.unregistered)
    rows = []
    for clip in frames.clips:
        own = [frame for frame in frames.frames if frame.video == clip.name]
        registered = sum(frame.image not in lost for frame in own)
        photos = any(frame.photo is not None for frame in own)  # whose "duration" means nothing
        rows.append({"info": clip, "photos": photos, "chosen": len(own), "registered": registered})
    return rows


def _counted(clip: Mapping[str, Any]) -> dict[str, Any]:
    return {"name": clip["info"].name} | {key: clip[key] for key in ("photos", "chosen", "registered")}


def _up(metrics: Mapping[str, Any]) -> tuple[float, float, float] | None:
    """Unit vector in the world of the views; None where it is unknown, or where the world is that of supplied poses."""
    orientation = metrics.get("orientation")
    known = orientation and orientation.get("up") and orientation.get("turned")
    return (0.0, -1.0, 0.0) if known else None


def _unused(results: Results) -> list[UnusedFile]:
    """Files without a row of their own: neither refused nor a clip whose row says that nothing was registered.

    Many that share a reason share a row, as hundreds of photos over the limit do.
    """
    rows = {clip.source or clip.name for clip in results.frames.clips}
    missing = unplaced(results.frames, set(results.poses.unregistered))
    by_reason: dict[str, list[str]] = {}
    for each in (*results.frames.unused, *(each for each in missing if each.name not in rows)):
        by_reason.setdefault(each.reason, []).append(each.name)
    return [UnusedFile(name, reason) for reason, names in by_reason.items() for name in _rows_of(names)]


def _rows_of(names: Sequence[str]) -> list[str]:
    if len(names) <= MOST_ROWS:
        return list(names)
    return [f"{len(names)} files: {listed(names, MOST_ROWS)}"]


def _details(metrics: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Groups of names and values that are folded away."""
    training = metrics["training"]
    plain = {key: value for key, value in training.items() if value is not None and not isinstance(value, dict | list)}
    groups = {
        "Settings of the training": training.get("settings") or {},
        "Seeds": metrics["seeds"],
        "Versions": metrics["versions"],
        "Training": plain | {"steps": metrics["steps"], "job": metrics["job_id"]},
    }
    return {
        title: {
            key.replace("_", " "): f"{value:.4g}" if isinstance(value, float) else value for key, value in group.items()
        }
        for title, group in groups.items()
        if group
    }


def _is_measured(entry: Mapping[str, Any]) -> bool:
    return all(isinstance(entry.get(key), (int, float)) for key in ("seconds", "psnr_heldout"))


def _allowed(low: float | None, high: float | None) -> str:
    if low is None:
        return f"up to {high:g}"
    return f"at least {low:g}" if high is None else f"{low:g} to {high:g}"


def _embedded(path: Path, *, pair: bool) -> Picture:
    """pair: the left half is as filmed, the right one as drawn."""
    with Image.open(path) as image:
        whole = image.convert("RGB")
    if not pair:
        whole.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
        return Picture(_data_url(whole), *whole.size)
    half = whole.width // 2
    filmed, drawn = whole.crop((0, 0, half, whole.height)), whole.crop((half, 0, 2 * half, whole.height))
    for each in (filmed, drawn):
        each.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    return Picture(_data_url(filmed), *filmed.size, _data_url(drawn))


def _data_url(picture: Image.Image) -> str:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=JPEG_QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
