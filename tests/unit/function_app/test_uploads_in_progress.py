"""An upload in progress keeps its scene open, for as long as it grows; what has stalled does not, and is told."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from scenejobs.state import layout
from scenejobs.state.incoming import sending
from scenejobs.state.incoming.uploads import Sending
from tests.dispatch import SETTINGS, World

MEGABYTE = b"0" * 1_000_000


def stage(world: World, name: str, number: int, data: bytes = MEGABYTE) -> None:
    world.input.stage_block(name, f"{number:06}", data)


def commit(world: World, name: str, *, event: bool = True) -> None:
    world.input.commit_blocks(name)
    if event:
        world.app.dispatcher.on_upload(name, world.clock())


def test_a_clip_that_is_sent_for_longer_than_the_quiet_time_is_in_the_same_job() -> None:
    """The fault: a small clip alone was sealed, and the large one came after it."""
    world = World()
    world.upload("lobby/small.mp4")
    for number in range(20):
        stage(world, "lobby/large.mp4", number)
        world.advance(45)
    assert world.sent == []
    commit(world, "lobby/large.mp4")
    world.advance(62)
    world.work()
    assert world.runs == [("lobby", ("lobby/large.mp4", "lobby/small.mp4"))]


def test_not_even_the_longest_wait_seals_a_scene_whose_upload_grows() -> None:
    world = World()
    world.upload("lobby/small.mp4")
    for number in range(40):  # 80 min, the longest wait is 30
        stage(world, "lobby/large.mp4", number)
        world.advance(120, step=10)
        world.app.sweeper.sweep()
    assert world.sent == []
    commit(world, "lobby/large.mp4")
    world.advance(62)
    world.work()
    assert world.runs == [("lobby", ("lobby/large.mp4", "lobby/small.mp4"))]


def test_large_clips_one_after_the_other_are_one_scene() -> None:
    """Each takes longer than the longest wait, and the next is begun a moment after: the wait begins anew."""
    world = World()
    for clip in range(3):
        for number in range(40):
            stage(world, f"lobby/{clip}.mp4", number)
            world.advance(60, step=10)
            world.app.sweeper.sweep()
        commit(world, f"lobby/{clip}.mp4", event=clip == 2)
        world.advance(20)
        world.app.sweeper.sweep()
        assert world.sent == [], clip
    world.advance(45)
    world.work()
    assert world.runs == [("lobby", ("lobby/0.mp4", "lobby/1.mp4", "lobby/2.mp4"))]


def test_an_upload_that_has_stalled_is_not_waited_for() -> None:
    world = World()
    world.upload("lobby/small.mp4")
    for number in range(4):
        stage(world, "lobby/large.mp4", number)
        world.advance(45)
    world.advance(599)  # the last block came 45 s before
    assert world.sent == []
    world.advance(125)
    world.work()
    assert world.runs == [("lobby", ("lobby/small.mp4",))]


def test_growth_counts_from_when_it_is_seen_and_not_from_the_begin_of_the_sweep() -> None:
    """A sweep of many scenes reaches this one minutes after it asked for the time."""
    world = World()
    stage(world, "lobby/large.mp4", 1)
    begun_at = world.clock()
    world.clock.advance(200)
    memory, _ = sending.observe(world.input, sending.Memory("lobby"), (), [Sending("lobby/large.mp4")], (), begun_at)
    assert memory.names["lobby/large.mp4"].grew_at == world.clock()


def test_one_that_was_given_up_long_ago_keeps_nobody_waiting() -> None:
    """The sweeps watched it stall before anything else came."""
    world = World()
    stage(world, "lobby/large.mp4", 1)
    for _ in range(4):
        world.advance(300, step=100)
        world.app.sweeper.sweep()
    world.upload("lobby/small.mp4")
    world.advance(65)
    assert [message.scene for message in world.sent] == ["lobby"]


def test_one_that_goes_on_after_it_stalled_is_waited_for_again() -> None:
    world = World()
    stage(world, "lobby/large.mp4", 1)
    for _ in range(4):
        world.advance(300, step=100)
        world.app.sweeper.sweep()
    stage(world, "lobby/large.mp4", 2)
    world.upload("lobby/small.mp4")
    world.advance(300)
    assert world.sent == []
    commit(world, "lobby/large.mp4")
    world.advance(62)
    assert len(world.sent) == 1


def test_an_end_marker_seals_what_is_whole_and_the_rest_is_the_next_generation() -> None:
    world = World()
    world.upload("lobby/small.mp4")
    stage(world, "lobby/large.mp4", 1)
    world.advance(10)
    world.upload("lobby/_READY")
    world.advance(2)
    world.work()
    assert world.runs == [("lobby", ("lobby/_READY", "lobby/small.mp4"))]
    commit(world, "lobby/large.mp4")
    world.advance(62)
    world.work()
    assert world.runs[1:] == [("lobby", ("lobby/large.mp4",))]


@pytest.mark.parametrize("name", ["lobby/notes.txt", "lobby/_READY", "lobby/a\\b.mp4", "lobby2/a.mp4", "a.mp4"])
def test_what_no_run_of_the_scene_would_read_keeps_it_waiting_for_nothing(name: str) -> None:
    world = World()
    world.upload("lobby/small.mp4")
    for number in range(3):
        world.input.staged.setdefault(name, {})[str(number)] = MEGABYTE  # not through the port, which refuses some
        world.advance(25)
    assert len(world.sent) == 1


def test_the_sweep_alone_waits_as_well() -> None:
    world = World()
    world.upload("lobby/small.mp4", event=False)
    for number in range(20):
        stage(world, "lobby/large.mp4", number)
        world.clock.advance(300)
        world.app.sweeper.sweep()
    assert world.sent == []
    commit(world, "lobby/large.mp4", event=False)
    world.clock.advance(100)
    world.app.sweeper.sweep()
    world.work()
    assert world.runs == [("lobby", ("lobby/large.mp4", "lobby/small.mp4"))]
    world.clock.advance(86_400)
    world.app.sweeper.sweep()
    assert not list(world.state.list(layout.SENDING)), "nothing is left of it"


def test_a_copy_under_way_on_the_server_keeps_its_scene_open() -> None:
    """The sibling: it grows as well, and a run without it would be the smaller one."""
    world = World()
    world.processed.write("big.mp4", MEGABYTE)
    world.input._copy_plan = lambda: (3000.0, True)
    world.upload("lobby/small.mp4")
    world.input.begin_copy(world.processed, "big.mp4", "lobby/big.mp4", source_etag=None, if_absent=True)
    world.advance(2900, step=10)
    assert world.sent == []
    world.advance(200)
    world.work()
    assert world.runs == [("lobby", ("lobby/big.mp4", "lobby/small.mp4"))]


def test_nothing_is_asked_twice_where_nothing_is_being_sent() -> None:
    """A check that waits costs what it did; one that seals reads once what another check may have seen."""
    calls: list[str] = []
    world = World()
    for number in range(30):
        world.upload(f"lobby/{number}.mp4")
    real = world.input.sent_bytes
    world.input.sent_bytes = lambda name: calls.append(name) or real(name)  # type: ignore[method-assign, func-returns-value]
    world.advance(70)
    assert calls == []
    assert not list(world.state.list(layout.SENDING))


def test_however_many_are_being_sent_a_look_asks_for_the_size_of_sixteen() -> None:
    world = World()
    for number in range(100):
        stage(world, f"lobby/{number:03}.jpg", 1, b"x")
    world.upload("lobby/small.mp4")
    calls: list[str] = []
    real = world.input.sent_bytes
    world.input.sent_bytes = lambda name: calls.append(name) or real(name)  # type: ignore[method-assign, func-returns-value]
    world.advance(64)
    assert len(calls) == sending.ASKED
    world.advance(62)
    assert len(set(calls)) == 2 * sending.ASKED, "those that were not asked come first"


def test_with_the_setting_at_zero_nothing_in_progress_is_waited_for() -> None:
    world = World(settings=replace(SETTINGS, upload_stalled_s=0))
    stage(world, "lobby/large.mp4", 1)
    world.upload("lobby/small.mp4")
    world.advance(65)
    assert len(world.sent) == 1


NAIVE = '{"scene": "lobby", "names": {"lobby/large.mp4": {"size_bytes": 1, "grew_at": "2026-01-01T00:00:00", '
NAIVE += '"looked_at": "2026-01-01T00:00:00", "blocks": true}}}'


@pytest.mark.parametrize("text", ["", "[]", "null", '{"scene": "lobby", "names": {"a": 1}}', '{"names": []}', NAIVE])
def test_a_memory_that_cannot_be_read_is_begun_anew(text: str) -> None:
    world = World()
    world.state.write(layout.sending_name("lobby"), text.encode())
    stage(world, "lobby/large.mp4", 1)
    world.upload("lobby/small.mp4")
    world.advance(65)
    assert world.sent == []
    assert json.loads(world.state.read(layout.sending_name("lobby"))[0])["names"]
    world.advance(700)
    assert len(world.sent) == 1


# ---- hierarchical namespace, SFTP, mounts -----------------------------------------------------------------


def grow(world: World, name: str, sizes: list[int], every_s: float) -> None:
    """As over SFTP: an event at the creation, with no bytes, parts without any, an event at the end."""
    world.upload(name, data=b"")
    for size in sizes[:-1]:
        world.advance(every_s)
        world.app.sweeper.sweep()
        world.upload(name, data=b"0" * size, event=False)
    world.advance(every_s)
    world.app.sweeper.sweep()
    world.upload(name, data=b"0" * sizes[-1])


@pytest.mark.parametrize("every_s", [20, 61, 100, 400])
def test_no_bytes_and_parts_of_them_are_an_upload_in_progress(every_s: float) -> None:
    world = World()
    grow(world, "lobby/a.mp4", [1000, 2000, 3000, 4000], every_s)
    assert world.sent == []
    world.advance(62)
    assert len(world.sent) == 1, "the event of its end tells that it is whole"
    world.work()
    assert world.runs == [("lobby", ("lobby/a.mp4",))]
    assert world.processed.blobs["lobby/a.mp4"].data == b"0" * 4000


@pytest.mark.parametrize("every_s", [61, 100, 400])
def test_another_clip_does_not_seal_the_scene_over_a_part(every_s: float) -> None:
    world = World()
    world.upload("lobby/small.mp4")
    grow(world, "lobby/a.mp4", [1000, 2000, 3000, 4000], every_s)
    assert world.sent == []
    world.advance(62)
    world.work()
    assert world.runs == [("lobby", ("lobby/a.mp4", "lobby/small.mp4"))]


def test_a_part_that_does_not_grow_any_more_is_taken_as_it_is_after_the_stalling_time() -> None:
    world = World()
    world.upload("lobby/small.mp4")
    world.upload("lobby/a.mp4", data=b"")
    world.advance(100)
    world.upload("lobby/a.mp4", data=b"part", event=False)
    world.advance(599)
    assert world.sent == []
    world.advance(70)
    assert len(world.sent) == 1


def test_the_end_marker_leaves_a_part_to_the_next_generation() -> None:
    world = World()
    world.upload("lobby/small.mp4")
    world.upload("lobby/a.mp4", data=b"")
    world.advance(5)
    world.upload("lobby/_READY")
    world.advance(2)
    assert len(world.sent) == 1
    batch = json.loads(world.state.read(next(info.name for info in world.state.list("batches/")))[0])
    assert [blob["name"] for blob in batch["blobs"]] == ["lobby/_READY", "lobby/small.mp4"]


def test_a_temporary_name_is_waited_for_and_its_new_name_is_an_upload() -> None:
    world = World()
    world.upload("lobby/small.mp4")
    for size in (0, 1000, 2000):
        world.upload("lobby/a.mp4.filepart", data=b"0" * size, event=size == 0)
        world.advance(120)
    assert world.sent == []
    world.input.blobs["lobby/a.mp4"] = world.input.blobs.pop("lobby/a.mp4.filepart")
    body = {
        "subject": "/blobServices/default/containers/input/blobs/lobby/a.mp4",
        "eventType": "Microsoft.Storage.BlobRenamed",
        "data": {
            "api": "SftpRename",
            "destinationUrl": "https://x.dfs.core.windows.net/input/lobby/a.mp4",
            "sourceUrl": "https://x.dfs.core.windows.net/input/lobby/a.mp4.filepart",
        },
    }
    assert world.app.on_event(json.dumps(body).encode(), world.clock()) is None
    world.advance(62)
    world.work()
    assert world.runs == [("lobby", ("lobby/a.mp4", "lobby/small.mp4"))]


def test_a_folder_that_gets_its_name_is_an_upload_of_all_that_lies_in_it() -> None:
    world = World()
    world.upload("lobby/a.mp4", event=False)
    body = {
        "subject": "/blobServices/default/containers/input/blobs/lobby",
        "eventType": "Microsoft.Storage.DirectoryRenamed",
        "data": {"api": "RenameDirectory", "destinationUrl": "https://x.dfs.core.windows.net/input/lobby"},
    }
    assert world.app.on_event(json.dumps(body).encode(), world.clock()) is None
    world.advance(62)
    assert [message.scene for message in world.sent] == ["lobby"]


def test_directories_are_nothing() -> None:
    """Not in a listing, not as a file at the root that bears a scene's name."""
    world = World()
    for name in ("lobby", "lobby/cam1", "empty"):
        world.input.write(name, b"", metadata={"hdi_isfolder": "true"})
    world.upload("lobby/cam1/a.mp4")
    world.advance(65)
    world.work()
    world.app.sweeper.sweep()
    assert world.runs == [("lobby", ("lobby/cam1/a.mp4",))]
    assert not list(world.state.list("refused/"))


