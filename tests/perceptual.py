"""LPIPS for tests: random weights in the layout of the published files, and the metric from the paper in numpy."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from runner.quality.lpips_weights import Published, Weights

SHAPES = {0: (64, 3, 11, 11), 3: (192, 64, 5, 5), 6: (384, 192, 3, 3), 8: (256, 384, 3, 3), 10: (256, 256, 3, 3)}


def random_tensors(seed: int = 0) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """torchvision's AlexNet (of its classifier one tensor, and small) and the linear layers of the package lpips."""
    generator = torch.Generator().manual_seed(seed)
    backbone, linear = {}, {}
    for number, (place, shape) in enumerate(SHAPES.items()):
        spread = (2 / np.prod(shape[1:])) ** 0.5  # keeps the features at the size of the picture's values
        backbone[f"features.{place}.weight"] = torch.randn(shape, generator=generator) * spread
        backbone[f"features.{place}.bias"] = torch.randn(shape[0], generator=generator) * 0.1
        linear[f"lin{number}.model.1.weight"] = torch.rand(1, shape[0], 1, 1, generator=generator)
    return {**backbone, "classifier.6.bias": torch.zeros(1000)}, linear


def write_weights(folder: Path, backbone: Any, linear: Any) -> Weights:
    """As torchvision and lpips save theirs (the second as torch did before 1.6). They pass for the published ones."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(backbone, folder / "alexnet.pth")
    torch.save(linear, folder / "alex.pth", _use_new_zipfile_serialization=False)
    digests = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in ("alexnet.pth", "alex.pth")}
    backbone_name = f"alexnet-owt-{digests['alexnet.pth'][:8]}.pth"
    (folder / "alexnet.pth").rename(folder / backbone_name)
    return Weights(
        folder,
        Published(backbone_name, digests["alexnet.pth"][:8], "torchvision"),
        Published("alex.pth", digests["alex.pth"], "lpips"),
    )


def random_weights(folder: Path, seed: int = 0) -> Weights:
    return write_weights(folder, *random_tensors(seed))


def reference(image: NDArray[Any], truth: NDArray[Any], backbone: Any, linear: Any) -> float:
    """Zhang et al. 2018, equation 1, in float64. Pictures [H, W, 3] in 0..1."""
    features = [_features(picture.astype(np.float64), backbone) for picture in (image, truth)]
    total = 0.0
    for number, (one, other) in enumerate(zip(*features, strict=True)):
        weight = linear[f"lin{number}.model.1.weight"].double().numpy().ravel()
        units = [each / (np.linalg.norm(each, axis=0) + 1e-10) for each in (one, other)]
        total += np.einsum("c,chw->hw", weight, (units[0] - units[1]) ** 2).mean()
    return float(total)


def _features(picture: NDArray[np.float64], backbone: Any) -> list[NDArray[np.float64]]:
    """The five maps [C, h, w] after each ReLU."""
    x = ((2 * picture - 1 - [-0.030, -0.088, -0.188]) / [0.458, 0.448, 0.450]).transpose(2, 0, 1)
    maps = []
    for place, stride, padding in ((0, 4, 2), (3, 1, 2), (6, 1, 1), (8, 1, 1), (10, 1, 1)):
        if place in (3, 6):
            x = _windows(x, 3, 2).max(axis=(-2, -1))
        kernel = backbone[f"features.{place}.weight"].double().numpy()
        bias = backbone[f"features.{place}.bias"].double().numpy()
        padded = np.pad(x, ((0, 0), (padding, padding), (padding, padding)))
        x = np.einsum("oiyx,ihwyx->ohw", kernel, _windows(padded, kernel.shape[2], stride), optimize=True)
        x = np.maximum(x + bias[:, None, None], 0)
        maps.append(x)
    return maps


def _windows(x: NDArray[np.float64], size: int, stride: int) -> NDArray[np.float64]:
    """[C, h, w, size, size]"""
    return np.lib.stride_tricks.sliding_window_view(x, (size, size), axis=(1, 2))[:, ::stride, ::stride]
