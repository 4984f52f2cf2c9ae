"""Dates and numbers of strangers: whatever a file, a record, a message or a header says, nothing uncaught comes of it.

Python reads more than it can work with: `Infinity`, whole numbers that no float holds, the last evening of the year
9999 west of Greenwich. Each parser is given all of them in each place, and may only raise what it says that it raises.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL.ExifTags import GPS, Base
from PIL.TiffImagePlugin import IFDRational

from function_app.sweep import Notes
from runner.commands.progress_line import describe
from runner.job.request import decode_report, decode_result
from runner.media.decoding.answers import clip_surveys, photo_surveys
from runner.media.photo.grouping import PhotoSurvey, _taken
from runner.media.photo.metadata import Tags, read_photo
from runner.media.settings import Limits
from runner.media.video.metadata import read_recording
from runner.poses.supplied.own_cameras_json import read_own
from runner.poses.supplied.transforms_json import read_transforms
from runner.process.error_json import load_error
from runner.scene.frames import Clip
from runner.worker.saved_work.resume_store import FORMAT, ResumePoint
from scenejobs.adapters.azure.retry import parse_retry_after
from scenejobs.adapters.memory import MemoryBlobStore
from scenejobs.errors import InputError, RunnerError, StorageError, UnreadableMessage
from scenejobs.ports import Containers
from scenejobs.state import activity, generations, records, redrive
from scenejobs.state.executions import start_backoff, usage
from scenejobs.state.executions.start_backoff import StarterState
from scenejobs.state.incoming.batches import ListedBatch
from scenejobs.state.layout import progress_name, record_name
from scenejobs.state.messages import DebounceCheck, JobMessage
from scenejobs.state.overview.status import scene_status
from scenejobs.state.record import Outcome
from tests.unit.scenejobs.state.test_codec import BLOBS, FAILURE, NOW, OUTPUTS, RECORD
from watch.loop import measured
from watch.status import FinishedScene

ROOT = Path(__file__).parents[2]
LAST_EVENING, FIRST_MORNING = "9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+12:00"
TIMES = [LAST_EVENING, FIRST_MORNING, "9999-12-31T23:59:59.999999-23:59", "2026-01-01T00:00:00", "2026-01-01", "24:00"]
TIMES += ["2026-13-45T99:99:99Z", "1e999", "", "0", "NaT", "\u0662\u0660\u0662\u0666-01-01", "9" * 5000]
NUMBERS = ["Infinity", "-Infinity", "NaN", "1e999", "-1e999", "1e308", "-0.0", "9" * 400, "9" * 5000, "1e-400", "true"]
STRANGE = [*(json.dumps(time) for time in TIMES), *NUMBERS, "null", "[]", "{}", "[" * 5000]


def mutations(text: str) -> Iterator[str]:
    """The document with each of its values, one after the other, replaced by each strange one."""
    document = json.loads(text)
    for path in list(paths(document)):
        for strange in STRANGE:
            yield json.dumps(put(document, path, "@@")).replace('"@@"', strange)


def paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield (*path, key)
        yield from paths(item, (*path, key))


def put(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    if isinstance(value, dict):
        return {key: put(item, path[1:], new) if key == path[0] else item for key, item in value.items()}
    return [put(item, path[1:], new) if key == path[0] else item for key, item in enumerate(value)]


# ---- files of users --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("time", TIMES)
def test_a_clip_says_when_it_was_filmed_or_nothing(time: str) -> None:
    """`creationdate=9999-12-31T23:59:59-12:00` ended a scene as a bug, good clips with it."""
    for tag in ("com.apple.quicktime.creationdate", "creation_time", "date"):
        recorded_at = read_recording({tag: time}).recorded_at
        assert recorded_at is None or datetime.fromisoformat(recorded_at).tzinfo == UTC


@pytest.mark.parametrize("text", [*NUMBERS, "+91.0+0/", "+" + "9" * 400 + ".0-" + "9" * 400, "1e5", "\u0663"])
def test_a_clip_says_where_and_by_which_lens_or_nothing(text: str) -> None:
    found = read_recording({"com.apple.quicktime.camera.focal_length.35mm_equivalent": text, "location": text})
    assert found.gps is None
    assert found.focal_35mm is None


@pytest.mark.parametrize("value", [10**400, -(10**400), float("inf"), float("nan"), IFDRational(10**400, 1), "9" * 5000,
                                   IFDRational(1, 0), IFDRational(0, 0), (1, 2), b"\xff", None])  # fmt: skip
def test_a_photo_says_no_number_that_cannot_be(value: Any) -> None:
    exif = dict.fromkeys((Base.FocalLength, Base.FocalLengthIn35mmFilm, Base.FocalPlaneXResolution,
                          Base.FocalPlaneResolutionUnit, Base.ExifImageWidth, Base.ExifImageHeight), value)  # fmt: skip
    gps = {GPS.GPSLatitude: (value, value, value), GPS.GPSLongitude: (value, 0, 0), GPS.GPSLatitudeRef: value}
    found = read_photo(Tags({}, exif, gps), 4000, 3000)
    assert (found.focal_px, found.gps) == (None, None)


@pytest.mark.parametrize("time", ["9999:12:31 23:59:59", "0001:01:01 00:00:00", "2026:99:99 99:99:99"])
@pytest.mark.parametrize("zone", ["-12:00", "+12:00", "-99:99", ""])
def test_a_photo_says_when_it_was_taken_or_nothing(time: str, zone: str) -> None:
    tags = Tags({}, {Base.DateTimeOriginal: time, Base.OffsetTimeOriginal: zone}, {})
    recorded_at = read_photo(tags, 4000, 3000).recorded_at
    assert recorded_at is None or datetime.fromisoformat(recorded_at).year >= 1990


def test_photos_are_sorted_by_whatever_time_they_claim() -> None:
    times = [time for time in (LAST_EVENING, FIRST_MORNING, "9999-12-31T23:59:59", "2026-01-01T00:00:00+00:00")]
    small = np.zeros((2, 2), np.uint8)
    photos = [PhotoSurvey(Clip(f"IMG_{number}.jpg", Path()), 1, 1, "", time, None, None, None, None, None, 0.0, small)
              for number, time in enumerate(times)]  # fmt: skip
    assert len(sorted(photos, key=_taken)) == 4


TRANSFORMS = {
    "fl_x": 500.0, "w": 640, "h": 480, "cx": 320.0, "cy": 240.0, "k1": 0.01,
    "frames": [{"file_path": "a.jpg", "transform_matrix": [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]}],
}  # fmt: skip
OWN = [
    {
        "image": "v/000001.png",
        "video": "v",
        "timestamp_s": 0.5,
        "world_to_camera": [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]],
        "lens": {"model": "PINHOLE", "width": 640, "height": 480, "params": [500.0, 500.0, 320.0, 240.0]},
    }
]


@pytest.mark.parametrize(("read", "document"), [(read_transforms, TRANSFORMS), (read_own, OWN)], ids=["nerf", "own"])
def test_supplied_poses_are_read_or_refused(read: Callable[..., Any], document: Any, tmp_path: Path) -> None:
    path = tmp_path / "poses.json"
    for text in mutations(json.dumps(document)):
        path.write_text(text)
        only(InputError, read, path, "poses.json")


# ---- what a process that opens such files says -----------------------------------------------------------------------

FRAME = [0, 0.0, 1.0, 0.0, 100.0, 0.1, 0.1, 0.5]
PART = {
    "width": 640,
    "height": 480,
    "fps": 30.0,
    "duration_s": 1.0,
    "codec": "h264",
    "rotation_deg": 0,
    "recorded_at": "2026-01-01T00:00:00+00:00",
    "camera_model": "x",
    "gps": [1.0, 2.0],
    "focal_px": 500.0,
    "warnings": ["w"],
    "frames": [FRAME],
}
PHOTO = {
    "type": "PhotoSeen",
    "width": 640,
    "height": 480,
    "codec": "jpeg",
    "recorded_at": "2026-01-01T00:00:00",
    "camera_model": "x",
    "lens": "y",
    "focal_px": 500.0,
    "gps": [1.0, 2.0],
    "sharpness": 1.0,
    "small": [[1, 2], [3, 4]],
    "warnings": [],
    "turned_deg": 0,
}


def test_a_decoder_is_understood_or_refused() -> None:
    clip, limits = Clip("a.mp4", Path()), Limits(min_frames=1)
    only(InputError, clip_surveys, {"type": "VideoSurvey", "parts": [PART]}, clip, limits)
    for text in mutations(json.dumps({"type": "VideoSurvey", "parts": [PART]})):
        if (answer := heard(text)) is not None:
            only(InputError, clip_surveys, answer, clip, limits)
    for text in mutations(json.dumps([PHOTO])):
        if (answer := heard(text)) is not None:
            only(InputError, photo_surveys, answer, [clip], limits)


def heard(text: str) -> Any:
    """Also what JSON cannot say: the pipe is read by another parser than ours."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def test_a_job_is_understood_or_refused() -> None:
    for text in mutations('{"stage": "training", "fraction": 0.5, "detail": "step", "eta_s": 12.5}'):
        report = decode_report(text.encode())
        assert report is None or describe(report)
    for text in mutations('{"n_gaussians": 5, "psnr_heldout": 30.0, "more": [1]}'):
        result = only(RunnerError, decode_result, text.encode())
        assert result is None or f"{result.get('n_gaussians', 0):,}"
    for text in mutations('{"kind": "InputError", "stage": "", "code": "NO_VIDEO", "cause": "c", "advice": "a"}'):
        assert str(load_error(text)) is not None


