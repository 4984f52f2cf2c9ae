"""The file formats of a result as one table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from runner.export.compressed_ply import read_compressed, write_compressed
from runner.export.ply import read_ply, write_ply
from runner.export.splat import read_splat, write_splat
from runner.export.spz import read_spz, write_spz
from runner.export.validity import ExportReport
from runner.scene.gaussians import Gaussians


@dataclass(frozen=True)
class Exporter:
    """One file format."""

    write: Callable[[Gaussians, Path], ExportReport]
    read: Callable[[Path], Gaussians]
    view_dependent: bool = True  # False: it gets one colour per Gaussian, see view_colours.flatten


EXPORTERS = {
    "ply": Exporter(write_ply, read_ply),
    "splat": Exporter(write_splat, read_splat, view_dependent=False),
    "spz": Exporter(write_spz, read_spz),
    "compressed.ply": Exporter(write_compressed, read_compressed),
}
"""By suffix: <scene>.<suffix>."""
