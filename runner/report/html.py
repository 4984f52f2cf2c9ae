"""`report.html`: what was made, how good it is and what went wrong, on one page that opens offline.

It tells what metrics.json says, for people. Nothing is loaded from anywhere: pictures are embedded, there is no script,
and a policy in the page forbids both. Names are users' and come from storage: they are text, whatever is in them.
"""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from PIL import Image

from runner.files.atomic import WrittenFile, write_atomically
from runner.poses.gates import Thresholds
from runner.report.documents import Results
from runner.report.markup import Content, Markup, curve, join, listing, name, put, section, table, tag, text
from runner.scene.frames import FrameSet
from runner.scene.pose_report import PoseReport

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
FORMATS = {
    "ply": ("PLY", "every viewer and editor; nothing is left out"),
    "splat": (".splat", "streams in web viewers; no view-dependent colour"),
    "spz": (".spz", "small, with view-dependent colour"),
    "compressed_ply": ("compressed PLY", "SuperSplat and PlayCanvas"),
}
PICTURES = {
    "comparison_worst.png": "The worst held-out picture",
    "comparison_worst_2.png": "The second worst",
    "comparison_worst_3.png": "The third worst",
    "comparison_median.png": "A held-out picture of middling quality",
}
VIEW_SCORES = {"psnr": 2, "ssim": 3, "lpips": 3}  # digits that are shown
PICTURE_QUALITY, PICTURE_SIDE = 82, 1280  # JPEG quality and longest side in the page


def write_report(folder: Path, results: Results, metrics: Mapping[str, Any], processed_at: str) -> WrittenFile:
    """Writes report.html beside the other files of the result and embeds their pictures.

    metrics: what metrics.json holds, in the types of JSON. processed_at: as the manifest tells it.
    """
    found = [file for file in ("poster.jpg", *PICTURES) if (folder / file).is_file()]
    pictures = {file: _embedded(folder / file) for file in found}
    page = report_page(results, metrics, processed_at, pictures, viewer=(folder / "viewer.html").is_file())
    return write_atomically(folder / "report.html", [page.encode("utf-8", "replace")])


def report_page(
    results: Results,
    metrics: Mapping[str, Any],
    processed_at: str,
    pictures: Mapping[str, str],
    *,
    viewer: bool = False,
) -> str:
    """Pure: the page. pictures: data URLs by file name."""
    scene, frames, poses = results.name, results.frames, results.poses
    style = resources.files("runner.report").joinpath("report.css").read_text(encoding="utf-8")
    parts = [
        tag("h1", name(scene)),
        tag("p", f"Made {processed_at} with preset {metrics['preset']} on backend {metrics['backend']}.", "dim"),
        tag("section", "This is a mock: a test of the way, not a reconstruction.", "mock") if metrics["mock"] else "",
        _hero(pictures, viewer),
        _tiles(metrics),
        _warnings(metrics),
        _clips(frames, poses),
        _quality(metrics, pictures),
        _poses(poses, metrics),
        _finishing(metrics),
        _exports(metrics),
        _times(metrics),
        _details(metrics),
    ]
    head = (
        f'<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{text(POLICY)}">'
        f'<meta name="referrer" content="no-referrer"><title>{text(scene)}: report</title><style>{style}</style>'
    )
    body = join(parts, "\n").source
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body><main>\n{body}\n</main></body></html>\n'


def _hero(pictures: Mapping[str, str], viewer: bool) -> Content:
    link = Markup('<a href="viewer.html">Look around in the scene</a> (viewer.html, beside this file)')
    if "poster.jpg" not in pictures:
        return tag("p", link) if viewer else ""
    image = _image(pictures["poster.jpg"], "the scene as drawn from one of its cameras")
    return tag("section", join([image, tag("div", link) if viewer else ""]), "hero")


def _tiles(metrics: Mapping[str, Any]) -> Markup:
    lpips = metrics.get("lpips_heldout")
    tiles = [
        (_number(metrics["psnr_heldout"], 1, " dB"), "PSNR on held-out pictures"),
        (_number(metrics["ssim_heldout"], 3), "SSIM on held-out pictures"),
        *([(_number(lpips, 3), "LPIPS on held-out pictures, 0 is best")] if lpips is not None else []),
        (f"{metrics['images_registered']:,} of {metrics['images_total']:,}", "frames placed"),
        (f"{metrics['n_gaussians']:,}", "Gaussians"),
        (_time(sum(metrics["stage_seconds"].values())), "time of this run"),
    ]
    made = (tag("div", join([tag("b", value), tag("span", what)]), "tile") for value, what in tiles)
    return tag("div", join(made), "tiles")


