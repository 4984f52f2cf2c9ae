"""What files say of place, camera and owner's disk: it finds the scale, and is in no output unless it is published.

A real run over generated photos and a clip with planted EXIF and metadata; every file of the result is searched.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from runner.postprocess.place import EARTH_M
from runner.scene.geometry import similarity
from tests.photos import EXIF, tags, write_photo
from tests.synthetic import render, walk
from tests.telemetry import dji, srt, write_film
from tests.videos import write_video

HOME = (48.137154, 171.576124)  # a longitude that no length, angle or time of the outputs looks like
GROUND_M = 5193.0  # above sea level: the height of the room's origin
METRES = 25.0  # of one unit of the generated room
SERIAL, OWNER, DISK = "SN-PLANTED-4711", "Planted Uploader", "planted-disk-of-uploader"
BODY_SERIAL, ARTIST, DESCRIPTION = 0xA431, 0x013B, 0x010E
PLANTED = (SERIAL, OWNER, DISK, "48.13", "171.57", "5193.", "+48.1", "planted-clip-title")
COUNT = 12


@pytest.fixture(scope="module")
def uploads(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("uploads") / DISK
    folder.mkdir()
    random, found = np.random.default_rng(5), []
    for number, (position, rotation) in enumerate(walk(COUNT)):
        east, north = METRES * position[0] + random.normal(0, 0.5), METRES * position[2] + random.normal(0, 0.5)
        altitude_m = GROUND_M - METRES * position[1] + random.normal(0, 0.1)  # y points down
        exif = tags(gps=degrees(east, north), altitude_m=altitude_m)
        exif[ARTIST], exif[DESCRIPTION] = OWNER, f"/home/{DISK}/IMG_{number}.jpg"
        exif.get_ifd(EXIF)[BODY_SERIAL] = SERIAL
        pixels = render(position, rotation, size=(640, 480), focal=600.0)
        found.append(write_photo(folder / f"IMG_{number}.jpg", pixels, exif))
    frames = [render(position, rotation, size=(640, 480), focal=600.0) for position, rotation in walk(12)]
    place = {"com.apple.quicktime.location.ISO6709": f"+{HOME[0]}+{HOME[1]}/", "title": "planted-clip-title"}
    found.append(write_video(folder / "clip.mp4", frames, tags=place))
    beside = folder / "CLIP.SRT"
    beside.write_bytes(srt([place_of(position) for position, _ in walk(12)], 0.1))
    found.append(beside)
    flown = [dji(place_of(position)) for position, _ in walk(12)[::2]]
    found.append(write_film(folder / "flight.mp4", frames, flown, subtitles=True, rate=2))
    return found


def degrees(east_m: float, north_m: float) -> tuple[float, float]:
    """Latitude and longitude so many metres from HOME."""
    east = np.degrees(east_m / (EARTH_M * np.cos(np.radians(HOME[0]))))
    return float(HOME[0] + np.degrees(north_m / EARTH_M)), float(HOME[1] + east)


def place_of(position: NDArray[np.float64]) -> tuple[float, float]:
    return degrees(METRES * position[0], METRES * position[2])


def made(uploads: list[Path], out: Path, **env: str) -> subprocess.CompletedProcess[bytes]:
    formats = "ply,splat,spz,compressed.ply,glb,points.ply,dataset.zip"
    done = subprocess.run(
        [sys.executable, "-m", "runner", "scene", *map(str, uploads), "--out", str(out), "--preset", "smoke",
         "--train-steps", "100", "--name", "room", "--colmap-max-num-features", "768", "--export-formats", formats,
         "--cache", str(uploads[0].parent.parent / "cache")],
        env={**os.environ, **env}, capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done


def contents(out: Path) -> Iterator[tuple[str, bytes]]:
    """Every file of the result, and what is packed into it."""
    for path in sorted(out.rglob("*")):
        if not path.is_file():
            continue
        data = path.read_bytes()
        yield path.name, data
        if path.suffix == ".zip":
            with zipfile.ZipFile(io.BytesIO(data)) as packed:
                yield from ((f"{path.name}/{name}", packed.read(name)) for name in packed.namelist())
        if data[:2] == b"\x1f\x8b":
            yield f"{path.name} unpacked", gzip.decompress(data)
        if path.suffix in (".jpg", ".png"):
            with Image.open(path) as image:
                assert not dict(image.getexif()), path.name
                yield f"{path.name} metadata", repr(image.info).encode()


def photos_of(out: Path) -> dict[str, NDArray[np.float64]]:
    """Where the result says that each photo was taken, in its world."""
    cameras = json.loads((out / "cameras.json").read_text())
    poses = {each["photo"]: np.array(each["world_to_camera"]) for each in cameras if each["photo"]}
    return {name: -pose[:3, :3].T @ pose[:3, 3] for name, pose in poses.items()}


def true_centres(names: Iterable[str]) -> NDArray[np.float64]:
    """In the generated room."""
    return np.array([walk(COUNT)[int(name.removeprefix("IMG_").removesuffix(".jpg"))][0] for name in names])


def true_height_m(out: Path) -> float:
    """Of the origin of the result's world, by laying its cameras over those of the generator."""
    found = photos_of(out)
    fit = similarity(np.array(list(found.values())), true_centres(found))
    return GROUND_M - METRES * float(fit.translation[1])


def test_nothing_planted_is_in_any_output_and_the_scale_is_found(uploads: list[Path], tmp_path: Path) -> None:
    done = made(uploads, tmp_path / "out")
    found = [
        (name, word)
        for name, data in (*contents(tmp_path / "out"), ("what was printed", done.stdout + done.stderr))
        for word in PLANTED
        if word.encode() in data or word.encode("utf-16-le") in data
    ]
    assert found == []
    scale = json.loads((tmp_path / "out/orientation.json").read_text())["scale"]
    assert "origin" not in scale
    cameras = json.loads((tmp_path / "out/cameras.json").read_text())
    photos = photos_of(tmp_path / "out")
    assert len(photos) >= COUNT - 2
    flown = [each["image"] for each in cameras if each["image"].startswith("flight")]
    assert scale["photos_with_position"] >= len(photos) + len(flown) - 2  # behind its last subtitle nothing is known
    assert len(flown) > 5
    if scale["metres_per_unit"] is not None:
        assert scale["from"] == "GPS of photos and films"
    if scale["metres_per_unit"] is None:
        pytest.fail(scale["reason"])
    centres, truth = np.array(list(photos.values())), true_centres(photos)
    spread, wanted = (np.sqrt(((each - each.mean(0)) ** 2).sum()) for each in (centres, METRES * truth))
    off = 100 * abs(scale["metres_per_unit"] * spread / wanted - 1)
    assert off < max(3.0, 3 * scale["error_percent"]), (off, scale)


def test_published_it_is_told(uploads: list[Path], tmp_path: Path) -> None:
    made(uploads, tmp_path / "out", GEO="publish")
    scale = json.loads((tmp_path / "out/orientation.json").read_text())["scale"]
    assert scale["origin"]["latitude"] == pytest.approx(HOME[0], abs=1e-3)
    assert scale["origin"]["height_m"] == pytest.approx(true_height_m(tmp_path / "out"), abs=2.0)
    assert '"latitude": 48.1' in (tmp_path / "out/manifest.json").read_text()
    for name, data in contents(tmp_path / "out"):
        assert SERIAL.encode() not in data, name
