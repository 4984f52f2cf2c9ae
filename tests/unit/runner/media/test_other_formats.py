"""Photos and films in other formats than phones write today: read, or refused with what they are."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image, ImageCms

from runner.media.photo import reader
from runner.media.photo.reader import Photo
from runner.media.settings import Limits
from runner.media.video.container import CONTAINERS
from runner.media.video.header import DECODERS
from runner.media.video.reader import open_video
from runner.scene.frames import Clip
from scenejobs.errors import Code, InputError
from scenejobs.names import is_photo, is_video
from tests.films import write_film
from tests.photo_scenes import make, photos, pixels_of, quarters
from tests.photos import tags, write_photo
from tests.videos import corners, pan, write_video

LIMITS = Limits(min_long_side=64, min_short_side=48)
GREY = (128, 128, 128)


def photo(path: Path) -> Photo:
    with path.open("rb") as file:
        return reader.read(Clip(path.name, path, file.fileno()), LIMITS, None)


def refusal(path: Path) -> InputError:
    with pytest.raises(InputError) as caught:
        photo(path)
    assert path.name in caught.value.cause
    assert caught.value.code == Code.NOT_A_PHOTO
    return caught.value


def film(path: Path) -> tuple[list[np.ndarray], list[str]]:
    with open_video(Clip(path.name, path), LIMITS) as video:
        return [frame.rgb() for frame in video.frames()], video.warnings


# ---- photos ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("suffix", "kind"), [(".webp", "WEBP"), (".avif", "AVIF"), (".jfif", "JPEG")])
def test_webp_avif_and_jfif_are_photos_beside_others_upright(tmp_path, suffix, kind):
    """Through the sandboxed decoder, whose libraries must need nothing that it forbids."""
    path = tmp_path / f"turned{suffix}"
    Image.fromarray(corners(160, 96)).save(path, kind, quality=95, exif=tags(orientation=6))
    found = make([*photos(tmp_path, 8), Clip(path.name, path)], tmp_path)
    assert found.refused == ()
    (frame,) = [frame for frame in found.frames if frame.photo == path.name]
    assert quarters(pixels_of(tmp_path, frame.image)) == ["blue", "red", "white", "green"]


def test_wide_gamut_numbers_of_an_avif_are_followed(tmp_path):
    """BT.2020 primaries in the file's nclx box: the same numbers mean a more colourful picture."""
    path = tmp_path / "a.avif"
    Image.new("RGB", (96, 64), (160, 110, 90)).save(path, "AVIF", quality=100)
    plain = photo(path).pixels[30, 40].astype(int)
    data = path.read_bytes()
    at = data.index(b"colrnclx") + 8
    path.write_bytes(data[:at] + b"\0\x09" + data[at + 2 :])
    wide = photo(path).pixels[30, 40].astype(int)
    assert wide[0] > plain[0] + 5
    assert wide[2] < plain[2]


def test_transparent_parts_of_a_photo_are_white_and_that_is_said(tmp_path):
    pixels = np.dstack([corners(160, 96), np.full((96, 160), 255, np.uint8)])
    Image.fromarray(pixels).save(tmp_path / "opaque.png")
    assert photo(tmp_path / "opaque.png").warnings == ()
    pixels[:, 80:, 3] = 0
    for kind in ("png", "webp"):
        Image.fromarray(pixels).save(tmp_path / f"a.{kind}", lossless=True)
        found = photo(tmp_path / f"a.{kind}")
        assert found.warnings == ("its transparent parts are shown on white",)
        assert found.pixels[20, 120].tolist() == [255, 255, 255]
        assert found.pixels[20, 20].tolist() == [255, 0, 0]
    palette = Image.fromarray(pixels).quantize(8)
    palette.save(tmp_path / "palette.png")
    assert photo(tmp_path / "palette.png").pixels[20, 120].tolist() == [255, 255, 255]


def test_many_transparent_photos_say_so_once(tmp_path):
    pixels = [np.dstack([view, np.full((96, 160), 255, np.uint8)]) for view in pan(9, 40, 160, 96)]
    clips = []
    for number, one in enumerate(pixels):
        one[:20, :20, 3] = 0
        Image.fromarray(one).save(tmp_path / f"{number}.png")
        clips.append(Clip(f"{number}.png", tmp_path / f"{number}.png"))
    (info,) = make(clips, tmp_path).clips
    assert sum("transparent" in warning for warning in info.warnings) == 1


