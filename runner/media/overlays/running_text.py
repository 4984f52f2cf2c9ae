"""Text that runs through the picture from side to side: the ticker of a news programme, the credits of a station.

Its edges move by themselves: sideways, all of them alike, at one pace whatever the camera does, in a band of rows that
ends abruptly. So for each band of rows and each pace the vertical edges of pictures that follow each other are compared
at the shift that this pace gives; whatever a camera sees fits no pace for long.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft, next_fast_len, rfft
from scipy.ndimage import label

from runner.scene.views import evenly

NOISE_LEVEL = 4.0  # grey levels: a gradient below is noise or compression, and has that much less to say
ROWS_PX = 4  # that are compared as one
PAIRS = (8, 24)  # of pictures: fewer do not tell, more say the same
# Mean correlation of the edges in a band, at the best pace. Tickers over fox and walk, on a bar, on half a bar and on
# nothing: 0.47 to 0.72. Fox, walk and scenes in which something moves: 0.17 at most.
FITS = 0.32
GOES_ON = 0.5  # of the best of a band: rows with less are no part of it
OTHER = 0.5  # of a band's: the most that rows beside it have, at about its pace; a far wall goes over into the floor
ABOUT = (0.6, 1.5)  # times its pace
BESIDE = (0.02, 0.12)  # of the height: the rows beside a band
TALL = (0.02, 0.2)  # of the height
AT_EDGE = 0.35  # of the height: it lies in the upper or in the lower part of this size
LEAST_PX = 4.0  # median shift: less is nothing that runs
FARTHEST = 0.7  # of the width, shift of two pictures that still tells
FEW_EDGES = 0.01  # mean strength of the edges of a row, 0 to 1: in less there is nothing to see
BORDER = 0.5  # of the width: a straight edge that stays for so long is the border of a bar
REACH = 0.8  # of the height of the text: so far from it its bar may end
MARGIN = 0.008  # of the long side: blur and compression


def running_text(pictures: Sequence[NDArray[np.uint8]], times_s: Sequence[float]) -> NDArray[np.bool_] | None:
    """[height, width], whole rows; None where there is none. pictures: brightness, long side about 640 px, of the
    frames of a film in order. times_s: of each, increasing."""
    numbers = evenly(range(len(pictures) - 1), PAIRS[1])
    if len(numbers) < PAIRS[0]:
        return None
    between_s = np.array([times_s[number + 1] - times_s[number] for number in numbers])
    alike = np.stack([_alike(pictures[number], pictures[number + 1]) for number in numbers])
    paces, fits = _at_each_pace(alike, between_s)
    height, width = pictures[0].shape
    hidden = np.zeros((height, width), bool)
    for top, bottom in _bands(paces, fits, height):
        first, last = _with_its_bar(pictures, top, bottom)
        hidden[first:last] = True
    return hidden if hidden.any() else None


def _alike(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> NDArray[np.float32]:
    """[height / ROWS_PX, 2 * width - 1] correlation of the vertical edges of two pictures, -1 to 1, by rows and shift
    to the right from 1 - width on."""
    first, second = _edges(one), _edges(other)
    rows, _, width = first.shape
    length = next_fast_len(2 * width, real=True)
    product = np.conj(rfft(first, length, axis=2)) * rfft(second, length, axis=2)
    shifts = np.arange(1 - width, width)
    together = irfft(product.sum(axis=1), length, axis=1)[:, shifts % length]
    begin, end = np.maximum(0, -shifts), width - np.maximum(0, shifts)  # of what both show, in the first
    energy = [np.cumsum(np.pad((edges**2).sum(axis=1), ((0, 0), (1, 0))), axis=1) for edges in (first, second)]
    own, others = energy[0][:, end] - energy[0][:, begin], energy[1][:, end + shifts] - energy[1][:, begin + shifts]
    least = FEW_EDGES * ROWS_PX * np.maximum(end - begin, 0.25 * width)
    alike: NDArray[np.float32] = (together / np.maximum(np.sqrt(own * others), least)).astype(np.float32)
    return alike.reshape(rows, -1)


def _edges(picture: NDArray[np.uint8]) -> NDArray[np.float32]:
    """[height / ROWS_PX, ROWS_PX, width] how much of a vertical edge a pixel is, -1 to 1: a level one, such as the
    border of a bar, is the same at every shift."""
    grey = picture.astype(np.float32)
    across, down = np.zeros_like(grey), np.zeros_like(grey)
    across[1:-1, 1:-1] = (grey[1:-1, 2:] - grey[1:-1, :-2]) / 2
    down[1:-1, 1:-1] = (grey[2:, 1:-1] - grey[:-2, 1:-1]) / 2
    across /= np.maximum(np.hypot(across, down), np.float32(NOISE_LEVEL))
    rows = len(grey) // ROWS_PX
    return across[: rows * ROWS_PX].reshape(rows, ROWS_PX, -1)


def _at_each_pace(
    alike: NDArray[np.float32], between_s: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """Paces in px per second, and [rows, paces] how well a row fits each. alike: [pairs, rows, shifts]."""
    width = (alike.shape[2] + 1) // 2
    usual_s = float(np.median(between_s))
    most = FARTHEST * width / usual_s
    paces = np.arange(-most, most, 1 / float(between_s.max()))
    paces = paces[np.abs(paces) * usual_s >= LEAST_PX]
    total = np.zeros((alike.shape[1], len(paces)), np.float32)
    count = np.zeros(len(paces), np.int64)
    for pair, seconds in zip(alike, between_s, strict=True):
        shift = np.round(paces * seconds).astype(int)
        seen = np.abs(shift) <= FARTHEST * width
        total[:, seen] += pair[:, shift[seen] + width - 1]
        count += seen
    told = count >= max(PAIRS[0], len(between_s) / 2)
    fits: NDArray[np.float32] = (total[:, told] / count[told]).astype(np.float32)
    return paces[told], fits


def _bands(paces: NDArray[np.float64], fits: NDArray[np.float32], height: int) -> list[tuple[int, int]]:
    """First row and the one after the last, in pixels, of each band of text."""
    found: list[tuple[int, int]] = []
    left = fits.max(axis=1, initial=0.0)
    while left.max() >= FITS:
        row = int(left.argmax())
        at = int(fits[row].argmax())
        pieces, _ = label(fits[:, at] >= GOES_ON * fits[row, at])
        band = np.flatnonzero(pieces == pieces[row])
        left[band] = 0.0
        top, bottom = int(band[0]) * ROWS_PX, (int(band[-1]) + 1) * ROWS_PX
        at_edge = top >= (1 - AT_EDGE) * height or bottom <= AT_EDGE * height
        if at_edge and TALL[0] * height <= bottom - top <= TALL[1] * height and _by_itself(paces, fits, band, at):
            found.append((top, bottom))
    return found


def _by_itself(paces: NDArray[np.float64], fits: NDArray[np.float32], band: NDArray[np.intp], at: int) -> bool:
    """Whether the rows beside a band move otherwise. at: index of its pace."""
    near, far = (max(1, round(share * len(fits))) for share in BESIDE)
    rows = [*range(band[0] - far, band[0] - near), *range(band[-1] + near + 1, band[-1] + far + 1)]
    rows = [row for row in rows if 0 <= row < len(fits)]
    ratio = paces / paces[at]
    beside = fits[rows][:, (ratio >= ABOUT[0]) & (ratio <= ABOUT[1])].max(axis=1, initial=0.0)
    return bool(np.median(beside) <= OTHER * np.median(fits[band, at]))


def _with_its_bar(pictures: Sequence[NDArray[np.uint8]], top: int, bottom: int) -> tuple[int, int]:
    """First row and the one after the last of the bar on which a text is, or of the text and a margin."""
    height, width = pictures[0].shape
    stays = np.zeros((height, width), np.float32)
    for picture in pictures:
        down = np.zeros((height, width), np.float32)
        down[1:-1] = (picture[2:].astype(np.float32) - picture[:-2]) / 2
        stays += down / np.maximum(np.abs(down), np.float32(NOISE_LEVEL))
    border = (np.abs(stays) / len(pictures) > BORDER).mean(axis=1) > BORDER
    reach, margin = round(REACH * (bottom - top)), max(2, round(MARGIN * max(height, width)))
    above = [row for row in range(max(0, top - reach), top) if border[row]]
    below = [row for row in range(bottom, min(height, bottom + reach)) if border[row]]
    first = (above[0] if above else top) - margin
    last = (below[-1] + 1 if below else bottom) + margin
    return 0 if first <= reach else first, height if height - last <= reach else last
