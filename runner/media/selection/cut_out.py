"""Films that are cut out of the pictures of another one: a part of each, at one place, as an app exports it.

Beside the whole film it costs the scene its cameras: the middle of its pictures is not where the lens looks. The grids
of brightness that tell other copies (same_footage.py) do not tell it, for each cell shows something else. But what
changes quickly in its cells, with the trembling of the hand, is what changes in the part of the whole that it is cut
out of, wherever that is. Two walks along one path tremble otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft, next_fast_len, rfft
from scipy.ndimage import uniform_filter1d

from runner.media.captures import Capture
from runner.media.selection.measures import LOOK_CELLS
from runner.media.selection.same_footage import NAMED, Film, film_of, has_looks
from scenejobs.errors import UnusedFile
from scenejobs.wording import listed

RATE_HZ = 15.0  # at which films are compared, or less where one has fewer frames
SLOW_S = 0.5  # what changes more slowly is left out: a second walk passes the same things
SAMPLES, FEW = (14, 8192), 40  # of a film, for it to tell anything and at most; fewer are alike by chance
TRIED = 8  # cells of the part, those that change most, that tell the offset
ALIKE = 0.5  # median correlation of a cell with that of the whole which it is most like; less is no part of it
# Correlation of the quick changes of a part with those of its window in the whole. Ten windows of walk and fox, noisy,
# at half the frames, and a part of the time too: 0.48 to 0.85. Other clips of the fox and other films: 0.29.
CUT_OUT = 0.42
SIDES, STEP, FINER = (0.4, 1.0), 0.1, (0.05, 0.025)  # of a window / of the whole; from one that is tried to the next
WHOLE = 0.95  # of its area: what shows more is no part

Array = NDArray[np.float64]
Window = tuple[float, float, float, float]  # height, top, width, left, as shares of the whole


def without_cut_outs(captures: Sequence[Capture]) -> tuple[list[Capture], tuple[UnusedFile, ...], tuple[str, ...]]:
    """The captures without films that are cut out of another one; those films; a warning about them."""
    films = [(c, film_of(c.measures)) for c in captures if not c.is_photos and has_looks(c.measures)]
    part_of: dict[str, str] = {}
    for capture, film in films:
        for other, frames in films:
            if capture.clips[0].name != other.clips[0].name and is_cut_out_of(film, frames):
                part_of[capture.info.name] = other.info.name
                break
    if not part_of:
        return list(captures), (), ()
    unused = tuple(UnusedFile(name, f"it shows a part of each picture of {of}", of) for name, of in part_of.items())
    named = listed([f"{name} of {of}" for name, of in part_of.items()], NAMED)
    said = f"films that are cut out of the pictures of others are left out: {named}"
    return [capture for capture in captures if capture.info.name not in part_of], unused, (said,)


def is_cut_out_of(part: Film, whole: Film) -> bool:
    """Whether `part` shows a part of each picture of `whole`, at a constant offset in time."""
    here, window = _window(part, whole)
    return here >= CUT_OUT and window[0] * window[2] <= WHOLE and here > _window(whole, part)[0]


def _window(part: Film, whole: Film) -> tuple[float, Window]:
    """How well the best window fits, and where it is; 0 where nothing can be told."""
    nothing = 0.0, (1.0, 0.0, 1.0, 0.0)
    steps = [float(np.median(np.diff(film.times))) for film in (part, whole)]
    rate = min(RATE_HZ, 1 / max(*steps, 1e-3))
    one, other = _quick(part, rate), _quick(whole, rate)
    if min(one.shape[1], other.shape[1]) < SAMPLES[0] or max(one.shape[1], other.shape[1]) > SAMPLES[1]:
        return nothing
    at = _offset(one, other)
    begin, end = max(0, at), min(other.shape[1], at + one.shape[1])
    if end - begin < max(SAMPLES[0], 0.9 * one.shape[1]):
        return nothing
    mine, its = one[:, begin - at : end - at], other[:, begin:end]
    size = np.linalg.norm(mine, axis=1)[:, None] * np.linalg.norm(its, axis=1)[None]
    alike = (mine @ its.T / np.maximum(size, 1e-9)).max(axis=1)
    if end - begin >= FEW and float(np.median(alike)) < ALIKE:
        return nothing
    return _best_window(mine @ its.T, its @ its.T, float(np.linalg.norm(mine)))


def _quick(film: Film, rate: float) -> Array:
    """[cells, samples] what changes within SLOW_S."""
    times = np.arange(film.times[0], film.times[-1] + 0.5 / rate, 1 / rate)
    cells = np.stack([np.interp(times, film.times, cell) for cell in film.looks.T])
    quick: Array = cells - uniform_filter1d(cells, max(3, round(SLOW_S * rate)), axis=1)
    return quick


def _offset(part: Array, whole: Array) -> int:
    """Sample of the whole at which the part begins, by the cells of the part that change most; it may begin a little
    before, or end after."""
    cells = np.argsort(-part.std(axis=1))[:TRIED]
    count, total = part.shape[1], part.shape[1] + whole.shape[1]
    length = next_fast_len(total, real=True)
    of_whole = rfft(whole, length, axis=1)
    energy = np.cumsum(np.pad(whole**2, ((0, 0), (count, count))), axis=1)
    within = np.sqrt(np.maximum(energy[:, count:] - energy[:, :-count], 0))[:, : total - 1]  # from 1 - count on
    score = np.zeros(total - 1)
    for cell in cells:
        together = irfft(of_whole * np.conj(rfft(part[cell], length)), length, axis=1)
        together = np.roll(together, count - 1, axis=1)[:, : total - 1]
        score += (together / np.maximum(within, max(0.3 * float(within.max()), 1e-9))).max(axis=0)
    return int(score.argmax() + 1 - count)


def _best_window(between: Array, of_whole: Array, size: float) -> tuple[float, Window]:
    """The window whose cells change most like those of the part. between: [cells, cells] sums of products of the
    changes in the part and in the whole; of_whole: of those in the whole; size: of the changes in the part."""
    grid = between.reshape((LOOK_CELLS,) * 4)

    def fits(window: Window) -> float:
        down, across = _cells(*window[:2]), _cells(*window[2:])
        both = np.kron(down, across)
        seen = float(((both @ of_whole) * both).sum())
        together = float(np.einsum("abcd,ac,bd->", grid, down, across, optimize=True))
        return together / max(size * math.sqrt(seen), 1e-12)

    spans = [
        (side, begin)
        for side in np.arange(SIDES[0], SIDES[1] + 1e-6, STEP).tolist()
        for begin in np.arange(0, 1 - side + 1e-6, STEP).tolist()
    ]
    best = max((fits((*rows, *columns)), (*rows, *columns)) for rows, columns in product(spans, spans))
    for step in FINER:
        height, top, width, left = best[1]
        for more in product((-step, 0, step), repeat=4):
            window = height + more[0], top + more[1], width + more[2], left + more[3]
            inside = min(window[1], window[3]) >= -1e-6 and max(sum(window[:2]), sum(window[2:])) <= 1 + 1e-6
            if inside:
                best = max(best, (fits(window), window))
    return best


def _cells(side: float, begin: float) -> Array:
    """[cells, cells] of one axis: what each cell of a window shows of the cells of the whole, between whose middles
    brightness goes over evenly."""
    middles = np.clip((begin + side * (np.arange(LOOK_CELLS) + 0.5) / LOOK_CELLS) * LOOK_CELLS - 0.5, 0, LOOK_CELLS - 1)
    before = np.minimum(np.floor(middles).astype(int), LOOK_CELLS - 2)
    rows, after = np.arange(LOOK_CELLS), middles - before
    shares = np.zeros((LOOK_CELLS, LOOK_CELLS))
    shares[rows, before], shares[rows, before + 1] = 1 - after, after
    return shares
