"""The .glb file of a scene: binary glTF with the extension KHR_gaussian_splatting, and its strict reader.

Layout (https://github.com/KhronosGroup/glTF, specification 2.0 and extensions/2.0/Khronos/KHR_gaussian_splatting, as
ratified): one primitive of points whose attributes are float32: positions, linear scales, rotations (xyzw), opacities
in 0 to 1 and spherical harmonics, a vector per coefficient. Programs that do not know the extension draw coloured
points (COLOR_0, linear RGBA in bytes).

glTF has y up and looks along -z; ours have y down and z ahead, as PLY: everything is turned half around x, as in .spz.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from runner.export.validity import ExportReport, bad_file, drawable
from runner.export.y_up import HALF_TURN, kept_with_y_up
from runner.files.atomic import write_atomically
from runner.scene.gaussians import SH_C0, Gaussians
from runner.scene.rotate import rotate_gaussians

NAME = "KHR_gaussian_splatting"
MAGIC, GLTF_VERSION, JSON_CHUNK, BINARY_CHUNK = 0x46546C67, 2, 0x4E4F534A, 0x004E4942
FLOAT, BYTE = 5126, 5121  # component types
WIDTHS = {"SCALAR": 1, "VEC3": 3, "VEC4": 4}
MAX_JSON_BYTES = 1 << 20
LEAST_ALPHA = 1e-7  # an opacity of 0 or 1 has no finite logit


@dataclass(frozen=True)
class Attribute:
    """One accessor with its values."""

    name: str
    values: NDArray[Any]  # [N, width] or [N], float32 or uint8
    kind: str  # VEC3 and so on


def write_glb(gaussians: Gaussians, path: Path) -> ExportReport:
    """Writes the scene atomically: 248 bytes per Gaussian at SH degree 3.

    Raises RunnerError when no Gaussian can be drawn, ResourceError when the disk is full.
    """
    turned = kept_with_y_up(gaussians, drawable(gaussians), path.name)
    written = write_atomically(path, _file(list(_attributes(turned))))
    return ExportReport(turned.count, gaussians.count - turned.count, written.size_bytes, written.sha256)


def read_glb(path: Path) -> Gaussians:
    """Reads what `write_glb` writes: one primitive with the extension, its values as float32 without a stride.

    Values come as stored: another program's file may hold NaN. Raises InputError for anything else.
    """
    with np.errstate(all="ignore"):
        return _read(path)


def _read(path: Path) -> Gaussians:
    document, binary = _chunks(path)
    try:
        (mesh,) = document["meshes"]
        (primitive,) = mesh["primitives"]
        accessors, views = document["accessors"], document["bufferViews"]
        if NAME not in primitive["extensions"] or primitive["mode"] != 0:
            raise bad_file(path.name, f"has no points with the extension {NAME}")

        def values(name: str) -> NDArray[np.float32]:
            accessor = accessors[primitive["attributes"][name]]
            view = views[accessor["bufferView"]]
            if accessor["componentType"] != FLOAT or "byteStride" in view or "sparse" in accessor:
                raise bad_file(path.name, f"holds {name} in a form that is not read here")
            shape = (int(accessor["count"]), WIDTHS[accessor["type"]])
            if shape[0] != accessors[primitive["attributes"]["POSITION"]]["count"] or shape[0] < 1:
                raise bad_file(path.name, f"holds {shape[0]} values of {name}: not one per Gaussian")
            begin = view.get("byteOffset", 0) + accessor.get("byteOffset", 0)
            found = np.frombuffer(binary, "<f4", shape[0] * shape[1], begin)
            return found.reshape(shape).astype(np.float32)

        degree = max(d for d in range(4) if f"{NAME}:SH_DEGREE_{d}_COEF_0" in primitive["attributes"])
        sh = [values(_sh_name(d, n)) for d in range(degree + 1) for n in range(2 * d + 1)]
        opacity = np.clip(values(f"{NAME}:OPACITY")[:, 0].astype(np.float64), LEAST_ALPHA, 1 - LEAST_ALPHA)
        read = Gaussians(
            means=values("POSITION"),
            quats=np.roll(values(f"{NAME}:ROTATION"), 1, axis=1),
            log_scales=np.log(np.maximum(values(f"{NAME}:SCALE"), np.finfo(np.float32).tiny)),
            opacity_logits=logit(opacity).astype(np.float32),
            sh0=sh[0],
            sh_rest=np.stack(sh[1:], axis=1) if degree else np.empty((len(sh[0]), 0, 3), np.float32),
        )
    except (KeyError, ValueError, TypeError, IndexError, AttributeError, OverflowError) as exc:
        raise bad_file(path.name, f"is no .glb file with one set of Gaussians: {exc}") from exc
    return rotate_gaussians(read, HALF_TURN)


def _sh_name(degree: int, coefficient: int) -> str:
    return f"{NAME}:SH_DEGREE_{degree}_COEF_{coefficient}"


def _attributes(turned: Gaussians) -> Iterator[Attribute]:
    """The order of the coefficients and their signs are those of the INRIA layout: see the extension's appendix A."""
    alpha = expit(turned.opacity_logits.astype(np.float64))
    quats = turned.quats.astype(np.float64)
    quats /= np.linalg.norm(quats, axis=1, keepdims=True)
    diffuse = np.clip(SH_C0 * turned.sh0.astype(np.float64) + 0.5, 0, 1)
    linear = np.where(diffuse <= 0.04045, diffuse / 12.92, ((diffuse + 0.055) / 1.055) ** 2.4)  # IEC 61966-2-1
    yield Attribute("POSITION", turned.means, "VEC3")
    yield Attribute("COLOR_0", np.round(255 * np.column_stack([linear, alpha])).astype(np.uint8), "VEC4")
    yield Attribute(f"{NAME}:ROTATION", np.roll(quats, -1, axis=1).astype(np.float32), "VEC4")
    yield Attribute(f"{NAME}:SCALE", np.exp(turned.log_scales), "VEC3")
    yield Attribute(f"{NAME}:OPACITY", alpha.astype(np.float32), "SCALAR")
    yield Attribute(_sh_name(0, 0), turned.sh0, "VEC3")
    bands = [(degree, n) for degree in range(1, turned.sh_degree + 1) for n in range(2 * degree + 1)]
    for place, (degree, n) in enumerate(bands):
        yield Attribute(_sh_name(degree, n), turned.sh_rest[:, place], "VEC3")


