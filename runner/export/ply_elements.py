"""The elements of a binary little-endian PLY file as structured arrays, written and mapped by plyfile."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from plyfile import PlyData, PlyElement, PlyElementParseError, PlyParseError

from runner.export.validity import bad_file

HEADER_LIMIT = 1 << 16  # bytes; ours have 1.5 kB

Elements = Mapping[str, NDArray[np.void]]  # by name, in the order of the file: [N] with one field per property


class _Pieces(list[Any]):
    """A stream that keeps what is written to it, without copying it."""

    def write(self, data: Any) -> None:
        self.append(data)


def file_of(elements: Elements) -> Iterable[bytes | memoryview]:
    """The file, piece by piece: its header, then the arrays themselves, not copies of them."""
    stream = _Pieces()
    PlyData([PlyElement.describe(rows, name) for name, rows in elements.items()], byte_order="<").write(stream)
    return stream


def map_elements(path: Path, *, exact: bool = False) -> Elements:
    """The elements of a file, mapped, not read. exact: no byte may follow them.

    Raises InputError for a damaged file and for text and lists: for those plyfile allocates memory for as many rows as
    the header promises, whatever the file holds.
    """
    with path.open("rb") as file:
        start = file.read(HEADER_LIMIT)
        newline = re.match(rb"ply(\r\n|\r|\n)", start)
        if newline is None:
            raise bad_file(path.name, "is not a PLY file")
        header, end, _ = start.partition(newline[1] + b"end_header" + newline[1])
        if not end:
            raise bad_file(path.name, f"has no complete header in its first {HEADER_LIMIT:,} bytes")
        if re.search(rb"format\s+ascii", header):
            raise bad_file(path.name, "is not binary little-endian")
        if re.search(rb"property\s+list", header):
            raise bad_file(path.name, "has a property list, which no 3DGS file has")
        file.seek(0)
        try:
            data = PlyData.read(file, mmap="r")
        except PlyElementParseError as exc:
            raise bad_file(path.name, f"promises {exc.element.count:,} rows and holds {exc.row:,}") from exc
        except (
            PlyParseError,
            ValueError,
            OverflowError,
        ) as exc:  # a name twice, not ASCII, -5 or 2^63 rows
            raise bad_file(path.name, f"has a header that cannot be read: {exc}") from exc
        if data.byte_order != "<":
            raise bad_file(path.name, "is not binary little-endian")
        elements = {element.name: element.data for element in data}
        held = file.seek(0, 2) - len(header) - len(end)
    promised = sum(rows.nbytes for rows in elements.values())
    if exact and promised != held:
        raise bad_file(path.name, f"promises {promised:,} bytes after its header and holds {held:,}")
    return elements
