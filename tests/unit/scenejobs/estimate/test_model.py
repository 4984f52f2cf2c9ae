"""An estimate is a range that real runs lie in, of quantities that stand in one place, with no price made up."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from runner.pipeline.fitting import plan_of
from runner.pipeline.presets import AUTO as RUNNERS_AUTO
from runner.pipeline.presets import PRESETS
from runner.poses.settings import FEW, FRAME_S, PAIR_FEATURES, PAIR_S
from scenejobs.estimate import model, plans
from scenejobs.estimate.footage import File, Footage, of_sizes
from scenejobs.estimate.learned import Finished, Ratios, by_stage, ratios, with_one_more
from scenejobs.estimate.model import STAGE_OF, STAGES, estimate
from scenejobs.estimate.plans import PLANS
from scenejobs.estimate.prices import MACHINES, Price, read_prices
from scenejobs.estimate.words import document, lines
from scripts import costs

RESULTS = Path(__file__).parents[4] / "benchmarks/results"
CLIP = File("a.mp4", 10_000_000, 20.0, 600, 1920, 1080)
PRICED = {item: Price(0.001, "", "", "", "") for item in read_prices()}


def run(number: int, times: float, *, backend: str = "cpu", whole: bool = True) -> Finished:
    prior = dict.fromkeys(STAGES, 100.0)
    took = dict.fromkeys(STAGES, 100.0 * times)
    return Finished(f"run{number}", backend, "laptop", 2.0, 50, prior, took, 300.0, 500.0, whole)


def test_plans_and_machines_are_those_of_runner_and_templates() -> None:
    made = {name: plan_of(chosen, "gsplat" if PLANS[name].gpu else "cpu") for name, chosen in PRESETS.items()}
    assert made == PLANS
    assert {name for name, chosen in PRESETS.items() if chosen.description.startswith("GPU")} == {
        name for name, plan in PLANS.items() if plan.gpu
    }
    assert plans.AUTO == RUNNERS_AUTO
    assert PRESETS["laptop"].poses.exhaustive_up_to == plans.PAIRS_UP_TO
    assert FEW == plans.FEW
    assert (model.FRAME_S, model.PAIR_S, model.OF_FEATURES) == (FRAME_S, PAIR_S, PAIR_FEATURES)
    assert {machine.profile: machine for machine in costs.machines()} == MACHINES


def test_the_frames_are_those_that_the_budget_leaves() -> None:
    assert Footage((CLIP,)).chosen(72) == (72, 72)
    assert Footage((replace(CLIP, duration_s=5.0),)).chosen(72) == (30, 30)
    short = replace(CLIP, duration_s=1.0, frames=30)
    assert Footage((short,)).chosen(72) == (24, 24)
    assert Footage((replace(short, frames=10),)).chosen(72) == (10, 10)
    assert Footage((File("b.jpg", 1), File("c.jpg", 1))).photos == 2
    assert Footage((CLIP,)).chosen(500, rate_fps=2.0) == (40, 40)


def test_sizes_alone_give_a_wider_range_than_headers() -> None:
    known = estimate(Footage((CLIP,)), PLANS["laptop-high"])
    by_size = estimate(of_sizes({CLIP.name: CLIP.size_bytes, "notes.txt": 5}), PLANS["laptop-high"])
    assert known.by_headers
    assert not by_size.by_headers
    assert by_size.frames.low < known.frames.low <= known.frames.high <= by_size.frames.high
    assert by_size.total_s.low < known.total_s.low


def test_committed_runs_lie_in_their_range() -> None:
    """fox: three clips, 6.4 MB, of which 50 frames are chosen (benchmarks/results/end_to_end.json)."""
    fox = Footage(tuple(File(f"view{i}.mp4", 2_133_000, 3.0, frames) for i, frames in enumerate((17, 17, 16))))
    for each in json.loads((RESULTS / "end_to_end.json").read_text())["fox"]:
        found = estimate(fox, PLANS[each["preset"]])
        assert found.frames.high == each["images_total"]
        took = by_stage(each["stage_seconds"], STAGE_OF)
        for stage in STAGES:
            assert found.stages_s[stage].low <= took[stage] <= found.stages_s[stage].high, (stage, took, found)
        assert found.memory_mb.low <= each["peak_mb"] <= found.memory_mb.high


def test_more_of_anything_never_takes_less() -> None:
    base = estimate(Footage((CLIP,)), PLANS["laptop"])
    longer = estimate(Footage((CLIP, replace(CLIP, name="b.mp4"))), PLANS["laptop"])
    higher = estimate(Footage((CLIP,)), PLANS["laptop-high"])
    for other in (longer, higher):
        assert other.total_s.high >= base.total_s.high
        assert other.disk_mb.high > base.disk_mb.high
    assert estimate(Footage((CLIP,)), PLANS["laptop"], cores=8).total_s.high < base.total_s.high


def test_finished_scenes_move_the_estimate_to_what_they_took() -> None:
    guess = estimate(Footage((CLIP,)), PLANS["laptop-high"])
    seen = [run(number, 0.5) for number in range(9)]
    found = estimate(Footage((CLIP,)), PLANS["laptop-high"], learned=ratios(seen, "cpu", STAGES))
    truth = sum(guess.prior_s.values()) / 2
    assert found.scenes == 9
    assert found.total_s.low <= truth <= found.total_s.high
    assert found.total_s.high / found.total_s.low < guess.total_s.high / guess.total_s.low


def test_one_scene_narrows_nothing_and_an_odd_one_among_many_changes_little() -> None:
    assert Ratios((1.0,)).spread(0.5, 2.0) == (0.5, 2.0)
    many = Ratios((*(1.0,) * 18, 9.0, 0.1)).spread(0.5, 2.0)
    assert many[1] < 1.5
    assert many[0] > 0.6


def test_another_backend_and_runs_that_took_work_over_teach_nothing() -> None:
    assert ratios([run(1, 3.0, backend="gsplat")], "cpu", STAGES) == {}
    assert ratios([run(1, 3.0, whole=False)], "cpu", STAGES) == {}


def test_a_run_counts_once_and_old_ones_are_forgotten() -> None:
    found: tuple[Finished, ...] = ()
    for number in range(150):
        found = with_one_more(found, run(number, 1.0))
    found = with_one_more(found, run(149, 2.0))
    assert [each.run for each in found] == [f"run{number}" for number in range(50, 150)]


def test_without_a_price_quantities_are_shown_and_no_sum() -> None:
    found = estimate(Footage((CLIP,)), PLANS["standard"])
    unknown = {item: replace(price, usd=None) for item, price in PRICED.items()}
    text = "\n".join(lines(found, unknown))
    assert "GPU minutes of 8 vCPU and 56 GiB; price not known" in text
    assert "USD" not in text
    assert [each["usd"] for each in document(found, unknown)["machines"]] == [None, None]
    assert document(found, unknown)["machines"][0]["gpu_minutes"]["high"] == pytest.approx(found.total_s.high / 60)


def test_with_prices_the_money_is_a_range() -> None:
    found = estimate(Footage((CLIP,)), PLANS["standard"])
    t4 = document(found, PRICED)["machines"][0]["usd"]
    assert t4["low"] == pytest.approx(found.total_s.low * (8 + 56 + 1) * 0.001)
    assert t4["high"] == pytest.approx(found.total_s.high * (8 + 56 + 1) * 0.001)
