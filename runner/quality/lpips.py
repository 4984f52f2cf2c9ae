"""LPIPS (Zhang et al. 2018, https://arxiv.org/abs/1801.03924), version 0.1 with AlexNet: how far apart images look.

Its authors' package `lpips` needs torchvision, which is not installed here, and downloads its backbone. The numbers are
the same (docs/decisions/quality.md).
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from runner.quality.lpips_weights import Weights


class Convolution(NamedTuple):
    """One of torchvision's AlexNet, followed by a ReLU."""

    position: int  # in `features`
    shape: tuple[int, int, int, int]  # out, in, height, width
    stride: int
    padding: int
    pooled: bool  # its input goes through max pooling 3 x 3, stride 2


CONVOLUTIONS = (
    Convolution(0, (64, 3, 11, 11), 4, 2, False),
    Convolution(3, (192, 64, 5, 5), 1, 2, True),
    Convolution(6, (384, 192, 3, 3), 1, 1, True),
    Convolution(8, (256, 384, 3, 3), 1, 1, False),
    Convolution(10, (256, 256, 3, 3), 1, 1, False),
)
SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)  # ImageNet's mean and deviation, for values in -1..1
EPSILON = 1e-10
LEAST_SIDE = 31  # pixels; of a smaller image the second pooling leaves nothing


@dataclass(frozen=True)
class Lpips:
    """The network with its weights, on one device. Call it with two images."""

    kernels: tuple[Tensor, ...]  # Convolution.shape
    biases: tuple[Tensor, ...]  # [C]
    linear: tuple[Tensor, ...]  # [C], a weight per channel of each feature map

    @torch.no_grad()
    def __call__(self, image: Tensor, truth: Tensor) -> float | None:
        """Distance of two images [H, W, 3] with values in 0..1, 0 for equal ones, about 1 for nothing in common.

        None where a side is shorter than LEAST_SIDE. Raises ValueError when the images differ in size.
        """
        if image.shape != truth.shape:
            raise ValueError(f"images {tuple(image.shape)} and {tuple(truth.shape)} differ in size")
        if min(image.shape[:2]) < LEAST_SIDE:
            return None
        # Not in TF32, which GPUs take for convolutions unasked: the number is to be the same on every machine.
        with torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False):
            x = torch.stack([image, truth]).permute(0, 3, 1, 2) * 2 - 1
            shift, scale = x.new_tensor(SHIFT)[:, None, None], x.new_tensor(SCALE)[:, None, None]
            x = (x - shift) / scale
            distance = 0.0
            for layer, kernel, bias, weight in zip(CONVOLUTIONS, self.kernels, self.biases, self.linear, strict=True):
                x = F.max_pool2d(x, 3, 2) if layer.pooled else x
                x = F.relu(F.conv2d(x, kernel, bias, layer.stride, layer.padding))
                drawn, real = x / (x.square().sum(dim=1, keepdim=True).sqrt() + EPSILON)
                distance += float(torch.tensordot(weight, (drawn - real).square(), dims=1).mean(dtype=torch.float64))
        return distance


def load_lpips(weights: Weights, device: torch.device) -> Lpips:
    """Raises ConfigurationError for files that are missing, or others than the published ones."""
    weights.check()
    try:
        backbone = _tensors(weights.folder / weights.backbone.name)
        linear = _tensors(weights.folder / weights.linear.name)
        return Lpips(
            tuple(_of_shape(backbone, f"features.{each.position}.weight", each.shape, device) for each in CONVOLUTIONS),
            tuple(
                _of_shape(backbone, f"features.{each.position}.bias", each.shape[:1], device) for each in CONVOLUTIONS
            ),
            tuple(
                _of_shape(linear, f"lin{number}.model.1.weight", (1, each.shape[0], 1, 1), device).flatten()
                for number, each in enumerate(CONVOLUTIONS)
            ),
        )
    except ValueError as exc:
        raise weights.refused(str(exc)) from exc


def _tensors(path: Path) -> Mapping[str, object]:
    """By name. Runs no code that a file may hold. Raises ValueError for what is no file of weights."""
    try:
        found: object = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, KeyError, pickle.UnpicklingError) as exc:
        raise ValueError(f"{path.name} cannot be loaded: {str(exc).partition(chr(10))[0][:200]}") from exc
    if not isinstance(found, Mapping):
        raise ValueError(f"{path.name} holds a {type(found).__name__} instead of named weights")
    return found


def _of_shape(found: Mapping[str, object], name: str, shape: tuple[int, ...], device: torch.device) -> Tensor:
    value = found.get(name)
    if not isinstance(value, Tensor) or tuple(value.shape) != shape:
        has = list(value.shape) if isinstance(value, Tensor) else "missing"
        raise ValueError(f"{name} should be {list(shape)} and is {has}")
    return value.to(device, torch.float32)


def self_test(weights: Weights) -> str:
    """Compares black with white. Raises ConfigurationError for weights that are not the published ones."""
    distance = load_lpips(weights, torch.device("cpu"))(torch.zeros(48, 48, 3), torch.ones(48, 48, 3))
    return f"black and white are {distance:.3f} apart by the weights in {weights.folder}"
