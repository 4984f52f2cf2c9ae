"""The compiled Adam is torch's Adam; arrays survive the way into tensors and back."""

from __future__ import annotations

import numpy as np
import torch

from runner.raster import parameters
from runner.scene.gaussians import Gaussians
from runner.training import optimiser


def some_gaussians(count: int = 50) -> Gaussians:
    rng = np.random.default_rng(1)

    def values(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape).astype(np.float32)

    return Gaussians(
        values(count, 3), values(count, 4), values(count, 3), values(count), values(count, 3), values(count, 8, 3)
    )


def test_gaussians_survive_the_way_to_tensors_and_back() -> None:
    before = some_gaussians()
    after = parameters.to_gaussians(parameters.parameters(before, torch.device("cpu")))
    for name, array in vars(before).items():
        assert np.array_equal(array, vars(after)[name]), name
    assert after.sh_degree == 2


def test_compiled_adam_takes_the_steps_of_torchs_adam() -> None:
    torch.manual_seed(0)
    ours = torch.nn.Parameter(torch.randn(40_000, 3))  # more than one block
    theirs = torch.nn.Parameter(ours.detach().clone())
    compiled = optimiser.CompiledAdam([ours], lr=0.01, eps=optimiser.ADAM_EPS)
    reference = torch.optim.Adam([theirs], lr=0.01, eps=optimiser.ADAM_EPS)
    for step in range(20):
        ours.grad = torch.randn(40_000, 3) * 10.0 ** (step % 5 - 4)
        theirs.grad = ours.grad.clone()
        for optimizer in (compiled, reference):
            optimizer.param_groups[0]["lr"] = 0.01 * 0.9**step
            optimizer.step()
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)
    for key in ("step", "exp_avg", "exp_avg_sq"):
        torch.testing.assert_close(compiled.state[ours][key], reference.state[theirs][key], rtol=1e-5, atol=1e-6)


def test_fused_adam_takes_the_steps_of_adam_tensor_by_tensor() -> None:
    """What a GPU is given; torch has it for the CPU, too."""
    torch.manual_seed(0)
    fused_value = torch.nn.Parameter(torch.randn(5_000, 3))
    value = torch.nn.Parameter(fused_value.detach().clone())
    fused = optimiser.fused_adam([fused_value], lr=0.01, eps=optimiser.ADAM_EPS)
    reference = torch.optim.Adam([value], lr=0.01, eps=optimiser.ADAM_EPS, foreach=False)
    for step in range(20):
        fused_value.grad = torch.randn(5_000, 3) * 10.0 ** (step % 5 - 4)
        value.grad = fused_value.grad.clone()
        for optimizer in (fused, reference):
            optimizer.param_groups[0]["lr"] = 0.01 * 0.9**step
            optimizer.step()
    torch.testing.assert_close(fused_value, value, rtol=1e-5, atol=1e-6)
    for key in ("step", "exp_avg", "exp_avg_sq"):
        torch.testing.assert_close(fused.state[fused_value][key], reference.state[value][key], rtol=1e-5, atol=1e-6)


def test_the_counter_of_adam_lies_where_its_kind_looks_for_it() -> None:
    """A fused Adam on a GPU refuses a counter on the CPU; "meta" stands for any other device."""
    value = torch.nn.Parameter(torch.empty(3, device="meta"))
    assert optimiser.counter_device(optimiser.fused_adam([value], lr=0.0, eps=1.0), value).type == "meta"
    assert optimiser.counter_device(torch.optim.Adam([value]), value).type == "cpu"


def test_parameters_that_are_not_finite_are_found() -> None:
    params = parameters.parameters(some_gaussians(), torch.device("cpu"))
    assert optimiser.all_finite(params)
    for bad in (float("nan"), float("inf")):
        with torch.no_grad():
            before = params["scales"][3, 1].item()
            params["scales"][3, 1] = bad
            assert not optimiser.all_finite(params)
            params["scales"][3, 1] = before
