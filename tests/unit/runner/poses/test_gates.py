"""The gates: geometry that a newcomer can check by hand, and verdicts that name number, threshold and remedy."""

from __future__ import annotations

import json
import math
from dataclasses import fields, replace

import numpy as np
import pytest

from runner.poses.gates import Counts, gate_results, judge, lens_is_impossible
from runner.poses.health import Observations, bend, measure, weakest_cut
from runner.scene.pose_report import Health, PoseReport
from runner.scene.shots import spans
from scenejobs.errors import Code

GOOD = Health(
    bridge=0.3, baseline_to_depth=0.4, focal_ratio=0.75, distortion_k1=-0.1, points_per_image=900.0,
    triangulation_angle_deg=12.0,
)  # fmt: skip
COUNTS = Counts(images_total=50, images_registered=50, points=9000, min_registered_share=0.5, min_points=1000)


def seen(centers, points, tracks, focal_ratios=(0.8,), k1=(0.0,)) -> Observations:
    """tracks: for each point the cameras that see it; all cameras look along +z."""
    return Observations(
        centers=np.array(centers, float), forward=np.tile([0.0, 0.0, 1.0], (len(centers), 1)),
        points=np.array(points, float), camera_of=np.concatenate([np.array(t, int) for t in tracks]),
        point_of=np.repeat(np.arange(len(tracks)), [len(t) for t in tracks]),
        focal_ratios=np.array(focal_ratios), k1=np.array(k1),
    )  # fmt: skip


def two_groups(inside: int, across: int) -> Observations:
    """Cameras 0-4 share `inside` points, cameras 5-9 as many, and `across` points are seen by 4 and 5."""
    tracks = [list(range(5))] * inside + [list(range(5, 10))] * inside + [[4, 5]] * across
    centers = [[i, 0, 0] for i in range(10)]
    return seen(centers, np.random.default_rng(0).normal((5, 0, 10), 1, (len(tracks), 3)), tracks)


@pytest.mark.parametrize(("inside", "across"), [(100, 5), (100, 40), (300, 1)])
def test_the_bridge_is_the_share_of_points_that_join_two_parts(inside, across):
    """Each side sees its own points and those across: the share is across / (inside + across)."""
    cut = weakest_cut(two_groups(inside, across))
    assert cut.bridge == pytest.approx(across / (inside + across))
    assert sorted(np.flatnonzero(cut.side)) in ([0, 1, 2, 3, 4], [5, 6, 7, 8, 9])


def test_a_scene_seen_by_all_cameras_has_no_weak_joint():
    tracks = [list(range(10))] * 200
    cut = weakest_cut(seen([[i, 0, 0] for i in range(10)], np.ones((200, 3)) * 9, tracks))
    assert cut.bridge == 1.0


def test_the_bridge_does_not_depend_on_the_order_of_the_cameras():
    rng = np.random.default_rng(1)
    base = two_groups(80, 9)
    new = rng.permutation(10)
    mixed = replace(base, camera_of=new[base.camera_of], centers=base.centers[np.argsort(new)])
    assert weakest_cut(mixed).bridge == pytest.approx(weakest_cut(base).bridge)


def test_baseline_depth_and_angle_are_those_of_the_geometry():
    """Four cameras one unit from their centre, points straight ahead of it at depth 10: baseline to depth is 1 / 10,
    and the widest angle is that of two opposite cameras, 2 atan(1 / 10) = 11.42 degrees."""
    centers = [[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0]]
    health, _ = measure(seen(centers, [[0, 0, 10.0]] * 50, [[0, 1, 2, 3]] * 50, (0.8, 2.0), (0.1, -0.3)))
    assert health.baseline_to_depth == pytest.approx(0.1)
    assert health.triangulation_angle_deg == pytest.approx(np.degrees(2 * np.arctan(0.1)))
    assert health.points_per_image == 50
    assert health.focal_ratio == 2.0  # the lens furthest from 1
    assert health.distortion_k1 == 0.1, "the bend of the long lens is a quarter: -0.075"


def test_the_bend_of_a_long_lens_counts_as_much_as_it_moves_its_edges():
    """Half a picture from the middle, k1 moves a point by k1 (0.5 / focal ratio)^2 of its distance from there."""
    k1, ratios = np.array([-0.3, 0.3, -0.3138]), np.array([0.75, 1.0, 2.435])
    long = bend(k1, ratios)
    assert tuple(long[:2]) == (-0.3, 0.3), "of usual lenses it is k1 itself"
    assert long[2] * 0.5**2 == pytest.approx(k1[2] * (0.5 / ratios[2]) ** 2)
    assert abs(long[2]) < 0.06


def test_a_healthy_reconstruction_passes_without_a_word():
    assert judge(GOOD, COUNTS) == type(judge(GOOD, COUNTS))(True)


