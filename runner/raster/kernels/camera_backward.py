"""The gradient of a camera, from the gradients of what it sees.

Moving the camera is moving the world the other way, so what `project_backward` gives of every Gaussian is enough. With
the camera exp(xi) W, xi = (rotation, translation) in camera axes, and a Gaussian at x in them:

    translation    the world moves along: R times the gradient of the mean
    rotation       x cross (R times the gradient of the mean, without its colour's part) and the torque on its axes,
                   which the quaternion's gradient holds

Without the colour's part: a camera that turns about its centre sees each Gaussian from where it saw it before.
"""

from __future__ import annotations

import math

import numba
import numpy as np

from runner.raster.compiled import F32, F64, exact_parallel_kernel
from runner.raster.constants import EXTENT_X, RED, SUM_RED
from runner.raster.kernels.projection import BLOCK
from runner.raster.kernels.sh import sh_direction_gradient


@exact_parallel_kernel
def camera_backward(
    means: F32, quats: F32, shN: F32, view: F64, camera: F64, degree: int, splats: F32, sums: F32, grad_means: F32,
    grad_quats: F32,
) -> F64:  # fmt: skip
    """[blocks, 6] float64: dL/d(rotation, translation) of a left increment of `view`, to be added up in their order.

    Arguments as in `project_backward`, then what it returned for means and quats. Blocks are the same for any number of
    threads, and so is the result to the last bit.
    """
    count = means.shape[0]
    coefficients = (degree + 1) * (degree + 1) - 1
    blocks = (count + BLOCK - 1) // BLOCK
    partial = np.zeros((blocks, 6))
    for block in numba.prange(blocks):
        weights = np.zeros(16)
        own = np.zeros(6)
        for i in range(block * BLOCK, min(count, block * BLOCK + BLOCK)):
            if splats[i, EXTENT_X] <= 0.0:
                continue
            # The part of the mean's gradient that goes through the direction its colour is seen from.
            dx, dy, dz = float(means[i, 0]) - camera[0], float(means[i, 1]) - camera[1], float(means[i, 2]) - camera[2]
            inverse = 1.0 / math.sqrt(dx * dx + dy * dy + dz * dz)
            ux, uy, uz = dx * inverse, dy * inverse, dz * inverse
            for k in range(coefficients):
                weights[k + 1] = 0.0
                for channel in range(3):
                    if splats[i, RED + channel] > 0.0:
                        weights[k + 1] += shN[i, k, channel] * sums[i, SUM_RED + channel]
            gx, gy, gz = sh_direction_gradient(degree, ux, uy, uz, weights)
            radial = gx * ux + gy * uy + gz * uz
            tx, ty, tz = float(grad_means[i, 0]), float(grad_means[i, 1]), float(grad_means[i, 2])
            mx = tx - (gx - radial * ux) * inverse
            my = ty - (gy - radial * uy) * inverse
            mz = tz - (gz - radial * uz) * inverse
            # World torque: of the mean about the camera's centre, and half of grad . ((0, axis) q) of the axes.
            qw, qx, qy, qz = float(quats[i, 0]), float(quats[i, 1]), float(quats[i, 2]), float(quats[i, 3])
            hw, hx, hy, hz = (
                float(grad_quats[i, 0]), float(grad_quats[i, 1]), float(grad_quats[i, 2]), float(grad_quats[i, 3]),
            )  # fmt: skip
            own[0] += dy * mz - dz * my + 0.5 * (-hw * qx + hx * qw + hy * -qz + hz * qy)
            own[1] += dz * mx - dx * mz + 0.5 * (-hw * qy + hx * qz + hy * qw + hz * -qx)
            own[2] += dx * my - dy * mx + 0.5 * (-hw * qz + hx * -qy + hy * qx + hz * qw)
            own[3] += tx
            own[4] += ty
            own[5] += tz
        for r in range(3):  # from the world's axes to the camera's
            for c in range(3):
                partial[block, r] += view[r, c] * own[c]
                partial[block, 3 + r] += view[r, c] * own[3 + c]
    return partial
