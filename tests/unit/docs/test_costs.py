"""What it costs: quantities are those of the templates, an unknown price stays empty, a known one names its source."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from scripts import costs, generate_docs
from tests.infra.templates.deployed import deploy

PAGE = generate_docs.ROOT / "docs/cost.md"
LINE = "gpu-t4\t{usd}\texecution second of one T4\t{region}\t{source}\t{date}\n"


def priced(**usd: float) -> dict[str, costs.Price]:
    prices = {item: replace(price, usd=None) for item, price in costs.read_prices().items()}
    return prices | {item: replace(prices[item], usd=value) for item, value in usd.items()}


def test_the_page_is_what_the_script_makes() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert {f"costs {name}" for name in costs.TABLES} == {block for _, block, *_ in generate_docs.BLOCK.findall(text)}
    assert generate_docs.generated(text) == text


@pytest.mark.parametrize("which", ["idle", "scenes", "limit"])
def test_without_a_price_every_sum_is_empty(which: str) -> None:
    heads, rows = costs.rows(which, priced())
    for row in rows:
        assert len(row) == len(heads)
        assert [cell for head, cell in zip(heads, row, strict=True) if "USD" in head and cell] == []


def test_one_price_that_is_missing_leaves_the_whole_sum_empty() -> None:
    """A sum without the GPU, or without its processors, would be a wrong one."""
    known = {"vcpu": 0.001, "gib": 0.001}
    money = {row[0]: row[-2] for row in costs.rows("limit", priced(**known))[1]}
    assert money["`Consumption-GPU-NC8as-T4`"] == ""
    assert money["`Consumption`"] == f"{600 * 60 * (4 + 8) * 0.001:.2f}"
    money = {row[0]: row[-2] for row in costs.rows("limit", priced(**known, **{"gpu-t4": 0.01}))[1]}
    assert money["`Consumption-GPU-NC8as-T4`"] == f"{600 * 60 * (0.01 + (8 + 56) * 0.001):,.2f}"
    assert money["`Consumption-GPU-NC24-A100`"] == ""


def test_quantities_are_those_of_the_worked_out_templates() -> None:
    made = deploy({"PRIVATE_NETWORKING": "true", "ALWAYS_READY_INSTANCES": "1"})

    def count(kind: str) -> int:
        return len([item for item in made.resources if item.type == kind and item.deployed])

    quantity = {row[0]: row[1] for row in costs.rows("idle", priced())[1]}
    assert quantity["log-alert rules"] == f"{count('Microsoft.Insights/scheduledQueryRules')} rules"
    assert quantity["metric alerts on Event Grid"] == f"{count('Microsoft.Insights/metricAlerts')} rules"
    assert quantity["the same: private DNS zones"] == f"{count('Microsoft.Network/privateDnsZones')} zones"
    endpoints = count("Microsoft.Network/privateEndpoints")
    assert quantity["with `PRIVATE_NETWORKING=true`: private endpoints"] == f"{endpoints * 30 * 24:,} hours"
    app = made.one("Microsoft.Web/sites").body["properties"]["functionAppConfig"]["scaleAndConcurrency"]
    seconds = sum(int(group["instanceCount"]) for group in app["alwaysReady"]) * 30 * 24 * 3600
    (waiting,) = (text for what, text in quantity.items() if "instances that wait" in what)
    assert waiting == f"{seconds * app['instanceMemoryMB'] / 1024:,.0f} GB seconds"


def test_a_price_names_where_it_is_from(tmp_path: Path) -> None:
    path = tmp_path / "prices.tsv"
    path.write_text(LINE.format(usd="0.01", region="swedencentral", source="https://a.example/", date="2026-11-28"))
    assert costs.read_prices(path)["gpu-t4"].usd == 0.01
    for lacking in ("region", "source", "date"):
        values = {"usd": "0.01", "region": "r", "source": "s", "date": "d"} | {lacking: ""}
        path.write_text(LINE.format(**values))
        with pytest.raises(ValueError, match="gpu-t4"):
            costs.read_prices(path)


def test_the_committed_prices_are_of_pages_of_the_seller() -> None:
    known = {item: price for item, price in costs.read_prices().items() if price.usd is not None}
    assert known, "else this shows nothing"
    for price in known.values():
        assert re.match(r"https://(?:(?:learn|azure)\.microsoft\.com|prices\.azure\.com)/", price.source)
        assert re.fullmatch(r"20\d\d-[01]\d-[0-3]\d", price.date)


def test_a_month_of_the_registry_is_thirty_days() -> None:
    money = {row[0]: row[-1] for row in costs.rows("idle")[1]}
    assert money["registry, `REGISTRY_SKU=Basic`"] == f"{30 * 0.167:.2f}"


def test_minutes_are_measured_ones_or_marked_as_estimates() -> None:
    heads, rows = costs.rows("scenes", priced())
    for row in rows:
        origin = row[heads.index("from")]
        assert origin.startswith("estimate: ") or re.match(r"\[end_to_end\.json\]", origin)
        assert "GPU" not in row[1] or origin.startswith("estimate: ") or row[1] == "2 cores, no GPU"
