"""What infra/main.bicep amounts to for the azd variables that somebody sets."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping
from typing import Any

from tests.infra.scripts.scripted import ROOT
from tests.infra.templates import bicep, bicep_tree

INFRA = ROOT / "infra"
MAIN = INFRA / "main.bicep"
PARAMETERS = json.loads((INFRA / "main.parameters.json").read_text())["parameters"]
BASE = {"AZURE_ENV_NAME": "dev", "AZURE_LOCATION": "swedencentral", "DEPLOYER_PRINCIPAL_ID": "<deployer>"}
REUSED = {
    "EXISTING_RESOURCES_GROUP": "rg-shared", "EXISTING_ACR_NAME": "crshared",
    "EXISTING_STORAGE_ACCOUNT_NAME": "stshared",
    "EXISTING_CONTAINER_APPS_ENV_NAME": "cae-shared", "EXISTING_LOG_ANALYTICS_NAME": "log-shared",
    "EXISTING_EVENT_GRID_TOPIC_NAME": "evgt-shared",
}  # fmt: skip


RENAMED = {
    "AZURE_BLOB_CONTAINER_INPUT": "uploads", "AZURE_BLOB_CONTAINER_OUTPUT": "results", "JOBS_QUEUE": "work",
    "AZURE_BLOB_CONTAINER_PROCESSED": "done", "AZURE_BLOB_CONTAINER_ERROR": "failed",
    "AZURE_BLOB_CONTAINER_STATE": "records", "DEBOUNCE_QUEUE": "quiet",
}  # fmt: skip


def source(parameter: str) -> tuple[str, str]:
    """The azd variable of a parameter, and its default in the parameters file."""
    found = re.fullmatch(r"\$\{(\w+)(?:=([^}]*))?\}", PARAMETERS[parameter]["value"])
    assert found, parameter
    return found[1], found[2] or ""


def parsed(text: str, kind: str) -> Any:
    """A variable's text as azd hands it to a parameter of that type."""
    if kind in ("object", "array"):
        return json.loads(text)
    if kind == "bool":
        return {"true": True, "false": False}[text]
    return int(text) if kind == "int" else text


def deploy(variables: Mapping[str, str] | None = None) -> bicep.Deployment:
    """As azd does it: the template with every variable filled in. Raises BicepError."""
    return _deploy(frozenset((BASE | dict(variables or {})).items()))


@functools.cache
def _deploy(variables: frozenset[tuple[str, str]]) -> bicep.Deployment:
    env = dict(variables)
    values: dict[str, Any] = {}
    for name, param in bicep_tree.parameters(MAIN).items():
        variable, default = source(name)
        text = env.get(variable) or default
        if text or param.type == "string":
            values[name] = parsed(text, param.type)
    return bicep.deploy(MAIN, values)


def app_settings(deployment: bicep.Deployment) -> dict[str, str]:
    return deployment.one("Microsoft.Web/sites/config", "appsettings").body["properties"]  # type: ignore[no-any-return]


def job_container(deployment: bicep.Deployment, name: str = "job-") -> dict[str, Any]:
    """`name`: part of the job's name."""
    (container,) = deployment.one("Microsoft.App/jobs", name).body["properties"]["template"]["containers"]
    return container  # type: ignore[no-any-return]


def job_env(deployment: bicep.Deployment, name: str = "job-") -> dict[str, str]:
    return {item["name"]: item["value"] for item in job_container(deployment, name)["env"]}
