"""What the CPU rasteriser promises beyond exactness: odd scenes, determinism, vector code, gsplat's strategies."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import gsplat
import llvmlite.binding
import numba
import pytest
import torch
from gsplat.strategy import DefaultStrategy

from runner.raster import Rasterizer, rasterizer
from runner.raster.compiled import EXACT
from runner.raster.kernels.blend import blend, dealt, slots
from runner.raster.kernels.blend_backward import blend_backward, blend_backward_absolute
from runner.training.loss import Target, photometric_loss
from tests.raster_oracle import KEYS, Shot, cloud, leaves, weights

ROOT = Path(__file__).parents[4]


@pytest.fixture(scope="module")
def cpu() -> Rasterizer:
    return rasterizer("cpu")


def draw(cpu, params, shot=None, **options):
    shot = shot or Shot()
    options = {"sh_degree": shot.sh_degree, "background": shot.background, **options}
    return cpu.render(params, shot.view, shot.K, shot.width, shot.height, **options)


@pytest.mark.parametrize("count", [0, 20], ids=["no Gaussians", "all behind the camera"])
def test_nothing_in_sight_gives_the_background_and_zero_gradients(cpu, count):
    """A view that looks away is part of real captures; training must walk over it."""
    params = cloud(20)
    params["means"][:, 2] = -5.0
    params = leaves({key: value[:count] for key, value in params.items()})
    drawn = draw(cpu, params)
    torch.testing.assert_close(drawn.image, Shot().background.expand(64, 80, 3), rtol=0, atol=0)
    assert torch.count_nonzero(drawn.alpha) == 0
    assert drawn.info["radii"].shape == (1, count, 2)
    assert torch.count_nonzero(drawn.info["radii"]) == 0
    (drawn.image.sum() + drawn.alpha.sum()).backward()
    for key in KEYS:
        assert torch.count_nonzero(params[key].grad) == 0, key
    assert drawn.info["means2d"].absgrad.shape == (1, count, 2)


@pytest.mark.parametrize("antialiased", [False, True], ids=["classic", "antialiased"])
def test_no_parameters_give_nan(cpu, antialiased):
    """Gaussians at and behind the camera, as large as the world or without size, opaque or not there, unturned."""
    params = cloud(120)
    shot = Shot(view=torch.eye(4))
    params["means"][:20] = torch.tensor([0.0, 0.0, 1.0]) * torch.linspace(-0.02, 0.05, 20)[:, None]
    params["means"][20] = 0.0
    params["means"][21:30, 0] = 1e4
    params["scales"][30:40] = 20.0
    params["scales"][40:45] = 100.0  # overflows float32 when exponentiated
    params["scales"][45:55] = -60.0
    params["scales"][55:60, 0] = 8.0
    params["opacities"][60:65] = 100.0
    params["opacities"][65:70] = -100.0
    params["quats"][70:75] = 0.0
    params = leaves(params)
    drawn = draw(cpu, params, shot, antialiased=antialiased)
    by_image, by_alpha = weights(shot)
    ((drawn.image * by_image).sum() + (drawn.alpha * by_alpha).sum()).backward()
    assert torch.isfinite(drawn.image).all()
    assert torch.isfinite(drawn.alpha).all()
    for key in KEYS:
        assert torch.isfinite(params[key].grad).all(), key


def test_a_gaussian_as_large_as_the_world_covers_the_picture(cpu):
    """Culling knows small from far, not small from huge."""
    params = cloud(1)
    params["means"][:] = torch.tensor([0.0, 0.0, 3.0])
    params["scales"][:] = 5.0  # standard deviation 148 units, seen from 3
    params["opacities"][:] = 2.0
    alpha = draw(cpu, params, Shot(view=torch.eye(4))).alpha
    torch.testing.assert_close(alpha, torch.sigmoid(torch.tensor(2.0)).expand(64, 80), atol=1e-3, rtol=0)


def outcome(cpu: Rasterizer) -> list[bytes]:
    """Bytes of all that one training step computes."""
    shot = Shot(width=131, height=97)
    params = leaves(cloud(1500))
    params["means"].data[::3] = params["means"].data[0]  # many equal depths
    drawn = draw(cpu, params, shot)
    target = Target(weights(shot)[0].sigmoid())
    loss = photometric_loss(drawn.image, target, 0.2)
    loss.backward()
    tensors = [drawn.image, drawn.alpha, loss, drawn.info["means2d"].absgrad, *(params[key].grad for key in KEYS)]
    return [tensor.detach().numpy().tobytes() for tensor in tensors]


def test_the_same_seed_gives_the_same_bytes(cpu):
    assert outcome(cpu) == outcome(cpu)


@pytest.mark.skipif(numba.config.NUMBA_DEFAULT_NUM_THREADS < 2, reason="one core: nothing to compare")
def test_the_number_of_threads_changes_no_bit():
    """Picture, loss and every gradient are the same bytes on one thread and on two. In a process of its own: numba's
    pool is sized once, and tests that run beside others have one of one thread."""
    code = """
        import hashlib
        import numba
        from tests.unit.runner.raster.test_robust import outcome, rasterizer
        for threads in (1, 2):
            parts = outcome(rasterizer("cpu", threads=threads))
            print(numba.get_num_threads(), hashlib.sha256(b"".join(parts)).hexdigest())
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        cwd=ROOT, env={**os.environ, "NUMBA_NUM_THREADS": "2"}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    (one, first), (two, second) = (line.split() for line in done.stdout.splitlines())
    assert (one, two) == ("1", "2")
    assert first == second