def test_an_event_of_a_beginning_is_not_taken_for_one_of_an_end() -> None:
    world = World()
    created = {
        "subject": "/blobServices/default/containers/input/blobs/lobby/a.mp4",
        "eventType": "Microsoft.Storage.BlobCreated",
        "data": {"api": "SftpCreate", "url": "https://x.blob.core.windows.net/input/lobby/a.mp4"},
    }
    world.upload("lobby/a.mp4", event=False, data=b"")
    world.app.on_event(json.dumps(created).encode(), world.clock())
    world.advance(70)
    world.upload("lobby/a.mp4", event=False, data=b"part")
    world.app.on_event(json.dumps(created | {"data": {"api": "SftpWrite"}}).encode(), world.clock())
    world.advance(70)
    assert world.sent == [], "a part was reported, and has not grown for a quiet time"
    world.upload("lobby/a.mp4", event=False, data=b"all of it")
    world.app.on_event(json.dumps(created | {"data": {"api": "SftpCommit"}}).encode(), world.clock())
    world.advance(64)
    assert len(world.sent) == 1


def test_a_clip_that_is_replaced_by_a_longer_one_is_not_waited_for_like_a_part() -> None:
    """In an account without a hierarchy a blob is whole, and its event says so."""
    world = World()
    world.upload("lobby/b.mp4")
    world.upload("lobby/a.mp4", data=b"short")
    world.advance(50)
    world.upload("lobby/a.mp4", data=b"a longer clip")
    world.advance(64)
    assert len(world.sent) == 1
    assert world.sent[0].sent_at - world.input.blobs["lobby/a.mp4"].modified <= timedelta(seconds=64)
