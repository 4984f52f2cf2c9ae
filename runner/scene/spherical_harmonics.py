"""The basis of real spherical harmonics."""

from __future__ import annotations

import torch
from torch import Tensor


def sh_basis(degree: int, direction: Tensor) -> Tensor:
    """Basis functions [N, (degree + 1)^2] at unit directions [N, 3]; those of raster/kernels/sh.py."""
    x, y, z = direction.unbind(-1)
    values = [torch.full_like(x, 0.28209479177387814)]
    if degree > 0:
        values += [-0.4886025119029199 * y, 0.4886025119029199 * z, -0.4886025119029199 * x]
    if degree > 1:
        a, b = 1.0925484305920792, 0.5462742152960396
        values += [a * x * y, -a * y * z, 0.31539156525252005 * (2 * z * z - x * x - y * y), -a * x * z]
        values += [b * (x * x - y * y)]
    if degree > 2:
        a, b = -0.5900435899266435, -0.4570457994644658
        xx, yy, zz = x * x, y * y, z * z
        values += [a * y * (3 * xx - yy), 2.890611442640554 * x * y * z, b * y * (4 * zz - xx - yy)]
        values += [0.3731763325901154 * z * (2 * zz - 3 * xx - 3 * yy), b * x * (4 * zz - xx - yy)]
        values += [1.445305721320277 * z * (xx - yy), a * x * (xx - 3 * yy)]
    return torch.stack(values, -1)
