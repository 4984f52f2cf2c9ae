"""What EXIF says of time, place and focal length, and what it only seems to say."""

from __future__ import annotations

import pytest

from runner.media.photo.metadata import Tags, read_photo


def test_the_focal_length_is_that_of_the_diagonal():
    """iPhone 12, main camera: 26 mm equivalent; 4.2 mm at 1.4 um are 3000 px, within the rounding of 26."""
    recording = read_photo(Tags({}, {0xA405: 26}, {}), 4032, 3024)
    assert recording.focal_px == pytest.approx(26 / 43.2666 * 5040, rel=1e-4)
    assert recording.focal_px == pytest.approx(3000, rel=0.02)


def test_the_focal_length_comes_from_the_sensor_where_no_equivalent_is_stated():
    """Canon EOS 5D: 5616 px on 36 mm, so 50 mm are 7800 px; half of it for a picture of half the size."""
    exif = {0x920A: 50.0, 0xA20E: 5616 / (36 / 25.4), 0xA210: 2, 0xA002: 5616, 0xA003: 3744}
    assert read_photo(Tags({}, exif, {}), 5616, 3744).focal_px == pytest.approx(7800, rel=1e-3)
    assert read_photo(Tags({}, exif, {}), 1872, 2808).focal_px == pytest.approx(3900, rel=1e-3)


@pytest.mark.parametrize(
    "exif", [{}, {0xA405: 0}, {0xA405: "x"}, {0xA405: 1e9}, {0x920A: 50.0}, {0xA405: float("nan")}]
)
def test_a_focal_length_that_is_missing_or_cannot_be_is_not_stated(exif):
    assert read_photo(Tags({}, exif, {}), 4032, 3024).focal_px is None


@pytest.mark.parametrize(
    ("text", "offset", "expected"),
    [
        ("2026:11:24 10:00:00", "+02:00", "2026-11-24T08:00:00+00:00"),
        ("2026:11:24 10:00:00", "", "2026-11-24T10:00:00"),
        ("0000:00:00 00:00:00", "", None),
        ("1970:01:01 00:00:00", "", None),
        ("2026:13:24 10:00:00", "", None),
        ("yesterday", "", None),
        ("9999:12:31 23:59:59", "-12:00", None),
    ],
)
def test_times_are_utc_where_the_zone_is_known(text, offset, expected):
    assert read_photo(Tags({}, {0x9003: text, 0x9011: offset}, {}), 10, 10).recorded_at == expected


@pytest.mark.parametrize(
    ("value", "reference", "altitude_m"),
    [
        (519.25, b"\0", 519.25), (430.5, b"\1", -430.5), (430.5, 1, -430.5), (12, None, 12.0), (430.5, 3, -430.5),
        (0, b"\0", None), (50_000, b"\0", None), (900, b"\1", None), (float("nan"), b"\0", None), (None, b"\0", None),
        ("high", b"\0", None),
    ],
)  # fmt: skip
def test_altitudes_are_read_and_those_that_cannot_be_are_none(value, reference, altitude_m):
    assert read_photo(Tags({}, {}, {6: value, 5: reference}), 10, 10).altitude_m == altitude_m


def test_places_that_cannot_be_are_none():
    def place(*values):
        return read_photo(Tags({}, {}, dict(zip((1, 2, 3, 4), values, strict=True))), 10, 10).gps

    assert place("S", (33, 30, 36), "W", (70, 0, 0)) == pytest.approx((-33.51, -70.0))
    assert place("N", (0, 0, 0), "E", (0, 0, 0)) is None
    assert place("N", (95, 0, 0), "E", (0, 0, 0)) is None
    assert place("N", (float("nan"), 0, 0), "E", (1, 0, 0)) is None
    assert place("N", None, "E", (1, 0, 0)) is None
