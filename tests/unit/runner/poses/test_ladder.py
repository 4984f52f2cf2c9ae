"""The pose ladder: what is tried next follows from what went wrong, and from what there is time for."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from runner.poses.gates import Verdict
from runner.poses.ladder import best, choose_part, next_rung, nothing_joins, rivals_of, time_for, untried, why
from runner.poses.prices import expected_s, mapping_s, pair_count
from runner.poses.rungs import Attempt, Part, Rung
from runner.poses.settings import PoseSettings
from runner.poses.supplied.attempt import supplied_rungs
from runner.poses.supplied.cameras import Lens
from runner.poses.supplied.match import SuppliedPoses
from scenejobs.errors import Code
from tests.pose_models import HEALTH, failed, model

SETTINGS = PoseSettings(budget_s=1e9, exhaustive_up_to=150)  # all pairs of the 100 frames of most tests
FIRST = Rung("exhaustive", "incremental", 4096, 1280)
FINER = replace(FIRST, features=8192, max_image_size=1600)
GLOBAL = replace(FIRST, mapper="global")
FIXED_LENS = replace(FIRST, fixed_lens=True)
PASSED = Verdict(True)
ROOMS = ((frozenset({"a"}), frozenset({"b"})),)


def ladder(frame_count: int, code: Code, settings: PoseSettings = SETTINGS, **found) -> list[Rung]:
    """The rungs tried when each one fails with `code`."""
    tried: list[Attempt] = []
    while (rung := next_rung(tried, frame_count, settings)) is not None:
        tried.append(replace(Attempt(rung, model(), failed(code)), **{"features": 4096, "pairs": 10, **found}))
    return [one.rung for one in tried]


def test_nothing_is_tried_after_poses_of_the_user_that_fit():
    given = Attempt(replace(FIRST, mapper="supplied", supplied="transforms.json"), model(), PASSED)
    assert next_rung([given], 100, SETTINGS) is None
    assert next_rung([replace(given, verdict=failed(Code.POSES_UNRELIABLE))], 100, SETTINGS) == FIRST


def test_poses_of_the_user_are_judged_by_all_pairs_of_more_frames():
    given = SuppliedPoses("transforms.json", 72, {"a/000000.png": (Lens(640, 480, 500, 500, 320, 240), (0.0,) * 12)})
    for frames, matching in ((72, "exhaustive"), (151, "preselected")):
        (rung,) = supplied_rungs(given, frames, PoseSettings())
        assert (rung.matching, rung.mapper) == (matching, "supplied")


def test_too_little_overlap_is_met_with_more_features_then_guided_then_the_other_mapper():
    assert ladder(100, Code.NO_OVERLAP) == [FIRST, FINER, replace(FINER, guided=True), GLOBAL]


def test_the_most_alike_pairs_are_followed_by_all():
    """A weak joint that few pairs get wrong holds with all of them."""
    assert ladder(200, Code.TOO_FEW_REGISTERED)[:2] == [replace(FIRST, matching="preselected"), FIRST]


@pytest.mark.parametrize(("frames", "matching"), [(30, "exhaustive"), (31, "preselected"), (150, "preselected")])
def test_more_than_thirty_frames_compare_the_most_alike_first(frames, matching):
    assert next_rung([], frames, PoseSettings()).matching == matching


def test_what_the_most_alike_pairs_leave_in_doubt_is_looked_for_with_all_of_them():
    """A pair that was not compared says nothing: no failure of theirs is the end."""
    for code, found in [
        (Code.NO_OVERLAP, {"linked": False}), (Code.TOO_FEW_REGISTERED, {"linked": False, "model": None}),
        (Code.POSES_UNRELIABLE, {"disputed": True}), (Code.NO_OVERLAP, {"rivals": ROOMS}),
        (Code.POSES_UNRELIABLE, {"model": model(health=replace(HEALTH, focal_ratio=0.18))}),
    ]:  # fmt: skip
        assert ladder(72, code, PoseSettings(budget_s=1e9), **found)[:2] == [
            replace(FIRST, matching="preselected"),
            FIRST,
        ]


def test_where_all_pairs_take_too_long_the_most_alike_are_compared():
    """350 frames have 61,075 pairs: an hour at the 0.1 s of a pair with 4,096 features."""
    tried = ladder(350, Code.TOO_FEW_REGISTERED, replace(SETTINGS, budget_s=3600))
    assert tried[1] == replace(FIRST, matching="preselected widely")
    assert "exhaustive" not in {rung.matching for rung in tried}


def test_a_limit_on_features_is_raised_only_where_it_was_reached():
    """Blurred and dark pictures have few features whatever the limit: there weaker ones are taken."""
    second = ladder(100, Code.TOO_FEW_REGISTERED, features=300)[1]
    assert second == replace(FIRST, sensitive=True, max_image_size=1600)


def test_an_impossible_lens_is_met_with_the_other_mapper_and_then_with_a_fixed_lens():
    collapsed = model(health=replace(HEALTH, focal_ratio=0.18))
    assert ladder(100, Code.POSES_UNRELIABLE, model=collapsed) == [FIRST, GLOBAL, FIXED_LENS]


def test_what_a_second_run_does_not_confirm_gets_one_more_try_with_a_fixed_lens():
    """Finer features repeat as the coarse ones do, and the other mapper confirms itself."""
    assert ladder(100, Code.POSES_UNRELIABLE, disputed=True) == [FIRST, FIXED_LENS]


@pytest.mark.parametrize(
    ("code", "found"),
    [
        (Code.STATIC_CAMERA, {}),  # no method finds depth without parallax
        (Code.NO_OVERLAP, {"linked": False}),  # not one pair of pictures joins the parts
        (Code.TOO_FEW_REGISTERED, {"linked": False, "model": None}),
    ],
)
def test_the_hopeless_is_not_tried_twice(code, found):
    assert len(ladder(100, code, **found)) == 1


def test_no_rung_is_begun_that_would_pass_the_budget():
    """100 frames have 4,950 pairs; at 0.1 s each and twice the features, four times that: 1,980 s and more."""
    took = Attempt(FIRST, model(), failed(Code.NO_OVERLAP), features=4096, pairs=4950, match_s=495.0, map_s=60.0)
    stronger = replace(FIRST, features=8192, max_image_size=1600)
    assert 1980 < expected_s(stronger, [took], 100) < 2400
    assert next_rung([took], 100, replace(SETTINGS, budget_s=4000)) == stronger
    assert next_rung([took], 100, replace(SETTINGS, budget_s=1000)) == replace(
        FIRST, mapper="global"
    )  # the pairs are there
    again = replace(took, rung=replace(FIRST, mapper="global"))
    assert next_rung([took, again], 100, replace(SETTINGS, budget_s=600)) is None


def test_a_second_way_is_tried_whatever_the_budget_and_given_the_time_that_it_needs():
    """The cheapest: the other mapper, for which everything is there. A good clip was refused after one way of three."""
    took = Attempt(FIRST, model(), failed(Code.TOO_FEW_REGISTERED), features=4096, pairs=4950, match_s=495.0, map_s=60)
    poor = replace(SETTINGS, budget_s=1)
    second = next_rung([took], 100, poor)
    assert second == GLOBAL
    assert time_for(second, [took], 100, poor) > expected_s(second, [took], 100)
    lost = Attempt(GLOBAL, model(), failed(Code.TOO_FEW_REGISTERED), pairs=4950, map_s=30)
    assert next_rung([took, lost], 100, poor) is None
    assert untried([took, lost], 100, poor) == (FINER, replace(FINER, guided=True))


def test_a_mapper_is_priced_by_what_it_took_itself():
    """Where the incremental mapper fails it takes long; the global one was priced by that three times too high."""
    lost = Attempt(FIRST, model(), failed(Code.TOO_FEW_REGISTERED), features=4096, pairs=4950, match_s=495, map_s=600)
    other = Attempt(GLOBAL, model(), failed(Code.TOO_FEW_REGISTERED), pairs=4950, map_s=40)
    lens = replace(GLOBAL, fixed_lens=True)
    assert mapping_s(lens, [lost, other], 100) == 40
    assert mapping_s(FIXED_LENS, [lost, other], 100) == 600
    assert mapping_s(GLOBAL, [lost], 100) < 100
    ended = replace(other, cut="mapping was ended after 1 s", map_s=1)
    assert mapping_s(lens, [lost, ended], 100) > 40, "what was ended says nothing about the price"


def test_a_second_mapping_that_only_confirms_is_no_part_of_the_price_and_counts_in_the_budget():
    confirmed = Attempt(FIRST, model(), failed(Code.POSES_UNRELIABLE), map_s=10, confirm_s=20)
    assert mapping_s(FIXED_LENS, [confirmed], 100) == 10
    assert confirmed.seconds == 30


@pytest.mark.parametrize(("frames", "features"), [(5, 8192), (20, 8192), (21, 4096), (100, 4096)])
def test_few_frames_get_more_features_where_the_settings_have_them(frames, features):
    """Few pictures have few points between them."""
    few = replace(SETTINGS, features_of_few=8192)
    assert next_rung([], frames, few).features == features
    assert next_rung([], frames, SETTINGS).features == 4096


def test_the_first_rung_is_tried_whatever_the_budget():
    assert next_rung([], 100, replace(SETTINGS, budget_s=0)) == FIRST


def test_what_passed_ends_the_ladder_and_a_part_that_passed_only_after_all_pairs():
    assert next_rung([Attempt(FIRST, model(), PASSED)], 100, SETTINGS) is None
    assert next_rung([Attempt(FIRST, model(), PASSED, partial=True)], 100, SETTINGS) is None
    in_time = Attempt(replace(FIRST, matching="preselected"), model(), PASSED, partial=True, pairs=10)
    assert next_rung([in_time], 200, SETTINGS) == FIRST
    worse = Attempt(FIRST, model(), failed(Code.POSES_UNRELIABLE))
    assert best([in_time, worse]) is in_time
    assert next_rung([in_time, worse], 200, SETTINGS) is None


def test_a_scene_that_passed_with_half_of_its_frames_gets_one_try_with_more_features():
    """8 of 16 photos of a small thing were placed with 3,072 features, 14 with 4,096."""
    half = Attempt(FIRST, model(8), PASSED, share=0.5, pairs=10, features=4096)
    finer = next_rung([half], 16, SETTINGS)
    assert finer is not None
    assert finer.features == 8192
    more = Attempt(finer, model(14), PASSED, share=0.875)
    assert best([half, more]) is more
    assert next_rung([half, more], 16, SETTINGS) is None
    assert next_rung([half, replace(more, share=0.6)], 16, SETTINGS) is None
    assert next_rung([replace(half, linked=False)], 16, SETTINGS) is None, "nothing matches what is outside"


def test_two_places_are_joined_by_finer_features_or_not_at_all():
    """Guided matching finds what a geometry of chance lets it expect: it joined a clip and its mirror image."""
    rivals = ((frozenset({"a"}), frozenset({"b"})),)
    assert ladder(100, Code.NO_OVERLAP, rivals=rivals) == [FIRST, FINER]


def test_two_places_that_no_pair_of_images_joins_are_not_mapped_a_second_time():
    """By finer features: a mapping of them would take most of the time of the refusal, and could join nothing."""
    rivals = ((frozenset({"a"}), frozenset({"b", "c"})),)
    inside = [("a", "a"), ("b", "c"), ("b", "b"), ("d", "d")]
    assert nothing_joins(rivals, inside)
    assert not nothing_joins((), inside)
    assert not nothing_joins(rivals, [*inside, ("c", "a")])
    assert not nothing_joins(rivals, [*inside, ("d", "a")]), "what is in neither of them may join them"
    assert not nothing_joins(rivals, [*inside, ("d", "e")]), "or be more than each of them"


def test_the_report_says_how_many_rungs_failed_a_gate_before_one_won():
    lost, won = Attempt(FIRST, None, failed(Code.NO_OVERLAP)), Attempt(replace(FIRST, guided=True), model(), PASSED)
    assert re.findall(r"\d+", why([lost, won], won)) == ["1", "1"]
    assert "first" in why([won], won)


@pytest.mark.parametrize(
    ("rung", "name"),
    [
        (FIRST, "exhaustive + incremental, 4096 features"),
        (replace(FINER, guided=True), "exhaustive guided + incremental, 8192 features"),
        (FIXED_LENS, "exhaustive + incremental with a fixed lens, 4096 features"),
        (replace(FIRST, sensitive=True), "exhaustive + incremental, 4096 features and weaker ones"),
        (replace(FIRST, mapper="supplied", supplied="transforms.json"), "supplied: transforms.json"),
    ],
)
def test_rungs_are_called_in_metrics_json_as_they_always_were(rung: Rung, name: str):
    assert str(rung) == name
    assert str(Attempt(rung, None, failed(Code.NO_OVERLAP))).startswith(f"{name}: ")


def part(shots: tuple[str, ...], seconds: float, verdict: Verdict = PASSED) -> Part:
    return Part(model(), verdict, shots, seconds)


def judged(kept: Part, *rest: Part) -> Verdict:
    return choose_part(kept, rivals_of(kept, rest))


def test_of_two_places_the_one_that_joins_more_clips_is_the_scene():
    """Also when the other is longer."""
    assert judged(part(("a", "b"), 8.0), part(("c",), 60.0)).passed


@pytest.mark.parametrize(("seconds", "passes"), [(7.9, True), (8.0, False), (10.0, False)])
def test_two_places_of_the_same_weight_are_refused_by_name(seconds, passes):
    verdict = judged(part(("a",), 10.0), part(("b",), seconds))
    assert verdict.passed == passes
    if not passes:
        assert verdict.code == Code.NO_OVERLAP
        assert "a and b" in verdict.reasons[0]


def test_a_second_part_that_is_unhealthy_or_of_the_same_clip_is_no_rival():
    sick = part(("b",), 10.0, failed(Code.POSES_UNRELIABLE))
    assert judged(part(("a",), 10.0), sick, part(("a",), 9.0)).passed


def test_a_later_way_that_finds_only_one_of_two_places_does_not_say_which_was_meant():
    """A clip and its mirror image: incremental mapping found both, global mapping one of them."""
    rivals = rivals_of(part(("a",), 10.0), [part(("b",), 10.0)])
    assert choose_part(part(("b",), 10.0), rivals).code == Code.NO_OVERLAP
    assert choose_part(part(("a", "b"), 20.0), rivals).passed
    sick = part(("b",), 10.0, failed(Code.POSES_UNRELIABLE))
    assert choose_part(sick, rivals).code == Code.POSES_UNRELIABLE


@pytest.mark.parametrize("frames", [2, 12, 72, 150, 350])
def test_no_way_compares_more_pairs_than_there_are(frames):
    everything = frames * (frames - 1) // 2
    for matching in ("preselected", "preselected widely", "exhaustive"):
        assert pair_count(matching, frames) <= everything
    assert pair_count("exhaustive", frames) == everything


def test_cameras_that_turned_out_doubtful_are_looked_for_by_the_other_mapper_then_with_more_features():
    assert next_rung([], 100, SETTINGS, 1280, {str(FIRST)}) == GLOBAL
    assert next_rung([], 100, SETTINGS, 0, {str(GLOBAL)}) == FINER
    failing = Attempt(GLOBAL, model(), failed(Code.NO_OVERLAP), features=4096, pairs=10)
    assert next_rung([failing], 100, SETTINGS, 0, {str(FIRST)}) == FINER
