"""Named arrays and plain values in one file that can be read without trusting it: NumPy's .npz, never a pickle.

    meta            JSON: the plain values, with the fingerprint of what they belong to
    <group>/<name>  one array each, uncompressed

A file that is torn, compressed, too large for itself or of something else is no state at all, and says nothing.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.files.atomic import replacing
from runner.files.plain_zip import READ_ERRORS, require_plain

if TYPE_CHECKING:  # numpy is loaded by whoever reads or writes: the parent of a job imports this module and does not
    from numpy.typing import NDArray

META = "meta"
MAX_META_BYTES = 16 << 20  # the history of a long training has some kB
KINDS = "biuf"  # dtypes of a state: booleans, integers, floats; never objects


@dataclass(frozen=True)
class StateFile:
    """What a state file holds."""

    values: dict[str, Any]  # JSON; NaN and infinity are allowed
    arrays: dict[str, NDArray[Any]]  # by name: "params/means"


def write_state(path: Path, state: StateFile, fingerprint: str) -> None:
    """All or nothing. Raises ResourceError when the disk is full, ValueError for an array of objects."""
    import numpy as np

    text = json.dumps({"fingerprint": fingerprint, "values": state.values})
    meta = np.frombuffer(text.encode(), np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as file:
        np.savez(file, allow_pickle=False, **{META: meta, **state.arrays})


def read_state(path: Path, fingerprint: str) -> StateFile | None:
    """What `write_state` wrote with the same fingerprint, else None."""
    try:
        with zipfile.ZipFile(path) as archive:
            require_plain(archive, path.stat().st_size)
            meta = json.loads(_array(archive, f"{META}.npy", MAX_META_BYTES).tobytes())
            if meta["fingerprint"] != fingerprint or not isinstance(meta["values"], dict):
                return None
            names = [name.removesuffix(".npy") for name in archive.namelist()]
            arrays = {name: _array(archive, f"{name}.npy") for name in names if name != META}
    except READ_ERRORS:
        return None
    except TypeError:  # JSON, but no object
        return None
    return StateFile(meta["values"], arrays)


def flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """{"params": {"means": x}} -> {"params/means": x}. Empty branches vanish."""
    leaves: dict[str, Any] = {}
    for name, value in tree.items():
        leaves.update(flat(value, f"{prefix}{name}/") if isinstance(value, Mapping) else {prefix + name: value})
    return leaves


def tree_of(leaves: Mapping[str, Any]) -> dict[str, Any]:
    """The inverse of `flat`. Raises ValueError when a name is a leaf and a branch."""
    tree: dict[str, Any] = {}
    for path, value in leaves.items():
        *branches, name = path.split("/")
        node = tree
        for branch in branches:
            node = node.setdefault(branch, {})
            if not isinstance(node, dict):
                raise ValueError(f"{branch} is a leaf and a branch")
        if name in node:
            raise ValueError(f"{name} is a leaf and a branch")
        node[name] = value
    return tree


def _array(archive: zipfile.ZipFile, name: str, limit_bytes: int | None = None) -> NDArray[Any]:
    """One array. Memory is taken for the data that is there, whatever the header claims. Raises one of READ_ERRORS."""
    import numpy as np

    info = archive.getinfo(name)
    if limit_bytes is not None and info.file_size > limit_bytes:
        raise ValueError(f"{name} is too large")
    with archive.open(info) as member:
        if np.lib.format.read_magic(member) != (1, 0):
            raise ValueError(f"{name} is of another version")
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(member)
        if fortran or dtype.kind not in KINDS or any(side < 0 for side in shape):
            raise ValueError(f"{name} is no plain array")
        data = bytearray(member.read())  # checks the CRC at its end; a bytearray, for an array that can be written to
    return np.frombuffer(data, dtype).reshape(shape)  # as much as there is, not as much as the header claims
