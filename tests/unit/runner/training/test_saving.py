"""The state is written beside the steps: one at a time, whole whenever the process dies, and told when it fails."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runner.files.array_file import read_state
from runner.raster import Rasterizer
from runner.scene.views import TrainingScene
from runner.training.saving import StateWriter
from scenejobs.errors import ResourceError
from tests.trainings import SETTINGS, fields_equal, run_training, state_file

ENOUGH_S = 60.0


def test_training_goes_on_while_a_state_is_written_and_one_is_written_at_a_time() -> None:
    gate, written = threading.Event(), list[str]()

    def write(snapshot: dict[str, Any]) -> None:
        assert gate.wait(ENOUGH_S)
        written.append(snapshot["name"])

    with StateWriter(write) as writer:
        writer.begin({"name": "first"})
        assert writer.busy
        assert written == []
        gate.set()
        writer.begin({"name": "second"})  # waits for the first
        assert "first" in written
    assert written == ["first", "second"]  # leaving waits for the last


def test_a_write_that_failed_is_raised_where_the_training_is() -> None:
    def full(snapshot: dict[str, Any]) -> None:
        raise ResourceError("no space left")

    with pytest.raises(ResourceError), StateWriter(full) as writer:
        writer.begin({})
    with StateWriter(full) as writer:
        writer.begin({})
        with pytest.raises(ResourceError):
            writer.wait()
        assert not writer.busy  # told once
    with pytest.raises(KeyError), StateWriter(full) as writer:
        _ = writer.begin({}), {}["what ended the training is told, not what came of it"]


CHILD = """
    import sys
    from pathlib import Path
    import torch
    from runner.training import resume
    from runner.training.saving import StateWriter
    from runner.training.state import TENSORS
    folder, values = Path(sys.argv[1]), int(sys.argv[2])
    def state(number):
        return {"number": number, **dict.fromkeys(TENSORS, {}), "params": {"means": torch.full((values,), number)}}
    with StateWriter(lambda snapshot: resume.save(snapshot, folder, "same")) as writer:
        writer.begin(state(1.0))
        writer.wait()
        print("one", flush=True)
        number = 2.0
        while True:
            writer.begin(state(number))
            number += 1.0
"""


def test_a_kill_in_the_middle_of_a_write_leaves_a_whole_state(tmp_path: Path) -> None:
    path, part = tmp_path / "state.npz", tmp_path / ".state.npz.part"
    values = 20_000_000  # 80 MB: long enough to be caught in the middle
    command = [sys.executable, "-c", textwrap.dedent(CHILD), str(tmp_path), str(values)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "one\n"
        deadline = time.monotonic() + ENOUGH_S
        while not (part.exists() and part.stat().st_size > 1_000_000):
            assert time.monotonic() < deadline
        child.send_signal(signal.SIGKILL)
    assert part.exists(), "it was not killed in the middle of a write"
    state = read_state(path, "same")
    assert state is not None
    means = state.arrays["params/means"]
    assert means.shape == (values,)
    assert np.all(means == state.values["number"])


def test_saves_change_nothing_of_the_training(scene: TrainingScene, backend: Rasterizer, tmp_path: Path) -> None:
    """Saved at every look, and never: the same bytes."""
    settings = replace(SETTINGS, iterations=60)
    saved = run_training(scene, settings, backend, folder=tmp_path, save_s=0.0)
    assert state_file(tmp_path).exists()
    assert fields_equal(saved.gaussians, run_training(scene, settings, backend).gaussians)
