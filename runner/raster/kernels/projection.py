"""Project Gaussians into one camera: EWA splatting (Zwicker et al. 2001) as in 3DGS (Kerbl et al. 2023).

Arithmetic is float64 on float32 data: a small share of the run time, and no cancellation to think about.
"""

from __future__ import annotations

import math

import numba
import numpy as np

from runner.raster.compiled import F32, F64, kernel, parallel_kernel
from runner.raster.constants import (
    ALPHA_MIN,
    BLUR_VARIANCE,
    CONIC_XX,
    CONIC_XY,
    CONIC_YY,
    CUTOFF,
    EXTENT_X,
    EXTENT_Y,
    FRUSTUM_MARGIN,
    MAX_LOG_SCALE,
    MAX_SIGMAS,
    MAX_VARIANCE,
    NEAR,
    OPACITY,
    RED,
    X,
    Y,
)
from runner.raster.kernels.sh import sh_basis

BLOCK = 512  # Gaussians per parallel task


@kernel
def frustum_limits(intrinsics: F64, width: int, height: int) -> tuple[float, float, float, float]:
    """Bounds of x/z and y/z within which the Jacobian is evaluated: the image and a margin around it."""
    fx, fy, cx, cy = intrinsics
    margin_x = FRUSTUM_MARGIN * width / fx
    margin_y = FRUSTUM_MARGIN * height / fy
    return -cx / fx - margin_x, (width - cx) / fx + margin_x, -cy / fy - margin_y, (height - cy) / fy + margin_y


@kernel
def rotation_matrix(quat: F32, rotation: F64) -> tuple[float, float, float, float, float]:
    """Fill rotation [3, 3] from quat [4] (wxyz, any length). Returns the normalised quaternion and the length."""
    q0, q1, q2, q3 = float(quat[0]), float(quat[1]), float(quat[2]), float(quat[3])
    length = math.sqrt(q0 * q0 + q1 * q1 + q2 * q2 + q3 * q3) + 1e-12
    w, x, y, z = q0 / length, q1 / length, q2 / length, q3 / length
    rotation[0, 0] = 1.0 - 2.0 * (y * y + z * z)
    rotation[0, 1] = 2.0 * (x * y - w * z)
    rotation[0, 2] = 2.0 * (x * z + w * y)
    rotation[1, 0] = 2.0 * (x * y + w * z)
    rotation[1, 1] = 1.0 - 2.0 * (x * x + z * z)
    rotation[1, 2] = 2.0 * (y * z - w * x)
    rotation[2, 0] = 2.0 * (x * z - w * y)
    rotation[2, 1] = 2.0 * (y * z + w * x)
    rotation[2, 2] = 1.0 - 2.0 * (x * x + y * y)
    return w, x, y, z, length


@kernel
def axis_matrices(view: F64, rotation: F64, log_scale: F32, scale: F64, world_axes: F64, camera_axes: F64) -> None:
    """Square roots of the covariance: world_axes = R S, camera_axes = V R S. Columns: the ellipsoid's half axes."""
    for j in range(3):
        scale[j] = math.exp(float(log_scale[j]))
        for i in range(3):
            world_axes[i, j] = rotation[i, j] * scale[j]
    for i in range(3):
        for j in range(3):
            camera_axes[i, j] = (
                view[i, 0] * world_axes[0, j] + view[i, 1] * world_axes[1, j] + view[i, 2] * world_axes[2, j]
            )


@kernel
def covariance_2d(camera_axes: F64, jx: float, jy: float, u: float, v: float) -> tuple[float, float, float, float]:
    """2D covariance J Sigma J^T without the blur, and its determinant.

    With J = [[jx, 0, -jx u], [0, jy, -jy v]] the rows of J V R S are r0 and r1, and the determinant is |r0 x r1|^2
    (Lagrange): never negative, where xx yy - xy^2 would cancel for thin Gaussians.
    """
    a0 = jx * (camera_axes[0, 0] - u * camera_axes[2, 0])
    a1 = jx * (camera_axes[0, 1] - u * camera_axes[2, 1])
    a2 = jx * (camera_axes[0, 2] - u * camera_axes[2, 2])
    b0 = jy * (camera_axes[1, 0] - v * camera_axes[2, 0])
    b1 = jy * (camera_axes[1, 1] - v * camera_axes[2, 1])
    b2 = jy * (camera_axes[1, 2] - v * camera_axes[2, 2])
    n0 = a1 * b2 - a2 * b1
    n1 = a2 * b0 - a0 * b2
    n2 = a0 * b1 - a1 * b0
    xx = a0 * a0 + a1 * a1 + a2 * a2
    xy = a0 * b0 + a1 * b1 + a2 * b2
    yy = b0 * b0 + b1 * b1 + b2 * b2
    return xx, xy, yy, n0 * n0 + n1 * n1 + n2 * n2