# ---- what lies in storage, comes in messages and in headers ----------------------------------------------------------


def test_records_are_understood_or_refused() -> None:
    state = MemoryBlobStore("state")
    containers = Containers(*[state] * 5)
    note = generations.Generation("lobby", 1, Outcome.SUCCEEDED, "r", 1, BLOBS, OUTPUTS, {}, FAILURE)
    back = redrive.Redrive("lobby", 1, "", (redrive.Returned("e", "x", 1, "n"),), NOW)
    for text in mutations(json.dumps(RECORD.to_json())):
        state.write(record_name("lobby"), text.encode())
        stored = only(StorageError, records.load, state, "lobby")
        if stored is not None:
            assert scene_status(containers, "lobby").line()
    for text in mutations(json.dumps(note.to_json())):
        state.write("n", text.encode())
        only(StorageError, generations.read, state, "n")
    for text in mutations(json.dumps(back.to_json())):
        state.write("n", text.encode())
        only(StorageError, redrive.read, state, "n")
    for text in mutations(json.dumps(replace(StarterState(), last_start=NOW, not_before=NOW).to_json())):
        state.write("dispatcher.json", text.encode())
        assert isinstance(start_backoff.load(state).held_back(NOW), str)
        start_backoff.load(state).waits(NOW)
    for text in mutations(
        json.dumps({"format": FORMAT, "digest": "d", "run": "r", "saved_at": NOW.isoformat(), "parts": []})
    ):
        only(ValueError, ResumePoint.from_json, text.encode(), "d")


