"""prices.tsv, and what the machines of a job cost by it. A price that is not known is None, as is every sum of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

PRICES = Path(__file__).with_name("prices.tsv")
GPUS = {"Consumption-GPU-NC8as-T4": "gpu-t4", "Consumption-GPU-NC24-A100": "gpu-a100"}


@dataclass(frozen=True)
class Price:
    """One line of prices.tsv."""

    usd: float | None  # None: not known
    unit: str
    region: str
    source: str  # a page
    date: str  # when it was read there, ISO 8601


@dataclass(frozen=True)
class Machine:
    """What an execution is billed for each second."""

    profile: str
    vcpu: float
    gib: float

    @property
    def gpu(self) -> bool:
        return self.profile in GPUS

    def per_second(self, prices: Mapping[str, Price]) -> float | None:
        """USD, None where a price is not known."""
        parts = [(prices["vcpu"].usd, self.vcpu), (prices["gib"].usd, self.gib)]
        if self.gpu:
            parts.append((prices[GPUS[self.profile]].usd, 1))
        return None if any(usd is None for usd, _ in parts) else sum((usd or 0) * count for usd, count in parts)


MACHINES: dict[str, Machine] = {
    machine.profile: machine
    for machine in (
        Machine("Consumption-GPU-NC8as-T4", 8, 56),
        Machine("Consumption-GPU-NC24-A100", 24, 220),
        Machine("Consumption", 4, 8),
    )
}
"""As infra/modules/job.bicep gives them; a test compares."""


def read_prices(path: Path = PRICES) -> dict[str, Price]:
    """Item -> price. Raises ValueError for a price without region, source or date, and for other columns."""
    found = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            continue
        item, usd, unit, region, source, date = line.split("\t")
        if usd and not (region and source and date):
            raise ValueError(f"{path.name}: the price of {item} names no region, source or date")
        found[item] = Price(float(usd) if usd else None, unit, region, source, date)
    return found
