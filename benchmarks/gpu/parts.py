"""The parts of a step and of what is around it, before and after, on the same device one after the other.

Each row holds the way that was, written here as it was, against the way that is. On a GPU the time is that of the
device, from one synchronisation to the next.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from runner.postprocess.floaters import HIDDEN_LOGIT
from runner.quality.evaluate import render_view
from runner.raster import Rasterizer, parameters
from runner.scene.gaussians import Gaussians
from runner.scene.geometry import rotation_matrices
from runner.scene.views import View
from runner.training import optimiser, separable_ssim
from runner.training.loss import Target, torch_loss
from runner.training.mcmc import by_covariance
from runner.training.saving import StateWriter

ROUNDS = 7
WARM_UP = 2


@dataclass(frozen=True)
class Size:
    """How large the parts are measured."""

    width: int
    height: int
    gaussians: int


FULL, TOY = Size(1600, 900, 2_000_000), Size(64, 48, 2_000)


@dataclass(frozen=True)
class Part:
    """One row: milliseconds, medians."""

    name: str
    before_ms: float
    after_ms: float

    def __str__(self) -> str:
        return (
            f"| {self.name} | {self.before_ms:.2f} | {self.after_ms:.2f} "
            f"| {self.before_ms / max(self.after_ms, 1e-9):.2f} |"
        )


HEADER = "| part | before ms | now ms | before / now |\n| --- | --- | --- | --- |"


def milliseconds(
    action: Callable[[], object], device: torch.device, rounds: int = ROUNDS, warm_up: int = WARM_UP
) -> float:
    """Median over the rounds."""

    def once() -> float:
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        begun_s = time.perf_counter()
        action()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return (time.perf_counter() - begun_s) * 1e3

    return statistics.median([once() for _ in range(warm_up + rounds)][warm_up:])


def gaussians(count: int) -> Gaussians:
    """In a ball before the camera, small and half opaque."""
    rng = np.random.default_rng(0)
    return Gaussians(
        means=(rng.normal(size=(count, 3)) * 0.5 + (0.0, 0.0, 3.0)).astype(np.float32),
        quats=rng.normal(size=(count, 4)).astype(np.float32),
        log_scales=rng.normal(-5.0, 0.3, (count, 3)).astype(np.float32),
        opacity_logits=rng.normal(size=count).astype(np.float32),
        sh0=rng.normal(0.0, 0.5, (count, 3)).astype(np.float32),
        sh_rest=rng.normal(0.0, 0.05, (count, 15, 3)).astype(np.float32),
    )


def measure(backend: Rasterizer, size: Size) -> list[Part]:
    """Every row on the device of `backend`."""
    device = torch.device(backend.device)
    scene = gaussians(size.gaussians)
    rows = [ssim(device, size), noise(device, scene), *adams(device, scene)]
    rows += [absgrad(backend, scene, size), trial(backend, scene, size), saving(scene, device)]
    return rows


def ssim(device: torch.device, size: Size) -> Part:
    """Loss and gradient of one picture whose target is ready."""
    generator = torch.Generator().manual_seed(0)
    image, truth = torch.rand(2, size.height, size.width, 3, generator=generator).to(device)
    target, leaf = Target(truth), image.requires_grad_()
    moments = target.moments

    def before() -> None:
        torch_loss(leaf, target, 0.2).backward()

    def after() -> None:
        separable_ssim.loss(leaf, target.image, moments, 0.2).backward()

    name = f"L1 + SSIM and gradient, {size.width} x {size.height}: window of 121 by autograd; two passes of 11"
    return Part(name, milliseconds(before, device), milliseconds(after, device))


def noise(device: torch.device, scene: Gaussians) -> Part:
    """The noise of MCMC."""
    quats, scales, vectors = (
        torch.from_numpy(array).to(device) for array in (scene.quats, scene.log_scales, scene.means)
    )

    def before() -> torch.Tensor:
        axes = rotation_matrices(quats) * torch.exp(scales)[:, None, :]
        return torch.einsum("bij,bj->bi", axes @ axes.transpose(1, 2), vectors)

    name = f"noise of MCMC, {scene.count:,} Gaussians: matrices; quaternions on vectors"
    after = milliseconds(lambda: by_covariance(quats, scales, vectors), device)
    return Part(name, milliseconds(before, device), after)


def adams(device: torch.device, scene: Gaussians) -> list[Part]:
    """Adam: torch's ordinary one, and what training takes on this device."""
    params = parameters.parameters(scene, device)
    plain = {name: torch.optim.Adam([value], lr=1e-5, eps=1e-15) for name, value in params.items()}
    ours = optimiser.optimizers(params)
    gradients = {name: torch.full_like(value, 1e-3) for name, value in params.items()}

    def stepped(optimizers: Any) -> Callable[[], None]:
        def step() -> None:
            for name, value in params.items():
                value.grad = gradients[name]
            optimiser.step(optimizers)

        return step

    name = f"Adam, {scene.count:,} Gaussians: torch's default; fused"
    return [Part(name, milliseconds(stepped(plain), device), milliseconds(stepped(ours), device))]


