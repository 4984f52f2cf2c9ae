"""A scene becomes exactly one job when its uploads have come to rest."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from function_app.debounce import Decision, Nothing, NotYet, Settled, Superseded, Why, decide
from scenejobs.ports import BlobInfo
from scenejobs.settings.groups import DispatchSettings
from scenejobs.state.messages import DebounceCheck
from tests.dispatch import World

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
SETTINGS = DispatchSettings(quiet_s=60, max_wait_s=1800)


def blob(name: str, age_s: float) -> BlobInfo:
    return BlobInfo(f"lobby/{name}", "etag", 1, NOW - timedelta(seconds=age_s), {})


@pytest.mark.parametrize(
    ("own", "waiting", "expected"),
    [
        ("a.mp4", [], Nothing()),
        ("a.mp4", [("a.mp4", 59)], NotYet(60 - 59 + 2)),
        ("a.mp4", [("a.mp4", 60)], Settled(Why.QUIET)),
        ("a.mp4", [("a.mp4", 100), ("b.mp4", 59)], Superseded()),
        ("b.mp4", [("a.mp4", 100), ("b.mp4", 59)], NotYet(3)),
        ("a.mp4", [("a.mp4", 100), ("b.mp4", 60)], Settled(Why.QUIET)),
        # uploads of one second: the last by name is the newest, so that exactly one check goes on
        ("a.mp4", [("a.mp4", 10), ("b.mp4", 10)], Superseded()),
        ("b.mp4", [("a.mp4", 10), ("b.mp4", 10)], NotYet(52)),
        # the check's own upload is gone, or it speaks for the whole scene: nobody else is sure to look
        ("gone.mp4", [("b.mp4", 10)], NotYet(52)),
        ("", [("b.mp4", 10)], NotYet(52)),
        # the longest wait
        ("b.mp4", [("a.mp4", 1800), ("b.mp4", 0)], Settled(Why.MAX_WAIT)),
        ("b.mp4", [("a.mp4", 1799), ("b.mp4", 0)], NotYet(62)),
        # the service's clock steps back a little
        ("a.mp4", [("a.mp4", -5)], NotYet(67)),
        # end markers
        ("_READY", [("a.mp4", 1), ("_READY", 0)], Settled(Why.READY)),
        ("a.mp4", [("a.mp4", 0), ("sub/.complete", 0)], Settled(Why.READY)),
        ("_READY", [("_READY", 0)], Nothing()),
        ("_READY", [("_READY", 4000)], Nothing()),
        # a marker that large videos were overtaken by, or of an earlier time: it speaks for nothing uploaded later
        ("_READY", [("a.mp4", 5), ("_READY", 9)], Superseded()),
        ("a.mp4", [("a.mp4", 5), ("_READY", 4000)], NotYet(57)),
        ("a.mp4", [("a.mp4", 60), ("_READY", 4000)], Settled(Why.QUIET)),
        # camera poses: nothing without pictures, however long they wait; beside pictures uploads like any other
        ("transforms.json", [("transforms.json", 60)], Nothing()),
        ("sparse/0/images.bin", [("sparse/0/cameras.bin", 4000), ("sparse/0/images.bin", 4000)], Nothing()),
        ("_READY", [("transforms.json", 5), ("_READY", 0)], Nothing()),
        ("a.mp4", [("transforms.json", 4000), ("a.mp4", 0)], NotYet(62)),
        ("a.mp4", [("a.mp4", 60), ("transforms.json", 5)], Superseded()),
        ("transforms.json", [("a.mp4", 65), ("transforms.json", 5)], NotYet(57)),
        ("transforms.json", [("a.mp4", 65), ("transforms.json", 60)], Settled(Why.QUIET)),
    ],
)
def test_the_decision_table(own: str, waiting: list[tuple[str, float]], expected: Decision) -> None:
    check = DebounceCheck("lobby", f"lobby/{own}" if own else "", NOW)
    assert decide(check, [blob(*item) for item in waiting], NOW, SETTINGS) == expected


def test_a_scene_uploaded_in_two_bursts_becomes_one_job() -> None:
    world = World()
    world.upload("lobby/a.mp4")
    world.advance(50)
    world.upload("lobby/b.mp4")
    world.advance(30)
    assert world.sent == []
    world.advance(60)
    assert [message.scene for message in world.sent] == ["lobby"]
    world.work()
    assert world.runs == [("lobby", ("lobby/a.mp4", "lobby/b.mp4"))]


def test_an_end_marker_seals_at_once() -> None:
    world = World()
    world.upload("lobby/a.mp4")
    world.advance(1)
    world.upload("lobby/_READY")
    world.deliver()
    assert len(world.sent) == 1
    world.advance(200)
    assert len(world.sent) == 1


def test_a_marker_that_comes_after_the_quiet_time_makes_no_second_job() -> None:
    world = World()
    world.upload("lobby/a.mp4")
    world.advance(65)
    assert len(world.sent) == 1
    world.upload("lobby/_READY")
    world.advance(3000)
    assert len(world.sent) == 1


def test_poses_alone_start_nothing_and_go_with_the_pictures_that_come_later() -> None:
    """Not the event, not the sweep, not the longest wait: the poses lie there until there is something to pose."""
    world = World()
    world.upload("lobby/transforms.json")
    world.upload("lobby/sparse/0/images.bin", event=False)
    world.advance(4000, step=50)
    world.app.sweeper.sweep()
    assert world.sent == []
    world.upload("lobby/a.mp4")
    world.advance(30)
    assert world.sent == [], "the old poses do not end the waiting"
    world.advance(60)
    world.work()
    assert world.runs == [("lobby", ("lobby/a.mp4", "lobby/sparse/0/images.bin", "lobby/transforms.json"))]


def test_poses_that_come_after_their_scene_was_made_start_nothing() -> None:
    world = World()
    world.upload("lobby/a.mp4")
    world.advance(70)
    world.work()
    world.upload("lobby/cameras.json")
    world.advance(4000, step=50)
    world.app.sweeper.sweep()
    assert world.sent == []
    assert len(world.runs) == 1


def test_a_steady_trickle_is_sealed_at_the_longest_wait() -> None:
    world = World()
    for number in range(70):  # every 30 s, always less than the quiet time
        world.upload(f"lobby/{number:02}.mp4")
        world.advance(30)
    waited = [message.sent_at - datetime(2026, 1, 1, tzinfo=UTC) for message in world.sent]
    assert len(waited) == 1
    assert timedelta(seconds=1800) <= waited[0] <= timedelta(seconds=1800 + 62)


def test_late_uploads_of_a_scene_that_waits_for_a_runner_are_debounced_like_any_other() -> None:
    """Sealed uploads that lie in the input for hours must not make every late upload look overdue."""
    world = World()
    world.upload("lobby/a.mp4")
    world.advance(4000, step=20)
    for number in range(5):
        world.upload(f"lobby/late{number}.mp4")
        world.advance(10)
    assert len(world.sent) == 1
    world.advance(120)
    assert len(world.sent) == 2


def test_a_name_uploaded_again_is_a_new_job() -> None:
    world = World()
    world.upload("lobby/a.mp4")
    world.advance(70)
    world.work()
    world.upload("lobby/a.mp4", data=b"better")
    world.advance(70)
    world.work()
    assert len(world.runs) == 2
    world.advance(4000, step=50)
    assert len(world.runs) == 2


def test_scenes_with_a_common_beginning_are_not_mixed() -> None:
    world = World()
    for name in ("scene_1/a.mp4", "scene_10/a.mp4", "scene_1.mp4", "scene_1/deep/b.mov"):
        world.upload(name)
    world.advance(70)
    world.work()
    assert sorted(world.runs) == [
        ("scene_1", ("scene_1.mp4", "scene_1/a.mp4", "scene_1/deep/b.mov")),
        ("scene_10", ("scene_10/a.mp4",)),
    ]


@st.composite
def bursts(draw: st.DrawFn) -> list[tuple[float, int, float, int]]:
    """Uploads of one scene: gap to the one before, number of the name, delay of its event, copies of its event."""
    one = st.tuples(st.floats(0, 57), st.integers(0, 6), st.floats(0, 57), st.integers(1, 3))
    return draw(st.lists(one, min_size=1, max_size=8))


@settings(max_examples=150, deadline=None)
@given(bursts())
def test_uploads_closer_than_the_quiet_time_are_one_job_whatever_the_events_do(
    uploads: list[tuple[float, int, float, int]],
) -> None:
    """Events may come late, in any order and more than once; a name may be uploaded again."""
    world = World()
    time, steps = 0.0, list[tuple[float, int, str, bool]]()
    for number, (gap, name, delay, copies) in enumerate(uploads):
        time += gap
        steps.append((time, number, f"lobby/{name}.mp4", True))
        steps += [(time + delay * copy / copies, number, f"lobby/{name}.mp4", False) for copy in range(1, copies + 1)]
    now = 0.0
    for at, _, blob, is_upload in sorted(steps):
        world.advance(at - now, step=2.0)
        now = at
        if is_upload:
            world.upload(blob, event=False)
        else:
            world.app.dispatcher.on_upload(blob, world.clock())
    world.advance(400, step=2.0)
    assert len(world.sent) == 1
    world.work()
    assert world.runs == [("lobby", tuple(sorted({f"lobby/{name}.mp4" for _, name, _, _ in uploads})))]
    world.app.sweeper.sweep()
    assert world.sent == []


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 57), st.booleans()), min_size=1, max_size=10))
def test_lost_events_are_healed_by_the_sweep(uploads: list[tuple[str, float, bool]]) -> None:
    """Any event may be lost: after the sweep every upload is in exactly one run."""
    world = World()
    for number, (scene, gap, lost) in enumerate(uploads):
        world.advance(gap, step=3.0)
        world.upload(f"{scene}/{number}.mp4", event=not lost)
    world.advance(700, step=5.0)
    world.app.sweeper.sweep()
    world.work()
    ran = [name for _, names in world.runs for name in names]
    assert sorted(ran) == sorted(f"{scene}/{number}.mp4" for number, (scene, _, _) in enumerate(uploads))
    assert list(world.input.list()) == []
