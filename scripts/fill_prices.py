"""Fills scenejobs/estimate/prices.tsv from the public price list, where exactly one meter fits, with its source.

    python -m scripts.fill_prices --region swedencentral [--check]

The list: https://learn.microsoft.com/rest/api/cost-management/retail-prices/azure-retail-prices, retail prices in USD,
no sign-in. Meters are found by words of their names. Where none fits, or several do with different prices, the price
stays as it is and the meters are told: nothing is guessed. Afterwards: make docs.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from scenejobs.estimate.prices import PRICES, read_prices

LIST = "https://prices.azure.com/api/retail/prices"
TIMEOUT_S = 30.0
MOST_PAGES = 50


@dataclass(frozen=True)
class Rule:
    """Which meter of the list an item of prices.tsv is. Of its unit, `per` are in one unit of ours."""

    service: str
    meter: str  # pattern over "product / SKU / meter"
    units: Mapping[str, float]  # unit of the list -> how many of ours are in it
    never: str = "idle|dedicated|spot|low priority|reservation"  # pattern of meters that are another thing


SECONDS = {"1 Second": 1.0, "1 Hour": 3600.0, "1 GiB Second": 1.0, "1 GB Second": 1.0, "1 GiB Hour": 3600.0}
MONTHLY = {"1/Month": 1.0, "1": 1.0}
RULES: Mapping[str, Rule] = {
    "gpu-t4": Rule("Azure Container Apps", r"\bT4\b", SECONDS),
    "gpu-a100": Rule("Azure Container Apps", r"\bA100\b", SECONDS),
    "vcpu": Rule("Azure Container Apps", r"standard vcpu active", SECONDS),
    "gib": Rule("Azure Container Apps", r"standard memory active", SECONDS),
    "registry-basic": Rule("Container Registry", r"basic registry unit", {"1/Day": 1.0}),
    "registry-storage": Rule("Container Registry", r"data stored", {"1 GB/Day": 1.0, "1 GB/Month": 30.0}),
    "log-alert-rule": Rule("Azure Monitor", r"alerts.*log.*5 minute", MONTHLY),
    "metric-alert-rule": Rule("Azure Monitor", r"alerts.*metric.*(?:resource|time series)", MONTHLY),
    "function-execution": Rule("Functions", r"flex consumption.*on demand total executions", {"10": 10.0, "1M": 1e6}),
    "always-ready": Rule("Functions", r"flex consumption.*always ready baseline", SECONDS),
    "queue-operation": Rule("Storage", r"queues v2.*LRS class 1 operations", {"10K": 10_000.0}),
    "private-endpoint": Rule("Virtual Network", r"private link.*standard private endpoint", {"1 Hour": 1.0}),
    "private-zone": Rule("Azure DNS", r"private zone", MONTHLY),
    "logs": Rule("Log Analytics", r"pay-as-you-go.*data ingestion", {"1 GB": 1.0}),
    "storage": Rule("Storage", r"general block blob v2.*hot LRS data stored", {"1 GB/Month": 1.0}),
}
"""Of each item of prices.tsv; a test compares. The words are those of the price list as far as they were known: it was
not reachable where they were written."""


def fetched(url: str) -> dict[str, Any]:
    with urllib.request.urlopen(url, timeout=TIMEOUT_S) as answer:
        found: dict[str, Any] = json.load(answer)
        return found


def meters(service: str, region: str, fetch: Callable[[str], dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """All meters of a service in a region, page by page."""
    wanted = f"serviceName eq '{service}' and armRegionName eq '{region}' and priceType eq 'Consumption'"
    url = f"{LIST}?{urllib.parse.urlencode({'$filter': wanted})}"
    for _ in range(MOST_PAGES):
        page = fetch(url)
        yield from page["Items"]
        url = page.get("NextPageLink") or ""
        if not url.startswith(f"{LIST}?"):  # also one that leads elsewhere
            return


def price_of(rule: Rule, found: Sequence[Mapping[str, Any]]) -> tuple[float | None, list[str]]:
    """The one price of all meters that fit, USD for one unit of ours; None with their names where there is not one."""
    fitting, told = set(), []
    for meter in found:
        name = " / ".join(str(meter.get(key, "")) for key in ("productName", "skuName", "meterName"))
        unit, usd = str(meter.get("unitOfMeasure")), float(meter.get("unitPrice") or 0.0)
        if not re.search(rule.meter, name, re.IGNORECASE) or re.search(rule.never, name, re.IGNORECASE) or usd <= 0:
            continue
        if meter.get("currencyCode") != "USD":
            continue
        told.append(f"{name}: {usd:g} USD for {unit}")
        if unit in rule.units:
            fitting.add(usd / rule.units[unit])
    return (fitting.pop() if len(fitting) == 1 and len(told) >= 1 else None), told


def filled(text: str, prices: Mapping[str, float], region: str, source: str, date: str) -> str:
    """prices.tsv with these prices in it; its other lines stay."""
    lines = []
    for line in text.splitlines():
        item, *cells = line.split("\t")
        if item in prices and not line.startswith("#"):
            line = "\t".join([item, f"{prices[item]:.10g}", cells[1], region, source, date])
        lines.append(line)
    return "\n".join(lines) + "\n"


def main(
    arguments: Sequence[str] | None = None, fetch: Callable[[str], dict[str, Any]] = fetched, path: Path = PRICES
) -> int:
    """0; 1 where a price was not found, 3 where the list cannot be read."""
    parser = argparse.ArgumentParser(prog="python -m scripts.fill_prices", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--region", required=True, help="as Azure names it: swedencentral")
    parser.add_argument("--check", action="store_true", help="write nothing")
    options = parser.parse_args(arguments)
    if not re.fullmatch(r"[a-z0-9]{3,40}", options.region):
        parser.error(f"{options.region!r} is no region")
    known: dict[str, float] = {}
    lists: dict[str, list[dict[str, Any]]] = {}
    for item in read_prices(path):
        rule = RULES[item]
        try:
            if rule.service not in lists:
                lists[rule.service] = list(meters(rule.service, options.region, fetch))
        except (OSError, ValueError, KeyError) as exc:
            print(f"the price list cannot be read: {exc}", file=sys.stderr)
            return 3
        usd, told = price_of(rule, lists[rule.service])
        if usd is None:
            print(f"{item}: not filled in; {'; '.join(told) if told else f'no meter of {rule.service} fits'}")
        else:
            known[item] = usd
            print(f"{item}: {usd:.10g} USD")
    if known and not options.check:
        date = datetime.now(UTC).date().isoformat()
        path.write_text(filled(path.read_text(encoding="utf-8"), known, options.region, LIST, date), encoding="utf-8")
        print("next: make docs")
    return 0 if len(known) == len(RULES) else 1


if __name__ == "__main__":
    sys.exit(main())
