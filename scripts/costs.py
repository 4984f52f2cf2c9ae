"""The tables of docs/cost.md: quantities from templates, code and measurements, prices from prices.tsv alone.

A price that is not known is empty there, and every sum that needs it is empty here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from runner.pipeline.estimate import planned_s
from runner.pipeline.presets import PRESETS
from scenejobs.estimate.prices import GPUS, Machine, Price, read_prices
from scenejobs.settings.pipeline import PipelineSettings

ROOT = Path(__file__).resolve().parents[1]
DAYS = 30  # of the month of these tables
IMAGES_GB, BASIC_GB = 3, 10  # what one version of both images takes; what is in the registry's daily price
MEASURED = "[end_to_end.json](../benchmarks/results/end_to_end.json): fox, median"
PLANNED = "estimate: the preset's budgets (`runner/pipeline/estimate.py`)"


def machines() -> list[Machine]:
    """Sizes of the job's container, as infra/modules/job.bicep gives them."""
    sizes = r"^  '?([\w-]+)'?: \{ cpu: '(\d+)', memory: '(\d+)Gi' \}"
    text = (ROOT / "infra/modules/job.bicep").read_text()
    return [Machine(name, float(cpu), float(gib)) for name, cpu, gib in re.findall(sizes, text, re.MULTILINE)]


def default(variable: str) -> str:
    """What infra/main.parameters.json takes where the variable is not set."""
    found = re.search(rf"\$\{{{variable}=(.*?)\}}", (ROOT / "infra/main.parameters.json").read_text())
    if not found:
        raise ValueError(f"{variable} has no default in main.parameters.json")
    return found[1]


def money(usd: float | None) -> str:
    """A cell; empty where it is not known."""
    return "" if usd is None else f"{usd:,.2f}"


def times(usd: float | None, quantity: float) -> float | None:
    """A price times a quantity."""
    return None if usd is None else usd * quantity


def idle(prices: Mapping[str, Price]) -> Iterable[tuple[str, ...]]:
    """Per month: what, how much of it, where that stands, what it costs."""
    alerts = (ROOT / "infra/modules/alerts.bicep").read_text()
    rules = len(re.findall(r"^    query: ", alerts, re.MULTILINE))
    metrics = len(re.findall(r"'\w+'", alerts.split("for metric in [")[1].split("]")[0]))
    main = (ROOT / "infra/main.bicep").read_text()
    services = [
        set(re.findall(r"'(\w+)'", found)) for found in re.findall(r"^    services: \[(.*)\]", main, re.MULTILINE)
    ]
    endpoints, zones = sum(map(len, services)), len(set().union(*services))
    every = re.fullmatch(r"0 \*/(\d+) \* \* \* \*", default("SWEEP_SCHEDULE"))
    if not every:
        raise ValueError("the sweep's schedule is not every so many minutes")
    sweeps = DAYS * 24 * 60 // int(every[1])
    polling = json.loads((ROOT / "host.json").read_text())["extensions"]["queues"]["maxPollingInterval"]
    hours, minutes, seconds = map(int, polling.split(":"))
    polls = 24 * 3600 // (hours * 3600 + minutes * 60 + seconds)
    found = re.search(r"instanceMemoryMB: (\d+)", (ROOT / "infra/modules/function-app.bicep").read_text())
    ready = 2  # one instance for uploads, one for the checks: alwaysReady of function-app.bicep
    memory_gb = int(found[1]) / 1024 if found else 0
    rows: list[tuple[str, str, float | None, str, str]] = [
        ("registry, `REGISTRY_SKU=Basic`", "registry-basic", DAYS, "days", "`infra/modules/registry.bicep`"),
        (f"images in it, packed {IMAGES_GB} GB: what is beyond the {BASIC_GB} GB of Basic", "registry-storage",
         max(0, IMAGES_GB - BASIC_GB) * DAYS, "GB and days", "estimate: [images](images.md#in-azure)"),
        ("log-alert rules", "log-alert-rule", rules, "rules", "`infra/modules/alerts.bicep`"),
        ("metric alerts on Event Grid", "metric-alert-rule", metrics, "rules", "`infra/modules/alerts.bicep`"),
        ("sweeps", "function-execution", sweeps, "executions", "`SWEEP_SCHEDULE`"),
        ("uploads, archives, results that are kept", "storage", None, "", "yours; archives for `RETENTION_DAYS`"),
        ("logs", "logs", None, "", "not measured"),
        ("with `ALWAYS_READY_INSTANCES=1`: instances that wait", "always-ready",
         ready * memory_gb * DAYS * 86400, "GB seconds",
         f"{ready} instances of {memory_gb:g} GB, `infra/modules/function-app.bicep`"),
        ("the same: looks into queues", "queue-operation", ready * polls * DAYS, "operations",
         f"{polls:,} a day and queue, one queue each: `maxPollingInterval` of host.json"),
        ("with `PRIVATE_NETWORKING=true`: private endpoints", "private-endpoint", endpoints * DAYS * 24, "hours",
         f"{endpoints} endpoints, `infra/main.bicep`"),
        ("the same: private DNS zones", "private-zone", zones, "zones", "`infra/main.bicep`"),
    ]  # fmt: skip
    for what, item, count, unit, source in rows:
        shown = "" if count is None else f"{count:,g} {unit}" if count < 1e6 else f"{count:,.0f} {unit}"
        yield what, shown, source, money(None if count is None else times(prices[item].usd, count))


