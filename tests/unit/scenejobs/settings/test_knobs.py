"""Knobs: every wrong one is named at once, 0 and auto leave it to the preset, and each has an option of its own."""

from __future__ import annotations

from dataclasses import fields

import pytest

from runner.commands.knob_options import GROUPS, option_of
from runner.export.extras import EXTRAS
from runner.export.formats import EXPORTERS
from scenejobs.errors import ConfigurationError
from scenejobs.settings import knobs
from scenejobs.settings.knobs import FORMATS, USUAL_FORMATS, Knobs
from scenejobs.settings.pipeline import PipelineSettings
from scenejobs.settings.reader import read, read_all


def test_every_wrong_one_is_named_at_once_with_what_is_allowed() -> None:
    env = {
        "TRAIN_STEPS": "99", "MAX_GAUSSIANS": "1e6", "SH_DEGREE": "4", "TRAIN_STRATEGY": "adam", "DENSIFY_FROM": "1.5",
        "LEARNING_RATE_FACTOR": "nan", "COLMAP_MATCHER": "vocab_tree", "COLMAP_CAMERA_MODEL": "FULL_OPENCV",
    }  # fmt: skip
    with pytest.raises(ConfigurationError) as error:
        read(PipelineSettings, env)
    for part in (
        "TRAIN_STEPS='99' is not allowed: use 0 or 100 to 1000000", "MAX_GAUSSIANS='1e6' is not allowed: use a whole",
        "SH_DEGREE='4' is not allowed: use one of auto, 0, 1, 2, 3", "auto, default, mcmc", "use 0 to 1",
        "use 0.05 to 20", "COLMAP_MATCHER='vocab_tree' is not allowed: not a way to begin with", "OPENCV_FISHEYE",
    ):  # fmt: skip
        assert part in error.value.cause


def test_an_option_is_named_as_it_was_typed() -> None:
    with pytest.raises(ConfigurationError, match="--train-steps '9' is not allowed"):
        read_all((PipelineSettings,), {"TRAIN_STEPS": "9"}, called={"TRAIN_STEPS": "--train-steps"})


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"export_formats": "splat, obj"}, "EXPORT_FORMATS names obj"),
        ({"densify_from": 0.5, "densify_until": 0.5}, "DENSIFY_FROM=0.5 is not before DENSIFY_UNTIL=0.5"),
    ],
)
def test_what_is_wrong_only_together_is_refused(changed: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        knobs.check(Knobs(**changed))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("all", FORMATS),
        ("", USUAL_FORMATS),
        ("usual, dataset.zip", (*USUAL_FORMATS, "dataset.zip")),
        ("SPZ, .splat", ("ply", "splat", "spz")),
        ("ply", ("ply",)),
    ],
)
def test_formats_are_written_as_listed_and_ply_always(text: str, written: tuple[str, ...]) -> None:
    assert Knobs(export_formats=text).formats == written


def test_the_formats_are_those_that_can_be_written() -> None:
    assert (*EXPORTERS, *EXTRAS) == FORMATS


def test_each_knob_has_an_option() -> None:
    options = {option_of(name) for names in GROUPS.values() for name in names}
    assert {option_of(item.metadata["variable"]) for item in fields(Knobs)} <= options
