"""Gradients through projection and colour: from what the tiles summed per Gaussian to the six parameter tensors."""

from __future__ import annotations

import math

import numba
import numpy as np

from runner.raster.compiled import F32, F64, kernel, parallel_kernel
from runner.raster.constants import (
    BLUR_VARIANCE,
    EXTENT_X,
    RED,
    SUM_ABS_X,
    SUM_ABS_Y,
    SUM_RED,
    SUM_V,
    SUM_VX,
    SUM_VXX,
    SUM_VXY,
    SUM_VY,
    SUM_VYY,
)
from runner.raster.kernels.projection import BLOCK, axis_matrices, covariance_2d, frustum_limits, rotation_matrix
from runner.raster.kernels.sh import sh_basis, sh_direction_gradient


@kernel
def _quat_gradient(w: float, x: float, y: float, z: float, length: float, g: F64, grad_quat: F32) -> None:
    """Chain rule from g = dL/drotation [3, 3] to the quaternion that was normalised from `length`."""
    dw = 2.0 * (x * (g[2, 1] - g[1, 2]) + y * (g[0, 2] - g[2, 0]) + z * (g[1, 0] - g[0, 1]))
    dx = 2.0 * (
        y * (g[0, 1] + g[1, 0]) + z * (g[0, 2] + g[2, 0]) + w * (g[2, 1] - g[1, 2]) - 2.0 * x * (g[1, 1] + g[2, 2])
    )
    dy = 2.0 * (
        x * (g[0, 1] + g[1, 0]) + z * (g[1, 2] + g[2, 1]) + w * (g[0, 2] - g[2, 0]) - 2.0 * y * (g[0, 0] + g[2, 2])
    )
    dz = 2.0 * (
        x * (g[0, 2] + g[2, 0]) + y * (g[1, 2] + g[2, 1]) + w * (g[1, 0] - g[0, 1]) - 2.0 * z * (g[0, 0] + g[1, 1])
    )
    along = dw * w + dx * x + dy * y + dz * z  # the length has no influence: remove that direction
    grad_quat[0] = (dw - w * along) / length
    grad_quat[1] = (dx - x * along) / length
    grad_quat[2] = (dy - y * along) / length
    grad_quat[3] = (dz - z * along) / length