def _warnings(metrics: Mapping[str, Any]) -> Content:
    warnings = metrics["warnings"]
    return section("What you should know", listing(tag("span", line, "warn") for line in warnings)) if warnings else ""


def _clips(frames: FrameSet, poses: PoseReport) -> Markup:
    lost = set(poses.unregistered)
    rows: list[Sequence[Content]] = []
    for clip in frames.clips:
        own = [frame.image for frame in frames.frames if frame.video == clip.name]
        placed = sum(image not in lost for image in own)
        told = [tag("span", warning, "note warn") for warning in clip.warnings]
        if own and not placed:
            told.append(tag("span", "no frame of it could be placed: it is not in the scene", "note bad"))
        what = f"{clip.width} x {clip.height}, {clip.duration_s:.1f} s, {clip.codec}"
        rows.append((join([name(clip.name), *told]), what, clip.frame_count, len(own), _share(placed, len(own))))
    for refused in frames.refused:
        why = f"refused: {refused.failure.cause}. {refused.failure.advice}"
        rows.append((join([name(refused.name), tag("span", why, "note bad")]), "–", None, 0, None))
    return section("Clips", table(["clip", "pictures", "decoded", "chosen", "placed"], rows, (2, 3, 4)))


def _quality(metrics: Mapping[str, Any], pictures: Mapping[str, str]) -> Markup:
    training = metrics["training"]
    gap = training.get("gap_db")
    measured = metrics.get("lpips_heldout") is not None or training.get("lpips_train") is not None
    columns = 5 if measured else 4  # without weights there is none for LPIPS
    rows: list[Sequence[Content]] = [
        (
            "held-out pictures",
            _number(metrics["psnr_heldout"], 2),
            _number(metrics.get("psnr_heldout_exposure_corrected"), 2),
            _number(metrics["ssim_heldout"], 3),
            _number(metrics.get("lpips_heldout"), 3),
        ),
        (
            "training pictures",
            _number(metrics["psnr_train"], 2),
            _number(training.get("psnr_train_exposure_corrected"), 2),
            _number(training.get("ssim_train"), 3),
            _number(training.get("lpips_train"), 3),
        ),
    ]
    heads = ["", "PSNR in dB", "exposure aside", "SSIM", "LPIPS"]
    parts: list[Content] = [
        tag("p", "Held-out pictures are stretches of time that training never saw.", "dim"),
        table(heads[:columns], [row[:columns] for row in rows], (1, 2, 3, 4)),
        tag("p", "Exposure aside: after a gain and an offset per channel, fitted to each picture itself.", "dim"),
    ]
    if measured:
        told = "LPIPS: how far apart pictures look to a network (AlexNet, version 0.1); 0 is equal."
        parts.append(tag("p", told, "dim"))
    if gap is not None:
        parts.append(tag("p", f"Training pictures are {gap:.1f} dB better than held-out ones.", "dim"))
    for file, title in PICTURES.items():
        if file in pictures:
            caption = tag("figcaption", f"{title}: as filmed on the left, as drawn on the right.")
            parts.append(tag("figure", join([_image(pictures[file], title), caption])))
    worst = training.get("worst_views") or []
    if worst:
        heads = ["picture", "PSNR in dB", "SSIM", "LPIPS"]
        listed = [
            (name(view["image"]), *(_number(view.get(key), digits) for key, digits in VIEW_SCORES.items()))
            for view in worst
        ]
        parts.append(tag("p", "The worst held-out pictures:"))
        parts.append(table(heads[: columns - 1], [row[: columns - 1] for row in listed], (1, 2, 3)))
    points = [(entry["seconds"], entry["psnr_heldout"]) for entry in metrics["history"] if _known(entry)]
    if len(points) > 1:
        parts += [tag("p", "PSNR on held-out pictures while training:"), curve(points, "seconds of training", "PSNR")]
    return section("Quality", *parts)