@pytest.mark.parametrize("mode", ["CMYK", "L", "P", "1", "I;16", "LA"])
@pytest.mark.parametrize("kind", ["jpeg", "png", "tiff"])
def test_photos_of_every_mode_show_what_they_show(tmp_path, mode, kind):
    path = tmp_path / f"a.{kind}"
    grey = Image.new("RGB", (160, 96), GREY)
    image = Image.fromarray(np.full((96, 160), 128 * 257, np.uint16)) if mode == "I;16" else grey.convert(mode)
    try:
        image.save(path, kind)
    except OSError:
        pytest.skip(f"no {mode} in {kind}")
    assert abs(float(photo(path).pixels.mean()) - 128) < (40 if mode == "1" else 3)


def test_a_print_whose_profile_is_of_something_else_is_shown_without_it(tmp_path):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.new("CMYK", (160, 96), (0, 255, 255, 0)).save(tmp_path / "a.jpg", icc_profile=profile, quality=95)
    assert photo(tmp_path / "a.jpg").pixels[40, 40].tolist() == pytest.approx([254, 0, 0], abs=3)


def test_raw_photos_are_refused_as_such(tmp_path):
    dng = tmp_path / "renamed.tif"
    Image.new("RGB", (160, 96)).save(dng, "TIFF", tiffinfo={0xC612: b"\1\4\0\0"})
    (tmp_path / "a.dng").write_bytes(dng.read_bytes())
    (tmp_path / "a.raf").write_bytes(b"FUJIFILMCCD-RAW 0201" + bytes(400))
    (tmp_path / "b.jpg").write_bytes(b"\0\0\0\x18ftypcrx \0\0\0\1crx isom" + bytes(400))
    (tmp_path / "c.tif").write_bytes(b"II*\0\x10\0\0\0CR\x02\0" + bytes(400))
    preview = {0xFE: 1, 0x14A: 8}
    Image.new("RGB", (160, 96)).save(tmp_path / "d.tif", "TIFF", tiffinfo=preview)
    for name in ("renamed.tif", "a.dng", "a.raf", "b.jpg", "c.tif", "d.tif"):
        error = refusal(tmp_path / name)
        assert "a raw photo of a camera" in error.cause
        assert "JPEG" in error.advice
    assert is_photo("a/B.DNG")


def test_pictures_that_are_not_read_are_named(tmp_path):
    Image.new("RGB", (160, 96)).save(tmp_path / "a.gif")
    (tmp_path / "a.gif").rename(tmp_path / "a.png")
    assert "a GIF" in refusal(tmp_path / "a.png").cause
    (tmp_path / "a.jpg").write_bytes(b"\xff\x0a" + bytes(400))
    assert "a JPEG XL" in refusal(tmp_path / "a.jpg").cause
    with pytest.raises(InputError, match=r"not a video.*JPEG XL") as caught:
        film(tmp_path / "a.jpg")
    assert caught.value.code == Code.NOT_A_VIDEO


@pytest.mark.parametrize("kind", ["WEBP", "AVIF", "PNG"])
def test_a_picture_that_moves_is_no_photo(tmp_path, kind):
    path = tmp_path / f"a.{kind.lower()}"
    first, *others = [Image.fromarray(view) for view in pan(3, 8, 160, 96)]
    first.save(path, kind, save_all=True, append_images=others)
    error = refusal(path)
    assert "holds 3 pictures" in error.cause
    assert "MP4" in error.advice


def test_a_photo_with_the_name_of_a_video_is_called_a_photo(tmp_path):
    for suffix in (".avif", ".webp", ".jpg", ".heic"):
        path = tmp_path / f"a{suffix}"
        write_photo(path, corners(160, 96)) if suffix in (".jpg", ".heic") else Image.fromarray(corners()).save(path)
        with pytest.raises(InputError, match="not a video, but a photo") as caught:
            film(path.rename(tmp_path / f"{suffix[1:]}.mp4"))
        assert caught.value.code == Code.NOT_A_VIDEO
        assert "JPEG" in caught.value.advice


# ---- films ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("suffix", "container", "codec"),
    [
        (".mts", "mpegts", "libx264"),
        (".ts", "mpegts", "mpeg2video"),
        (".mpg", "mpeg", "mpeg2video"),
        (".mpeg", "mpeg", "mpeg1video"),
        (".wmv", "asf", "wmv2"),
        (".flv", "flv", "flv"),
        (".flv", "flv", "libx264"),
        (".3gp", "3gp", "mpeg4"),
        (".avi", "avi", "msmpeg4"),
        (".mkv", "matroska", "ffv1"),
        (".mov", "mov", "dnxhd"),
        (".hevc", "hevc", "libx265"),
    ],
)
def test_films_of_other_cameras_are_read(tmp_path, suffix, container, codec):
    size = (1280, 720) if codec == "dnxhd" else (160, 96)
    more = {"options": {"b": "60M"}, "pix_fmt": "yuv422p"} if codec == "dnxhd" else {}
    path = write_film(tmp_path / f"a{suffix}", pan(30, 4, *size), container=container, codec=codec, fps=25, **more)
    assert is_video(path.name)
    assert path.name.upper() == "A.MTS" or is_video(path.name.upper())
    frames, warnings = film(path)
    assert 28 <= len(frames) <= 30
    assert [warning for warning in warnings if "timestamps" not in warning] == []
    assert abs(frames[3].astype(int) - pan(30, 4, *size)[3]).mean() < 12