def _file(attributes: list[Attribute]) -> Iterator[bytes]:
    views: list[dict[str, Any]] = []
    accessors: list[dict[str, Any]] = []
    end = 0
    for attribute in attributes:
        values = attribute.values
        views.append({"buffer": 0, "byteOffset": end, "byteLength": values.nbytes, "target": 34962})
        end += values.nbytes
        accessor = {"bufferView": len(accessors), "count": len(values), "type": attribute.kind}
        accessor |= (
            {"componentType": BYTE, "normalized": True} if values.dtype == np.uint8 else {"componentType": FLOAT}
        )
        if attribute.name == "POSITION":  # the one attribute whose bounds glTF demands
            accessor |= {"min": values.min(axis=0).tolist(), "max": values.max(axis=0).tolist()}
        accessors.append(accessor)
    extension = {
        "kernel": "ellipse",
        "colorSpace": "srgb_rec709_display",
        "projection": "perspective",
        "sortingMethod": "cameraDistance",
    }
    primitive = {
        "mode": 0,
        "attributes": {attribute.name: index for index, attribute in enumerate(attributes)},
        "extensions": {NAME: extension},
    }
    document = {
        "asset": {"version": "2.0", "generator": "3DGS Video Processor"},
        "extensionsUsed": [NAME],
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": [primitive]}],
        "buffers": [{"byteLength": end}],
        "bufferViews": views,
        "accessors": accessors,
    }
    text = json.dumps(document, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    yield struct.pack("<III", MAGIC, GLTF_VERSION, 12 + 8 + len(text) + 8 + end)
    yield struct.pack("<II", len(text), JSON_CHUNK) + text
    yield struct.pack("<II", end, BINARY_CHUNK)  # every attribute is a multiple of 4 bytes
    for attribute in attributes:
        yield np.ascontiguousarray(attribute.values).tobytes()


def _chunks(path: Path) -> tuple[dict[str, Any], memoryview]:
    content = memoryview(path.read_bytes())
    if len(content) < 20:
        raise bad_file(path.name, "is too short for a .glb file")
    magic, version, total, size, kind = struct.unpack_from("<IIIII", content)
    if (magic, version, total, kind) != (MAGIC, GLTF_VERSION, len(content), JSON_CHUNK) or size > MAX_JSON_BYTES:
        raise bad_file(path.name, "is no whole .glb file of version 2")
    try:
        document = json.loads(bytes(content[20 : 20 + size]))
        length, kind = struct.unpack_from("<II", content, 20 + size)
    except (ValueError, struct.error) as exc:
        raise bad_file(path.name, "is damaged: its description is not JSON") from exc
    binary = content[28 + size :]
    if kind != BINARY_CHUNK or length != len(binary) or not isinstance(document, dict):
        raise bad_file(path.name, "promises other values than it holds")
    return document, binary
