"""Folders as people upload them: Live Photos, previews, cut-off files, many sizes; and what only a limit refuses."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.footage_cases.case import Case, Run, footage, leaves_out, result, whole_film
from benchmarks.footage_cases.failures import refused
from benchmarks.footage_cases.files import encoded_again
from benchmarks.footage_cases.formats import WALK, hour, pictures
from benchmarks.footage_cases.reports import files
from tests.photos import write_photo
from tests.stamps import in_gallery
from tests.videos import pan, write_video

PHOTOS = "banana_photos"
CODED, PIXELS = 21_600, (848, 480)  # frames that the film states; six minutes at 60 a second
TOLD = "the moving part of the photo"


def _photos() -> list[Path]:
    return sorted(footage(PHOTOS).glob("*.jpg"))


def _name(number: int) -> str:
    return f"IMG_{number:04d}"


def _live(folder: Path) -> Sequence[Path]:
    """Each photo as HEIC, with a film of 2 s of the same name, in which a hand shakes."""
    made = []
    for number, path in enumerate(_photos()):
        pixels = np.asarray(Image.open(path).convert("RGB"))
        photo = write_photo(folder / f"{_name(number)}.heic", pixels)
        made.append(photo.rename(photo.with_suffix(".HEIC")))
        made.append(write_video(folder / f"{_name(number)}.MOV", pan(20, 1, seed=number), fps=10))
    return made


def _live_right(run: Run) -> str:
    """All photos in the result, none of the films, a held-out score, and the films are named."""
    count = len(_photos())
    wrong = leaves_out({f"{_name(number)}.MOV": TOLD for number in range(count)})(run)
    if wrong or run.metrics["images_total"] == count:
        return wrong or _measured(run)
    return f"{run.metrics['images_total']} of {count} photos"


def _of_many_sizes(folder: Path) -> Sequence[Path]:
    """No two photos of one size."""
    made = []
    for number, path in enumerate(_photos()):
        image = Image.open(path).convert("RGB")
        size = (round(image.width * (1 - number / 100)), round(image.height * (1 - number / 100)))
        made.append(write_photo(folder / path.name, np.asarray(image.resize(size, Image.Resampling.LANCZOS))))
    return made


def _of_a_gallery(folder: Path) -> Sequence[Path]:
    """Screenshots of a phone that shows them, one after the other."""
    made = []
    for number, path in enumerate(_photos()):
        pixels = np.asarray(Image.open(path).convert("RGB"))
        made.append(write_photo(folder / f"Screenshot_{number:02d}.png", in_gallery(pixels)))
    return made


def _cut_to_the_photos(run: Run) -> str:
    """None of them is left out as a copy, the frame around them is cut off and told, and nobody needs to doubt."""
    copies = [each["name"] for each in run.metrics.get("unused", ()) if "shows the same" in each["reason"]]
    if copies or result(run):
        return f"{len(copies)} are called copies" if copies else result(run)
    return "" if any("the frame of an app" in warning for warning in run.warnings()) else "it is not told what was cut"


def _measured(run: Run) -> str:
    """A result with a held-out score."""
    return result(run) or ("" if run.metrics.get("psnr_heldout") is not None else "no held-out score")


def _preview(folder: Path) -> Sequence[Path]:
    """As a GoPro leaves them."""
    recording = folder / "GX010001.MP4"
    shutil.copy(footage(WALK), recording)
    small = encoded_again(recording, folder / "small.mp4", 424, "libx264")
    return [recording, small.rename(folder / "GL010001.LRV")]


def _cut_off(folder: Path) -> Sequence[Path]:
    """Two clips of which an upload left a part, and one of a second: 11 different pictures."""
    walk = footage(WALK).read_bytes()
    for part, name in ((3, "cut1.mp4"), (4, "cut2.mp4")):
        (folder / name).write_bytes(walk[: len(walk) // part])
    short = write_video(folder / "short.mp4", [*pictures(WALK)][::30], fps=10)
    return [folder / "cut1.mp4", short, folder / "cut2.mp4"]


def _each_is_told(run: Run) -> str:
    """A refusal that says of each file what became of it, and does not blame the one that was good."""
    if wrong := refused("TOO_FEW_FRAMES", says=("cut1.mp4", "cut2.mp4", "damaged or cut off"))(run):
        return wrong
    told = {each["name"]: (each["used"], "damaged" in each["reason"]) for each in run.error.get("inputs", ())}
    wanted = {"cut1.mp4": (False, True), "short.mp4": (True, False), "cut2.mp4": (False, True)}
    return "" if told == wanted else f"inputs: {told}"


def option_refused(*says: str) -> Callable[[Run], str]:
    """Refused as an option that cannot work (exit code 2), in such words, before any work."""

    def right(run: Run) -> str:
        if run.exit_code != 2:
            return f"exit {run.exit_code}"
        return ", ".join(f"it does not say {word}" for word in says if word not in run.stderr)

    return right


WALK_ALONE = files(WALK)
CASES = (
    Case("live-photos", "4 live photos", "16 photos (HEIC), each with a film of its name", _live, _live_right),
    Case("preview", "4 previews", "a recording of a GoPro and its preview (.LRV)", _preview,
         leaves_out({"GL010001.LRV": "the small preview"}, keeps=("GX010001.MP4",))),
    Case("six-minutes", "7 long", "six minutes at 60 frames a second, 21,600 frames",
         hour("long.mp4", *PIXELS, 60, CODED // 60), whole_film(CODED, CODED / 60, told="it is long", decoded=1200)),
    Case("too-large", "7 large", "a clip above MAX_VIDEO_BYTES", WALK_ALONE,
         refused("TOO_LARGE", says=("MAX_VIDEO_BYTES",)), environment={"MAX_VIDEO_BYTES": "100000"}),
    Case("many-sizes", "8 sizes", "16 photos, each of another size", _of_many_sizes, _measured),
    Case("gallery", "5 twins", "screenshots of a gallery that shows 16 photos", _of_a_gallery, _cut_to_the_photos),
    Case("long-name", "8 options", "a name of 300 bytes", WALK_ALONE, option_refused("300 bytes"),
         arguments=("--preset", "smoke", "--name", "n" * 300)),
    Case("five-frames", "8 options", "--frames 5", WALK_ALONE, option_refused("--frames 5"),
         arguments=("--preset", "smoke", "--frames", "5")),
    Case("cut-off", "15 each file", "two of three clips cut off, the third of a second", _cut_off, _each_is_told),
)  # fmt: skip
