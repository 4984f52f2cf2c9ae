"""Fixtures of the tests of scripts."""

from __future__ import annotations

from pathlib import Path

import pytest

from function_app import triggers
from tests.infra.scripts.scripted import Bench
from tests.infra.templates.deployed import deploy

PROVISIONED = {
    "AZURE_ENV_NAME": "dev", "AZURE_RESOURCE_GROUP": "rg-dev", "AZURE_STORAGE_ACCOUNT_NAME": "stdev",
    "AZURE_CONTAINER_REGISTRY_NAME": "crdev", "AZURE_CONTAINER_REGISTRY_ENDPOINT": "crdev.azurecr.io",
    "FUNCTION_STORAGE_ACCOUNT_NAME": "sthost", "RUNNER_JOB_NAME": "job-dev", "APPLICATION_INSIGHTS_NAME": "appi-dev",
    "MANAGED_IDENTITY_PRINCIPAL_ID": "11111111-0000-0000-0000-000000000001",
    "DISPATCHER_PRINCIPAL_ID": "11111111-0000-0000-0000-000000000002",
    "EVENT_GRID_PRINCIPAL_ID": "11111111-0000-0000-0000-000000000004",
    "DEPLOYER_PRINCIPAL_ID": "11111111-0000-0000-0000-000000000003",
}  # fmt: skip
GROUP = "/subscriptions/s/resourceGroups/rg-dev/providers"


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """Nobody provisioned anything."""
    return Bench(tmp_path)


@pytest.fixture
def provisioned(bench: Bench) -> Bench:
    """A deployment as azd provision leaves it; no role is assigned."""
    bench.values = dict(PROVISIONED)
    bench.answer("storage account show .*stdev", f"{GROUP}/Microsoft.Storage/storageAccounts/stdev\n")
    bench.answer("storage account show .*sthost", f"{GROUP}/Microsoft.Storage/storageAccounts/sthost\n")
    bench.answer("acr show ", f"{GROUP}/Microsoft.ContainerRegistry/registries/crdev\n")
    bench.answer("containerapp job show", f"{GROUP}/Microsoft.App/jobs/job-dev\n")
    bench.answer("resource show", f"{GROUP}/Microsoft.Insights/components/appi-dev\n")
    return bench


@pytest.fixture
def deployed(bench: Bench) -> Bench:
    """After azd provision and azd deploy."""
    bench.values = {name: str(value) for name, value in deploy().outputs.items()}
    bench.answer("resource show", "func-dev.azurewebsites.net\n")
    bench.answer("containerapp job show", "crdev.azurecr.io/runner@sha256:0123\n")
    names = [*triggers.blueprint._function_builders, *triggers.by_webhook._function_builders]
    names += triggers.by_queue._function_builders
    listed = "".join(f"func-dev/{builder._function.get_function_name()}\n" for builder in names)
    bench.answer("functionapp function list", listed)
    return bench
