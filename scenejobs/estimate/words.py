"""An estimate in lines for people, and as a document for programs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from scenejobs.estimate.model import Estimate, Range
from scenejobs.estimate.prices import MACHINES, Machine, Price

NAMES = {
    "frames": "choosing frames",
    "poses": "camera poses",
    "training": "training",
    "finish": "clean-up and files",
    "again": "made again, as it was doubtful",
}


def time(seconds: Range) -> str:
    """`40 to 90 s`, `5 to 9 min`, `2.1 to 4.0 h`."""
    divisor, unit = (1, "s") if seconds.high < 100 else (60, "min") if seconds.high < 100 * 60 else (3600, "h")
    low, high = seconds.low / divisor, seconds.high / divisor
    digits = 1 if high < 10 and unit != "s" else 0
    shown = f"{low:.{digits}f}", f"{high:.{digits}f}"
    return f"{shown[0]} {unit}" if shown[0] == shown[1] else f"{shown[0]} to {shown[1]} {unit}"


def size(megabytes: Range) -> str:
    if megabytes.high < 1000:
        return f"{megabytes.low:.0f} to {megabytes.high:.0f} MB"
    return f"{megabytes.low / 1000:.1f} to {megabytes.high / 1000:.1f} GB"


def machines_of(found: Estimate) -> list[Machine]:
    """Those that an execution with this preset may run on, on Azure."""
    return [machine for machine in MACHINES.values() if machine.gpu is found.gpu]


def lines(found: Estimate, prices: Mapping[str, Price]) -> list[str]:
    """For a terminal."""
    basis = "what headers say" if found.by_headers else "the sizes of the files alone"
    learned = f", and {found.scenes} finished scenes" if found.scenes else ""
    low, high = found.frames.low, found.frames.high
    told = [
        f"preset {found.preset}, from {basis}{learned}",
        f"  frames               {low:.0f}" + (f" to {high:.0f}" if high > low else ""),
        *(f"  {NAMES[stage]:20} {time(seconds)}" for stage, seconds in found.stages_s.items()),
        f"  {'all together':20} {time(found.total_s)}",
        f"  {'memory':20} {size(found.memory_mb)}" + (", of a GPU: not measured" if found.gpu else ""),
        f"  {'disk':20} {size(found.disk_mb)}",
    ]
    for machine in machines_of(found):
        told.append(f"  {machine.profile}: {'; '.join(_billed(found, machine, prices))}")
    return told


def _billed(found: Estimate, machine: Machine, prices: Mapping[str, Price]) -> list[str]:
    minutes = found.total_s.times(1 / 60)
    what = "GPU minutes" if machine.gpu else "minutes"
    quantity = f"{minutes.low:.0f} to {minutes.high:.0f} {what} of {machine.vcpu:g} vCPU and {machine.gib:g} GiB"
    usd = found.usd(machine, prices)
    return [quantity, "price not known" if usd is None else f"{usd.low:.2f} to {usd.high:.2f} USD"]


def document(found: Estimate, prices: Mapping[str, Price]) -> dict[str, Any]:
    """For `--json`, metrics.json and the report."""
    return {
        "preset": found.preset,
        "gpu": found.gpu,
        "from": "headers" if found.by_headers else "sizes",
        "scenes_learned_from": found.scenes,
        "frames": asdict(found.frames),
        "stages_s": {stage: asdict(seconds) for stage, seconds in found.stages_s.items()},
        "total_s": asdict(found.total_s),
        "memory_mb": asdict(found.memory_mb),
        "disk_mb": asdict(found.disk_mb),
        "machines": [
            {
                "profile": machine.profile,
                "gpu_minutes": asdict(found.total_s.times(1 / 60)) if machine.gpu else None,
                "vcpu_s": asdict(found.total_s.times(machine.vcpu)),
                "gib_s": asdict(found.total_s.times(machine.gib)),
                "usd": asdict(usd) if (usd := found.usd(machine, prices)) else None,
            }
            for machine in machines_of(found)
        ],
    }