@pytest.mark.parametrize(
    ("health", "counts", "code", "words"),
    [
        (replace(GOOD, baseline_to_depth=0.05), COUNTS, Code.STATIC_CAMERA, "0.050 of the depth; 0.06"),
        (replace(GOOD, bridge=0.054), COUNTS, Code.NO_OVERLAP, "0.054 of their points; 0.1"),
        (replace(GOOD, focal_ratio=0.18), COUNTS, Code.POSES_UNRELIABLE, "0.18 of the long side; 0.35 to 3"),
        (replace(GOOD, focal_ratio=4.6), COUNTS, Code.POSES_UNRELIABLE, "4.60 of the long side"),
        (replace(GOOD, distortion_k1=1.4), COUNTS, Code.POSES_UNRELIABLE, "1.40; up to 0.6"),
        (replace(GOOD, baseline_to_depth=6.5), COUNTS, Code.POSES_UNRELIABLE, "6.5 depths apart; 3"),
        (replace(GOOD, points_per_image=20), COUNTS, Code.POSES_UNRELIABLE, "20 points; 60"),
        (replace(GOOD, triangulation_angle_deg=0.2), COUNTS, Code.POSES_UNRELIABLE, "0.2 degrees; 0.8"),
        (GOOD, replace(COUNTS, points=400), Code.POSES_UNRELIABLE, "400 points were found; 1,000"),
        (GOOD, replace(COUNTS, images_registered=3), Code.TOO_FEW_REGISTERED, "3 of 50 frames were placed; 50%"),
        (
            GOOD,
            replace(COUNTS, images_registered=20, lost_clips=("b.mp4",), lost_images=60),
            Code.NO_OVERLAP,
            "connects b.mp4",
        ),
    ],
)
def test_each_gate_refuses_with_its_code_number_and_threshold(health, counts, code, words):
    verdict = judge(health, counts)
    assert (verdict.passed, verdict.code) == (False, code)
    assert words in "; ".join(verdict.reasons)
    assert verdict.advice


def test_a_broken_joint_names_what_lies_on_its_sides():
    side = spans([("a.mp4", 1.0), ("a.mp4", 3.2), ("b.mp4", 0.0)])
    assert side == "a.mp4 1.0-3.2 s, b.mp4 0.0-0.0 s"
    verdict = judge(replace(GOOD, bridge=0.01), replace(COUNTS, cut_sides=(side, "c.mp4 0.0-9.0 s")))
    assert f"{side} on one side, c.mp4 0.0-9.0 s on the other" in verdict.reasons[0]


def test_a_lost_clip_among_good_ones_is_a_warning_that_names_it():
    verdict = judge(GOOD, replace(COUNTS, images_registered=38, lost_clips=("b.mp4",)))
    assert verdict.passed
    assert "b.mp4" in verdict.warnings[0]
    assert "38 of 50" in verdict.warnings[1]


def test_only_impossible_lenses_are_called_so():
    assert not lens_is_impossible(GOOD)
    assert lens_is_impossible(replace(GOOD, focal_ratio=0.18))
    assert lens_is_impossible(replace(GOOD, distortion_k1=-0.7))


def test_the_results_of_the_gates_follow_the_numbers_of_the_health_in_their_order():
    results = gate_results(GOOD)
    assert [result.name for result in results] == [part.name for part in fields(Health)]
    assert all(result.passed for result in results)
    by_name = {result.name: result for result in results}
    assert (by_name["baseline_to_depth"].low, by_name["baseline_to_depth"].high) == (0.06, 3.0)
    assert (by_name["bridge"].low, by_name["bridge"].high) == (0.1, None)
    assert by_name["distortion_k1"].number == 0.1, "its size"


@pytest.mark.parametrize("change", [{"baseline_to_depth": 0.05}, {"baseline_to_depth": 6.5}, {"focal_ratio": 0.18},
                                    {"bridge": math.nan}])  # fmt: skip
def test_a_result_fails_where_the_verdict_does(change):
    health = replace(GOOD, **change)
    assert [result.name for result in gate_results(health) if not result.passed] == list(change)
    assert not judge(health, COUNTS).passed


@pytest.mark.parametrize(("bridge", "passed"), [(0.0999, False), (0.1, True)])
def test_the_limit_itself_passes(bridge, passed):
    assert judge(replace(GOOD, bridge=bridge), COUNTS).passed is passed


def test_reasons_come_in_the_order_of_the_gates_and_the_first_gives_code_and_advice():
    health = replace(GOOD, baseline_to_depth=0.05, bridge=0.05, focal_ratio=4.0)
    verdict = judge(health, replace(COUNTS, points=10))
    assert verdict.code == Code.STATIC_CAMERA
    assert len(verdict.reasons) == 4
    assert verdict.advice == judge(replace(GOOD, baseline_to_depth=0.05), COUNTS).advice


def test_stored_reports_have_no_gates_and_come_back_without():
    """They follow from the health: a report of an older version gets the gates of this one."""
    report = PoseReport(2, 2, 9, 5.0, 0.5, GOOD, "r", (), (), gates=gate_results(GOOD))
    assert "gates" not in report.to_json()
    assert PoseReport.from_json(json.loads(json.dumps(report.to_json()))) == replace(report, gates=())
