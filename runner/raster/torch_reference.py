"""The same images in plain torch: oracle for the kernels (any float type), and a backend where numba does not run.

Tile lists are padded to groups of similar length and blended with ordinary tensor operations, so autograd gives the
gradients. About thirty times slower than the kernels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from runner.raster import constants as c
from runner.raster.port import Rendering, check_inputs
from runner.scene.geometry import rotation_matrices
from runner.scene.spherical_harmonics import sh_basis

GROUP_ELEMENTS = 6_000_000  # tiles x Gaussians x pixels blended at once: 24 MB per float32 tensor of a group


@dataclass(frozen=True)
class Splats:
    """Gaussians as one camera sees them, all [N, ...]."""

    xy: Tensor  # [N, 2] pixels
    conic: Tensor  # [N, 3] xx, xy, yy of the inverse covariance
    opacity: Tensor  # [N]
    color: Tensor  # [N, 3]
    depth: Tensor  # [N]
    extent: Tensor  # [N, 2] pixels, 0: not seen


def project(
    params: Mapping[str, Tensor],
    view: Tensor,
    K: Tensor,
    width: int,
    height: int,
    *,
    degree: int,
    antialiased: bool,
) -> Splats:
    """EWA projection and colour; the formulas are explained in kernels/projection.py."""
    fx, fy, cx, cy = (float(K[i, j]) for i, j in ((0, 0), (1, 1), (0, 2), (1, 2)))
    x, y, z = (params["means"] @ view[:3, :3].T + view[:3, 3]).unbind(-1)
    seen = (z > c.NEAR) & (params["scales"].detach().max(-1).values <= c.MAX_LOG_SCALE)
    # What is not seen gets harmless numbers, or its NaN would reach the others through zero times NaN.
    z = torch.where(seen, z, torch.ones_like(z))
    scales = torch.exp(torch.where(seen[:, None], params["scales"], torch.zeros_like(params["scales"])))
    axes = view[:3, :3] @ (rotation_matrices(params["quats"]) * scales[:, None, :])
    margin_x, margin_y = c.FRUSTUM_MARGIN * width / fx, c.FRUSTUM_MARGIN * height / fy
    u = (x / z).clamp(-cx / fx - margin_x, (width - cx) / fx + margin_x)
    v = (y / z).clamp(-cy / fy - margin_y, (height - cy) / fy + margin_y)
    r0 = (fx / z)[:, None] * (axes[:, 0] - u[:, None] * axes[:, 2])
    r1 = (fy / z)[:, None] * (axes[:, 1] - v[:, None] * axes[:, 2])
    xx, xy, yy = (r0 * r0).sum(-1), (r0 * r1).sum(-1), (r1 * r1).sum(-1)
    seen = seen & (torch.maximum(xx, yy) <= c.MAX_VARIANCE)
    sharp_det = torch.linalg.cross(r0, r1).square().sum(-1)
    det = sharp_det + c.BLUR_VARIANCE * (xx + yy) + c.BLUR_VARIANCE**2
    xx, yy = xx + c.BLUR_VARIANCE, yy + c.BLUR_VARIANCE
    opacity = torch.sigmoid(params["opacities"])
    if antialiased:
        opacity = opacity * torch.sqrt((sharp_det / det).clamp_min(1e-12))
    pixels = torch.stack([fx * x / z + cx, fy * y / z + cy], -1)
    centre = -view[:3, :3].T @ view[:3, 3]
    coefficients = torch.cat([params["sh0"], params["shN"][:, : (degree + 1) ** 2 - 1]], 1)
    basis = sh_basis(degree, F.normalize(params["means"] - centre, dim=-1))
    color = (torch.einsum("nk,nkc->nc", basis, coefficients) + 0.5).clamp_min(0.0)
    with torch.no_grad():
        seen = seen & (opacity > float(c.ALPHA_MIN))
        sigmas = torch.sqrt(2 * torch.log((255 * opacity).clamp_min(1.0))).clamp_max(c.MAX_SIGMAS)
        extent = sigmas[:, None] * torch.stack([xx, yy], -1).sqrt()
        size = torch.tensor([width, height], dtype=extent.dtype, device=extent.device)
        seen = seen & ((pixels + extent > 0) & (pixels - extent < size)).all(-1)
        extent = torch.where(seen[:, None], extent, torch.zeros_like(extent))
    return Splats(pixels, torch.stack([yy, -xy, xx], -1) / det[:, None], opacity, color, z.detach(), extent)


def tile_lists(splats: Splats, width: int, height: int) -> tuple[Tensor, Tensor]:
    """Per tile its Gaussians front to back: ids [M], and counts [tiles] of consecutive runs in it."""
    limits = torch.tensor([-(-width // c.TILE), -(-height // c.TILE)], device=splats.xy.device)
    xy = splats.xy.detach()
    first = torch.minimum(torch.floor((xy - splats.extent) / c.TILE).clamp_min(0), limits).long()
    last = torch.minimum(torch.floor((xy + splats.extent) / c.TILE + 1).clamp_min(0), limits).long()
    sides = (last - first).clamp_min(0) * (splats.extent[:, :1] > 0)
    order = torch.argsort(splats.depth, stable=True)
    counts = sides.prod(-1)[order]
    which = torch.repeat_interleave(torch.arange(len(order), device=order.device), counts)
    position = torch.arange(len(which), device=order.device) - (torch.cumsum(counts, 0) - counts)[which]
    ids = order[which]
    across = sides[ids, 0]
    tile = (first[ids, 1] + position // across) * limits[0] + first[ids, 0] + position % across
    sort = torch.argsort(tile, stable=True)
    return ids[sort], torch.bincount(tile, minlength=int(limits.prod()))


def blend_tiles(splats: Splats, ids: Tensor, members: Tensor, origin: Tensor, lane: Tensor) -> tuple[Tensor, Tensor]:
    """Blend a group of tiles. ids, members [T, L] (list and which entries of it exist), origin [T, 2] pixels of the
    tiles' corners, lane [P, 2] pixel centres in a tile. Returns colour [T, P, 3] and transmittance [T, P]."""
    xy = (splats.xy[ids] - origin[:, None])[:, :, None]
    dx, dy = (lane - xy).unbind(-1)  # [T, L, P]
    conic = splats.conic[ids][:, :, None]
    sigma = 0.5 * (conic[..., 0] * dx * dx + conic[..., 2] * dy * dy) + conic[..., 1] * dx * dy
    opacity = torch.where(members, splats.opacity[ids], torch.zeros((), dtype=sigma.dtype, device=sigma.device))
    alpha = (opacity[..., None] * torch.exp(-sigma)).clamp_max(float(c.ALPHA_MAX))
    alpha = torch.where(alpha >= float(c.ALPHA_MIN), alpha, torch.zeros_like(alpha))
    light = torch.exp(torch.cumsum(torch.log1p(-alpha), 1))
    weight = alpha * torch.cat([torch.ones_like(light[:, :1]), light[:, :-1]], 1)
    return torch.einsum("tlp,tlc->tpc", weight, splats.color[ids]), light[:, -1]


