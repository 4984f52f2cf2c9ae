"""How a scene is made, in numbers that a preset sets as well: variables, options of a command, keys of a scene.yaml.

Each name has three spellings: TRAIN_STEPS in the environment, --train-steps on the command line, train_steps in the
scene.yaml beside the uploads (docs/configuration.md).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from scenejobs.errors import ConfigurationError
from scenejobs.settings.reader import setting as _setting

USUAL_FORMATS = ("ply", "splat", "spz", "compressed.ply")
FORMATS = (*USUAL_FORMATS, "glb", "points.ply", "turntable.mp4", "dataset.zip")
"""What EXPORT_FORMATS may name; runner/export/formats.py and runner/export/extras.py write them."""
MATCHERS: Mapping[str, str] = dict.fromkeys(
    ("vocab_tree", "vocabtree", "spatial", "transitive", "retrieval"),
    "not a way to begin with; sequential also looks for loops, and a scene that it fails for is tried in others",
)


@dataclass(frozen=True)
class Knobs:
    """What overrides a preset. Part of PipelineSettings."""

    train_steps: int = _setting(
        "TRAIN_STEPS", "steps of the training; 0: the preset's", 0, minimum=0, least=100, maximum=1_000_000
    )
    train_budget_s: float = _setting(
        "TRAIN_BUDGET_SECS",
        "longest training, seconds of wall clock: its schedules are shortened to fit; 0: the preset's",
        0.0,
        minimum=0,
        least=1,
    )
    scene_budget_s: float = _setting(
        "SCENE_BUDGET_SECS",
        "longest run of a scene, seconds of wall clock: it is made of fewer frames and less training where it would "
        "take longer, and refused where it surely would; 0: only the limits of the job hold",
        0.0,
        minimum=0,
        least=30,
    )
    scene_budget_usd: float = _setting(
        "SCENE_BUDGET_USD",
        "most that a run may cost, by the prices of prices.tsv on the machine of MACHINE_PROFILE; held as "
        "SCENE_BUDGET_SECS is; 0: no limit",
        0.0,
        minimum=0,
    )
    max_gaussians: int = _setting(
        "MAX_GAUSSIANS", "most Gaussians of a scene; 0: the preset's", 0, minimum=0, least=1000, maximum=50_000_000
    )
    train_long_side: int = _setting(
        "TRAIN_LONG_SIDE",
        "long side of the pictures that are trained on, pixels; 0: the preset's",
        0,
        minimum=0,
        least=160,
        maximum=8192,
    )
    sh_degree: Literal["auto", "0", "1", "2", "3"] = _setting(
        "SH_DEGREE", "most degree of the spherical harmonics: how colours change with the view; auto: the preset's",
        "auto",
    )  # fmt: skip
    train_strategy: Literal["auto", "default", "mcmc"] = _setting(
        "TRAIN_STRATEGY",
        "default: clone, split, prune (3DGS); mcmc: relocate under a hard cap (3DGS-MCMC); auto: the preset's",
        "auto",
    )
    exposure: Literal["auto", "on", "off"] = _setting(
        "EXPOSURE", "exposure of each training picture: on corrects it, off leaves it alone, auto looks", "auto"
    )
    pose_refinement: Literal["off", "on"] = _setting(
        "POSE_REFINEMENT", "on: cameras move while training, by their pictures and the sparse points", "off"
    )
    learning_rate_factor: float = _setting(
        "LEARNING_RATE_FACTOR", "every learning rate is so many times the strategy's", 1.0, minimum=0.05, maximum=20
    )
    densify_from: float = _setting(
        "DENSIFY_FROM", "share of the training at which Gaussians begin to be added; 0: the strategy's", 0.0, minimum=0,
        maximum=1,
    )  # fmt: skip
    densify_until: float = _setting(
        "DENSIFY_UNTIL", "share of the training at which no more are added; 0: the strategy's", 0.0, minimum=0,
        maximum=1,
    )  # fmt: skip
    densify_gradient: float = _setting(
        "DENSIFY_GRADIENT",
        "strategy default: gradient of a Gaussian's place, in half pictures, above which it is split; lower: more "
        "Gaussians; 0: the strategy's",
        0.0,
        minimum=0,
        maximum=1,
    )
    prune_opacity: float = _setting(
        "PRUNE_OPACITY", "opacity below which a Gaussian is taken out; 0: the strategy's", 0.0, minimum=0, maximum=0.5
    )
    colmap_matcher: Literal["auto", "exhaustive", "sequential"] = _setting(
        "COLMAP_MATCHER",
        "pairs of frames that are compared first: all; neighbours in time, with loops; auto: by the number of frames. "
        "Where that finds no good poses, others are tried within POSES_BUDGET_SECS",
        "auto",
        gone=MATCHERS,
    )
    colmap_mapper: Literal["auto", "incremental", "global"] = _setting(
        "COLMAP_MAPPER", "mapper that is tried first; the other one may follow; auto: incremental", "auto"
    )
    colmap_camera_model: Literal[
        "auto", "SIMPLE_PINHOLE", "PINHOLE", "SIMPLE_RADIAL", "RADIAL", "OPENCV", "SIMPLE_RADIAL_FISHEYE",
        "RADIAL_FISHEYE", "OPENCV_FISHEYE",
    ] = _setting(
        "COLMAP_CAMERA_MODEL",
        "COLMAP's model of the lenses; auto: SIMPLE_RADIAL, and a fisheye where the pictures ask for one",
        "auto",
    )  # fmt: skip
    marker_size_m: float = _setting(
        "MARKER_SIZE_M",
        "side of the black square of printed AprilTags (tag36h11) in the scene, metres: the scale is found by them; "
        "0: none are looked for",
        0.0,
        minimum=0,
        least=0.005,
        maximum=100,
    )
    metric: bool = _setting(
        "METRIC",
        "true: the files are in metres where the scale is known, and say so; else, and where it is unknown, in units "
        "of the scene",
        False,
    )
    export_formats: str = _setting(
        "EXPORT_FORMATS",
        f"files of the scene, with commas: {', '.join(FORMATS)}; usual: the first {len(USUAL_FORMATS)}; all: each of "
        "them; ply is always written, as is viewer.html",
        "usual",
    )

    @property
    def formats(self) -> tuple[str, ...]:
        """The files that are written, in order."""
        named = _named(self.export_formats)
        if "all" in named:
            return FORMATS
        wanted = named | (set(USUAL_FORMATS) if named & {"usual", ""} else {"ply"})
        return tuple(each for each in FORMATS if each in wanted)


def _named(formats: str) -> set[str]:
    return {name.strip().lower().removeprefix(".") for name in formats.split(",")}


def problems(knobs: Knobs) -> Iterator[str]:
    """What is wrong with values that are right each for itself."""
    if unknown := sorted(_named(knobs.export_formats) - {*FORMATS, "all", "usual", ""}):
        yield f"EXPORT_FORMATS names {', '.join(unknown)}: use {', '.join(FORMATS)}, usual or all"
    if 0 < knobs.densify_until <= knobs.densify_from:
        yield (
            f"DENSIFY_FROM={knobs.densify_from:g} is not before DENSIFY_UNTIL={knobs.densify_until:g}: "
            "Gaussians are added between the two"
        )


def check(knobs: Knobs) -> None:
    """Raises ConfigurationError, whose cause names every one of `problems`."""
    if found := list(problems(knobs)):
        cause, _, advice = "; ".join(found).rpartition(": ")
        raise ConfigurationError(cause, advice=advice, stage="configuration")