def _poses(poses: PoseReport, metrics: Mapping[str, Any]) -> Markup:
    limits = Thresholds()
    health = poses.health
    moved = (limits.min_baseline_to_depth, limits.max_baseline_to_depth)
    gates = [
        ("weakest joint", health.bridge, limits.min_bridge, None),
        ("camera movement / depth", health.baseline_to_depth, *moved),
        ("focal length / long side", health.focal_ratio, limits.min_focal_ratio, limits.max_focal_ratio),
        ("lens distortion k1", abs(health.distortion_k1), None, limits.max_abs_k1),
        ("points per frame", health.points_per_image, limits.min_points_per_image, None),
        ("angle between rays, degrees", health.triangulation_angle_deg, limits.min_triangulation_angle_deg, None),
    ]
    rows = [
        (what, _number(value, 0 if value >= 100 else 3), _range(low, high), _passed(value, low, high))
        for what, value, low, high in gates
    ]
    error = _number(metrics["mean_reprojection_error_px"], 2, " px")
    track = _number(metrics["mean_track_length"], 1)
    return section(
        "Camera poses",
        tag("p", join(["Found by: ", tag("b", poses.rung), f": {poses.why}." if poses.why else "."])),
        *_supplied(poses),
        listing(poses.attempts, "ol"),
        tag("p", f"{metrics['points']:,} points, each in {track} frames, off by {error} on average.", "dim"),
        table(["gate", "measured", "allowed", ""], rows, (1, 2)),
    )


def _supplied(poses: PoseReport) -> list[Content]:
    """What became of the user's own poses."""
    told = poses.supplied
    if not told:
        return []
    used = f"{told['pictures_matched']} of {told['pictures_in_file']} supplied poses are of pictures that were used"
    if not told["used"]:
        text = f"The poses in {told['source']} were not used: {told['why']}. {told['advice'].capitalize()}."
    elif told["adjusted"]:
        lens = ", lens included" if told["lens_adjusted"] else "; the lens stayed"
        text = f"{used}. Bundle adjustment made them fit better{lens}: half of them moved by more than "
        text += f"{told['moved_deg']:.2f} degrees or {told['moved_percent']:.1f} % of the path's size."
    else:
        text = f"{used}, as they are: adjusting them would not make them fit better."
    return [tag("p", text)]


def _finishing(metrics: Mapping[str, Any]) -> Content:
    parts: list[Content] = []
    orientation, cleaning = metrics.get("orientation"), metrics.get("cleaning")
    if orientation:
        if orientation["confidence"] == "unknown":
            parts.append(tag("p", f"Upright: unknown, so nothing was turned ({orientation['reason']})."))
        else:
            how = "Upright" if orientation["turned"] else "Not turned, as its poses were supplied; up is known"
            parts.append(
                tag("p", f"{how} by {orientation['method']}, which agree within "
                f"{orientation['disagreement_deg']:.1f} degrees: confidence {orientation['confidence']}.")
            )  # fmt: skip
        told = [(one["method"], one["detail"]) for one in orientation["witnesses"]]
        if told:
            parts.append(table(["where up is, told by", ""], told))
    if cleaning:
        gone, on = cleaning["before"] - cleaning["after"], cleaning["measured_on"]
        told = (
            f"Floaters: {gone:,} of {cleaning['before']:,} Gaussians were removed, in steps that are kept only if the "
        )
        parts.append(tag("p", f"{told}pictures stay as good. The change is that of the PSNR on {on} pictures."))
        rows = [
            (
                step["name"],
                f"{step['removed']:,}",
                _number(step["db"], 3, " dB", sign=True),
                _refused(step),
            )
            for step in cleaning["steps"]
        ]
        parts.append(table(["step", "removed", "change", ""], rows, (1, 2)))
    return section("Upright and clean", *parts) if parts else ""


def _exports(metrics: Mapping[str, Any]) -> Markup:
    rows = []
    for key, export in metrics["exports"].items():
        title, what = FORMATS.get(key, (key, ""))
        rows.append(
            (
                join([title, tag("span", what, "note dim")]),
                f"{export['size_bytes'] / 1e6:.2f} MB",
                f"{export['count']:,}",
                _number(export.get("psnr_heldout"), 2, " dB"),
                _number(export.get("db_lost"), 2, " dB"),
            )
        )
    note = "Every file was read back and drawn on the held-out pictures; lost is what that cost."
    heads = ["format", "size", "Gaussians", "PSNR", "lost"]
    return section("Files", tag("p", note, "dim"), table(heads, rows, (1, 2, 3, 4)))


