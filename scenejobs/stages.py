"""The stages of a run in the words of people: `status`, page, report, command line."""

from __future__ import annotations

STAGES = {
    "frame_extraction": "frames",
    "colmap_reconstruction": "poses",
    "clean_up": "clean-up",
    "made_again": "made again",
    "ply_export": "PLY export",
    "splat_export": "splat export",
    "small_exports": "small exports",
}
"""Stages as people read them; others are called what they are. Files and logs keep the names on the left."""


def in_words(stage: str) -> str:
    return STAGES.get(stage, stage)
