"""Settings of the older service's deployment guide that do nothing here: each with what to use instead.

Whoever follows that guide sets them. Variables are refused at the start, since a setting that is dropped in silence
looks like one that works. Keys of its file, which came with a default for each, are read or named. Any other unknown
variable is somebody else's, and stops nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

TRAINER = "take it out: the trainers are those of BACKEND"
STEPS = "use TRAIN_STEPS, or another PRESET"
WINDOW = "use DENSIFY_FROM and DENSIFY_UNTIL, which are shares of the training"
TRAINERS: Mapping[str, str] = {
    name: "a trainer of the older service; use gsplat (on a GPU) or cpu, which train by the same method"
    for name in ("gaussian-splatting", "3dgs-cpp", "gaussian_splatting", "3dgs_cpp")
}
"""Its words for BACKEND that are none here, each with the new one."""

VARIABLES: Mapping[str, str] = {
    "RECONSTRUCTION_BACKEND": "take it out: COLMAP is what runs; known poses: transforms.json, a COLMAP model or "
    "cameras.json beside the clips",
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
    "colmap.matcher": "use COLMAP_MATCHER",
    "colmap.camera_model": "use COLMAP_CAMERA_MODEL",
    "training.iterations": STEPS,
    "training.learning_rate": "use LEARNING_RATE_FACTOR",
    "training.densification_interval": "take it out: it follows from TRAIN_STEPS",
    "training.densification_start": WINDOW,
    "training.densification_stop": WINDOW,
    "training.opacity_reset_interval": "take it out: opacities are not reset",
    "export.formats": "use EXPORT_FORMATS",
    "export.ply_precision": "take it out: .ply has 32 bits a number, .compressed.ply and .spz are the small ones",
}
TWINS: Mapping[str, str] = {key: KEYS[key] for key in ("backend", "frame_extraction.rate", "frame_extraction.count")}
"""Keys that are read, by runner/pipeline/config_file.py, as the variable."""


def problems(env: Mapping[str, str]) -> Iterator[str]:
    """One text for each variable of the guide that is set and does nothing here."""
    for name, instead in VARIABLES.items():
        text = env.get(name, "").strip()
        if text and text.lower() not in TAKEN.get(name, ()):
            yield f"{name} is not read here: {instead}"