@parallel_kernel
def project_backward(
    means: F32, quats: F32, log_scales: F32, opacity_logits: F32, sh0: F32, shN: F32, view: F64, camera: F64,
    intrinsics: F64, width: int, height: int, degree: int, antialiased: bool, splats: F32, sums: F32,
) -> tuple[F32, F32, F32, F32, F32, F32, F32, F32]:  # fmt: skip
    """Gradients of the six tensors and of the pixel positions.

    Arguments as in `project`, then its splats and the per-Gaussian sums [N, 12] of the tiles (columns in constants.py).
    Returns means, quats, log_scales, opacity_logits, sh0, shN (each shaped like its parameter), positions [N, 2] and
    absolute positions [N, 2], all float32 and zero for Gaussians not seen.
    """
    count = means.shape[0]
    grad_means = np.zeros_like(means)
    grad_quats = np.zeros_like(quats)
    grad_log_scales = np.zeros_like(log_scales)
    grad_logits = np.zeros_like(opacity_logits)
    grad_sh0 = np.zeros_like(sh0)
    grad_shN = np.zeros_like(shN)
    grad_xy = np.zeros((count, 2), np.float32)
    abs_xy = np.zeros((count, 2), np.float32)
    fx, fy, _, _ = intrinsics
    u_low, u_high, v_low, v_high = frustum_limits(intrinsics, width, height)
    coefficients = (degree + 1) * (degree + 1) - 1
    for block in numba.prange((count + BLOCK - 1) // BLOCK):
        rotation = np.empty((3, 3))
        world_axes = np.empty((3, 3))
        camera_axes = np.empty((3, 3))
        grad_axes = np.empty((3, 3))
        scale = np.empty(3)
        basis = np.zeros(16)
        weights = np.zeros(16)
        for i in range(block * BLOCK, min(count, block * BLOCK + BLOCK)):
            if splats[i, EXTENT_X] <= 0.0:
                continue
            # Forward values again: cheaper than storing and reading them.
            mx, my, mz = float(means[i, 0]), float(means[i, 1]), float(means[i, 2])
            x = view[0, 0] * mx + view[0, 1] * my + view[0, 2] * mz + view[0, 3]
            y = view[1, 0] * mx + view[1, 1] * my + view[1, 2] * mz + view[1, 3]
            z = view[2, 0] * mx + view[2, 1] * my + view[2, 2] * mz + view[2, 3]
            inverse_z = 1.0 / z
            u = min(max(x * inverse_z, u_low), u_high)
            v = min(max(y * inverse_z, v_low), v_high)
            jx, jy = fx * inverse_z, fy * inverse_z
            qw, qx, qy, qz, length = rotation_matrix(quats[i], rotation)
            axis_matrices(view, rotation, log_scales[i], scale, world_axes, camera_axes)
            xx, xy, yy, sharp_det = covariance_2d(camera_axes, jx, jy, u, v)
            det = sharp_det + BLUR_VARIANCE * (xx + yy) + BLUR_VARIANCE * BLUR_VARIANCE
            a, b, c = (yy + BLUR_VARIANCE) / det, -xy / det, (xx + BLUR_VARIANCE) / det

            # Sums -> position and conic. sigma = a dx^2 / 2 + b dx dy + c dy^2 / 2, dx = pixel - centre.
            grad_px = a * sums[i, SUM_VX] + b * sums[i, SUM_VY]
            grad_py = b * sums[i, SUM_VX] + c * sums[i, SUM_VY]
            grad_xy[i, 0] = grad_px
            grad_xy[i, 1] = grad_py
            abs_xy[i, 0] = sums[i, SUM_ABS_X]
            abs_xy[i, 1] = sums[i, SUM_ABS_Y]
            ga, gb, gc = -0.5 * sums[i, SUM_VXX], -0.5 * sums[i, SUM_VXY], -0.5 * sums[i, SUM_VYY]

            # Conic -> covariance: d(S^-1) = -S^-1 dS S^-1. grad_cov_xy counts both off-diagonal entries.
            t00, t01, t10, t11 = a * ga + b * gb, a * gb + b * gc, b * ga + c * gb, b * gb + c * gc
            grad_cov_xx = -(t00 * a + t01 * b)
            grad_cov_xy = -(t00 * b + t01 * c) - (t10 * a + t11 * b)
            grad_cov_yy = -(t10 * b + t11 * c)

            # Opacity: the sum of v is dL/d(ln opacity). The antialiasing factor sqrt(sharp_det / det), > 1/255 for all
            # that is seen, depends on the covariance too.
            opacity = 1.0 / (1.0 + math.exp(-float(opacity_logits[i])))
            grad_logits[i] = sums[i, SUM_V] * (1.0 - opacity)
            if antialiased:
                ratio = sharp_det / det
                grad_ratio = 0.5 * sums[i, SUM_V] / ratio
                wide_x, wide_y = xx + BLUR_VARIANCE, yy + BLUR_VARIANCE
                grad_cov_xx += grad_ratio * (yy - ratio * wide_y) / det
                grad_cov_yy += grad_ratio * (xx - ratio * wide_x) / det
                grad_cov_xy += grad_ratio * 2.0 * xy * (ratio - 1.0) / det

            # Covariance -> Jacobian and axes. Column j of J V R S is (jx ex, jy ey).
            grad_jx, grad_jy, grad_u, grad_v = 0.0, 0.0, 0.0, 0.0
            for j in range(3):
                ex = camera_axes[0, j] - u * camera_axes[2, j]
                ey = camera_axes[1, j] - v * camera_axes[2, j]
                g0 = 2.0 * grad_cov_xx * jx * ex + grad_cov_xy * jy * ey
                g1 = 2.0 * grad_cov_yy * jy * ey + grad_cov_xy * jx * ex
                grad_jx += g0 * ex
                grad_jy += g1 * ey
                grad_u -= jx * g0 * camera_axes[2, j]
                grad_v -= jy * g1 * camera_axes[2, j]
                h0, h1 = jx * g0, jy * g1
                h2 = -u * h0 - v * h1
                for r in range(3):
                    grad_axes[r, j] = view[0, r] * h0 + view[1, r] * h1 + view[2, r] * h2
            for j in range(3):
                along = 0.0
                for r in range(3):
                    along += grad_axes[r, j] * rotation[r, j]
                    grad_axes[r, j] *= scale[j]
                grad_log_scales[i, j] = along * scale[j]
            _quat_gradient(qw, qx, qy, qz, length, grad_axes, grad_quats[i])

            # Position in the camera. Where u or v was clamped, the Jacobian does not move with it.
            grad_x, grad_y = grad_px * jx, grad_py * jy
            grad_inverse_z = fx * grad_jx + fy * grad_jy + grad_px * fx * x + grad_py * fy * y
            if u_low < x * inverse_z < u_high:
                grad_x += grad_u * inverse_z
                grad_inverse_z += grad_u * x
            if v_low < y * inverse_z < v_high:
                grad_y += grad_v * inverse_z
                grad_inverse_z += grad_v * y
            grad_z = -inverse_z * inverse_z * grad_inverse_z

            # Colour, clamped at zero, and through the viewing direction back to the position.
            dx, dy, dz = mx - camera[0], my - camera[1], mz - camera[2]
            inverse = 1.0 / math.sqrt(dx * dx + dy * dy + dz * dz)
            dx, dy, dz = dx * inverse, dy * inverse, dz * inverse
            sh_basis(degree, dx, dy, dz, basis)
            for k in range(1, coefficients + 1):
                weights[k] = 0.0
            for channel in range(3):
                if splats[i, RED + channel] > 0.0:
                    g = float(sums[i, SUM_RED + channel])
                    grad_sh0[i, 0, channel] = basis[0] * g
                    for k in range(coefficients):
                        grad_shN[i, k, channel] = basis[k + 1] * g
                        weights[k + 1] += shN[i, k, channel] * g
            gx, gy, gz = sh_direction_gradient(degree, dx, dy, dz, weights)
            radial = gx * dx + gy * dy + gz * dz
            grad_means[i, 0] = (
                view[0, 0] * grad_x + view[1, 0] * grad_y + view[2, 0] * grad_z + (gx - radial * dx) * inverse
            )
            grad_means[i, 1] = (
                view[0, 1] * grad_x + view[1, 1] * grad_y + view[2, 1] * grad_z + (gy - radial * dy) * inverse
            )
            grad_means[i, 2] = (
                view[0, 2] * grad_x + view[1, 2] * grad_y + view[2, 2] * grad_z + (gz - radial * dz) * inverse
            )
    return grad_means, grad_quats, grad_log_scales, grad_logits, grad_sh0, grad_shN, grad_xy, abs_xy
