"""Colours of a video or photo to sRGB: HDR (PQ, HLG) by transfer function and one fixed tone curve, and wide gamuts.

    signal -> light in cd/m2 -> tone curve on the brightest channel -> BT.709 primaries -> sRGB

    PQ    SMPTE ST 2084 (ITU-R BT.2100 table 4)
    HLG   ARIB STD-B67 (BT.2100 table 5): inverse OETF, then the OOTF of a display of 1000 cd/m2
    curve EETF of ITU-R BT.2390 to a peak of 203 cd/m2, the reference white of ITU-R BT.2408

The curve is the same for every frame of a clip: one that adapted to each frame would give one wall another colour in
every view. Up to about a tenth of the usual peak it changes nothing, so most of a scene keeps its true proportions,
which a curve without a straight part (Reinhard, Hable) would bend. Scaling all channels by the brightest one's factor
keeps the hue. What lies outside of BT.709 after that is clipped.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

WHITE_NITS = 203.0  # cd/m2 that becomes the brightest sRGB value: HDR reference white, BT.2408
PEAK_NITS = 1000.0  # cd/m2 of the source where it does not say; of an HLG display always, where the OOTF has gamma 1.2
MOST_NITS = 10_000.0  # of PQ
HLG_GAMMA = 1.2
STRIP = 64  # rows at a time, so that what is between the steps stays in the cache
LEVELS = 1 << 16

# ISO/IEC 23091-2 (H.273): x, y of red, green and blue; all with the white point D65.
PRIMARIES = {
    1: ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060)),  # BT.709, sRGB
    9: ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046)),  # BT.2020, BT.2100
    12: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),  # Display P3
}
BT709, BT2020 = 1, 9
ON_WHITE = "its transparent parts are shown on white"  # as programs do that know no transparency
D65 = (0.3127, 0.3290)
TRANSFERS = {16: "pq", 18: "hlg"}  # H.273 transfer characteristics


class Transfer(StrEnum):
    SDR = "sdr"  # anything but the two below: taken for sRGB, as a player shows it
    PQ = "pq"
    HLG = "hlg"


@dataclass(frozen=True)
class Colour:
    """What the numbers of an image mean."""

    transfer: Transfer = Transfer.SDR
    primaries: int = BT709  # a key of PRIMARIES
    peak_nits: float = PEAK_NITS  # of the source, for PQ

    @property
    def is_srgb(self) -> bool:
        return self.transfer is Transfer.SDR and self.primaries == BT709


def colour_of(transfer: int, primaries: int, peak_nits: float = 0.0) -> Colour:
    """From the numbers of H.273 that a stream states. peak_nits: of the mastering display; 0 where it is not stated."""
    known = Transfer(TRANSFERS.get(transfer, "sdr"))
    usual = BT709 if known is Transfer.SDR else BT2020
    peak = min(peak_nits, MOST_NITS) if peak_nits >= WHITE_NITS else PEAK_NITS
    return Colour(known, primaries if primaries in PRIMARIES else usual, peak)


def to_srgb(signal: NDArray[np.uint16], colour: Colour) -> NDArray[np.uint8]:
    """[height, width, 3] R'G'B' of 16 bits, full range -> sRGB of 8 bits."""
    out = np.empty(signal.shape, np.uint8)
    for top in range(0, signal.shape[0], STRIP):
        rows = signal[top : top + STRIP]
        light = _light(rows, colour).reshape(-1, 3) @ _to_bt709(colour.primaries).T
        np.clip(light, 0.0, 1.0, out=light)
        out[top : top + STRIP] = _encoded()[(light * (LEVELS - 1) + 0.5).astype(np.uint16)].reshape(rows.shape)
    return out


def pq_eotf(signal: NDArray[np.float64]) -> NDArray[np.float64]:
    """PQ signal 0..1 -> cd/m2."""
    power = np.power(signal, 1 / PQ_M2)
    return MOST_NITS * np.power(np.maximum(power - PQ_C1, 0.0) / (PQ_C2 - PQ_C3 * power), 1 / PQ_M1)


def pq_inverse_eotf(nits: NDArray[np.float64]) -> NDArray[np.float64]:
    """cd/m2 -> PQ signal 0..1."""
    power = np.power(nits / MOST_NITS, PQ_M1)
    return np.power((PQ_C1 + PQ_C2 * power) / (1 + PQ_C3 * power), PQ_M2)


PQ_M1, PQ_M2 = 2610 / 16384, 2523 / 4096 * 128
PQ_C1, PQ_C2, PQ_C3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32


def hlg_inverse_oetf(signal: NDArray[np.float64]) -> NDArray[np.float64]:
    """HLG signal 0..1 -> scene light 0..1."""
    a = 0.17883277
    b, c = 1 - 4 * a, 0.5 - a * np.log(4 * a)
    return np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - c) / a) + b) / 12)