def absgrad(backend: Rasterizer, scene: Gaussians, size: Size) -> Part:
    """Drawing and its gradient, with the sums of |gradient| that MCMC ignores and without."""
    params = parameters.parameters(scene, backend.device)
    view = camera(size)
    pose, K = (
        torch.tensor(each, dtype=torch.float32, device=backend.device) for each in (view.world_to_camera, view.K)
    )
    black = torch.zeros(3, device=backend.device)

    def drawn(wanted: bool) -> Callable[[], None]:
        def draw() -> None:
            rendering = backend.render(
                params, pose, K, view.width, view.height, sh_degree=3, background=black, absgrad=wanted
            )
            rendering.image.sum().backward()

        return draw

    device = torch.device(backend.device)
    name = f"drawing and gradient, {scene.count:,} Gaussians: absgrad asked for; not"
    return Part(name, milliseconds(drawn(True), device), milliseconds(drawn(False), device))


def trial(backend: Rasterizer, scene: Gaussians, size: Size) -> Part:
    """One trial of the clean-up with one picture: the Gaussians that stay uploaded; the others hidden on the device."""
    device, view = torch.device(backend.device), camera(size)
    keep = np.random.default_rng(0).uniform(size=scene.count) < 0.9
    params = parameters.parameters(scene, device)

    def before() -> None:
        render_view(parameters.parameters(scene.subset(keep), device), view, backend)

    def after() -> None:
        kept = torch.from_numpy(keep).to(device)
        hidden = torch.where(kept, params["opacities"].detach(), HIDDEN_LOGIT)
        render_view({**params, "opacities": hidden}, view, backend)

    name = f"one trial of the clean-up, {scene.count:,} Gaussians: uploaded; hidden by a mask"
    return Part(name, milliseconds(before, device), milliseconds(after, device))


def saving(scene: Gaussians, device: torch.device) -> Part:
    """How long the steps wait for a state: until it is on the disk; until it is in the memory of the host."""
    from runner.files.array_file import StateFile, write_state

    values = {name: value.detach() for name, value in parameters.parameters(scene, device).items()}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "state.npz"

        def write(snapshot: dict[str, Any]) -> None:
            arrays = {f"{name}/{copy}": value.numpy() for name, value in snapshot.items() for copy in range(3)}
            write_state(path, StateFile({}, arrays), "same")

        def before() -> None:
            write({name: value.cpu() for name, value in values.items()})

        def after() -> None:
            if device.type != "cuda":
                writer.begin({name: value.clone() for name, value in values.items()})
                return
            pinned = {name: torch.empty_like(value, device="cpu", pin_memory=True) for name, value in values.items()}
            for name, value in values.items():
                pinned[name].copy_(value, non_blocking=True)
            torch.cuda.synchronize(device)
            writer.begin(pinned)

        waited = []
        first = milliseconds(before, device, rounds=3, warm_up=0)
        with StateWriter(write) as writer:
            for _ in range(3):
                writer.wait()
                begun_s = time.perf_counter()
                after()
                waited.append((time.perf_counter() - begun_s) * 1e3)
    name = f"wait for a saved state, {scene.count:,} Gaussians: written; copied, and written by a thread"
    return Part(name, first, statistics.median(waited))


def camera(size: Size) -> View:
    """Looks along z."""
    K = np.array([[size.width, 0, size.width / 2], [0, size.width, size.height / 2], [0, 0, 1.0]])
    return View("a/0.png", "a.mp4", 0.0, size.width, size.height, K, np.eye(4), "test")
