"""Is there an NVIDIA GPU that torch could use? Asked of the driver in a process of its own, without loading torch.

`python -I -S runner/process/gpu_present.py` prints how many devices the driver shows, or why none: a driver may hang or
crash whoever asks it. Numbers are those of `CUresult` and the calls those of the driver API
(docs.nvidia.com/cuda/cuda-driver-api); CUDA_VISIBLE_DEVICES is honoured by it.
"""

from __future__ import annotations

import ctypes
import importlib.util
import subprocess
import sys

LIBRARY = "libcuda.so.1"
TIMEOUT_S = 20.0
NO_DEVICE = 100


def why_none(command: tuple[str, ...] = (sys.executable, "-I", "-S", __file__)) -> str:
    """In words, to stand behind "and"; "" where there is one."""
    from runner.process import gpu_driver

    if (torch := importlib.util.find_spec("torch")) is not None and torch.origin and gpu_driver.torch_cuda() is None:
        return "the installed torch is built without CUDA: use the GPU image (docs/images.md), or BACKEND=cpu"
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        return f"the NVIDIA driver does not answer within {TIMEOUT_S:.0f} s: look at nvidia-smi"
    except OSError as exc:
        return f"the driver could not be asked: {exc}"
    said = done.stdout.strip()
    if done.returncode != 0 or not said:
        return f"the NVIDIA driver ended the process that asked it (exit code {done.returncode}): look at nvidia-smi"
    if not said.isdecimal():
        return said
    return gpu_driver.why_too_old()


def ask(library: str = LIBRARY) -> str:
    """The number of devices, or why there is none."""
    advice = "use BACKEND=auto, or give the machine or container its GPU (docker: --gpus all)"
    try:
        driver = ctypes.CDLL(library)
    except OSError:
        return f"there is no NVIDIA driver ({library}): {advice}"
    count = ctypes.c_int(0)
    code = driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count))
    if code == NO_DEVICE or (code == 0 and count.value == 0):
        return f"the NVIDIA driver shows no device: {advice}"
    return f"the NVIDIA driver refuses (CUDA error {code}): look at nvidia-smi" if code else str(count.value)


if __name__ == "__main__":
    print(ask())
