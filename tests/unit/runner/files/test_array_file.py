"""A state file comes back exactly, or not at all; nothing in it is ever run."""

from __future__ import annotations

import io
import json
import math
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runner.files.array_file import StateFile, flat, read_state, tree_of, write_state

STATE = StateFile(
    {"step": 7, "loss": math.nan, "last": math.inf, "text": "ü", "pace": 0.1 + 0.2},
    {
        "params/means": np.random.default_rng(0).standard_normal((200, 3)).astype(np.float32),
        "moments/means/step": np.array(7, np.float32),
        "rng/cpu": np.arange(16, dtype=np.uint8),
        "params/empty": np.zeros((0, 3), np.float32),
    },
)


class Bomb:
    """Writes a file when it is unpickled."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> Any:
        return Path.touch, (self.target,)


def npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def archive(path: Path, members: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> Path:
    meta = json.dumps({"fingerprint": "f", "values": {}}).encode()
    with zipfile.ZipFile(path, "w", compression) as file:
        file.writestr("meta.npy", npy(np.frombuffer(meta, np.uint8)))
        for name, data in members.items():
            file.writestr(name, data)
    return path


def test_values_and_arrays_come_back_exactly(tmp_path: Path) -> None:
    write_state(tmp_path / "s.npz", STATE, "f")
    found = read_state(tmp_path / "s.npz", "f")
    assert found is not None
    assert math.isnan(found.values.pop("loss"))
    assert found.values == {key: value for key, value in STATE.values.items() if key != "loss"}
    assert found.arrays.keys() == STATE.arrays.keys()
    for name, array in STATE.arrays.items():
        assert found.arrays[name].dtype == array.dtype
        assert np.array_equal(found.arrays[name], array)
        assert found.arrays[name].flags.writeable
    with np.load(tmp_path / "s.npz", allow_pickle=False) as plain:  # any NumPy reads it
        assert np.array_equal(plain["params/means"], STATE.arrays["params/means"])


def test_another_fingerprint_or_no_file_is_no_state(tmp_path: Path) -> None:
    write_state(tmp_path / "s.npz", STATE, "f")
    assert read_state(tmp_path / "s.npz", "g") is None
    assert read_state(tmp_path / "none.npz", "f") is None
    assert read_state(tmp_path, "f") is None


@pytest.mark.parametrize("tenths", range(10))
def test_a_file_torn_at_any_tenth_is_no_state(tmp_path: Path, tenths: int) -> None:
    write_state(tmp_path / "s.npz", STATE, "f")
    data = (tmp_path / "s.npz").read_bytes()
    (tmp_path / "s.npz").write_bytes(data[: len(data) * tenths // 10])
    assert read_state(tmp_path / "s.npz", "f") is None


def test_a_flipped_bit_in_an_array_is_no_state(tmp_path: Path) -> None:
    write_state(tmp_path / "s.npz", STATE, "f")
    data = bytearray((tmp_path / "s.npz").read_bytes())
    place = bytes(data).index(STATE.arrays["params/means"].tobytes())
    data[place + 100] ^= 1
    (tmp_path / "s.npz").write_bytes(data)
    assert read_state(tmp_path / "s.npz", "f") is None


@pytest.mark.parametrize("inside", ["the file", "an array", "a member without an array's header"])
def test_a_pickle_is_never_run(tmp_path: Path, inside: str) -> None:
    ran = tmp_path / "ran"
    if inside == "the file":
        (tmp_path / "s.npz").write_bytes(pickle.dumps(Bomb(ran)))
    elif inside == "an array":
        archive(tmp_path / "s.npz", {"params/means.npy": npy(np.array([Bomb(ran)], dtype=object))})
    else:
        archive(tmp_path / "s.npz", {"params/means.npy": pickle.dumps(Bomb(ran))})
    assert read_state(tmp_path / "s.npz", "f") is None
    assert not ran.exists()
    pickle.loads(pickle.dumps(Bomb(ran)))  # the bomb does work
    assert ran.exists()


def test_a_small_file_never_becomes_a_large_one_in_memory(tmp_path: Path) -> None:
    """Neither by compression, nor by a header that claims more than follows."""
    assert read_state(archive(tmp_path / "plain.npz", {"a.npy": npy(np.zeros(9))}), "f") is not None
    zeros = {"a.npy": npy(np.zeros(1 << 17))}
    assert read_state(archive(tmp_path / "bomb.npz", zeros, zipfile.ZIP_DEFLATED), "f") is None
    noise = {"a.npy": npy(np.frombuffer(np.random.default_rng(0).bytes(9000), np.uint8))}  # does not get smaller
    assert read_state(archive(tmp_path / "noise.npz", noise, zipfile.ZIP_DEFLATED), "f") is None
    claimed = npy(np.zeros(9)).replace(b"(9,), }           ", b"(900000000000,), }")
    assert b"900000000000" in claimed
    assert read_state(archive(tmp_path / "claim.npz", {"a.npy": claimed}), "f") is None


def test_what_is_no_array_of_numbers_is_refused(tmp_path: Path) -> None:
    for number, data in enumerate((b"", b"text", npy(np.array(["text"])), npy(np.zeros((2, 3), order="F")))):
        assert read_state(archive(tmp_path / f"{number}.npz", {"a.npy": data}), "f") is None


def test_a_failed_write_leaves_the_state_before(tmp_path: Path) -> None:
    write_state(tmp_path / "s.npz", STATE, "f")
    with pytest.raises(ValueError, match="allow_pickle"):
        write_state(tmp_path / "s.npz", StateFile({}, {"a": np.array([object()])}), "f")
    assert read_state(tmp_path / "s.npz", "f") is not None
    assert [path.name for path in tmp_path.iterdir()] == ["s.npz"]


def test_a_tree_and_its_leaves_are_the_same_thing() -> None:
    tree = {"params": {"means": 1}, "moments": {"means": {"step": 2, "exp_avg": 3}}}
    assert flat(tree) == {"params/means": 1, "moments/means/step": 2, "moments/means/exp_avg": 3}
    assert tree_of(flat(tree)) == tree
