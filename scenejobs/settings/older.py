"""Settings of the older service's deployment guide that do nothing here: each with what to use instead.

Whoever follows that guide sets them. They are refused at the start, since a setting that is dropped in silence looks
like one that works. Any other unknown variable is somebody else's, and stops nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

CHOSEN = "take it out: pairs are chosen by number and order of the frames; too slow: FRAME_COUNT or POSES_BUDGET_SECS"
CAMERA = "take it out: the model is chosen for each camera"
TRAINER = "take it out: the trainers are those of BACKEND"
STEPS = "PRESET"

VARIABLES: Mapping[str, str] = {
    "RECONSTRUCTION_BACKEND": "take it out: COLMAP is what runs; known poses: transforms.json, a COLMAP model or "
    "cameras.json beside the clips",
    "COLMAP_MATCHER": CHOSEN,
    "COLMAP_CAMERA_MODEL": CAMERA,
    "COLMAP_USE_CPU": "take it out: poses are always found on the CPU; FORCE_CPU_BACKEND is for the training",
    "GAUSSIAN_SPLATTING_BIN": TRAINER,
    "TDGS_CPP_BIN": TRAINER,
}
TAKEN: Mapping[str, frozenset[str]] = {"RECONSTRUCTION_BACKEND": frozenset({"colmap"})}  # asks for what is done anyway

# Where the guide mounts its file, and the variable that moves it.
FILES = ("/config/config.yaml", "/app/config.yaml")
FILE_VARIABLE = "CONFIG_PATH"
KEYS: Mapping[str, str] = {
    "backend": "BACKEND",
    "frame_extraction.rate": "FRAME_RATE",
    "frame_extraction.count": "FRAME_COUNT",
    "colmap.matcher": CHOSEN,
    "colmap.camera_model": CAMERA,
    "training.iterations": STEPS,
    "training.learning_rate": STEPS,
    "training.densification_interval": STEPS,
    "training.densification_start": STEPS,
    "training.densification_stop": STEPS,
    "training.opacity_reset_interval": STEPS,
    "export.formats": "take it out: every format is written",
    "export.ply_precision": "take it out: .ply has 32 bits a number, .compressed.ply and .spz are the small ones",
}
MOST_BYTES = 1 << 16


def problems(env: Mapping[str, str]) -> Iterator[str]:
    """One text for each variable of the guide that is set, and one for its file with the keys that are in it."""
    for name, instead in VARIABLES.items():
        text = env.get(name, "").strip()
        if text and text.lower() not in TAKEN.get(name, ()):
            yield f"{name} is not read here: {instead}"
    named = env.get(FILE_VARIABLE, "").strip()
    for path in dict.fromkeys((*([named] if named else []), *FILES)):
        found = [key for key in keys_of(_text(path)) if key in KEYS]
        if found:  # a file without any of them is somebody else's
            yield f"{path} is not read here, settings are variables: " + ", ".join(
                f"{key}: {KEYS[key]}" for key in found
            )


def keys_of(text: str) -> list[str]:
    """Keys of a YAML file of nested mappings, joined with dots. What is no `key:` line is passed over."""
    above: list[tuple[int, str]] = []
    found: list[str] = []
    for line in text.splitlines():
        if not (match := re.match(r"( *)(\w+) *:(?:\s|$)", line)):
            continue
        indent = len(match[1])
        above = [(column, key) for column, key in above if column < indent]
        above.append((indent, match[2]))
        found.append(".".join(key for _, key in above))
    return found


def _text(path: str) -> str:
    """The beginning of a file; "" where there is none that can be read."""
    try:
        with Path(path).open("rb") as file:
            return file.read(MOST_BYTES).decode("utf-8", "replace")
    except (OSError, ValueError):
        return ""
