"""A small ray caster for the demo footage: textured rectangles, cylinders and spheres, seen by a pinhole camera.

All lighting is baked into the textures beforehand (`lit_world`), as light maps of games are, so a pixel costs one ray
and one filtered texture look-up. Surfaces are anti-aliased by mip maps (Williams, "Pyramidal parametrics", 1983), edges
by 3 x 3 rays in the pixels whose corners see different surfaces.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray
from PIL import Image

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
U8 = NDArray[np.uint8]
Color = tuple[float, float, float]
Function = TypeVar("Function", bound=Callable[..., Any])

QUAD, CYLINDER, SPHERE = 0, 1, 2
TILE = 16  # pixels: side of the squares that share one list of candidates
FAR = 1e9
SUN = np.array([0.45, 0.32, 0.83]) / np.linalg.norm([0.45, 0.32, 0.83])  # towards the light
LIGHT_COLORS = np.array([[1.75, 1.58, 1.28], [0.5, 0.58, 0.7], [0.36, 0.33, 0.3]])  # sun, sky, light from surfaces
LIGHT_DENSITY = 22.0  # light map texels per metre
SUN_RAYS, SKY_RAYS = 10, 24  # per light map texel


@dataclass(frozen=True)
class Patch:
    """One surface. The rows of `axes` are its unit vectors u (right), v (up) and n (out of the image)."""

    kind: int  # QUAD | CYLINDER (around n, without ends) | SPHERE
    centre: NDArray[np.float64]  # [3] metres
    axes: NDArray[np.float64]  # [3, 3]
    half: tuple[float, float]  # metres: half sizes along u and v | radius and half height | radius twice
    color: NDArray[np.float32]  # [h, w, 3] sRGB 0..1, row 0 at +v
    alpha: NDArray[np.float32] | None = None  # [h, w] cut-out of a QUAD, 1 inside


@dataclass(frozen=True)
class World:
    """Patches as the compiled code wants them."""

    shapes: NDArray[
        np.float64
    ]  # [N, 17] kind, centre, axes (row by row), halves, radius of the bounding sphere, is cut
    levels: NDArray[np.int64]  # [N, L, 3] offset, height, width of each mip level; the last one is repeated
    texels: NDArray[np.uint8]  # [T, 4] all levels of all textures, sRGB and alpha
    densities: NDArray[np.float64]  # [N] texels per metre at level 0


def _compiled(function: Function) -> Function:
    return cast(Function, njit(cache=True, error_model="numpy")(function))


def _parallel(function: Function) -> Function:
    return cast(Function, njit(cache=True, parallel=True, error_model="numpy")(function))


def lit_world(patches: list[Patch], detail: float = 1.0) -> World:
    """The scene with sun, sky and one indirect bounce baked into its textures. Deterministic.

    `detail`: factor of the light maps' density.
    """
    world = packed(patches)

    def texels(metres: float) -> int:
        return int(np.clip(metres * LIGHT_DENSITY * detail, 4, 180))

    shapes = [(texels(up), texels(across)) for across, up in map(_extent, patches)]
    points, normals = map(np.concatenate, zip(*map(_surface, patches, shapes), strict=True))
    sides = np.cross(normals, np.where(np.abs(normals[:, 2:]) < 0.9, [[0.0, 0.0, 1.0]], [[1.0, 0.0, 0.0]]))
    sides /= np.linalg.norm(sides, axis=1, keepdims=True)
    light = _gather(points, normals, sides, SUN, world.shapes, world.levels, world.texels) @ LIGHT_COLORS
    lights = np.split(light, np.cumsum([rows * columns for rows, columns in shapes])[:-1])
    images = []
    for patch, shape, flat in zip(patches, shapes, lights, strict=True):
        light = flat.reshape(*shape, 3)
        height, width = patch.color.shape[:2]
        channels = [Image.fromarray(np.ascontiguousarray(c, np.float32)) for c in np.moveaxis(light, -1, 0)]
        smooth = np.stack([np.asarray(c.resize((width, height), Image.Resampling.BICUBIC)) for c in channels], -1)
        radiance = patch.color**2.2 * np.maximum(smooth, 0.02) * 1.15
        images.append((radiance / (1 + 0.18 * radiance)) ** (1 / 2.2))
    return packed([Patch(p.kind, p.centre, p.axes, p.half, c, p.alpha) for p, c in zip(patches, images, strict=True)])


def render(world: World, K: NDArray[np.float64], world_to_camera: NDArray[np.float64], width: int, height: int,
           ) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:  # fmt: skip
    """Image [height, width, 3] sRGB and depth [height, width] along the camera's z in metres (0: nothing)."""
    columns, rows = -(-width // TILE), -(-height // TILE)
    starts, candidates = _bin(world.shapes, K, world_to_camera, columns, rows)
    return _render(
        world.shapes, world.levels, world.texels, world.densities, K, world_to_camera, width, height, starts, candidates
    )


def render_rays(world: World, eye: F64, rays: F64, pixel_rad: float) -> U8:
    """[N, 3] sRGB of what unit rays [N, 3] (world) meet from one place; pixel_rad: the angle between neighbours.

    For lenses that are no pinhole. Rays of length 0 give black.
    """
    return _render_rays(world.shapes, world.levels, world.texels, world.densities, eye, rays, pixel_rad)


def _surface(patch: Patch, shape: tuple[int, int]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Points and normals, each [rows * columns, 3], at the centres of a grid on the unrolled surface."""
    rows, columns = shape
    t, s = np.meshgrid((np.arange(rows) + 0.5) / rows, (np.arange(columns) + 0.5) / columns, indexing="ij")
    a, b = patch.half
    angle, tilt, zero = (s - 0.5) * 2 * np.pi, t * np.pi, np.zeros_like(s)
    if patch.kind == QUAD:
        point, normal = ((2 * s - 1) * a, (1 - 2 * t) * b, zero), (zero, zero, zero + 1)
    elif patch.kind == CYLINDER:
        normal = np.cos(angle), np.sin(angle), zero
        point = a * normal[0], a * normal[1], (1 - 2 * t) * b
    else:
        normal = np.sin(tilt) * np.cos(angle), np.sin(tilt) * np.sin(angle), np.cos(tilt)
        point = a * normal[0], a * normal[1], a * normal[2]
    points = np.stack(point, -1).reshape(-1, 3) @ patch.axes + patch.centre
    normals = np.stack(normal, -1).reshape(-1, 3) @ patch.axes
    if patch.alpha is not None:
        normals = np.where(normals[:, 2:] < 0, -normals, normals)  # a leaf shows its lit side
    return points + 2e-3 * normals, normals


def _extent(patch: Patch) -> tuple[float, float]:
    """Metres across and up of the unrolled texture."""
    a, b = patch.half
    return {QUAD: (2 * a, 2 * b), CYLINDER: (2 * np.pi * a, 2 * b), SPHERE: (2 * np.pi * a, np.pi * a)}[patch.kind]


def packed(patches: list[Patch]) -> World:
    texels, levels, total = [], [], 0
    for patch in patches:
        alpha = np.ones(patch.color.shape[:2], np.float32) if patch.alpha is None else patch.alpha
        image = np.concatenate([patch.color, alpha[..., None]], axis=-1).clip(0, 1).astype(np.float32)
        chain = []
        while True:
            height, width = image.shape[:2]
            texels.append(np.rint(image * 255).astype(np.uint8).reshape(-1, 4))
            chain.append((total, height, width))
            total += height * width
            if min(height, width) < 8:
                break
            even = image[: height // 2 * 2, : width // 2 * 2]
            image = even.reshape(height // 2, 2, width // 2, 2, 4).mean(axis=(1, 3))
        levels.append(chain)
    deepest = max(len(chain) for chain in levels)
    shapes = np.empty((len(patches), 17))
    for row, patch in zip(shapes, patches, strict=True):
        bound = patch.half[0] if patch.kind == SPHERE else np.hypot(*patch.half)
        row[:] = (patch.kind, *patch.centre, *patch.axes.ravel(), *patch.half, bound + 1e-6, patch.alpha is not None)
    return World(
        shapes,
        np.array([chain + chain[-1:] * (deepest - len(chain)) for chain in levels], np.int64),
        np.concatenate(texels),
        np.array([patch.color.shape[1] / _extent(patch)[0] for patch in patches]),
    )


@_compiled
def _trace(
    ox: float, oy: float, oz: float, dx: float, dy: float, dz: float, candidates: I64, shapes: F64, levels: I64,
    texels: U8,
) -> tuple[int, float, float, float, float]:  # fmt: skip
    """(patch, distance, s, t, cosine) of the first hit, s and t in 0..1 on its texture; patch -1 when there is none.

    One long function on purpose: handing a dozen arrays to a helper costs more than the intersection itself.
    """
    found, nearest, found_s, found_t, found_cosine = -1, FAR, 0.0, 0.0, 1.0
    for i in candidates:
        px, py, pz = ox - shapes[i, 1], oy - shapes[i, 2], oz - shapes[i, 3]
        along = -(px * dx + py * dy + pz * dz)
        radius = shapes[i, 15]
        if px * px + py * py + pz * pz - along * along > radius * radius:
            continue
        if along + radius < 0 or along - radius > nearest:
            continue
        x = shapes[i, 4] * px + shapes[i, 5] * py + shapes[i, 6] * pz  # the ray in the axes of the patch
        y = shapes[i, 7] * px + shapes[i, 8] * py + shapes[i, 9] * pz
        z = shapes[i, 10] * px + shapes[i, 11] * py + shapes[i, 12] * pz
        u = shapes[i, 4] * dx + shapes[i, 5] * dy + shapes[i, 6] * dz
        v = shapes[i, 7] * dx + shapes[i, 8] * dy + shapes[i, 9] * dz
        w = shapes[i, 10] * dx + shapes[i, 11] * dy + shapes[i, 12] * dz
        kind, a, b = shapes[i, 0], shapes[i, 13], shapes[i, 14]
        if kind == QUAD:
            distance = -z / w
            x, y = x + distance * u, y + distance * v
            if not (1e-4 < distance < nearest) or abs(x) > a or abs(y) > b:
                continue
            s, t, cosine = 0.5 + 0.5 * x / a, 0.5 - 0.5 * y / b, abs(w)
            if shapes[i, 16] > 0:
                row = min(int(t * levels[i, 0, 1]), levels[i, 0, 1] - 1)
                column = min(int(s * levels[i, 0, 2]), levels[i, 0, 2] - 1)
                if texels[levels[i, 0, 0] + row * levels[i, 0, 2] + column, 3] < 128:
                    continue
        else:
            round_up = 0.0 if kind == CYLINDER else 1.0
            qa, qb = u * u + v * v + round_up * w * w, x * u + y * v + round_up * z * w
            root = qb * qb - qa * (x * x + y * y + round_up * z * z - a * a)
            if root <= 0:
                continue
            distance = (-qb - np.sqrt(root)) / qa  # solids are closed or stand on something: no far sides
            x, y, z = x + distance * u, y + distance * v, z + distance * w
            if not (1e-4 < distance < nearest) or (kind == CYLINDER and abs(z) > b):
                continue
            s, cosine = 0.5 + np.arctan2(y, x) / (2 * np.pi), abs(x * u + y * v + round_up * z * w) / a
            t = 0.5 - 0.5 * z / b if kind == CYLINDER else np.arccos(max(-1.0, min(1.0, z / a))) / np.pi
        found, nearest, found_s, found_t, found_cosine = i, distance, s, t, cosine
    return found, nearest, found_s, found_t, found_cosine


@_parallel
def _gather(points: F64, normals: F64, sides: F64, sun: F64, shapes: F64, levels: I64, texels: U8) -> F64:
    """[N, 3] light at points: share of the soft sun times its cosine, of the sky, of other surfaces."""
    out = np.zeros((len(points), 3))
    everything = np.arange(len(shapes))
    for k in prange(len(points)):
        ox, oy, oz = points[k, 0], points[k, 1], points[k, 2]
        nx, ny, nz = normals[k, 0], normals[k, 1], normals[k, 2]
        ax, ay, az = sides[k, 0], sides[k, 1], sides[k, 2]
        bx, by, bz = ny * az - nz * ay, nz * ax - nx * az, nx * ay - ny * ax
        for ray in range(SUN_RAYS + SKY_RAYS):
            phi = 2 * np.pi * ((ray + k) * 0.61803398875 % 1.0)  # golden angle: even in every direction
            if ray < SUN_RAYS:
                r = 0.055 * np.sqrt((ray + 0.5) / SUN_RAYS)  # the sun of a hazy day, 6 degrees wide: soft shadows
                dx, dy, dz = sun[0] + r * np.cos(phi), sun[1] + r * np.sin(phi), sun[2]
                length = np.sqrt(dx * dx + dy * dy + dz * dz)
                dx, dy, dz = dx / length, dy / length, dz / length
                cosine = dx * nx + dy * ny + dz * nz
                if cosine <= 0:
                    continue
            else:  # Malley's method: points of a disc, lifted, are distributed as the cosine
                r = np.sqrt((ray - SUN_RAYS + 0.5) / SKY_RAYS)
                u, v, w = r * np.cos(phi), r * np.sin(phi), np.sqrt(1 - r * r)
                dx, dy, dz = nx * w + ax * u + bx * v, ny * w + ay * u + by * v, nz * w + az * u + bz * v
                cosine = 1.0
            hit = _trace(ox, oy, oz, dx, dy, dz, everything, shapes, levels, texels)
            if hit[0] >= 0:
                if ray >= SUN_RAYS:
                    out[k, 2] += min(1.0, hit[1] / 0.6) / SKY_RAYS  # near surfaces lie in the dark themselves
            elif ray < SUN_RAYS:
                out[k, 0] += cosine / SUN_RAYS
            else:
                out[k, 1] += 1 / SKY_RAYS
    return out


@_compiled
def _bin(shapes: F64, K: F64, pose: F64, columns: int, rows: int) -> tuple[I64, I64]:
    """Which patches each tile can see: by their projected corners, or everywhere when they reach behind the camera."""
    seen = np.zeros((rows * columns, len(shapes)), np.bool_)
    for i in range(len(shapes)):
        left, right, top, bottom = FAR, -FAR, FAR, -FAR
        behind = 0
        for corner in range(8):
            a = shapes[i, 13] * (1 if corner & 1 else -1)
            b = shapes[i, 14 if shapes[i, 0] == QUAD else 13] * (1 if corner & 2 else -1)
            c = 0.0 if shapes[i, 0] == QUAD else shapes[i, 14] * (1 if corner & 4 else -1)
            p = shapes[i, 1:4] + shapes[i, 4:7] * a + shapes[i, 7:10] * b + shapes[i, 10:13] * c
            x = pose[0, 0] * p[0] + pose[0, 1] * p[1] + pose[0, 2] * p[2] + pose[0, 3]
            y = pose[1, 0] * p[0] + pose[1, 1] * p[1] + pose[1, 2] * p[2] + pose[1, 3]
            z = pose[2, 0] * p[0] + pose[2, 1] * p[1] + pose[2, 2] * p[2] + pose[2, 3]
            if z < 0.02:
                behind += 1
                continue
            px, py = K[0, 0] * x / z + K[0, 2], K[1, 1] * y / z + K[1, 2]
            left, right, top, bottom = min(left, px), max(right, px), min(top, py), max(bottom, py)
        if behind == 8:
            continue
        x0, x1, y0, y1 = 0, columns, 0, rows
        if behind == 0:
            x0, x1 = max(0, int((left - 2) // TILE)), min(columns, int((right + 2) // TILE) + 1)
            y0, y1 = max(0, int((top - 2) // TILE)), min(rows, int((bottom + 2) // TILE) + 1)
        for row in range(y0, y1):
            for column in range(x0, x1):
                seen[row * columns + column, i] = True
    starts = np.zeros(rows * columns + 1, np.int64)
    for tile in range(rows * columns):
        starts[tile + 1] = starts[tile] + seen[tile].sum()
    candidates = np.empty(starts[-1], np.int64)
    for tile in range(rows * columns):
        candidates[starts[tile] : starts[tile + 1]] = np.flatnonzero(seen[tile])
    return starts, candidates


@_compiled
def _sample(i: int, s: float, t: float, level: int, levels: I64, texels: U8) -> Color:
    """Bilinear colour at one mip level."""
    offset, height, width = levels[i, level, 0], levels[i, level, 1], levels[i, level, 2]
    x = min(max(s * width - 0.5, 0.0), width - 1.0)
    y = min(max(t * height - 0.5, 0.0), height - 1.0)
    x0, y0 = int(x), int(y)
    x1, y1 = min(x0 + 1, width - 1), min(y0 + 1, height - 1)
    fx, fy = x - x0, y - y0
    a, b = offset + y0 * width, offset + y1 * width
    wa, wb, wc, wd = (1 - fx) * (1 - fy), fx * (1 - fy), (1 - fx) * fy, fx * fy
    return (
        wa * texels[a + x0, 0] + wb * texels[a + x1, 0] + wc * texels[b + x0, 0] + wd * texels[b + x1, 0],
        wa * texels[a + x0, 1] + wb * texels[a + x1, 1] + wc * texels[b + x0, 1] + wd * texels[b + x1, 1],
        wa * texels[a + x0, 2] + wb * texels[a + x1, 2] + wc * texels[b + x0, 2] + wd * texels[b + x1, 2],
    )


@_compiled
def _shade(i: int, s: float, t: float, footprint: float, levels: I64, texels: U8) -> Color:
    """Trilinear colour, 0..255; `footprint`: texels of level 0 under the sample."""
    level = min(max(np.log2(max(footprint, 1e-6)), 0.0), levels.shape[1] - 1.001)
    low = int(level)
    share = level - low
    a, b = _sample(i, s, t, low, levels, texels), _sample(i, s, t, low + 1, levels, texels)
    return a[0] + share * (b[0] - a[0]), a[1] + share * (b[1] - a[1]), a[2] + share * (b[2] - a[2])


@_parallel
def _render(
    shapes: F64, levels: I64, texels: U8, densities: F64, K: F64, pose: F64, width: int, height: int, starts: I64,
    lists: I64,
) -> tuple[U8, NDArray[np.float32]]:  # fmt: skip
    image, depth = np.zeros((height, width, 3), np.uint8), np.zeros((height, width), np.float32)
    columns = -(-width // TILE)
    eye = -(pose[:3, :3].T.copy() @ pose[:3, 3].copy())
    for tile in prange(len(starts) - 1):
        candidates = lists[starts[tile] : starts[tile + 1]]
        left, top = (tile % columns) * TILE, (tile // columns) * TILE
        corners = np.empty((TILE + 1, TILE + 1), np.int64)
        for step in range((TILE + 1) ** 2 + TILE**2):
            is_corner = step < (TILE + 1) ** 2  # all corners first, then the pixels between them
            if is_corner:
                row, column, samples = step // (TILE + 1), step % (TILE + 1), 1
            else:
                row, column = (step - (TILE + 1) ** 2) // TILE, (step - (TILE + 1) ** 2) % TILE
                if top + row >= height or left + column >= width:
                    continue
                first = corners[row, column]
                calm = (first == corners[row, column + 1] and first == corners[row + 1, column]
                        and first == corners[row + 1, column + 1])  # fmt: skip
                samples = 1 if calm else 3
            red, green, blue = 0.0, 0.0, 0.0
            for sub in range(samples * samples):
                px = left + column + (0.0 if is_corner else (sub % samples + 0.5) / samples)
                py = top + row + (0.0 if is_corner else (sub // samples + 0.5) / samples)
                x, y = (px - K[0, 2]) / K[0, 0], (py - K[1, 2]) / K[1, 1]
                length = np.sqrt(x * x + y * y + 1)
                dx = (pose[0, 0] * x + pose[1, 0] * y + pose[2, 0]) / length
                dy = (pose[0, 1] * x + pose[1, 1] * y + pose[2, 1]) / length
                dz = (pose[0, 2] * x + pose[1, 2] * y + pose[2, 2]) / length
                i, distance, s, t, cosine = _trace(
                    eye[0], eye[1], eye[2], dx, dy, dz, candidates, shapes, levels, texels
                )
                if is_corner:
                    corners[row, column] = i
                    continue
                if sub == samples * samples // 2:
                    depth[top + row, left + column] = distance / length if i >= 0 else 0.0
                if i < 0:
                    r, g, b = 150 + 60 * (1 - dz), 185 + 40 * (1 - dz), 225.0
                else:
                    footprint = densities[i] * distance / (K[0, 0] * samples * np.sqrt(max(cosine, 0.05)))
                    r, g, b = _shade(i, s, t, footprint, levels, texels)
                red, green, blue = red + r, green + g, blue + b
            if not is_corner:
                share = samples * samples
                image[top + row, left + column, 0] = min(255, int(red / share + 0.5))
                image[top + row, left + column, 1] = min(255, int(green / share + 0.5))
                image[top + row, left + column, 2] = min(255, int(blue / share + 0.5))
    return image, depth


@_parallel
def _render_rays(shapes: F64, levels: I64, texels: U8, densities: F64, eye: F64, rays: F64, pixel_rad: float) -> U8:
    image = np.zeros((len(rays), 3), np.uint8)
    everything = np.arange(len(shapes))
    for k in prange(len(rays)):
        dx, dy, dz = rays[k, 0], rays[k, 1], rays[k, 2]
        if dx == 0.0 and dy == 0.0 and dz == 0.0:
            continue
        i, distance, s, t, cosine = _trace(eye[0], eye[1], eye[2], dx, dy, dz, everything, shapes, levels, texels)
        if i < 0:
            r, g, b = 150 + 60 * (1 - dz), 185 + 40 * (1 - dz), 225.0
        else:
            r, g, b = _shade(i, s, t, densities[i] * distance * pixel_rad / np.sqrt(max(cosine, 0.05)), levels, texels)
        image[k, 0], image[k, 1] = min(255, int(r + 0.5)), min(255, int(g + 0.5))
        image[k, 2] = min(255, int(b + 0.5))
    return image
