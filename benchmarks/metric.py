"""`METRIC=true` by the GPS of photos, whole: uploaded as a user does, made, fetched, and held against the truth.

    python -m benchmarks.metric [--out benchmarks/results/metric.md] [--preset smoke]

The courtyard of the demo is photographed 48 times on its round walk. Its pictures are those of a courtyard that is so
many times as large, whose photos say where they were taken, off by what phones are off by. Truth is compared by laying
the result's cameras over the generator's (Umeyama): a file in metres needs no size.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.ExifTags import GPS, IFD, Base

from local.cloud import LocalCloud
from local.footage.courtyard import courtyard
from local.footage.film import FOCAL_RATIO, SHOTS, film
from local.footage.ray_caster import render
from runner.postprocess.place import EARTH_M
from runner.scene.geometry import camera_centre, similarity

HOME = (48.137154, 11.576124)  # degrees, of the ground under the table
GROUND_M = 519.0  # of it
SIZE = (848, 480)
EACH = 16  # photos on each of the three arcs
OFF_M, HEIGHT_OFF_M = 2.5, 6.0  # one standard deviation: along the ground in each direction, and of the altitude
DIAGONAL_MM = 43.27  # of 24 x 36 mm
TABLES = (1.0, 4.0, 12.0)  # times the courtyard of the demo
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Photo:
    """name, the JPEG without EXIF, and where it was taken: metres in the courtyard of the demo."""

    name: str
    picture: Image.Image
    centre: Array  # [3]


def photos() -> list[Photo]:
    """On the three arcs of the demo's walk; the second is taken upright."""
    world, random, found = courtyard(7), np.random.default_rng([7, 1]), []
    for shot in SHOTS:
        for camera in film(shot, random, SIZE, 10, EACH):
            pixels = render(world, camera.K, camera.world_to_camera, camera.width, camera.height)[0]
            name = f"IMG_{len(found):04d}.jpg"
            found.append(Photo(name, Image.fromarray(pixels), camera_centre(camera.world_to_camera)))
    return found


def exif(centre_m: Array, random: np.random.Generator, second: int) -> Image.Exif:
    """As a phone writes it, off by what phones are off by. centre_m: east, north and up of HOME on the ground."""
    east, north = centre_m[:2] + random.normal(0, OFF_M, 2)
    tags = Image.Exif()
    tags[Base.Make], tags[Base.Model] = "Generated", "Phone"
    more, gps = tags.get_ifd(IFD.Exif), tags.get_ifd(IFD.GPSInfo)
    more[Base.DateTimeOriginal] = f"2026:06:21 10:{second // 60:02d}:{second % 60:02d}"
    more[Base.FocalLengthIn35mmFilm] = round(FOCAL_RATIO * SIZE[0] / np.hypot(*SIZE) * DIAGONAL_MM)
    latitude = HOME[0] + np.degrees(north / EARTH_M)
    longitude = HOME[1] + np.degrees(east / (EARTH_M * np.cos(np.radians(HOME[0]))))
    gps[GPS.GPSLatitudeRef], gps[GPS.GPSLatitude] = "N", _sexagesimal(latitude)
    gps[GPS.GPSLongitudeRef], gps[GPS.GPSLongitude] = "E", _sexagesimal(longitude)
    gps[GPS.GPSAltitudeRef] = b"\0"
    gps[GPS.GPSAltitude] = float(GROUND_M + centre_m[2] + random.normal(0, HEIGHT_OFF_M))
    return tags


def _sexagesimal(degrees: float) -> tuple[float, float, float]:
    minutes = degrees % 1 * 60
    return float(int(degrees)), float(int(minutes)), minutes % 1 * 60


def write(found: list[Photo], folder: Path, times: float) -> list[Path]:
    random, paths = np.random.default_rng([3, round(10 * times)]), []
    folder.mkdir()
    for number, photo in enumerate(found):
        data = io.BytesIO()
        photo.picture.save(data, "JPEG", quality=92, exif=exif(times * photo.centre, random, 3 * number))
        paths.append(folder / photo.name)
        paths[-1].write_bytes(data.getvalue())
    return paths


def scenejobs(cloud: LocalCloud, *words: str) -> str:
    """What a person types. Raises CalledProcessError."""
    command = [sys.executable, "-m", "scenejobs", *words]
    return subprocess.run(
        command, env={**os.environ, **cloud.env}, check=True, stdout=subprocess.PIPE, text=True
    ).stdout


