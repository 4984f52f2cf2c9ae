"""Choosing a backend, and the adapter to gsplat as far as it can be checked without a GPU."""

from __future__ import annotations

import inspect
import subprocess
import sys

import gsplat
import pytest
import torch

from runner.raster import BACKENDS, rasterizer
from runner.raster.gsplat_gpu import GsplatRasterizer
from scenejobs.errors import Code, ConfigurationError
from tests.raster_oracle import Shot, cloud

no_cuda = pytest.mark.skipif(torch.cuda.is_available(), reason="about machines without a CUDA device; this one has one")


@no_cuda
def test_auto_takes_the_cpu_where_there_is_no_gpu():
    assert rasterizer("auto").name == "cpu"


@pytest.mark.parametrize("name", ["cpu", "torch"])
def test_backends_say_who_and_where_they_are(name):
    backend = rasterizer(name)
    assert backend.name == name
    assert backend.device == torch.device("cpu")


@no_cuda
def test_gsplat_without_a_gpu_is_a_configuration_error_with_a_remedy():
    with pytest.raises(ConfigurationError) as caught:
        rasterizer("gsplat")
    assert caught.value.code == Code.NO_GPU
    assert "CUDA" in caught.value.cause
    assert "backend cpu" in caught.value.advice


def test_an_unknown_backend_lists_the_known_ones():
    with pytest.raises(ConfigurationError) as caught:
        rasterizer("opengl")
    assert caught.value.code == Code.INVALID_SETTING
    assert all(name in caught.value.advice for name in BACKENDS)


def test_asking_for_the_torch_backend_imports_neither_numba_nor_gsplat():
    """Platforms without numba wheels can still train, slowly."""
    code = (
        "import sys; from runner.raster import rasterizer; rasterizer('torch');"
        "print([m for m in ('numba', 'gsplat') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("absgrad", [False, True])
@pytest.mark.parametrize("antialiased", [False, True])
def test_the_gsplat_adapter_calls_what_gsplat_offers(monkeypatch, antialiased, absgrad):
    """Against the real signature of `gsplat.rasterization`, with parameters after their activations."""
    shot, params = Shot(), cloud(7)
    signature = inspect.signature(gsplat.rasterization)
    marker = {"width": shot.width}
    calls = []

    def stand_in(*args, **kwargs):
        calls.append(signature.bind(*args, **kwargs).arguments)
        return torch.zeros(1, shot.height, shot.width, 3), torch.ones(1, shot.height, shot.width, 1), marker

    monkeypatch.setattr(gsplat, "rasterization", stand_in)
    drawn = GsplatRasterizer("cpu").render(
        params, shot.view, shot.K, shot.width, shot.height,
        sh_degree=2, background=shot.background, antialiased=antialiased, absgrad=absgrad,
    )  # fmt: skip
    (call,) = calls
    torch.testing.assert_close(call["scales"], params["scales"].exp())
    torch.testing.assert_close(call["opacities"], params["opacities"].sigmoid())
    assert call["colors"].shape == (7, 16, 3)
    assert call["viewmats"].shape == (1, 4, 4)
    assert call["Ks"].shape == (1, 3, 3)
    assert call["backgrounds"].shape == (1, 3)
    assert (call["packed"], call["absgrad"], call["sh_degree"]) == (False, absgrad, 2)
    assert call["rasterize_mode"] == ("antialiased" if antialiased else "classic")
    assert drawn.image.shape == (shot.height, shot.width, 3)
    assert drawn.alpha.shape == (shot.height, shot.width)
    assert drawn.info is marker
