"""The file of a training's state: saved, and resumed from where it is whole and of the same training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from runner.files.array_file import StateFile, flat, read_state, tree_of, write_state
from runner.training.exposure.evidence import Decision
from runner.training.state import FORMAT, TENSORS, Measurement, TrainingState, load_state_dict, state_dict

FILE = "state.npz"  # inside the folder of the training state
PER_VIEW = ("exposures", "cameras")  # branches whose tensors have the shapes that the views give them


def save(saved: dict[str, Any], folder: Path, fingerprint: str) -> None:
    """Write a state dict so that a reader sees the old file or the whole new one. Raises ResourceError (disk full)."""
    arrays = {name: value.contiguous().numpy() for name, value in flat({name: saved[name] for name in TENSORS}).items()}
    values = {name: value for name, value in saved.items() if name not in TENSORS}
    write_state(folder / FILE, StateFile(values, arrays), fingerprint)


def find(folder: Path, fingerprint: str) -> StateFile | None:
    """What the folder holds of the same training (same scene, settings and recipe); None: nothing that can be read."""
    found = read_state(folder / FILE, fingerprint)
    return found if found is not None and found.values.get("format") == FORMAT else None


def decision_in(found: StateFile | None) -> Decision | None:
    """What the saved training had decided about exposures; None: it does not say."""
    try:
        return Decision.from_json(found.values["exposure"]) if found else None
    except (KeyError, TypeError, ValueError):
        return None


def resume(state: TrainingState, found: StateFile) -> bool:
    """Restore `state` to what was found. False, and nothing is changed, when that does not fit together."""
    before = state_dict(state)
    try:
        tensors = tree_of({name: torch.from_numpy(array) for name, array in found.arrays.items()})
        saved = {**found.values, **{branch: tensors.pop(branch, {}) for branch in TENSORS}}
        if tensors or not (_tensors_fit(saved, before) and _alike(found.values, before)):
            return False
        load_state_dict(state, saved)
    except (KeyError, TypeError, ValueError, RuntimeError, AttributeError):  # e.g. a branch that is a leaf
        load_state_dict(state, before)
        return False
    state.resumed_at.append(state.step)
    return True


def _tensors_fit(saved: dict[str, Any], fresh: dict[str, Any]) -> bool:
    """Whether the tensors are those of one training like the fresh one: names, kinds, and one row per Gaussian."""
    params, like = saved["params"], fresh["params"]
    if params.keys() != like.keys():
        return False
    count = len(params["means"])
    for name, value in params.items():
        if value.dtype != torch.float32 or value.shape != (count, *like[name].shape[1:]):
            return False
        moments = saved["moments"].get(name)  # none before the first step
        shapes = {"step": torch.Size(), "exp_avg": value.shape, "exp_avg_sq": value.shape}
        if moments and {key: moment.shape for key, moment in moments.items()} != shapes:
            return False
    average, whole = (
        {name: (value.dtype, value.shape) for name, value in saved[key].items()} for key in ("average", "params")
    )
    if average and average != whole:  # there is none while Gaussians are added
        return False
    found, expected = (
        {(branch, key): (value.dtype, value.shape) for branch in PER_VIEW for key, value in each[branch].items()}
        for each in (saved, fresh)
    )
    if found != expected:
        return False
    known = saved["moments"].keys() <= params.keys()
    return known and count > 0 and all(len(value) == count for value in saved["densifier"].values())


def _alike(values: dict[str, Any], fresh: dict[str, Any]) -> bool:
    """Whether the plain values are of the same kinds as those of a training that has not begun."""
    whole = [*(values.get(name) for name in ("step", "rollbacks")), *values.get("resumed_at", [None])]
    numbers = [*whole, *(values.get(name) for name in ("seconds", "loss", "rate_factor"))]
    numbers += [value for name in ("plan", "plateau") for value in values[name].values()]
    return (
        values.keys() == fresh.keys() - set(TENSORS)
        and all(values[name].keys() == fresh[name].keys() for name in ("plan", "plateau"))
        and all(isinstance(value, (int, float)) for value in numbers)
        and all(isinstance(value, int) and value >= 0 for value in whole)
        and isinstance(values["plateaued"], bool)
        and all(set(line) == set(Measurement.__annotations__) for line in values["history"])
    )
