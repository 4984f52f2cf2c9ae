"""A driver that is too old is told at once, by its own code, and a driver that is new enough stops nobody."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from runner.process import gpu_driver
from scenejobs.errors import Code, ConfigurationError


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A libcuda that answers as one of driver 535 does: CUDA 12.2."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler")
    folder = tmp_path_factory.mktemp("driver")
    source, library = folder / "cuda.c", folder / "libcuda.so.1"
    source.write_text("int cuDriverGetVersion(int *version) { *version = 12020; return 0; }\n")
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, source], check=True)
    return library


def test_a_driver_for_an_older_cuda_is_named_with_the_way_out(driver: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"runs CUDA 12\.2.*CUDA 13\.0.*580") as error:
        gpu_driver.require(str(driver), (13, 0))
    assert error.value.code is Code.DRIVER_TOO_OLD
    assert "RUNNER_CUDA 12" in error.value.advice


@pytest.mark.parametrize("built_for", [(12, 8), (12, 0), (11, 8), None])
def test_the_same_or_an_older_major_version_runs(driver: Path, built_for: tuple[int, int] | None) -> None:
    """12.8 on a driver for 12.2: minor versions are compatible. None: a torch without CUDA, as in the tests."""
    gpu_driver.require(str(driver), built_for or (12, 2))


def test_without_a_driver_there_is_nothing_to_say(tmp_path: Path) -> None:
    assert gpu_driver.why_too_old(str(tmp_path / "none.so"), (13, 0)) == ""
    assert gpu_driver.driver_release(tmp_path / "none") == ""


def test_the_release_is_read_as_the_kernel_module_writes_it(tmp_path: Path) -> None:
    file = tmp_path / "version"
    file.write_text(
        "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.183.01  Sun May 12 19:39:15 UTC 2024\n"
        "GCC version:  gcc version 12.3.0 (Ubuntu 12.3.0-1ubuntu1~22.04)\n"
    )
    assert gpu_driver.driver_release(file) == "535.183.01"


def test_the_cuda_version_of_torch_is_read_without_loading_it() -> None:
    torch = pytest.importorskip("torch")
    cuda = torch.version.cuda
    assert gpu_driver.torch_cuda() == (tuple(map(int, cuda.split(".")))[:2] if cuda else None)
