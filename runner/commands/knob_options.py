"""Options of `video-splat scene` that are settings: each is read as its variable, with the same limits."""

from __future__ import annotations

import argparse
from argparse import Namespace
from collections.abc import Iterator, Mapping
from dataclasses import Field, fields
from typing import Any, Literal, get_args, get_origin, get_type_hints

from scenejobs.settings.pipeline import PipelineSettings

GROUPS: Mapping[str, tuple[str, ...]] = {
    "frames and camera poses": (
        "FRAME_RATE", "COLMAP_MAX_NUM_FEATURES", "COLMAP_MATCHER", "COLMAP_MAPPER", "COLMAP_CAMERA_MODEL",
        "POSES_BUDGET_SECS",
    ),
    "training": (
        "TRAIN_STEPS", "TRAIN_BUDGET_SECS", "MAX_GAUSSIANS", "TRAIN_LONG_SIDE", "SH_DEGREE", "TRAIN_STRATEGY",
        "EXPOSURE", "POSE_REFINEMENT", "LEARNING_RATE_FACTOR", "DENSIFY_FROM", "DENSIFY_UNTIL", "DENSIFY_GRADIENT",
        "PRUNE_OPACITY",
    ),
    "time and money": ("SCENE_BUDGET_SECS", "SCENE_BUDGET_USD"),
    "results": ("EXPORT_FORMATS", "MARKER_SIZE_M", "METRIC"),
}  # fmt: skip
"""By the heading of the help: variables of PipelineSettings."""


def add(parser: argparse.ArgumentParser) -> None:
    """One option for each variable of GROUPS. None is set where it is not given."""
    kinds: dict[str, Any] = get_type_hints(PipelineSettings)
    of_variable = {item.metadata["variable"]: item for item in fields(PipelineSettings)}
    for heading, variables in GROUPS.items():
        group = parser.add_argument_group(heading)
        for variable in variables:
            item = of_variable[variable]
            group.add_argument(
                option_of(variable), dest=variable, metavar=_metavar(kinds[item.name], item), help=_help(item)
            )


def given(options: Namespace) -> dict[str, str]:
    """Variables that an option says, as text. An option wins over the environment."""
    return {name: text for name in _variables() if (text := getattr(options, name)) is not None}


def called(options: Namespace) -> dict[str, str]:
    """By variable: the option that says it, for messages."""
    return {name: option_of(name) for name in given(options)}


def option_of(variable: str) -> str:
    """TRAIN_STEPS -> --train-steps."""
    return f"--{variable.lower().replace('_', '-')}"


def _variables() -> Iterator[str]:
    for variables in GROUPS.values():
        yield from variables


def _help(item: Field[Any]) -> str:
    text: str = item.metadata["doc"]
    return text.replace("%", "%%")


def _metavar(kind: Any, item: Field[Any]) -> str:
    if get_origin(kind) is Literal:
        choices = get_args(kind)
        return "|".join(choices) if len(choices) <= 5 else "MODEL"
    return {bool: "true|false", int: "N", float: "SECONDS" if item.metadata["variable"].endswith("_SECS") else "X"}.get(
        kind, "LIST"
    )
