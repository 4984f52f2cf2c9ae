"""Rasterisers behind one port. `rasterizer(name)` is the only thing most callers need."""

from __future__ import annotations

import importlib

from runner.raster.port import Rasterizer, Rendering
from scenejobs.errors import Code, ConfigurationError

__all__ = ["BACKENDS", "Rasterizer", "Rendering", "rasterizer"]

BACKENDS = ("auto", "cpu", "gsplat", "torch")


def rasterizer(name: str = "auto", threads: int = 0) -> Rasterizer:
    """The rasteriser of that name. Imports nothing of the others.

    auto: gsplat where a CUDA device and gsplat's extension are usable, else the compiled CPU kernels
    cpu, gsplat, torch: that one
    threads: for "cpu", 0 for all cores; the number holds for the process

    Raises ConfigurationError: INVALID_SETTING for an unknown name, NO_GPU for gsplat where it cannot run.
    """
    match name:
        case "auto":
            return rasterizer("cpu", threads) if why_no_gpu() else rasterizer("gsplat")
        case "cpu":
            from runner.raster.cpu import CpuRasterizer

            return CpuRasterizer(threads)
        case "torch":
            from runner.raster.torch_reference import TorchRasterizer

            return TorchRasterizer()
        case "gsplat":
            if reason := why_no_gpu():
                raise ConfigurationError(
                    f"backend gsplat cannot run: {reason}",
                    code=Code.NO_GPU,
                    advice="use backend cpu or auto, or run the GPU image on a machine with an NVIDIA GPU and driver",
                )
            from runner.raster.gsplat_gpu import GsplatRasterizer

            return GsplatRasterizer()
    raise ConfigurationError(
        f"backend {name!r} is unknown", code=Code.INVALID_SETTING, advice=f"use one of {', '.join(BACKENDS)}"
    )


def why_no_gpu() -> str:
    """Why gsplat cannot draw here, or "" if it can.

    gsplat without its compiled extension imports fine and would compile itself at the first image, minutes into a job
    and only where nvcc is: so the extension is looked for now.
    """
    import torch

    if not torch.cuda.is_available():
        return "torch sees no CUDA device"
    try:
        importlib.import_module("gsplat.csrc")
    except ImportError as exc:
        return f"gsplat's CUDA extension is not installed ({exc})"
    return ""