def _times(metrics: Mapping[str, Any]) -> Markup:
    seconds = metrics["stage_seconds"]
    most = max([*seconds.values(), 1e-9])
    rows = [(stage.replace("_", " "), _time(value), _bar(value / most)) for stage, value in seconds.items()]
    parts: list[Content] = [table(["stage", "time", ""], rows, (1,))]
    resumed = metrics.get("resumed")
    if resumed:
        found = ", ".join(resumed["found"]) or "nothing"
        steps = ", ".join(f"{step:,}" for step in resumed["at_steps"]) or "none"
        told = f"Taken over from earlier attempts: {found}; training continued at steps: {steps}."
        parts.append(tag("p", told, "dim"))
    if reused := metrics.get("reused"):
        told = ", ".join(f"{what} ({count:,})" for what, count in reused.items())
        parts.append(tag("p", f"Known from earlier runs: {told}.", "dim"))
    return section("Time", *parts)


def _details(metrics: Mapping[str, Any]) -> Markup:
    groups = {
        "Settings of the training": metrics["training"].get("settings") or {},
        "Seeds": metrics["seeds"],
        "Versions": metrics["versions"],
        "Training": {
            key: value
            for key, value in metrics["training"].items()
            if value is not None and not isinstance(value, (dict, list))
        } | {"steps": metrics["steps"], "job": metrics["job_id"]},
    }  # fmt: skip
    made = [
        Markup(f"<details><summary>{text(title)}</summary>{table(['', ''], _pairs(values)).source}</details>")
        for title, values in groups.items()
        if values
    ]
    return section("How it was made", *made)


def _pairs(values: Mapping[str, Any]) -> list[tuple[Content, Content]]:
    return [(str(key).replace("_", " "), _plain(value)) for key, value in values.items()]


def _plain(value: Any) -> Content:
    if isinstance(value, float):
        return f"{value:.4g}"
    return value if value is None else str(value)


def _known(entry: Mapping[str, Any]) -> bool:
    return all(isinstance(entry.get(key), (int, float)) for key in ("seconds", "psnr_heldout"))


def _number(value: float | None, digits: int, unit: str = "", *, sign: bool = False) -> str | None:
    """None where nothing was measured."""
    if value is None or not math.isfinite(value):
        return None
    shown = f"{value + 0.0:{'+' if sign else ''}.{digits}f}"
    if float(shown) == 0:
        shown = shown.replace("-", "").replace("+", "")
    return shown + unit


def _time(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def _share(part: int, whole: int) -> Markup:
    kind = "good" if part > 0.8 * whole else "warn" if part else "bad"
    return tag("span", f"{part} of {whole}", kind)


def _range(low: float | None, high: float | None) -> str:
    if low is None:
        return f"up to {high:g}"
    return f"at least {low:g}" if high is None else f"{low:g} to {high:g}"


def _passed(value: float, low: float | None, high: float | None) -> Content:
    if not math.isfinite(value):
        return tag("span", "not measured", "dim")
    fine = (low is None or value >= low) and (high is None or value <= high)
    return tag("span", "passed", "good") if fine else tag("span", "failed", "bad")


def _refused(step: Mapping[str, Any]) -> str:
    """How often this step met the limit of what it may cost."""
    if not step["refused"]:
        return "" if step["removed"] else "nothing to remove"
    return f"{step['refused']} stricter limits cost too much" if step["removed"] else "would cost too much"


def _bar(share: float) -> Markup:
    return Markup(f'<div class="bar"><i style="width:{100 * share:.1f}%"></i></div>')


def _image(source: str, alt: str) -> Markup:
    return Markup(f'<img src="{text(source)}" alt="{put(alt)}">')


def _embedded(path: Path) -> str:
    """A data URL of the picture as JPEG."""
    with Image.open(path) as image:
        picture = image.convert("RGB")
        picture.thumbnail((PICTURE_SIDE, PICTURE_SIDE))
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=PICTURE_QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
