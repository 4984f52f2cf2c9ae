"""What is known of the uploads of a scene: names and sizes from a listing, and what headers say if they were read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from scenejobs.names import is_photo, is_video

BITS_PER_S = (2e6, 100e6)  # of films: a messenger's, and 4K as phones and cameras write it
RATE_FPS = 6.0  # frames that are chosen of a second of film at most
SHORT_FRAMES = 24  # of a clip that has fewer by that rate


@dataclass(frozen=True)
class File:
    """One video or photo. None: its header was not read, or does not say."""

    name: str
    size_bytes: int
    duration_s: float | None = None
    frames: int | None = None
    width: int | None = None  # pixels
    height: int | None = None

    @property
    def is_photo(self) -> bool:
        return is_photo(self.name)

    def seconds(self) -> tuple[float, float]:
        """The least and the most that it may last."""
        if self.is_photo:
            return 0.0, 0.0
        if self.duration_s is not None:
            return self.duration_s, self.duration_s
        slow, fast = BITS_PER_S
        return 8 * self.size_bytes / fast, 8 * self.size_bytes / slow


@dataclass(frozen=True)
class Footage:
    """The videos and photos of a scene."""

    files: tuple[File, ...]

    @property
    def size_bytes(self) -> int:
        return sum(file.size_bytes for file in self.files)

    @property
    def film_bytes(self) -> int:
        return sum(file.size_bytes for file in self.files if not file.is_photo)

    @property
    def photos(self) -> int:
        return sum(file.is_photo for file in self.files)

    @property
    def by_headers(self) -> bool:
        """Whether every film was asked how long it is."""
        return all(file.is_photo or file.duration_s is not None for file in self.files)

    def seconds(self) -> tuple[float, float]:
        """Of all films together, at least and at most."""
        pairs = [file.seconds() for file in self.files]
        return sum(low for low, _ in pairs), sum(high for _, high in pairs)

    def chosen(self, budget: int, rate_fps: float = 0.0) -> tuple[int, int]:
        """How many frames are chosen of it, at least and at most; photos are all taken."""
        films = [file for file in self.files if not file.is_photo]
        low, high = (sum(_chosen(file, which, rate_fps) for file in films) for which in (0, 1))
        return min(budget, max(1, round(low)) + self.photos), min(budget, max(1, round(high)) + self.photos)


def _chosen(film: File, which: int, rate_fps: float) -> float:
    by_rate = film.seconds()[which] * (rate_fps or RATE_FPS)
    least = 0.0 if rate_fps else SHORT_FRAMES
    most = film.frames or float("inf")
    return min(most, max(by_rate, least))


def of_sizes(sizes: Mapping[str, int] | Iterable[tuple[str, int]]) -> Footage:
    """From a listing: names and bytes. What is neither video nor photo is left out."""
    items = sizes.items() if isinstance(sizes, Mapping) else sizes
    return Footage(tuple(File(name, size) for name, size in items if is_video(name) or is_photo(name)))