def test_progress_that_cannot_be_is_not_shown() -> None:
    state = MemoryBlobStore("state")
    running = replace(RECORD, phase="running", not_before=None)
    state.write(record_name("lobby"), json.dumps(running.to_json()).encode())
    said = {"run": "run-2", "stage": "training", "total_fraction": 0.5, "detail": "d", "eta_s": 3.0, "at": "x"}
    for text in (json.dumps(said), *mutations(json.dumps(said))):
        state.write(progress_name("lobby"), text.encode())
        assert scene_status(Containers(*[state] * 5), "lobby").line().startswith("lobby: running")


@pytest.mark.parametrize("time", TIMES)
def test_times_in_metadata_are_understood_or_left_out(time: str) -> None:
    state = MemoryBlobStore("state")
    state.write("spend/2026-01-01/x.json", b"", metadata={"begun_at": time, "seconds": "1"})
    info = state.head("spend/2026-01-01/x.json")
    shown = replace(info, metadata={"queued_at": time, "not_before": time})
    sent = activity.sent({"queued_at": time, "sends": "1"})
    for found in (ListedBatch.of(shown).queued_at, records.due_at(shown.metadata), sent and sent.at):
        assert found is None or found < NOW or found >= NOW
    assert all(one.begun_at <= NOW for one in usage.read([info]))
    swept_at = Notes.from_json(json.dumps({"swept_at": time}).encode()).swept_at
    assert swept_at is None or NOW - swept_at


