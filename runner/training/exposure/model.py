"""The corrections between the rendering and the loss, learned with the Gaussians and left behind at the end.

    per training image    a gain for each channel: exposure and white balance
    per camera            how much its curve holds back near white

after PPISP (Deutsch et al., CVPR 2026), on the values of the images instead of the light: a gain of the light is nearly
one of the values, and the scene is stored as values. A value y with the log gain l is

    y e^l / (1 + k y (e^l - 1)),    k = 0: a plain gain; k = 1: white stays white

which is y itself where l is 0, whatever the curve: so the curve cannot change the scene's colours. There is no offset:
it would be learned as haze, and few pictures have nothing that says otherwise. Nor is there a falloff to the corners:
each picture has it, so a scene without it is nearer to none of them (benchmarks/results/exposure.md).

The gauge. A gain that all pictures have in common, a white balance or a brightness of all corrections together, is a
change of the scene's colours and of nothing else. So the log gains have the mean 0 over the training images, per
channel, after every step, exactly. The scene then has the mean exposure of its pictures, and none that nobody took.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from runner.scene.views import TrainingScene
from runner.training.exposure.drift import ExposureDrift, cameras_of

RATES = {"gains": 2e-3, "curves": 2e-3}  # Adam, per visit; fall to RATE_FINAL of it over the plan
RATE_FINAL = 0.1
ANCHOR_WEIGHT = 0.01  # weight of the squared distance of the gains to what the sparse points say
BETA1, BETA2, EPS = 0.9, 0.99, 1e-8
CURVES = (0.0, 0.8)  # least and most of k
CLIPPED = 0.98  # of white: the light of such a pixel may have been any more


class Exposures:
    """Corrections of all training images, learned one image at a time, without reading anything back."""

    def __init__(self, scene: TrainingScene, drift: ExposureDrift, device: torch.device) -> None:
        self._camera_of = cameras_of(scene.views)
        self._train = torch.tensor(scene.subset("train"), device=device)
        self._measured = torch.tensor(drift.log_gains, dtype=torch.float32, device=device)
        cameras = max(self._camera_of) + 1
        self.values: dict[str, Tensor] = {
            "gains": self._measured.clone(),  # [V, 3] natural log
            "curves": torch.zeros(cameras, 1, device=device),  # [C, 1] k
        }
        self._moments = {
            name: (torch.zeros_like(value), torch.zeros_like(value), torch.zeros(len(value), device=device))
            for name, value in self.values.items()
        }  # of Adam: first, second, visits
        self._leaves: dict[str, Tensor] = {}
        self._view = -1
        self._take_out_the_gauge()

    def apply(self, image: Tensor, view: int, target: Tensor | None = None) -> Tensor:
        """The rendering [H, W, 3] as image `view` was exposed; remembers what `step` needs.

        target: the image itself. Where it is white and the rendering is brighter, they are taken for equal.
        """
        self._view = view
        self._leaves = {name: value[self._row(name)].clone().requires_grad_() for name, value in self.values.items()}
        gain = torch.exp(self._leaves["gains"])
        seen = gain * image / (1 + self._leaves["curves"] * image * (gain - 1)).clamp_min(0.2)
        return seen if target is None else torch.where((target >= CLIPPED) & (seen > target), target, seen)

    @torch.no_grad()
    def step(self, share: float, factor: float = 1.0) -> None:
        """One Adam step for the view that was applied last. share: of the plan; factor: of the rates."""
        grads = {name: leaf.grad for name, leaf in self._leaves.items() if leaf.grad is not None}
        if not grads:
            raise ValueError("there is no gradient: call apply(), then backward()")
        self._leaves = {}
        for name, grad in grads.items():
            value, row = self.values[name], self._row(name)
            if name == "gains":
                grad = grad + 2 * ANCHOR_WEIGHT * (value[row] - self._measured[row])
            first, second, visits = self._moments[name]
            visits[row] += 1
            mean = first[row].lerp_(grad, 1 - BETA1) / (1 - BETA1 ** visits[row])
            square = second[row].lerp_(grad * grad, 1 - BETA2) / (1 - BETA2 ** visits[row])
            value[row] -= factor * RATES[name] * RATE_FINAL**share * mean / (square.sqrt() + EPS)
        self._take_out_the_gauge()

    def log_gains(self) -> NDArray[np.float64]:
        """[T, 3] of the training images, in their order."""
        return self.values["gains"][self._train].double().cpu().numpy()

    def state_dict(self) -> dict[str, Tensor]:
        state = dict(self.values)
        for name, moments in self._moments.items():
            state |= {
                f"{name}_{kind}": value for kind, value in zip(("first", "second", "visits"), moments, strict=True)
            }
        return state

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        for name, own in self.state_dict().items():
            own.copy_(state[name])

    def _row(self, name: str) -> int:
        """Of the parameter `name`, for the view at hand: gains are per view, the rest per camera."""
        return self._view if name == "gains" else self._camera_of[self._view]

    def _take_out_the_gauge(self) -> None:
        gains = self.values["gains"]
        gains[self._train] -= gains[self._train].double().mean(dim=0).float()
        self.values["curves"].clamp_(*CURVES)