def test_gsplats_default_strategy_runs_unmodified_and_densifies(cpu):
    """`info` carries what gsplat's strategies read: one densification code for both backends."""
    shot = Shot()
    truth = draw(cpu, cloud(300, seed=9)).image
    params = torch.nn.ParameterDict({key: torch.nn.Parameter(value) for key, value in cloud(100).items()})
    optimizers = {key: torch.optim.Adam([params[key]], lr=1e-3, eps=1e-15) for key in KEYS}
    for absgrad in (False, True):
        before = len(params["means"])
        strategy = DefaultStrategy(
            refine_start_iter=2, refine_every=5, refine_scale2d_stop_iter=100, absgrad=absgrad, prune_scale2d=10.0
        )
        strategy.check_sanity(params, optimizers)
        state = strategy.initialize_state(scene_scale=1.0)
        for step in range(1, 11):
            drawn = draw(cpu, params, shot)
            strategy.step_pre_backward(params, optimizers, state, step, drawn.info)
            photometric_loss(drawn.image, Target(truth), 0.2).backward()
            for optimizer in optimizers.values():
                optimizer.step()
                optimizer.zero_grad()
            strategy.step_post_backward(params, optimizers, state, step, drawn.info, packed=False)
        assert len(params["means"]) > before


@pytest.mark.skipif(
    platform.machine().lower() not in ("x86_64", "amd64") or not llvmlite.binding.get_host_cpu_features().get("fma"),
    reason="looks for AVX2 or AVX-512 instructions in the machine code: needs an x86 CPU with FMA",
)
@pytest.mark.parametrize(
    ("kernel", "packed"), [(blend, 8), (blend_backward, 14), (blend_backward_absolute, 16)],
    ids=["forward", "backward", "absolute gradients"],
)  # fmt: skip
def test_tile_kernels_are_vectorised(cpu, kernel, packed):
    """The exponential and the sums must be packed arithmetic, with products fused into sums.

    The forward loop needs 10 multiply-adds per pixel (5 exponential, 2 sigma, 3 colours), the backward one 16 and more;
    a compiler may fold a few.
    """
    for absgrad in (False, True):
        draw(cpu, leaves(cloud(10)), absgrad=absgrad).image.sum().backward()
    if kernel.stats.cache_hits:  # code from the cache cannot be inspected: compile it again
        kernel, signature = numba.njit(parallel=True, **{**EXACT, "cache": False})(kernel.py_func), kernel.signatures[0]
        kernel.compile(signature)
    (assembly,) = kernel.inspect_asm().values()
    assert len(re.findall(r"vfn?m(?:add|sub)\d+ps\s.*%[yz]mm", assembly)) >= packed


@pytest.mark.parametrize("tiles", [1, 7, 8, 9, 30, 64, 135, 1000])
def test_every_tile_is_dealt_exactly_once(tiles):
    cards = sorted(dealt(slot, tiles) for slot in range(slots(tiles)))
    assert cards[:tiles] == list(range(tiles))
    assert all(card >= tiles for card in cards[tiles:])  # no tile


def test_shapes_and_types_that_do_not_fit_are_refused(cpu):
    """Kernels read memory without looking; the message names the tensor."""
    for key, wrong in (("quats", torch.zeros(5, 3)), ("opacities", torch.zeros(5, 1)), ("shN", torch.zeros(4, 15, 3))):
        with pytest.raises(ValueError, match=key):
            draw(cpu, {**cloud(5), key: wrong})
    with pytest.raises(ValueError, match="float32"):
        draw(cpu, {key: value.double() for key, value in cloud(5).items()})
    with pytest.raises(ValueError, match="sh_degree 3"):
        draw(cpu, {**cloud(5), "shN": torch.zeros(5, 8, 3)})
    with pytest.raises(ValueError, match="0x64"):
        draw(cpu, cloud(5), Shot(width=0))


def test_gsplat_is_the_version_the_strategies_and_the_adapter_were_checked_against():
    assert gsplat.__version__ == "1.5.3"