def scenes(prices: Mapping[str, Price]) -> Iterable[tuple[str, ...]]:
    """Preset, machine, minutes of an execution, where they are from, what they cost."""
    runs = json.loads((ROOT / "benchmarks/results/end_to_end.json").read_text())["fox"]
    measured = {
        run["preset"]: sorted(float(other["wall_s"]) for other in runs if other["preset"] == run["preset"])
        for run in runs
    }
    for preset, chosen in PRESETS.items():
        gpu = chosen.description.startswith("GPU")
        for machine in machines():
            if (machine.profile in GPUS) != gpu:
                continue
            rate = machine.per_second(prices)
            if preset in measured and not gpu:
                walls = measured[preset]
                seconds = walls[len(walls) // 2]
                yield f"`{preset}`", "2 cores, no GPU", f"{seconds / 60:.1f}", MEASURED, ""
            seconds = planned_s(PipelineSettings(preset=preset))
            yield f"`{preset}`", f"`{machine.profile}`", f"{seconds / 60:.0f}", PLANNED, money(times(rate, seconds))


def limit(prices: Mapping[str, Price]) -> Iterable[tuple[str, ...]]:
    """Machine, the most minutes a day and a month, what they cost."""
    minutes = int(default("MAX_GPU_MINUTES_PER_DAY"))
    for machine in machines():
        day = times(machine.per_second(prices), 60 * minutes)
        yield (
            f"`{machine.profile}`", f"{machine.vcpu:g} vCPU, {machine.gib:g} GiB", f"{minutes:,}",
            f"{minutes * DAYS:,}", money(day), money(times(day, DAYS)),
        )  # fmt: skip


def listed(prices: Mapping[str, Price]) -> Iterable[tuple[str, ...]]:
    """The prices themselves."""
    for item, price in prices.items():
        yield (
            f"`{item}`",
            "" if price.usd is None else f"{price.usd:g}",
            price.unit,
            price.region,
            price.source,
            price.date,
        )


TABLES = {
    "idle": (("a month", "quantity", "from", "USD"), idle),
    "scenes": (("preset", "machine", "minutes", "from", "USD a scene"), scenes),
    "limit": (("machine", "billed each second", "minutes a day", "a month", "USD a day", "USD a month"), limit),
    "prices": (("item", "USD", "for each", "region", "source", "read"), listed),
}


def rows(which: str, prices: Mapping[str, Price] | None = None) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Heads and rows of one of TABLES. Raises KeyError for another name, ValueError for a source of another shape."""
    heads, make = TABLES[which]
    return heads, list(make(read_prices() if prices is None else prices))
