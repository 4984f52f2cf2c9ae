"""Prices come from the seller's own list, each by one meter, or not at all."""

from __future__ import annotations

import json
import urllib.parse
from pathlib import Path
from typing import Any

import pytest

from scenejobs.estimate.prices import PRICES, read_prices
from scripts.fill_prices import LIST, RULES, main


def meter(name: str, usd: float, unit: str = "1 Second", **more: Any) -> dict[str, Any]:
    """One of `Items`, in the shape that the documentation of the list shows."""
    return {
        "currencyCode": "USD", "tierMinimumUnits": 0.0, "retailPrice": usd, "unitPrice": usd,
        "armRegionName": "swedencentral", "productName": "Azure Container Apps", "skuName": "Standard",
        "meterName": name, "unitOfMeasure": unit, "type": "Consumption", **more,
    }  # fmt: skip


class PriceList:
    """Answers as the service does, two meters a page."""

    def __init__(self, *meters: dict[str, Any]) -> None:
        self.meters, self.asked = meters, list[str]()

    def __call__(self, url: str) -> dict[str, Any]:
        self.asked.append(url)
        query = urllib.parse.parse_qs(urllib.parse.urlparse(url).query)
        if "'Azure Container Apps'" not in query["$filter"][0]:
            return {"Items": [], "NextPageLink": None}
        skip = int(query.get("$skip", ["0"])[0])
        more = f"{url.split('&$skip')[0]}&$skip={skip + 2}" if skip + 2 < len(self.meters) else None
        return {"Items": list(self.meters[skip : skip + 2]), "NextPageLink": more}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "prices.tsv"
    found.write_bytes(PRICES.read_bytes())
    return found


def fill(path: Path, prices: PriceList) -> int:
    return main(["--region", "swedencentral"], prices, path)


def test_every_item_has_a_rule() -> None:
    assert read_prices().keys() == RULES.keys()


def test_what_one_meter_fits_is_filled_in_with_its_source(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = read_prices(path)
    prices = PriceList(
        meter("Standard vCPU Active Usage", 3.6, "1 Hour"), meter("Standard vCPU Idle Usage", 0.5),
        meter("Standard Memory Active Usage", 0.002, "1 GiB Second"), meter("Standard vCPU Active Usage", 0.0),
    )  # fmt: skip
    assert fill(path, prices) == 1, "others are missing"
    found = read_prices(path)
    assert (found["vcpu"].usd, found["gib"].usd) == (pytest.approx(0.001), 0.002)
    assert (found["vcpu"].region, found["vcpu"].source, found["vcpu"].unit) == (
        "swedencentral", LIST, before["vcpu"].unit,
    )  # fmt: skip
    assert {item for item in found if found[item] != before[item]} == {"vcpu", "gib"}
    assert "gpu-t4: not filled in; no meter" in capsys.readouterr().out


def test_two_prices_are_none(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = path.read_bytes()
    fill(path, PriceList(meter("GPU T4 Usage", 0.1), meter("GPU T4 Other Usage", 0.2), meter("T4", 0.1, "1 Fortnight")))
    assert path.read_bytes() == before
    assert "GPU T4 Other Usage" in capsys.readouterr().out


def test_another_currency_and_unit_are_none(path: Path) -> None:
    before = path.read_bytes()
    fill(path, PriceList(meter("GPU T4 Usage", 0.1, currencyCode="EUR"), meter("GPU A100 Usage", 0.1, "1 Fortnight")))
    assert path.read_bytes() == before


def test_a_page_that_leads_elsewhere_is_not_followed(path: Path) -> None:
    asked = []

    def fetch(url: str) -> dict[str, Any]:
        asked.append(url)
        return {"Items": [], "NextPageLink": "https://elsewhere.example/"}

    main(["--region", "swedencentral"], fetch, path)
    assert all(url.startswith(LIST) for url in asked)


@pytest.mark.parametrize("problem", [OSError("no network"), json.JSONDecodeError("no JSON", "", 0), KeyError("Items")])
def test_without_the_list_nothing_is_written(problem: Exception, path: Path) -> None:
    before = path.read_bytes()

    def fetch(_: str) -> dict[str, Any]:
        raise problem

    assert main(["--region", "swedencentral"], fetch, path) == 3
    assert path.read_bytes() == before
