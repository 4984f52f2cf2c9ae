"""What cannot become a scene, and how soon and in which words that is said; and what only lacked time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.footage_cases.case import Case, Run, footage, result
from benchmarks.footage_cases.formats import WALK, pictures
from tests.empty_films import BLUE, PLAIN, cap, colour_bars, film, finger, grain, no_signal, pocket
from tests.hard_inputs import along, arc, noisy, smeared, turn
from tests.stamps import bent
from tests.synthetic import render
from tests.videos import wall, write_audio, write_video

SIZE, FOCAL, FPS = (640, 480), 600.0, 10
EMPTY_FRAMES = 90
BENT_FRAMES, BENT_PX, BENT_PACE = 240, 4.0, 0.5
HOPELESS = "17 time to refusal"
LAPTOP = ("--preset", "laptop")

Pictures = Sequence[NDArray[np.uint8]]


def views(poses: Sequence[tuple[NDArray[np.float64], NDArray[np.float64]]], seed: int = 0, tile: int | None = None,
          ) -> list[NDArray[np.uint8]]:  # fmt: skip
    """Of a room; another seed is another room."""
    return [render(*pose, seed=seed, size=SIZE, focal=FOCAL, tile=tile) for pose in poses]


def tripod_with_people(count: int = 80) -> list[NDArray[np.uint8]]:
    """A still camera, two people who walk through the picture, light that flickers, noise of a sensor."""
    room = views(arc(0.0, 0.0, 1))[0].astype(float)
    people = [wall(110, 300, seed=seed).astype(float) for seed in (3, 4)]
    pictures = []
    for index in range(count):
        picture = room * (1.0 + 0.08 * np.sin(2.1 * index))
        for number, person in enumerate(people):
            left = round((index * (9 - 14 * number)) % (SIZE[0] - 110))
            picture[150 + 10 * number : 450 + 10 * number, left : left + 110] = person
        pictures.append(_bytes(noisy(index, picture, 4.0)))
    return pictures


def turning(count: int = 70) -> list[NDArray[np.uint8]]:
    """On the spot, by hand: a centimetre of sway, noise."""
    rng = np.random.default_rng(0)
    poses = [(at + rng.normal(0, 0.005, 3), rotation) for at, rotation in turn(count)]
    return [_bytes(noisy(index, picture.astype(float), 3.0)) for index, picture in enumerate(views(poses))]


def edited(shots: int = 8, length: int = 12) -> list[NDArray[np.uint8]]:
    """As many rooms as shots."""
    return [
        picture for number in range(shots) for picture in views(arc(-0.5, 0.5, length), seed=10 + number)
    ]  # fmt: skip


def screen(count: int = 80) -> list[NDArray[np.uint8]]:
    """A page that is scrolled, with a bar above it that stays."""
    rng = np.random.default_rng(5)
    page = np.full((2600, SIZE[0], 3), 245, np.uint8)
    for row in range(20, 2580, 24):
        words = rng.random((12, SIZE[0] // 4)) < 0.45
        page[row : row + 12, 40:-40] = np.where(np.kron(words, np.ones((1, 4)))[:, 40:-40, None] > 0, 30, 245)
    pictures = []
    for index in range(count):
        top = 20 * max(0, index - index // 20 * 6)
        picture = page[top : top + SIZE[1]].copy()
        picture[:50] = (60, 90, 160)
        pictures.append(picture)
    return pictures


def slides(count: int = 10, each: int = 15) -> list[NDArray[np.uint8]]:
    """Photos of other places, one and a half seconds each."""
    return [picture for number in range(count) for picture in views(along(0.0, 0.0, 1), seed=30 + number) * each]


def changed(pictures: Pictures, change: Callable[[int, NDArray[np.float64]], NDArray[np.float64]]) -> Pictures:
    return [_bytes(change(index, picture.astype(float))) for index, picture in enumerate(pictures)]


def _bytes(picture: NDArray[np.float64]) -> NDArray[np.uint8]:
    return np.clip(picture, 0, 255).astype(np.uint8)


def _film(make: Callable[[], Pictures], crf: int = 23) -> Callable[[Path], list[Path]]:
    return lambda folder: [write_video(folder / "film.mp4", make(), fps=FPS, crf=crf)]


def _two_places(folder: Path) -> list[Path]:
    return [
        write_video(folder / name, views(arc(-0.6, 0.6, 40), seed=seed), fps=FPS, crf=23)
        for name, seed in (("kitchen.mp4", 0), ("garden.mp4", 5))
    ]


def _sound(folder: Path) -> list[Path]:
    return [write_audio(folder / "sound.mp4")]


def refused(*codes: str, says: Sequence[str] = (), cpu_s: float = 0.0) -> Callable[[Run], str]:
    """Is it refused with one of the codes, in such words, with an advice, and within so many CPU seconds?"""

    def check(run: Run) -> str:
        error = run.error
        text = f"{error.get('cause', '')}: {error.get('advice', '')}"
        if run.exit_code != 1 or error.get("code") not in codes:
            return f"exit {run.exit_code} {error.get('code', '')}"
        if missing := [word for word in says if word not in text]:
            return f"it does not say {', '.join(missing)}"
        return f"{run.cpu_s:.0f} CPU s" if cpu_s and run.cpu_s > cpu_s else ""

    return check


def _rescued_or_out_of_time(run: Run) -> str:
    if run.metrics:
        return result(run)
    return "" if (run.exit_code, run.error.get("code")) == (3, "POSES_TIMED_OUT") else f"exit {run.exit_code}"


def _bent(folder: Path) -> list[Path]:
    change = bent(BENT_PX, BENT_PACE)
    film = (change(picture, number) for number, picture in enumerate(pictures(WALK, BENT_FRAMES)))
    return [write_video(folder / "walk.mp4", film, fps=30, crf=20)]


def _told_as_bent(run: Run) -> str:
    """It cannot be placed, and why is said, whether every way was tried or the time was over before."""
    if run.metrics:
        return "a result"
    wrong = "" if run.exit_code in (1, 3) else f"exit {run.exit_code}"
    return wrong or ("" if "walk.mp4 are bent" in run.error.get("cause", "") else "it does not say that it is bent")


LOST = ("NO_OVERLAP", "TOO_FEW_REGISTERED", "POSES_UNRELIABLE")


def _of_a_wall() -> Pictures:
    return changed(views(arc(0, 0, 1)) * 60, lambda i, p: noisy(i, np.full_like(p, 150 + i / 3.0), 1.0))


def _of_the_night() -> Pictures:
    return changed(views(arc(-1, 1, 60)), lambda i, p: noisy(i, p / 30, 1.0))


def _empty(name: str, what: str, picture: Callable[[int], NDArray[np.float64]], code: str, *says: str) -> Case:
    """A film that shows no place, which has to be said within 30 CPU seconds, with clip and seconds."""
    return Case(name, HOPELESS, what, _film(lambda: film(picture, EMPTY_FRAMES)),
                refused(code, says=(*says, "film.mp4 0.0-8.9 s"), cpu_s=30), LAPTOP)  # fmt: skip


STILL = refused("STATIC_CAMERA", says=("film.mp4",), cpu_s=30)
CASES = (
    Case("short-budget", "14 time", "6 s of a walk with POSES_BUDGET_SECS=60",
         lambda _: [footage("reports/04_walk_6s_second_way_needed.mp4")], _rescued_or_out_of_time,
         environment={"POSES_BUDGET_SECS": "60"}),
    Case("tripod", "16 still", "a still camera, people walk by, flicker, noise, encoded again; preset laptop",
         _film(tripod_with_people, 30), STILL, LAPTOP),
    Case("turning", "16 still", "a camera that turns on the spot, by hand, with noise; preset laptop",
         _film(turning, 28), STILL, LAPTOP),
    Case("edited", "16 edited", "a film of eight shots of eight rooms", _film(edited),
         refused("NO_OVERLAP", "TOO_FEW_FRAMES", says=("edited", "film.mp4", "1.2"))),
    Case("bent", "16 edited", "a walk, each of its pictures bent otherwise, by 4 px", _bent, _told_as_bent),
    Case("two-places", HOPELESS, "two rooms, one clip each", _two_places,
         refused("NO_OVERLAP", says=("kitchen.mp4", "garden.mp4"))),
    Case("blank-wall", HOPELESS, "a wall without texture", _film(_of_a_wall), refused("NO_DETAIL", says=("film.mp4",))),
    Case("dark", HOPELESS, "a thirtieth of the light", _film(_of_the_night),
         refused("NO_DETAIL", says=("film.mp4", "dark"))),
    Case("smeared", HOPELESS, "motion blur of 120 px", _film(lambda: changed(views(arc(-1, 1, 60)), smeared(120))),
         refused("NO_DETAIL", says=("film.mp4", "smeared"))),
    _empty("lens-cap", "noise, with the cap on the lens; preset laptop", cap, "NO_DETAIL", "dark", "cap"),
    _empty("pocket", "a phone that films in a pocket; preset laptop", pocket, "NO_DETAIL", "dark", "pocket"),
    _empty("finger-over-lens", "a finger over the whole lens; preset laptop", finger, "NO_DETAIL", "finger"),
    _empty("white", "white all over; preset laptop", lambda i: 252 + grain(i, 3), "NO_DETAIL", "white"),
    _empty("blue-screen", "the blue of a screen; preset laptop", lambda _: PLAIN + BLUE, "NO_DETAIL", "blue screen"),
    _empty("test-picture", "colour bars; preset laptop", lambda _: colour_bars(), "STATIC_CAMERA", "test picture"),
    _empty("no-signal", "snow on a television; preset laptop", no_signal, "NO_DETAIL", "noise", "signal"),
    Case("audio-only", HOPELESS, "an MP4 with sound alone", _sound, refused("NO_VIDEO_STREAM", says=("sound.mp4",))),
    Case("screen-recording", HOPELESS, "a page that is scrolled", _film(screen),
         refused("STATIC_CAMERA", "NO_DETAIL", *LOST, says=("film.mp4",))),
    Case("slide-show", HOPELESS, "ten photos of ten places, 1.5 s each", _film(slides),
         refused("STATIC_CAMERA", "NO_DETAIL", "TOO_FEW_FRAMES", *LOST, says=("film.mp4",))),
    Case("repetitive", HOPELESS, "walls of one small tile", _film(lambda: views(arc(-1, 1, 60), tile=40)),
         refused("STATIC_CAMERA", "NO_DETAIL", *LOST, says=("film.mp4",))),
)  # fmt: skip
