"""HDR clips become ordinary pictures: what is expected is computed here, number by number, from the standards."""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from runner.media.colour import Colour, Transfer, colour_of, eetf, matrix_to_bt709, pq_eotf, to_srgb
from runner.media.settings import Limits
from runner.media.video.reader import open_video
from runner.scene.frames import Clip
from tests.videos import write_patches

SMALL = Limits(min_long_side=64, min_short_side=48)
PQ, HLG, SDR_2020 = 16, 18, 14  # H.273

# ITU-R BT.2100, table 4
M1, M2, C1, C2, C3 = 0.1593017578125, 78.84375, 0.8359375, 18.8515625, 18.6875
# ITU-R BT.2087, annex: linear BT.2020 to linear BT.709 (inverse of M2)
BT2020_TO_709 = ((1.6605, -0.5876, -0.0728), (-0.1246, 1.1329, -0.0083), (-0.0182, -0.1006, 1.1187))


def pq_nits(signal: float) -> float:
    power = signal ** (1 / M2)
    return 10_000 * (max(power - C1, 0) / (C2 - C3 * power)) ** (1 / M1)


def pq_signal(nits: float) -> float:
    power = (nits / 10_000) ** M1
    return ((C1 + C2 * power) / (1 + C3 * power)) ** M2


def hlg_nits(colour: tuple[float, ...]) -> list[float]:
    """BT.2100 table 5: inverse OETF, then the OOTF of a display of 1000 cd/m2."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    scene = [s * s / 3 if s <= 0.5 else (math.exp((s - c) / a) + b) / 12 for s in colour]
    luminance = 0.2627 * scene[0] + 0.6780 * scene[1] + 0.0593 * scene[2]
    return [1000 * luminance**0.2 * s for s in scene] if luminance > 0 else [0.0] * 3


def tone_mapped(nits: float, peak: float) -> float:
    """BT.2390, EETF from `peak` to 203 cd/m2, blacks at 0."""
    e1, most = pq_signal(min(nits, peak)) / pq_signal(peak), pq_signal(203) / pq_signal(peak)
    knee = 1.5 * most - 0.5
    if e1 < knee:
        return nits
    t = (e1 - knee) / (1 - knee)
    e2 = (2 * t**3 - 3 * t**2 + 1) * knee + (t**3 - 2 * t**2 + t) * (1 - knee) + (-2 * t**3 + 3 * t**2) * most
    return pq_nits(e2 * pq_signal(peak))


def expected(colour: tuple[float, ...], transfer: int, peak: float = 1000) -> list[float]:
    """sRGB 0..255 of an R'G'B' signal in BT.2020."""
    nits = hlg_nits(colour) if transfer == HLG else [pq_nits(s) for s in colour]
    brightest = max(nits)
    gain = tone_mapped(brightest, peak) / brightest if brightest else 0.0
    light = [value * gain / 203 for value in nits]
    out = []
    for row in BT2020_TO_709:
        value = min(1.0, max(0.0, sum(weight * part for weight, part in zip(row, light, strict=True))))
        out.append(255 * (12.92 * value if value <= 0.0031308 else 1.055 * value ** (1 / 2.4) - 0.055))
    return out


GREYS = [(s, s, s) for s in (0.0, 0.1, 0.25, 0.38, 0.5, 0.58, 0.65, 0.75, 0.9, 1.0)]
TINTS = [(0.45, 0.38, 0.33), (0.30, 0.40, 0.32), (0.30, 0.36, 0.48), (0.70, 0.60, 0.50), (0.60, 0.66, 0.70)]