@parallel_kernel
def project(
    means: F32, quats: F32, log_scales: F32, opacity_logits: F32, sh0: F32, shN: F32, view: F64, camera: F64,
    intrinsics: F64, width: int, height: int, degree: int, antialiased: bool,
) -> tuple[F32, F32]:  # fmt: skip
    """Every Gaussian as this camera sees it.

    The six parameter arrays are shaped as in raster/port.py.
    view [4, 4] world to camera, camera [3] its centre in the world, intrinsics [4] fx fy cx cy: float64.
    Returns splats [N, 12] (columns in constants.py) and depths [N] (along the optical axis, world units), float32.
    """
    count = means.shape[0]
    splats = np.empty((count, 12), np.float32)
    depths = np.empty(count, np.float32)
    fx, fy, cx, cy = intrinsics
    u_low, u_high, v_low, v_high = frustum_limits(intrinsics, width, height)
    coefficients = (degree + 1) * (degree + 1) - 1
    for block in numba.prange((count + BLOCK - 1) // BLOCK):
        rotation = np.empty((3, 3))
        world_axes = np.empty((3, 3))
        camera_axes = np.empty((3, 3))
        scale = np.empty(3)
        basis = np.zeros(16)
        for i in range(block * BLOCK, min(count, block * BLOCK + BLOCK)):
            splat = splats[i]
            splat[EXTENT_X] = 0.0  # until shown otherwise: not seen
            splat[EXTENT_Y] = 0.0
            mx, my, mz = float(means[i, 0]), float(means[i, 1]), float(means[i, 2])
            z = view[2, 0] * mx + view[2, 1] * my + view[2, 2] * mz + view[2, 3]
            depths[i] = z
            if z <= NEAR:
                continue
            opacity = 1.0 / (1.0 + math.exp(-float(opacity_logits[i])))
            if opacity <= ALPHA_MIN:
                continue
            x = view[0, 0] * mx + view[0, 1] * my + view[0, 2] * mz + view[0, 3]
            y = view[1, 0] * mx + view[1, 1] * my + view[1, 2] * mz + view[1, 3]
            u = min(max(x / z, u_low), u_high)
            v = min(max(y / z, v_low), v_high)
            px = fx * x / z + cx
            py = fy * y / z + cy

            # Far outside the image: known from a generous radius before any matrix is built.
            log_scale_max = float(max(log_scales[i, 0], max(log_scales[i, 1], log_scales[i, 2])))
            if log_scale_max > MAX_LOG_SCALE:
                continue
            radius = 3.4 * (math.exp(log_scale_max) / z * max(fx, fy) * (1.0 + abs(u) + abs(v)) + 1.0)
            if px + radius < 0.0 or px - radius > width or py + radius < 0.0 or py - radius > height:
                continue

            rotation_matrix(quats[i], rotation)
            axis_matrices(view, rotation, log_scales[i], scale, world_axes, camera_axes)
            xx, xy, yy, sharp_det = covariance_2d(camera_axes, fx / z, fy / z, u, v)
            if max(xx, yy) > MAX_VARIANCE:
                continue
            det = sharp_det + BLUR_VARIANCE * (xx + yy) + BLUR_VARIANCE * BLUR_VARIANCE
            xx += BLUR_VARIANCE
            yy += BLUR_VARIANCE
            if antialiased:
                opacity *= math.sqrt(sharp_det / det)
                if opacity <= ALPHA_MIN:
                    continue
            # SnugBox of Speedy-Splat (Hanson et al. 2024): only where alpha >= ALPHA_MIN, so faint splats are small.
            cutoff = math.log(255.0 * opacity)
            sigmas = min(math.sqrt(2.0 * cutoff), MAX_SIGMAS)
            extent_x = sigmas * math.sqrt(xx)
            extent_y = sigmas * math.sqrt(yy)
            if px + extent_x <= 0.0 or px - extent_x >= width or py + extent_y <= 0.0 or py - extent_y >= height:
                continue

            dx, dy, dz = mx - camera[0], my - camera[1], mz - camera[2]
            inverse = 1.0 / math.sqrt(dx * dx + dy * dy + dz * dz)
            sh_basis(degree, dx * inverse, dy * inverse, dz * inverse, basis)
            for channel in range(3):
                color = 0.5 + basis[0] * sh0[i, 0, channel]
                for k in range(coefficients):
                    color += basis[k + 1] * shN[i, k, channel]
                splat[RED + channel] = max(color, 0.0)
            splat[X] = px
            splat[Y] = py
            splat[CONIC_XX] = yy / det
            splat[CONIC_XY] = -xy / det
            splat[CONIC_YY] = xx / det
            splat[OPACITY] = opacity
            splat[EXTENT_X] = extent_x
            splat[EXTENT_Y] = extent_y
            splat[CUTOFF] = cutoff
    return splats, depths
