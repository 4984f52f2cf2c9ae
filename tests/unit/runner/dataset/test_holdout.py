"""Held-out views are stretches of the path that training has not seen, yet surrounded by ones it has."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from runner.dataset.holdout import assign_split, split_of_scene
from runner.scene.frames import SharedStretch

clips = st.lists(st.integers(1, 120), min_size=1, max_size=6)


def timeline_of(sizes: list[int]) -> list[tuple[str, float]]:
    return [(f"clip{c}", 0.2 * i) for c, size in enumerate(sizes) for i in range(size)]


def runs(timeline: list[tuple[str, float]], split: list[str]) -> list[tuple[int, int]]:
    """(start, end) of each stretch of test frames."""
    found, start = [], None
    for i, name in enumerate([*split, "train"]):
        if name == "test" and start is None:
            start = i
        elif name == "train" and start is not None:
            found.append((start, i))
            start = None
    return found


@given(clips)
def test_blocks_lie_inside_a_clip_and_never_at_its_ends(sizes):
    timeline = timeline_of(sizes)
    for start, end in runs(timeline, assign_split(timeline)):
        assert 1 <= end - start <= 4
        assert end - start >= 2 or max(sizes) < 4, "a single frame is measured only where no clip has room for more"
        assert len({timeline[i][0] for i in range(start - 1, end + 1)}) == 1


@given(clips)
def test_about_a_twelfth_is_held_out(sizes):
    count = sum(sizes)
    held_out = assign_split(timeline_of(sizes)).count("test")
    assert held_out <= max(2, 0.2 * count)
    if count >= 40 and min(sizes) >= 20:
        assert 0.06 * count <= held_out <= 0.12 * count
        assert len(runs(timeline_of(sizes), assign_split(timeline_of(sizes)))) >= 2


@given(st.integers(8, 400))
def test_every_single_clip_of_eight_frames_or_more_has_a_measurement(size):
    timeline = timeline_of([size])
    assert "test" in assign_split(timeline)


@given(clips, st.randoms(use_true_random=False))
def test_the_split_depends_on_time_and_not_on_the_order_of_the_list(sizes, random):
    timeline = timeline_of(sizes)
    split = dict(zip(timeline, assign_split(timeline), strict=True))
    shuffled = list(timeline)
    random.shuffle(shuffled)
    assert dict(zip(shuffled, assign_split(shuffled), strict=True)) == split


def test_blocks_are_spread_over_the_whole_timeline():
    """100 frames of one clip: 3 blocks of 3, one in each third."""
    timeline = timeline_of([100])
    found = runs(timeline, assign_split(timeline))
    assert [end - start for start, end in found] == [3, 3, 3]
    assert [int((start + end) / 2 / (100 / 3)) for start, end in found] == [0, 1, 2]


def test_too_few_views_are_all_trained_on():
    assert assign_split(timeline_of([7])) == ["train"] * 7
    assert assign_split([]) == []


def test_photos_each_of_another_size_are_measured_too():
    """A set is one size; the times of photos count through all sets."""
    timeline = [(f"photos {i}", float(i)) for i in range(16)]
    assert "test" not in assign_split(timeline)
    split = split_of_scene(timeline, {}, {name for name, _ in timeline})
    (block,) = runs(timeline, split)
    assert 0 < block[0] < block[1] < 16
    assert block[1] - block[0] == 2


def test_sets_of_photos_that_are_large_enough_are_split_as_ever():
    timeline = [("photos", float(i)) for i in range(12)] + [("photos 2", float(i)) for i in range(12, 24)]
    assert split_of_scene(timeline, {}, {"photos", "photos 2"}) == assign_split(timeline)


def test_many_clips_of_three_frames_are_measured_by_single_ones():
    timeline = timeline_of([3] * 6)
    assert all(end - start == 1 for start, end in runs(timeline, assign_split(timeline)))
    assert "test" in assign_split(timeline)


@given(st.integers(10, 80), st.integers(10, 80), st.floats(0.05, 0.5), st.floats(0, 1), st.floats(-8, 8))
def test_no_held_out_frame_has_its_twin_in_training(count, other_count, step_s, share, offset_s):
    """Two films of one recording, of which any part is in both: the nearest frame of the other film goes along."""
    first = [("a", 0.2 * number) for number in range(count)]
    second = [("b", step_s * number) for number in range(other_count)]
    begin_s = max(0.0, -offset_s)
    end_s = min(step_s * (other_count - 1), 0.2 * (count - 1) - offset_s)
    end_s = begin_s + share * (end_s - begin_s)
    shared = [SharedStretch("b", begin_s, end_s, "a", offset_s)] if end_s >= begin_s else []
    split = dict(zip([*first, *second], split_of_scene([*first, *second], {}, set(), shared), strict=True))
    for moment in second:
        if shared and begin_s <= moment[1] <= end_s:
            apart_s = {other: abs(other[1] - moment[1] - offset_s) for other in first}
            twins = [other for other in first if apart_s[other] < min(apart_s.values()) + 1e-6]
            assert split[moment] in {split[twin] for twin in twins}
    assert "test" in split.values()


def test_films_of_which_the_other_was_not_placed_are_split_as_ever():
    timeline = [("b", 0.2 * number) for number in range(40)]
    shared = [SharedStretch("b", 0.0, 8.0, "a", 3.0)]
    assert split_of_scene(timeline, {}, set(), shared) == assign_split(timeline)


def test_a_chain_of_films_is_split_once():
    """c shows what b shows, and b what a shows."""
    timeline = [(name, 0.2 * number) for name in "abc" for number in range(60)]
    shared = [SharedStretch("b", 0.0, 12.0, "a", 0.0), SharedStretch("c", 0.0, 12.0, "b", 0.0)]
    split = split_of_scene(timeline, {}, set(), shared)
    assert split[:60] == split[60:120] == split[120:]
    assert split[:60] == assign_split(timeline[:60])