def test_a_film_without_any_timestamp_is_read(tmp_path):
    """A stream without a container, as small computers record it: 25 pictures per second are assumed, which is said."""
    path = write_film(tmp_path / "a.h264", pan(40, 4, 160, 96), container="h264", fps=25)
    with open_video(Clip(path.name, path), LIMITS) as video:
        times = [frame.timestamp_s for frame in video.frames()]
    assert len(times) == 40
    assert times == pytest.approx([number / 25 for number in range(40)], abs=1e-6)


def test_a_codec_that_is_not_supported_is_named(tmp_path):
    path = write_film(tmp_path / "a.avi", pan(12, 4, 160, 96), container="avi", codec="huffyuv", pix_fmt="yuv422p")
    with pytest.raises(InputError, match="the codec huffyuv, which is not supported") as caught:
        film(path)
    assert caught.value.code == Code.NOT_A_VIDEO


def test_a_transport_stream_whose_clock_wraps_keeps_its_times(tmp_path):
    """33 bits at 90 kHz end after 95,443.7 s."""
    path = write_film(tmp_path / "a.ts", pan(40, 4, 160, 96), container="mpegts", fps=10, starts_s=95_440.0)
    with open_video(Clip(path.name, path), LIMITS) as video:
        times = [frame.timestamp_s for frame in video.frames()]
    assert times == pytest.approx([number / 10 for number in range(40)], abs=1e-3)


@pytest.mark.parametrize(
    ("codec", "pix_fmt"),
    [("libx264", "yuv422p10le"), ("libx265", "yuv420p12le"), ("libx265", "gray10le"), ("prores_ks", "yuv422p10le"),
     ("libx264", "yuv444p"), ("libvpx-vp9", "yuv440p")],
)  # fmt: skip
def test_other_depths_and_samplings_show_the_same(tmp_path, codec, pix_fmt):
    picture = np.full((96, 160, 3), GREY, np.uint8)
    path = write_film(tmp_path / "a.mkv", [picture] * 12, container="matroska", codec=codec, pix_fmt=pix_fmt)
    frames, _ = film(path)
    assert len(frames) == 12
    assert np.abs(frames[5].astype(int) - 128).max() <= 4


@pytest.mark.parametrize("codec", ["libvpx-vp9", "mjpeg"])
def test_odd_sizes_with_halved_colours_keep_every_pixel(tmp_path, codec):
    pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    path = write_film(tmp_path / "a.mkv", [corners(161, 97)] * 12, container="matroska", codec=codec, pix_fmt=pix_fmt)
    frames, _ = film(path)
    assert {frame.shape for frame in frames} == {(97, 161, 3)}


def test_a_good_video_stays_one(tmp_path):
    assert len(film(write_video(tmp_path / "a.mp4", pan(12, 4, 160, 96)))[0]) == 12


def test_the_document_on_security_lists_what_the_decoder_may_use():
    """And nothing that FFmpeg does not have."""
    text = (Path(__file__).parents[4] / "docs" / "SECURITY.md").read_text(encoding="utf-8")
    for name in (*DECODERS - {"wmv2", "msmpeg4v1", "msmpeg4v2"}, *CONTAINERS.split(",")):
        if name not in ("mp4", "m4a", "3gp", "3g2", "mj2", "webm"):  # demuxer names of one family
            assert f"`{name}`" in text, name
    assert set(CONTAINERS.split(",")) <= {part for name in av.formats_available for part in name.split(",")}
    assert av.codecs_available >= DECODERS


@pytest.mark.parametrize(
    ("container", "codec", "named"),
    [("mxf", "mpeg2video", "MXF"), ("ivf", "libvpx", "IVF"), ("nut", "libx264", "NUT"), ("obu", "libsvtav1", "AV1")],
)
def test_a_film_in_a_container_that_is_not_read_is_called_a_film(tmp_path, container, codec, named):
    path = write_film(tmp_path / "a.mp4", pan(3, 4, 160, 96), container=container, codec=codec, fps=25)
    with pytest.raises(InputError, match=f"is a video in a container that is not read: {named}") as caught:
        film(path)
    assert caught.value.code == Code.NOT_A_VIDEO
    assert "convert it to MP4" in caught.value.advice