def stripes(path: Path) -> tuple[list[np.ndarray], list[int], list[str]]:
    """RGB and brightness in the middle of each stripe of the last picture."""
    with open_video(Clip(path.name, path), SMALL) as video:
        for picture in video.frames():
            pixels, luma = picture.rgb(), picture.luma(10_000)
        middles = [16 + 32 * i for i in range(pixels.shape[1] // 32)]
        return [pixels[30, x] for x in middles], [int(luma[30, x]) for x in middles], video.warnings


@pytest.mark.parametrize("codec", ["libx265", "libx264", "libsvtav1"])
@pytest.mark.parametrize("transfer", [PQ, HLG])
@pytest.mark.parametrize("full_range", [False, True])
def test_hdr_patches_have_the_colours_of_the_standards(tmp_path, codec, transfer, full_range):
    """Half a step for each rounding: to 10 bits, whose step is two of 8 bits where PQ is steep, and to 8 bits."""
    colours = [*GREYS, *TINTS]
    path = write_patches(tmp_path / "a.mp4", colours, codec=codec, transfer=transfer, full_range=full_range)
    found, luma, warnings = stripes(path)
    wanted = [expected(colour, transfer) for colour in colours]
    assert np.abs(np.array(found, float) - wanted).max() <= 2.0
    greys = np.array(wanted)[: len(GREYS), 1]
    assert np.abs(np.array(luma[: len(GREYS)]) - greys).max() <= 2.0  # what sharpness is measured on is the same
    assert warnings == []


def test_paper_white_is_bright_and_middle_grey_is_where_sdr_has_it(tmp_path):
    """ITU-R BT.2408 table 1: 18 % grey is 38 % signal in PQ and HLG, diffuse white 58 % PQ and 75 % HLG."""
    for transfer, white in ((PQ, 0.58), (HLG, 0.75)):
        path = write_patches(tmp_path / "a.mp4", [(0.38,) * 3, (white,) * 3, (1.0,) * 3], codec="libx265",
                             transfer=transfer)  # fmt: skip
        (grey, paper, sun), _, _ = stripes(path)
        assert np.all((grey >= 96) & (grey <= 106))
        assert np.all((paper >= 225) & (paper <= 233))
        assert np.all(sun == 255)


def test_a_ten_bit_ramp_has_no_steps_and_no_flat_ends(tmp_path):
    """Every 4th 10-bit code from black to white: brightness never falls, and no step is larger than it must be."""
    ramp = [((code - 64) / 876,) * 3 for code in range(64, 941, 4)]
    path = write_patches(tmp_path / "a.mp4", ramp, codec="libx265", transfer=PQ, frames=1)
    found = np.array(stripes(path)[0], int)
    wanted = np.array([expected(colour, PQ)[0] for colour in ramp])
    assert np.all(np.diff(found, axis=0) >= 0)
    assert np.abs(found[:, 0] - wanted).max() <= 1.0
    assert (found[:, 0] == found[:, 2]).all()


def test_the_peak_of_the_mastering_display_bounds_the_curve(tmp_path):
    """Graded on 4000 cd/m2, 1000 is no longer the brightest."""
    colours = [(pq_signal(nits),) * 3 for nits in (26, 203, 1000, 4000)]
    path = write_patches(tmp_path / "a.mp4", colours, codec="libx265", transfer=PQ, mastering_nits=4000)
    found = np.array(stripes(path)[0], float)
    assert np.abs(found - [expected(colour, PQ, peak=4000) for colour in colours]).max() <= 2.0
    assert found[2].max() < found[3].min() == 255


def test_an_hdr_clip_is_turned_and_its_pixels_are_made_square(tmp_path):
    colours = [(0.2,) * 3, (0.4,) * 3, (0.6,) * 3]
    path = write_patches(tmp_path / "a.mp4", colours, codec="libx265", transfer=HLG, rotation_deg=90,
                         pixel_aspect=Fraction(4, 3))  # fmt: skip
    with open_video(Clip("a", path), SMALL) as video:
        picture = next(video.frames())
        pixels, luma, small = picture.rgb(), picture.luma(10_000), picture.rgb(65)
    assert pixels.shape == (128, 64, 3)
    assert luma.shape == (128, 64)
    assert small.shape == (65, 32, 3)
    wanted = [expected(colour, HLG)[0] for colour in reversed(colours)]  # left is at the bottom now
    assert np.abs(pixels[[21, 64, 106], 32, 0] - wanted).max() <= 2
    assert np.abs(small[[11, 32, 54], 16, 0] - wanted).max() <= 2


def test_a_mastering_display_that_cannot_be_is_not_believed():
    assert colour_of(PQ, 9, 1e9).peak_nits == 10_000
    assert colour_of(PQ, 9, 5.0).peak_nits == 1000
    assert colour_of(HLG, 2) == Colour(Transfer.HLG, 9, 1000)


def test_wide_gamut_without_hdr_keeps_its_greys_and_moves_its_colours(tmp_path):
    """SDR in BT.2020: the signal is taken for sRGB's curve, only the primaries change."""
    colours = [(0.5, 0.5, 0.5), (0.6, 0.5, 0.4), (1.0, 1.0, 1.0)]
    path = write_patches(tmp_path / "a.mp4", colours, codec="libx265", transfer=SDR_2020)
    found = np.array(stripes(path)[0], float)
    light = np.array([[((s + 0.055) / 1.055) ** 2.4 for s in colour] for colour in colours]) @ np.array(BT2020_TO_709).T
    wanted = 255 * (1.055 * np.clip(light, 0, 1) ** (1 / 2.4) - 0.055)
    assert np.abs(found - wanted).max() <= 1.5


def test_the_matrices_are_those_that_are_published():
    assert np.abs(matrix_to_bt709(9) - BT2020_TO_709).max() < 1e-4  # ITU-R BT.2087
    assert np.abs(matrix_to_bt709(12)[0] - [1.2249, -0.2249, 0.0]).max() < 1e-4  # Display P3, CSS Color 4
    assert np.abs(matrix_to_bt709(1) - np.eye(3)).max() < 1e-12


def test_pq_has_its_published_values():
    """ITU-R BT.2408 and SMPTE ST 2084: 100 cd/m2 at 0.508, 203 at 0.581, 1000 at 0.752, 10000 at 1."""
    assert pq_eotf(np.array([0.0, 0.5081, 0.5807, 0.7518, 1.0])) == pytest.approx([0, 100, 203, 1000, 10_000], rel=2e-3)


def test_the_tone_curve_starts_straight_ends_at_white_and_never_falls():
    nits = np.linspace(0, 1200, 5000)
    mapped = eetf(nits, 1000.0)
    assert np.allclose(mapped[nits < 85], nits[nits < 85])
    assert mapped.max() == pytest.approx(203)
    assert np.all(np.diff(mapped) >= -1e-9)
    assert eetf(np.array([100.0, 203.0, 300.0]), 203.0) == pytest.approx([100, 203, 203])  # nothing to compress


def test_a_saturated_light_is_clipped_to_the_gamut_and_stays_its_own_colour():
    """Laser green of BT.2020 at the full signal: no overflow, no other hue."""
    signal = np.zeros((1, 1, 3), np.uint16)
    signal[..., 1] = 65535
    assert to_srgb(signal, Colour(Transfer.PQ, 9)).tolist() == [[[0, 255, 0]]]


def add_dolby_vision(path: Path) -> None:
    """Marks an HEVC MP4 as Dolby Vision profile 8.4 (HLG base), as iPhones do: a `dvvC` box in the sample entry."""
    data = bytearray(path.read_bytes())
    flags = 8 << 9 | 4 << 3 | 0b101  # profile 8, level 4, RPU and base layer present, no enhancement layer
    record = bytes([1, 0]) + flags.to_bytes(2, "big") + bytes([4 << 4]) + bytes(19)
    box = (8 + len(record)).to_bytes(4, "big") + b"dvvC" + record
    at, names = 0, [b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd", b"hev1"]
    for name in names:
        at = data.index(name, at)
        size = int.from_bytes(data[at - 4 : at], "big")
        data[at - 4 : at] = (size + len(box)).to_bytes(4, "big")
    data[at - 4 + size : at - 4 + size] = box
    path.write_bytes(data)  # the index lies behind the pictures: nothing else moves


def test_dolby_vision_of_a_phone_is_read_as_its_hlg_base(tmp_path):
    path = write_patches(tmp_path / "a.mp4", GREYS, codec="libx265", transfer=HLG)
    plain, _, _ = stripes(path)
    add_dolby_vision(path)
    with av.open(str(path)) as container:
        assert len(container.streams.video) == 1
    assert b"dvvC" in path.read_bytes()
    assert np.array_equal(stripes(path)[0], plain)