def measured(result: Path, found: list[Photo], times: float) -> dict[str, Any]:
    """Of one result: what it says of its scale and place, and how far off it is."""
    told = json.loads((result / "orientation.json").read_text())["scale"]
    said: dict[str, Any] = {
        "times": times, "in_metres": told["files_in"] == "metres", "reason": told["reason"],
        "stated_percent": told["error_percent"],
    }  # fmt: skip
    if not said["in_metres"]:
        return said
    truth = {photo.name: times * photo.centre for photo in found}
    poses = {
        each["photo"]: np.array(each["world_to_camera"])
        for each in json.loads((result / "cameras.json").read_text())
        if each["photo"]
    }
    fit = similarity(np.array([camera_centre(pose) for pose in poses.values()]), np.array([truth[n] for n in poses]))
    origin = told["origin"]
    north = np.radians(origin["latitude"] - HOME[0]) * EARTH_M
    east = np.radians(origin["longitude"] - HOME[1]) * EARTH_M * np.cos(np.radians(HOME[0]))
    turned = np.array(told["output_to_east_north_up"]) @ fit.rotation.T
    return said | {
        "photos": len(poses),
        "off_percent": 100 * abs(1 / fit.scale - 1),
        "height_m": origin["height_m"],
        "height_error_m": origin["height_error_m"],
        "height_off_m": origin["height_m"] - (GROUND_M + fit.translation[2]),
        "place_off_m": float(np.hypot(east - fit.translation[0], north - fit.translation[1])),
        "turned_deg": float(np.degrees(np.arccos(np.clip((np.trace(turned) - 1) / 2, -1, 1)))),
    }


def row(said: dict[str, Any], seconds: float) -> str:
    walk = f"{2 * 2.8 * said['times']:.0f} m"
    if not said["in_metres"]:
        return f"| {walk} | in units of the scene: {said['reason']} | - | - | - | - | {seconds:.0f} s |"
    height = f"{said['height_off_m']:+.1f} m ({said['height_error_m']:.1f} m)"
    scale = f"{said['off_percent']:.1f} % ({said['stated_percent']:.1f} %)"
    rest = f"{said['place_off_m']:.1f} m | {said['turned_deg']:.1f}° | {seconds:.0f} s"
    return f"| {walk} | in metres, {said['photos']} photos | {scale} | {height} | {rest} |"


HEAD = """# Files in metres, by the GPS of photos

`python -m benchmarks.metric --preset {preset}`, {day}: {count} photos of the demo's courtyard, taken on its round walk,
as if the courtyard were so many times as large; `METRIC=true`, `GEO=publish`; uploaded to the emulated cloud with
`scenejobs upload`, waited for with `scenejobs status --wait`, and fetched with `scenejobs download`. Positions are
off by {off} m in each direction, altitudes by {height} m (one standard deviation, each photo by itself; real phones are
off together, too, which no spread shows). In brackets: what the result says of itself, one standard deviation.
Truth: the generator's cameras, over which those of the result are laid.

| across the walk | files | scale off (stated) | height of the origin off (stated) | place off | axes off | took |
| --- | --- | --- | --- | --- | --- | --- |
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--preset", default="smoke")
    options = parser.parse_args()
    found, rows = photos(), []
    env = {"METRIC": "true", "GEO": "publish", "PRESET": options.preset, "BACKEND": "cpu", "QUIET_SECONDS": "5"}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        with LocalCloud(folder / "cloud", env) as cloud:
            for times in TABLES:
                scene = f"courtyard-{times:g}"
                paths = write(found, folder / scene, times)
                begun = time.monotonic()
                scenejobs(cloud, "upload", scene, *map(str, paths))
                scenejobs(cloud, "status", scene, "--wait")
                took_s = time.monotonic() - begun
                scenejobs(cloud, "download", scene, str(folder / "out" / scene))
                rows.append(row(measured(folder / "out" / scene, found, times), took_s))
                print(rows[-1], flush=True)
    head = HEAD.format(
        preset=options.preset, day=date.today().isoformat(), count=len(found), off=OFF_M, height=HEIGHT_OFF_M
    )
    if options.out:
        options.out.write_text(head + "\n".join(rows) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
