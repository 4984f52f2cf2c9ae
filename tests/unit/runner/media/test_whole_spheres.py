"""360-degree films become views around the horizon; what cannot be read is named, with the way to export it."""

from __future__ import annotations

import shutil
import struct
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from runner.context import StageContext
from runner.dataset.holdout import split_of_moments
from runner.media.extract import extract_frames
from runner.media.photo.panorama import photo_shape
from runner.media.settings import FrameSettings, Limits
from runner.media.video.survey import survey
from runner.scene.frames import Clip, FrameSet
from runner.scene.masks import read_mask
from runner.scene.progress import SILENT
from runner.scene.view_directions import cam_from_first
from scenejobs.errors import Code, InputError
from tests.photos import write_photo
from tests.videos import pan, wall, write_video
from tests.wide_lenses import equirectangular_rays, film, fisheye_rays, seen, walk

LIMITS = Limits(min_long_side=64, min_short_side=48)
SETTINGS = FrameSettings(budget=24, long_side=200, limits=LIMITS)
XML = (
    b'<?xml version="1.0"?><rdf:SphericalVideo xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"'
    b' xmlns:GSpherical="http://ns.google.com/videos/1.0/spherical/"><GSpherical:Spherical>true</GSpherical:Spherical>'
    b"<GSpherical:Stitched>true</GSpherical:Stitched><GSpherical:StitchingSoftware>x</GSpherical:StitchingSoftware>"
    b"<GSpherical:ProjectionType>equirectangular</GSpherical:ProjectionType></rdf:SphericalVideo>"
)
V1 = b"\xff\xcc\x82\x63\xf8\x55\x4a\x93\x88\x14\x58\x7a\x02\x52\x1f\xdd" + XML  # id of Spherical Video V1 RFC


def with_box_in_track(path: Path, kind: bytes, content: bytes) -> Path:
    """The MP4 with one more box at the end of its only track; the index lies behind the pictures, so nothing moves."""
    data = path.read_bytes()
    box = struct.pack(">I", 8 + len(content)) + kind + content
    moov, trak = data.rindex(b"moov") - 4, data.rindex(b"trak") - 4
    end = trak + struct.unpack_from(">I", data, trak)[0]
    changed = bytearray(data[:end] + box + data[end:])
    for at in (moov, trak):
        struct.pack_into(">I", changed, at, struct.unpack_from(">I", data, at)[0] + len(box))
    path.write_bytes(changed)
    return path


def extracted(tmp_path: Path, *paths: Path) -> FrameSet:
    clips = [Clip(path.name, path) for path in paths]
    return extract_frames(clips, StageContext(tmp_path, SILENT), SETTINGS)


def refusal(path: Path) -> InputError:
    with pytest.raises(InputError) as refused:
        survey(Clip(path.name, path), LIMITS, lambda *_: None)
    return refused.value


@pytest.fixture(scope="module")
def sphere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return film(tmp_path_factory.mktemp("sphere") / "round.mp4", walk(24, 0.0), equirectangular_rays(1280))


def test_each_frame_gives_four_views_that_look_like_a_pinhole_there(sphere: Path, tmp_path: Path) -> None:
    result = extracted(tmp_path, sphere)
    assert [clip.name for clip in result.clips] == [
        "round.mp4 (front)", "round.mp4 (right)", "round.mp4 (back)", "round.mp4 (left)"
    ]  # fmt: skip
    assert {clip.source for clip in result.clips} == {"round.mp4"}
    indices = [[frame.index for frame in result.frames if frame.video == clip.name] for clip in result.clips]
    assert all(one == other for one, other in pairwise(indices))
    assert len(indices[0]) == 12  # the budget of 24 counts pictures, of which there are more where a scene needs them
    assert "360" in " ".join(result.clips[0].warnings)
    side = result.clips[0].width
    v, u = np.mgrid[0:side, 0:side] + 0.5
    pinhole = np.stack([(u - side / 2), (v - side / 2), np.full_like(u, result.clips[0].focal_px or 0)], axis=-1)
    pinhole /= np.linalg.norm(pinhole, axis=-1, keepdims=True)
    for turns, clip in enumerate(result.clips):
        index = indices[turns][2]
        with Image.open(tmp_path / "frames" / clip.folder / f"{index:06d}.png") as image:
            ours = np.asarray(image.convert("L")).astype(float)
        position, rotation = walk(24, 0.0)[index]
        true = np.asarray(Image.fromarray(seen((position, cam_from_first(turns) @ rotation), pinhole)).convert("L"))
        assert np.corrcoef(ours.ravel(), true.ravel())[0, 1] > 0.8
        others = [walk(24, 0.0)[index][1], cam_from_first(turns + 1) @ rotation]
        wrong = np.asarray(Image.fromarray(seen((position, others[1]), pinhole)).convert("L"))
        assert np.corrcoef(ours.ravel(), wrong.ravel())[0, 1] < 0.3
    shutil.rmtree(tmp_path / "frames")  # as on another machine, which has the choice and not the pictures
    assert extracted(tmp_path, sphere) == result
    assert all((tmp_path / "frames" / frame.image).is_file() for frame in result.frames)


