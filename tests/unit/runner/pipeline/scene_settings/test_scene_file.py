"""scene.yaml: what is wrong is named by line and key, nothing in it costs more than a look, and it raises no limit."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.pipeline import settings as pipeline_settings
from runner.pipeline.scene_settings.scene_file import KNOWN, MOST_BYTES, Asked, asked_for, read
from scenejobs.errors import Code, InputError
from scenejobs.settings.pipeline import PipelineSettings

OPERATOR = PipelineSettings(preset="laptop", force_cpu=True)


def made(text: str, operator: PipelineSettings = OPERATOR) -> pipeline_settings.JobSettings:
    return pipeline_settings.resolve(operator, "id", asked=read(text.encode()))


def test_what_it_asks_for_is_read_with_the_types_of_the_settings() -> None:
    text = "# of mine\ntrain_steps: 500\nexposure: off\nsh_degree: 1\nexport_formats: [ply, spz]\nnotify: team\n"
    assert read(f"{text}frame_rate: 2\n".encode()) == Asked(
        {"train_steps": 500, "exposure": "off", "sh_degree": "1", "export_formats": "ply,spz", "frame_rate": 2.0},
        ("team",),
    )
    assert read(b"") == read(b"# nothing\n") == Asked()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"train_steps: 500\ntrain_stepps: 1\n", "line 2: train_stepps is not known: did you mean train_steps?"),
        (b"Max-Gaussians: 5000", "did you mean max_gaussians?"),
        (b"a: 1\nmax_gaussians: lots\npreset: best", "max_gaussians: use a whole number; line 3: preset: use one of"),
        (b"train_steps: 1e9", "use a whole number"),
        (b"learning_rate_factor: .nan", "learning_rate_factor: use a number"),
        (b"train_steps: 300\ntrain_steps: 400", "line 2: train_steps is there twice"),
        (b"train_steps:", "line 1: train_steps: it has no value"),
        (b"train_steps: [300]", "one value, not a list"),
        (b"backend: gsplat", "line 1: backend is not known"),
        (b"sandbox: off", "line 1: sandbox is not known"),
        (b"densify_from: 0.5\ndensify_until: 0.4", "is not before"),
        (b"a: &x [1]\nb: *x", "anchors and aliases"),
        (b"train_steps: !!python/object/apply:os.system [true]", "line 1: tags"),
        (b"train_steps: {a: 1}", "train_steps holds further keys"),
        (b"[" * 8000, "within each other"),
        (b"[\n" * 8000, "within each other"),
        (b"a: 1\n---\nb: 2", "line 2: one document"),
        (b"- train_steps", "it holds no keys"),
        (b"\ttrain_steps: 1", "line 1: it is no YAML"),
        (b"\xff\xfe", "it is no text"),
        (b"#" * (MOST_BYTES + 1), "more than 16 KiB"),
        (b"notify: [" + b"a, " * 5 + b"b, c, d, e, f, g, h, i, j, k]", "10 targets at most"),
    ],
)
def test_a_wrong_one_is_refused_by_line_and_key(text: bytes, words: str) -> None:
    with pytest.raises(InputError) as error:
        read(text)
    assert error.value.code is Code.BAD_SETTINGS
    assert error.value.files == ("scene.yaml",)
    assert error.value.cause.startswith("scene.yaml: ")
    assert words in error.value.cause


def test_aliases_that_would_grow_to_gigabytes_cost_nothing() -> None:
    levels = "\n".join(f"k{i}: &k{i} [{', '.join([f'*k{i - 1}'] * 9)}]" for i in range(1, 40))
    began = time.process_time()
    with pytest.raises(InputError, match="anchors and aliases"):
        read(f"k0: &k0 lol\n{levels}".encode())
    assert time.process_time() - began < 5


PIECES = st.sampled_from([*KNOWN, "notify", ":", ": ", "\n", "- ", "[", "]", "{", "}", "&a", "*a", "!!int", "1", "0.5",
                          "auto", "off", "|", ">", "'", '"', "#", "%", "?", "---", "<<", "\t", "\x00"])  # fmt: skip


@given(st.one_of(st.binary(max_size=300), st.lists(PIECES, max_size=40).map(lambda parts: "".join(parts).encode())))
def test_any_bytes_are_settings_or_a_refusal(data: bytes) -> None:
    asked = Asked()
    with suppress(InputError):  # whose code is BAD_SETTINGS, as `refused` makes it
        asked = read(data)
    assert asked.values.keys() <= KNOWN.keys()
    for key, value in asked.values.items():
        if key != "preset":
            getattr(replace(OPERATOR, **{KNOWN[key].name: value}), KNOWN[key].name)


def test_it_lowers_the_operators_numbers() -> None:
    job = made("train_steps: 500\nmax_gaussians: 2000\nsh_degree: 1\nframe_count: 30\ntrain_budget_secs: 60")
    train = job.preset.train
    assert (train.iterations, train.cap, train.sh_degree, train.budget_s) == (500, 2000, 1, 60)
    assert (job.preset.frames.budget, job.warnings) == (30, ())


HIGHER: dict[str, Any] = {
    "train_steps": 900_000, "train_budget_secs": 86_400, "max_gaussians": 9_000_000, "train_long_side": 4000,
    "frame_count": 5000, "colmap_max_num_features": 60_000, "poses_budget_secs": 86_400,
}  # fmt: skip


@pytest.mark.parametrize("key", HIGHER)
def test_it_never_raises_them_and_what_was_held_is_told(key: str) -> None:
    usual, job = pipeline_settings.resolve(OPERATOR, "id"), made(f"{key}: {HIGHER[key]}")
    assert job.preset == usual.preset
    (told,) = job.warnings
    assert told.startswith(f"scene.yaml asks for {key} ")
    assert told.endswith("is the most here")


def test_neither_does_a_larger_preset_nor_another_way_to_compare_more() -> None:
    usual, job = pipeline_settings.resolve(OPERATOR, "id").preset, made("preset: high")
    found = job.preset
    assert found.train.strategy == "mcmc", "what costs nothing is as that preset has it"
    numbers = [(p.train.iterations, p.train.cap, p.train.long_side, p.train.budget_s, p.frames.budget, p.poses.features,
                p.poses.budget_s, p.poses.max_image_size, p.frames.long_side) for p in (found, usual)]  # fmt: skip
    assert all(one <= most for one, most in zip(*numbers, strict=True))
    assert any("asks for preset high: train_steps is 3000 at most" in told for told in job.warnings)
    many = replace(OPERATOR, frame_count=400)
    job = made("colmap_matcher: exhaustive", many)
    assert not job.preset.poses.all_pairs(400)
    assert "colmap_matcher exhaustive" in job.warnings[0]
    few = made("colmap_matcher: exhaustive", replace(OPERATOR, frame_count=72))
    assert few.preset.poses.all_pairs(72)
    assert few.warnings == ()


def test_a_window_that_is_empty_beside_the_strategys_own_is_refused() -> None:
    with pytest.raises(InputError, match="Gaussians would be added"):
        made("densify_from: 0.7")


def test_only_targets_that_the_operator_allows_are_kept(tmp_path: Any) -> None:
    path = tmp_path / "scene.yaml"
    path.write_text("notify: [team, https://evil.example/x]")
    asked, told = asked_for(path, "team, ops")
    assert asked == Asked({}, ("team",))
    assert told == ("scene.yaml asks to notify https://evil.example/x: NOTIFY_TARGETS does not allow it, "
                    "ask the operator to add it",)  # fmt: skip
    path.write_text("notify: [tema]")
    assert asked_for(path, "team=https://a.example/x, ops")[1][0].endswith("does not allow it, did you mean team?")
    assert asked_for(None, "team") == (None, ())
