"""Intrinsics of a camera, in COLMAP's models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from scenejobs.errors import Code, ConfigurationError

# Parameters of COLMAP's camera models, in its order (src/colmap/sensor/models.h); "f" stands for fx and fy.
COLMAP_PARAMETERS = {
    "SIMPLE_PINHOLE": ("f", "cx", "cy"),
    "PINHOLE": ("fx", "fy", "cx", "cy"),
    "SIMPLE_RADIAL": ("f", "cx", "cy", "k1"),
    "RADIAL": ("f", "cx", "cy", "k1", "k2"),
    "SIMPLE_RADIAL_FISHEYE": ("f", "cx", "cy", "k1"),
    "RADIAL_FISHEYE": ("f", "cx", "cy", "k1", "k2"),
    "OPENCV_FISHEYE": ("fx", "fy", "cx", "cy", "k1", "k2", "k3", "k4"),
    "OPENCV": ("fx", "fy", "cx", "cy", "k1", "k2", "p1", "p2"),
}


@dataclass(frozen=True)
class CameraIntrinsics:
    """One camera as the pose stage found it, in pixels of the chosen frames."""

    video: str  # Clip.name
    model: str  # a key of COLMAP_PARAMETERS
    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float
    k1: float = 0.0
    k2: float = 0.0
    p1: float = 0.0
    p2: float = 0.0
    k3: float = 0.0  # these two of a fisheye only
    k4: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """Its fields; k3 and k4 only where it is a fisheye."""
        left_out = () if self.model.endswith("FISHEYE") else ("k3", "k4")
        return {name: value for name, value in asdict(self).items() if name not in left_out}

    @staticmethod
    def from_colmap(video: str, model: str, width: int, height: int, params: Sequence[float]) -> CameraIntrinsics:
        """Raises ConfigurationError for a model whose parameters these ten numbers cannot hold."""
        names = COLMAP_PARAMETERS.get(model)
        if names is None or len(names) != len(params):
            raise ConfigurationError(
                f"camera model {model} with {len(params)} parameters cannot be described",
                code=Code.INVALID_SETTING,
                advice=f"use one of {', '.join(COLMAP_PARAMETERS)}",
            )
        values = {name: float(value) for name, value in zip(names, params, strict=True)}
        if "f" in values:
            values["fx"] = values["fy"] = values.pop("f")
        return CameraIntrinsics(video, model, width, height, **values)
