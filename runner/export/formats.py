"""The file formats of a result as one table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from runner.export.compressed_ply import read_compressed, write_compressed
from runner.export.glb import read_glb, write_glb
from runner.export.ply import read_ply, write_ply
from runner.export.splat import read_splat, write_splat
from runner.export.spz4 import read_spz4, write_spz4
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
    "spz": Exporter(write_spz4, read_spz4),
    "compressed.ply": Exporter(write_compressed, read_compressed),
    "glb": Exporter(write_glb, read_glb),
}
"""By suffix: <scene>.<suffix>."""