def eetf(nits: NDArray[np.float64], peak_nits: float) -> NDArray[np.float64]:
    """Tone curve from a source of this peak to WHITE_NITS, both with black at 0. BT.2390, "EETF"."""
    source_peak = pq_inverse_eotf(np.array(peak_nits))
    signal = np.minimum(pq_inverse_eotf(nits) / source_peak, 1.0)
    most = float(pq_inverse_eotf(np.array(WHITE_NITS)) / source_peak)
    if most >= 1.0:
        return np.minimum(nits, WHITE_NITS)
    knee = 1.5 * most - 0.5
    t = np.clip((signal - knee) / (1 - knee), 0.0, 1.0)
    spline = (
        (2 * t**3 - 3 * t**2 + 1) * knee + (t**3 - 2 * t**2 + t) * (1 - knee) + (-2 * t**3 + 3 * t**2) * most
    )  # fmt: skip
    return pq_eotf(np.where(signal < knee, signal, spline) * source_peak)


def srgb_oetf(light: NDArray[np.float64]) -> NDArray[np.float64]:
    """Light 0..1 -> sRGB 0..1. IEC 61966-2-1."""
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * np.power(light, 1 / 2.4) - 0.055)


def srgb_eotf(signal: NDArray[np.float64]) -> NDArray[np.float64]:
    """sRGB 0..1 -> light 0..1."""
    return np.where(signal <= 0.04045, signal / 12.92, np.power((signal + 0.055) / 1.055, 2.4))


def matrix_to_bt709(primaries: int) -> NDArray[np.float64]:
    """[3, 3] linear R, G, B of these primaries -> linear R, G, B of BT.709."""
    return np.linalg.inv(_to_xyz(BT709)) @ _to_xyz(primaries)


def _light(rows: NDArray[np.uint16], colour: Colour) -> NDArray[np.float32]:
    """Linear light in the source's primaries, 1.0 for the brightest that sRGB can show."""
    light = _decoded(colour.transfer)[rows]
    if colour.transfer is Transfer.PQ:
        light *= _pq_gain(colour.peak_nits)[rows.max(axis=-1)][..., None]
    elif colour.transfer is Transfer.HLG:
        luminance = light @ np.array([0.2627, 0.6780, 0.0593], np.float32)
        light *= np.power(luminance, np.float32(HLG_GAMMA - 1))[..., None]
        brightest = (light.max(axis=-1) * (LEVELS - 1) + 0.5).astype(np.uint16)
        light *= _hlg_gain()[brightest][..., None]
    return light


def _signal() -> NDArray[np.float64]:
    return np.arange(LEVELS) / (LEVELS - 1)


@lru_cache
def _decoded(transfer: Transfer) -> NDArray[np.float32]:
    """[LEVELS] signal -> PQ: cd/m2; HLG: scene light 0..1; SDR: light 0..1."""
    decode = {Transfer.PQ: pq_eotf, Transfer.HLG: hlg_inverse_oetf, Transfer.SDR: srgb_eotf}[transfer]
    return decode(_signal()).astype(np.float32)


@lru_cache
def _pq_gain(peak_nits: float) -> NDArray[np.float32]:
    """[LEVELS] PQ signal of the brightest channel -> factor from cd/m2 to sRGB light."""
    nits = np.maximum(pq_eotf(_signal()), 1e-6)
    return (eetf(nits, peak_nits) / nits / WHITE_NITS).astype(np.float32)


@lru_cache
def _hlg_gain() -> NDArray[np.float32]:
    """[LEVELS] light of the brightest channel, 1.0 at PEAK_NITS -> factor to sRGB light."""
    nits = np.maximum(_signal() * PEAK_NITS, 1e-6)
    return (eetf(nits, PEAK_NITS) / nits * PEAK_NITS / WHITE_NITS).astype(np.float32)


@lru_cache
def _encoded() -> NDArray[np.uint8]:
    return np.round(srgb_oetf(_signal()) * 255).astype(np.uint8)


@lru_cache
def _to_bt709(primaries: int) -> NDArray[np.float32]:
    return matrix_to_bt709(primaries).astype(np.float32)


def _to_xyz(primaries: int) -> NDArray[np.float64]:
    """[3, 3], SMPTE RP 177: the primaries scaled so that together they give the white point."""
    corners = np.array([[x / y, 1.0, (1 - x - y) / y] for x, y in PRIMARIES[primaries]]).T
    x, y = D65
    scale = np.linalg.solve(corners, [x / y, 1.0, (1 - x - y) / y])
    matrix: NDArray[np.float64] = corners * scale
    return matrix