def test_the_views_of_one_moment_are_held_out_together() -> None:
    timeline = [(f"a ({name})", float(second)) for name in "wxyz" for second in range(30)]
    split = split_of_moments(timeline, {f"a ({name})": "a" for name in "wxyz"})
    of_moment: dict[float, set[str]] = {}
    for (_, second), part in zip(timeline, split, strict=True):
        of_moment.setdefault(second, set()).add(part)
    assert all(len(parts) == 1 for parts in of_moment.values())
    assert {"test"} in of_moment.values()


def test_what_the_container_says_is_believed(tmp_path: Path) -> None:
    """Of pictures that show nothing of it."""
    path = write_video(tmp_path / "a.mp4", pan(20, 4, 640, 320))
    assert survey(Clip("a.mp4", path), LIMITS, lambda *_: None)[0].info.projection == ""
    with_box_in_track(path, b"uuid", V1)
    assert survey(Clip("a.mp4", path), LIMITS, lambda *_: None)[0].info.projection == "equirectangular"


def test_a_cropped_sphere_is_refused(tmp_path: Path) -> None:
    path = with_box_in_track(write_video(tmp_path / "a.mp4", pan(20, 4, 640, 480)), b"uuid", V1)
    assert refusal(path).code == Code.PANORAMA


def test_raw_recordings_are_refused_with_the_way_to_export_them(tmp_path: Path) -> None:
    rays = fisheye_rays(240, 240, 120 / np.radians(95), 190)
    pictures = [
        np.hstack([seen(front, rays), seen(back, rays)]) for front, back in zip(walk(6), walk(6, 180.0), strict=True)
    ]
    error = refusal(write_video(tmp_path / "VID_00_001.insv", pictures, fps=1))
    assert error.code == Code.PANORAMA
    assert "Insta360" in error.cause
    assert "app" in error.advice


def test_a_disc_is_a_fisheye_of_about_that_focal_length(tmp_path: Path) -> None:
    focal = 120 / np.radians(95)
    path = film(tmp_path / "disc.mp4", walk(20), fisheye_rays(320, 240, focal, 190))
    result = extracted(tmp_path, path)
    assert result.clips[0].projection == "fisheye"
    assert result.clips[0].focal_px == pytest.approx(focal, rel=0.03)
    assert result.clips[0].view is None
    used = read_mask(tmp_path / "masks", result.frames[0].image)  # black corners are no part of the scene
    assert used is not None
    assert used[used.shape[0] // 2, used.shape[1] // 2]
    assert not used[0, 0]
    assert not used[used.shape[0] // 2, 0]


@pytest.mark.parametrize(("size", "what"), [((512, 160), "GoPro MAX"), ((240, 240), "each lens")])
def test_two_lenses_in_two_streams_are_refused(tmp_path: Path, size: tuple[int, int], what: str) -> None:
    path = tmp_path / "GS010001.mp4"
    with av.open(str(path), "w") as container:
        streams = [container.add_stream("libx264", rate=10) for _ in range(2)]
        for stream in streams:
            stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for index in range(12):
            for stream in streams:
                frame = av.VideoFrame.from_ndarray(np.roll(wall(*size), 4 * index, axis=1))
                frame.pts, frame.time_base = index, Fraction(1, 10)
                container.mux(stream.encode(frame))
        for stream in streams:
            container.mux(stream.encode(None))
    error = refusal(path)
    assert error.code == Code.PANORAMA
    assert what in error.cause


def sphere_photos(folder: Path, xmp: bytes) -> list[Path]:
    def pixels(pose: tuple[NDArray[np.float64], NDArray[np.float64]]) -> NDArray[np.uint8]:
        return seen(pose, equirectangular_rays(640))

    return [
        write_photo(folder / f"R{number:04d}.jpg", pixels(pose), xmp=xmp) for number, pose in enumerate(walk(8, 0.0))
    ]


def test_an_ordinary_picture_that_was_made_of_a_panorama_is_one(tmp_path: Path) -> None:
    assert (
        photo_shape(Clip("a.jpg", tmp_path), b'<x GPano:ProjectionType="rectilinear"/>', wall(640, 480)[..., 0]) == ""
    )


def test_photo_spheres_give_views_and_parts_of_panoramas_are_left_out(tmp_path: Path) -> None:
    whole = b'<x GPano:ProjectionType="equirectangular"/>'
    part = (
        b'<x GPano:ProjectionType="equirectangular" GPano:FullPanoWidthPixels="4000" GPano:FullPanoHeightPixels="2000"'
        b' GPano:CroppedAreaImageWidthPixels="3000" GPano:CroppedAreaImageHeightPixels="700"/>'
    )
    photos = sphere_photos(tmp_path, whole)
    strip = write_photo(tmp_path / "PANO.jpg", wall(640, 160), xmp=part)
    result = extracted(tmp_path, *photos, strip)
    assert len(result.clips) == 4
    assert len(result.frames) == 32
    assert result.clips[0].width == 200  # as large as the other frames of the scene, not a part of a shrunk sphere
    assert [(one.name, one.failure.code) for one in result.refused] == [("PANO.jpg", Code.PANORAMA)]


def test_three_photo_spheres_are_three_photos_however_many_views_they_give(tmp_path: Path) -> None:
    photos = sphere_photos(tmp_path, b'<x GPano:ProjectionType="equirectangular"/>')[::3]
    with pytest.raises(InputError) as refused:
        extracted(tmp_path, *photos)
    assert refused.value.code == Code.TOO_FEW_FRAMES
    assert "only 3 different photos; 8 are needed" in refused.value.cause
