"""Is the NVIDIA driver new enough for the CUDA version that torch was built for? Answered without loading torch.

A driver runs programs of its own CUDA version and of older ones, and of a newer minor version; not of a newer major one
(docs.nvidia.com/deploy/cuda-compatibility). On a driver that is too old torch sees no device, says so in a warning, and
every scene would end with NO_GPU, after its download and its poses.
"""

from __future__ import annotations

import ctypes
import importlib.util
import re
from pathlib import Path

from scenejobs.errors import Code, ConfigurationError

LIBRARY = "libcuda.so.1"  # which the driver brings; the container runtime puts it into the container
RELEASE = Path("/proc/driver/nvidia/version")
LEAST = {12: "525", 13: "580"}  # release of the driver that a major version of CUDA needs at least
_BUILT_FOR = re.compile(r"^cuda\b.*?=\s*'(\d+)\.(\d+)'", re.MULTILINE)


def require(library: str = LIBRARY, built_for: tuple[int, int] | None = None) -> None:
    """Raises ConfigurationError DRIVER_TOO_OLD. Silent where there is no driver, or a torch without CUDA.

    built_for: the CUDA version of torch; default: that of the one installed.
    """
    needed = built_for or torch_cuda()
    if reason := why_too_old(library, needed):
        older = "use the image for older drivers (azd env set RUNNER_CUDA 12, azd deploy runner; docs/images.md), or "
        advice = f"{older if needed and needed[0] > min(LEAST) else ''}update the driver"
        raise ConfigurationError(reason, code=Code.DRIVER_TOO_OLD, stage="configuration", advice=advice)


def why_too_old(library: str = LIBRARY, built_for: tuple[int, int] | None = None) -> str:
    """In words; "" where it is new enough, or where nothing can be said."""
    needed, known = built_for or torch_cuda(), driver_cuda(library)
    if needed is None or known is None or known[0] >= needed[0]:
        return ""
    release = driver_release()
    least = LEAST.get(needed[0])
    return (
        f"the NVIDIA driver{' ' if release else ''}{release} runs CUDA {known[0]}.{known[1]}, and this torch is built "
        f"for CUDA {needed[0]}.{needed[1]}" + (f", which needs driver {least} or newer" if least else "")
    )


def torch_cuda() -> tuple[int, int] | None:
    """(major, minor) of the CUDA version that the installed torch was built for; None: none, or it cannot be told."""
    try:
        found = importlib.util.find_spec("torch")
        text = Path(str(found.origin)).with_name("version.py").read_text() if found and found.origin else ""
    except (OSError, ValueError):
        return None
    match = _BUILT_FOR.search(text)
    return (int(match[1]), int(match[2])) if match else None


def driver_cuda(library: str = LIBRARY) -> tuple[int, int] | None:
    """(major, minor) of the newest CUDA version that the driver runs; None where there is no driver."""
    number = ctypes.c_int(0)
    try:
        answer = ctypes.CDLL(library).cuDriverGetVersion(ctypes.byref(number))  # needs no device and no cuInit
    except (OSError, AttributeError):
        return None
    return (number.value // 1000, number.value % 1000 // 10) if answer == 0 and number.value else None


def driver_release(file: Path = RELEASE) -> str:
    """As nvidia-smi names it: 535.183.01; "" where the kernel does not tell."""
    try:
        match = re.search(r"\b(\d{3}\.\d+(?:\.\d+)?)\b", file.read_text())
    except (OSError, UnicodeDecodeError):
        return ""
    return match[1] if match else ""
