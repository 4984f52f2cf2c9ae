"""CPU backend: the numba kernels behind a torch autograd function."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from runner.raster.compiled import F32, F64, use_threads
from runner.raster.constants import EXTENT_X, EXTENT_Y
from runner.raster.kernels.blend import blend
from runner.raster.kernels.blend_backward import blend_backward, blend_backward_absolute, sum_by_gaussian
from runner.raster.kernels.camera_backward import camera_backward
from runner.raster.kernels.projection import project
from runner.raster.kernels.projection_backward import project_backward
from runner.raster.kernels.tiles import bin_tiles, front_to_back
from runner.raster.port import Rendering, check_inputs

Arrays = tuple[F32, F32, F32, F32, F32, F32]  # the parameters in the order of KEYS
Camera = tuple[F64, F64, F64, int, int, int, bool]
"""World to camera [4, 4], centre in the world [3], fx fy cx cy in pixels [4], width, height, SH degree, antialiased."""
KEYS = ("means", "quats", "scales", "opacities", "sh0", "shN")  # order of the arguments of the kernels


class ScreenMeans:
    """Stands for the tensor of pixel positions that gsplat's strategies read gradients from, after backward."""

    grad: Tensor | None = None  # [1, N, 2] dL/d(position in pixels)
    absgrad: Tensor | None = None  # [1, N, 2] the same with |.| taken per pixel before summing

    def retain_grad(self) -> None:
        """Nothing to do: gradients are always kept. Strategies call this before backward."""


class _Draw(torch.autograd.Function):
    """(six parameters, world to camera, camera, background, info) -> image [H, W, 3], alpha [H, W]."""

    @staticmethod
    def forward(
        ctx: Any, means: Tensor, quats: Tensor, scales: Tensor, opacities: Tensor, sh0: Tensor, shN: Tensor,
        _: Tensor, camera: Camera, background: F32, info: dict[str, Any],
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        arrays = _array(means), _array(quats), _array(scales), _array(opacities), _array(sh0), _array(shN)
        width, height = info["width"], info["height"]
        splats, depths = project(*(*arrays, *camera))
        starts, ids, rows = bin_tiles(front_to_back(splats, depths), splats, width, height)
        image, transmittance, ends = blend(starts, ids, rows, splats, background, width, height)
        info["radii"] = torch.from_numpy(np.ceil(splats[None, :, EXTENT_X : EXTENT_Y + 1]).astype(np.int32))
        ctx.kept = (arrays, camera, splats, starts, ends, ids, rows, image, transmittance, info)
        ctx.set_materialize_grads(False)
        return torch.from_numpy(image), torch.from_numpy(1.0 - transmittance)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        arrays: Arrays
        camera: Camera
        arrays, camera, splats, starts, ends, ids, rows, image, transmittance, info = ctx.kept
        grad_image, grad_alpha = (
            np.zeros(like.shape, np.float32) if grad is None else grad.contiguous().numpy()
            for grad, like in zip(grads, (image, transmittance), strict=True)
        )
        pairs = (blend_backward_absolute if info["absgrad"] else blend_backward)(
            starts, ends, ids, rows, splats, image, transmittance, grad_image, grad_alpha, info["width"], info["height"]
        )
        sums = sum_by_gaussian(starts, ends, ids, pairs, len(splats))
        *parameters, xy, abs_xy = project_backward(*(*arrays, *camera, splats, sums))
        info["means2d"].grad = torch.from_numpy(xy[None])
        if info["absgrad"]:
            info["means2d"].absgrad = torch.from_numpy(abs_xy[None])
        of_view = None
        if ctx.needs_input_grad[len(KEYS)]:
            view, centre, *_, degree, _ = camera
            means, quats, *_, shN = arrays
            parts = camera_backward(means, quats, shN, view, centre, degree, splats, sums, parameters[0], parameters[1])
            of_view = _rigid_gradient(parts.sum(axis=0), view)
        return (*(torch.from_numpy(grad) for grad in parameters), of_view, None, None, None)


def _rigid_gradient(increment: F64, view: F64) -> Tensor:
    """[4, 4] float32 whose products with all small rigid motions of `view` are those of `increment`.

    increment: [6] dL/d(rotation, translation) of exp(xi) view. With m = rotation - t x translation the upper left is
    [m]x R / 2, for which sum_j R_j x (m x R_j) / 2 = m.
    """
    gradient = np.zeros((4, 4))
    gradient[:3, 3] = increment[3:]
    left = increment[:3] - np.cross(view[:3, 3], increment[3:])
    gradient[:3, :3] = np.cross(left[:, None] / 2, view[:3, :3], axis=0)
    return torch.from_numpy(gradient.astype(np.float32))


_draw: Callable[..., tuple[Tensor, Tensor]] = _Draw.apply


def _array(tensor: Tensor) -> F32:
    array: F32 = tensor.detach().contiguous().numpy()
    return array


class CpuRasterizer:
    """Draws on the CPU with compiled kernels. See `Rasterizer` in port.py.

    Bit for bit the same result for any number of threads. The kernels of one process must be called from one thread at
    a time (numba's workqueue threading layer allows no more).
    """

    name = "cpu"
    device = torch.device("cpu")

    def __init__(self, threads: int = 0) -> None:
        """threads: 0 for all cores. The number holds for the whole process."""
        self.threads = use_threads(threads)

    def render(
        self,
        params: Mapping[str, Tensor],
        world_to_camera: Tensor,
        K: Tensor,
        width: int,
        height: int,
        *,
        sh_degree: int,
        background: Tensor,
        antialiased: bool = False,
        absgrad: bool = True,
    ) -> Rendering:
        """See `Rasterizer.render`. Raises ValueError for shapes that do not fit and types other than float32."""
        check_inputs(params, sh_degree, width, height)
        for key in KEYS:
            if params[key].dtype != torch.float32:
                raise ValueError(f"params[{key!r}] is {params[key].dtype}, the CPU kernels need float32")
        view = np.ascontiguousarray(world_to_camera.detach().numpy(), np.float64)
        k = K.detach().numpy()
        centre = -view[:3, :3].T @ view[:3, 3]
        intrinsics = np.array([k[0, 0], k[1, 1], k[0, 2], k[1, 2]], np.float64)
        camera: Camera = (view, centre, intrinsics, int(width), int(height), int(sh_degree), bool(antialiased))
        info: dict[str, Any] = {
            "means2d": ScreenMeans(), "width": int(width), "height": int(height), "n_cameras": 1, "gaussian_ids": None,
            "absgrad": absgrad,
        }  # fmt: skip
        colour = np.ascontiguousarray(background.detach().numpy(), np.float32)
        image, alpha = _draw(*(params[key] for key in KEYS), world_to_camera, camera, colour, info)
        return Rendering(image, alpha, info)