@pytest.mark.parametrize("seconds", [*NUMBERS, "inf", "-1"])
def test_minutes_that_cannot_be_do_not_count(seconds: str) -> None:
    """One blob with `inf` in its metadata would have been the whole day's budget for ever, and no number to log."""
    state = MemoryBlobStore("state")
    for name, value in (("x", seconds), ("y", "120")):
        metadata = {"begun_at": NOW.isoformat(), "seconds": value}
        state.write(f"spend/{NOW.date().isoformat()}/{name}.json", b"", metadata=metadata)
    assert usage.minutes_on(state, NOW.date()) == 2.0


def test_messages_are_understood_or_refused() -> None:
    for text in mutations(DebounceCheck("lobby", "lobby/a.mp4", NOW, True).to_json()):
        only(UnreadableMessage, DebounceCheck.from_json, text)
    for text in mutations(JobMessage("lobby", "d", NOW, "t").to_json()):
        only(UnreadableMessage, JobMessage.from_json, text)


HEADERS = ["Fri, 31 Dec 9999 23:59:59 -1200", "Mon, 01 Jan 0001 00:00:00 +1200", "inf", "-5", "nan"]
HEADERS += ["Mon, 01 Jan 99999999999999999999 00:00:00 GMT", *NUMBERS]


@pytest.mark.parametrize("value", HEADERS)
def test_a_service_that_asks_for_patience_is_waited_for_a_day_at_most(value: str) -> None:
    seconds = parse_retry_after(value)
    assert seconds is None or 0 <= seconds <= 86_400


def test_a_manifest_that_somebody_edited_is_counted_as_far_as_it_goes() -> None:
    manifest = {"training": {"n_gaussians": 5, "psnr_heldout": 30.5, "loss": 0.1}, "stage_seconds": {"training": 3.0},
                "videos": [{"frames": [1]}]}  # fmt: skip
    for text in mutations(json.dumps(manifest)):
        if (document := heard(text)) is not None:
            finished = measured(FinishedScene("lobby", "r", Outcome.SUCCEEDED), document)
            assert isinstance(round(finished.seconds), int)


def only(error: type[Exception], call: Callable[..., Any], *arguments: Any) -> Any:
    """What the call returns; None where it raises the error that it says it raises. Any other fails the test."""
    try:
        return call(*arguments)
    except error:
        return None


@pytest.mark.parametrize(
    "package", ["scenejobs/state", "scenejobs/audit", "function_app", "runner/worker", "serve", "watch"]
)
def test_stored_json_and_times_are_read_in_one_place(package: str) -> None:
    """`codec.loads` and `codec.parse_time`: what they refuse, each other reader would have to remember to refuse."""
    other = re.compile(r"\bjson\.loads\(|\bdatetime\.fromisoformat\(|parsedate_to_datetime\(")
    found = {
        path.name: other.findall(path.read_text())
        for path in sorted((ROOT / package).rglob("*.py")) if path.name != "codec.py"
    }  # fmt: skip
    assert {name: calls for name, calls in found.items() if calls} == {}