def rasterize(splats: Splats, background: Tensor, width: int, height: int) -> tuple[Tensor, Tensor]:
    """Image [H, W, 3] and alpha [H, W]."""
    like: dict[str, Any] = {"dtype": splats.xy.dtype, "device": splats.xy.device}
    tiles_x, tiles_y = -(-width // c.TILE), -(-height // c.TILE)
    with torch.no_grad():
        ids, counts = tile_lists(splats, width, height)
        starts = torch.cumsum(counts, 0) - counts
        pending = torch.argsort(counts)  # similar lengths together: little padding
        pending = pending[counts[pending] > 0]
    p = torch.arange(c.TILE**2, device=splats.xy.device)
    lane = torch.stack([p % c.TILE, p // c.TILE], -1).to(**like) + 0.5
    color = torch.zeros(tiles_x * tiles_y, c.TILE**2, 3, **like)
    light = torch.ones(tiles_x * tiles_y, c.TILE**2, **like)
    done, colors, lights = [], [], []
    while len(pending):
        lengths = counts[pending]
        number = torch.arange(1, len(lengths) + 1, device=lengths.device)
        shortest = int(lengths[0])
        fits = (lengths * number * c.TILE**2 <= GROUP_ELEMENTS) & (lengths <= max(shortest * 3 // 2, shortest + 16))
        group = pending[: max(1, int(fits.long().cumprod(0).sum()))]
        pending = pending[len(group) :]
        position = torch.arange(int(counts[group].max()), device=lengths.device)
        members = position < counts[group][:, None]
        listed = ids[torch.where(members, starts[group][:, None] + position, starts[group][:, None])]
        origin = torch.stack([group % tiles_x, group // tiles_x], -1) * c.TILE
        group_color, group_light = blend_tiles(splats, listed, members, origin, lane)
        done.append(group)
        colors.append(group_color)
        lights.append(group_light)
    if done:
        color = color.index_copy(0, torch.cat(done), torch.cat(colors))
        light = light.index_copy(0, torch.cat(done), torch.cat(lights))
    color = color + light[..., None] * background.to(**like)
    color = color.reshape(tiles_y, tiles_x, c.TILE, c.TILE, 3).transpose(1, 2)
    light = light.reshape(tiles_y, tiles_x, c.TILE, c.TILE).transpose(1, 2)
    image = color.reshape(tiles_y * c.TILE, tiles_x * c.TILE, 3)[:height, :width]
    return image, 1 - light.reshape(tiles_y * c.TILE, tiles_x * c.TILE)[:height, :width]


class TorchRasterizer:
    """Draws with plain torch on any device and float type. See `Rasterizer` in port.py.

    `info["means2d"].absgrad` is not what AbsGS sums per pixel, autograd never sees that; it is |grad|, a lower bound.
    """

    name = "torch"

    def __init__(self, device: str | torch.device = "cpu") -> None:
        self.device = torch.device(device)

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
        absgrad: bool = True,  # noqa: ARG002
    ) -> Rendering:
        """See `Rasterizer.render`. Raises ValueError for shapes that do not fit."""
        check_inputs(params, sh_degree, width, height)
        view = world_to_camera.to(params["means"])
        splats = project(params, view, K, width, height, degree=sh_degree, antialiased=antialiased)
        means2d = splats.xy[None]
        if means2d.requires_grad:
            means2d.register_hook(lambda grad: setattr(means2d, "absgrad", grad.abs()))
        linked = Splats(means2d[0], splats.conic, splats.opacity, splats.color, splats.depth, splats.extent)
        image, alpha = rasterize(linked, background, width, height)
        info: dict[str, Any] = {
            "means2d": means2d, "radii": torch.ceil(splats.extent).int()[None], "width": int(width),
            "height": int(height), "n_cameras": 1, "gaussian_ids": None,
        }  # fmt: skip
        return Rendering(image, alpha, info)
