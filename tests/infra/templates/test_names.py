"""Names of resources: whatever azd takes as the name of an environment, each service takes what becomes of it."""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from pathlib import Path

import pytest

from tests.infra.azd import dry_run
from tests.infra.templates import bicep
from tests.infra.templates.bicep_tree import named, root, text, walk
from tests.infra.templates.deployed import INFRA, MAIN, deploy

# azd: ^[a-zA-Z0-9-\(\)_\.]{1,64}$ (cli/azd/pkg/environment/environment.go)
ALLOWED = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-()_."
HOSTILE = [
    "My.Env_(2)", "...", "(((", "---", "_", ".", "-", "a.", "1", "2nd-try", "A", "env.", "a--b", "a_-_b", "-dev-",
    "x" * 64, "a-very-long-environment-name-of-a-customer-with-sixty-four-chars", "Ab.1" * 16,
    "A_rather-Long_name-of-an-Environment",
    "-" * 64, "." * 64, "exactly-thirty-letters-hyphen--more", "12345678", "dev", "scan-prod",
]  # fmt: skip
# https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules; for storage accounts,
# registries and workspaces the patterns of Azure/bicep-types-az say the same; Microsoft.App: PSRule.Rules.Azure
# (EnvNaming, JobNaming).
RULES = {
    "Microsoft.Resources/resourceGroups": r"[\w().-]{0,89}[\w()-]",
    "Microsoft.Storage/storageAccounts": r"[a-z0-9]{3,24}",
    "Microsoft.ContainerRegistry/registries": r"[A-Za-z0-9]{5,50}",
    "Microsoft.App/jobs": r"[a-z](?!.*--)[a-z0-9-]{0,30}[a-z0-9]",
    "Microsoft.App/managedEnvironments": r"[a-z0-9-]{2,60}",
    "Microsoft.Web/sites": r"[A-Za-z0-9][A-Za-z0-9-]{0,58}[A-Za-z0-9]",
    "Microsoft.Web/serverfarms": r"[A-Za-z0-9_-]{1,60}",
    "Microsoft.OperationalInsights/workspaces": r"[A-Za-z0-9][A-Za-z0-9-]{2,61}[A-Za-z0-9]",
    "Microsoft.EventGrid/systemTopics": r"[A-Za-z0-9-]{3,50}",
    "Microsoft.ManagedIdentity/userAssignedIdentities": r"[A-Za-z0-9][A-Za-z0-9_-]{2,127}",
    "Microsoft.Insights/components": r"[^%&\\?/]{0,259}[^%&\\?/. ]",
    "Microsoft.Insights/actionGroups": r"[^:<>+/&%\\?|]{0,259}[^:<>+/&%\\?|. ]",
    "Microsoft.Insights/metricAlerts": r"[^*#&+:<>?@%{}\\/|]{0,259}[^*#&+:<>?@%{}\\/|. ]",
    "Microsoft.Insights/scheduledQueryRules": r"[^*<>%{}&:\\?/#|]{0,259}[^*<>%{}&:\\?/#|. ]",
    "Microsoft.Network/virtualNetworks": r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}[A-Za-z0-9_]",
    "Microsoft.Network/networkSecurityGroups": r"[A-Za-z0-9][A-Za-z0-9_.-]{0,78}[A-Za-z0-9_]",
    "Microsoft.Network/privateEndpoints": r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}[A-Za-z0-9_]",
}
EVENT_SUBSCRIPTION = r"[A-Za-z0-9-]{3,64}"
DEPLOYMENT = r"[\w.()-]{1,64}"
ALL = {"PRIVATE_NETWORKING": "true", "ALERT_EMAIL": "a@b.c", "GPU_PROFILE_FALLBACK": "Consumption",
       "GPU_PROFILE_FALLBACK_LOCATION": "westus3"}  # fmt: skip


def made(name: str, **more: str) -> bicep.Deployment:
    return deploy({**ALL, "AZURE_ENV_NAME": name, **more})


def wrong(deployment: bicep.Deployment) -> list[tuple[str, str]]:
    """Names that the rule of their type refuses."""
    own = [item for item in deployment.resources if item.deployed and not item.existing]
    found = [
        (item.type, item.name) for item in own if item.type in RULES and not re.fullmatch(RULES[item.type], item.name)
    ]
    subscription = deployment.outputs["EVENT_GRID_SUBSCRIPTION_NAME"]
    return found if re.fullmatch(EVENT_SUBSCRIPTION, subscription) else [*found, ("eventSubscriptions", subscription)]


@pytest.mark.parametrize("name", HOSTILE)
def test_every_service_takes_the_names_made_of_a_hostile_one(name: str) -> None:
    assert re.fullmatch(r"[a-zA-Z0-9()_.-]{1,64}", name), "azd would refuse it"
    assert wrong(made(name)) == []


def test_every_service_takes_the_names_made_of_any_name_that_azd_takes() -> None:
    chance = random.Random(14)
    for _ in range(12):
        name = "".join(chance.choice(ALLOWED) for _ in range(chance.randint(1, 64)))
        assert wrong(made(name)) == [], name


@pytest.mark.parametrize("prefix", ["Müller & Söhne/2", "a b", "x" * 90, "*"])
def test_a_prefix_may_hold_anything(prefix: str) -> None:
    assert wrong(made("dev", NAME_PREFIX=prefix)) == []


def test_two_environments_share_no_name() -> None:
    """Those that differ in what is left out, or behind where names end, differ by their token."""
    names = ["My.Env", "MyEnv", "My(Env)", "." * 3, "." * 4, "x" * 63, "x" * 64, "a.", "a"]
    seen: dict[tuple[str, str], str] = {}
    for name in names:
        for item in made(name).resources:
            one_each = item.type.count("/") == 1 and item.type.split("/")[0] != "Microsoft.Authorization"
            alone = not item.type.startswith(
                ("Microsoft.Network/privateDns", "Microsoft.Insights/")
            )  # within its group
            if item.deployed and not item.existing and one_each and alone:
                assert seen.setdefault((item.type, item.name.lower()), name) == name, item.name


def test_the_same_environment_has_the_same_names_every_time() -> None:
    first = [item.id for item in made("My.Env_(2)").resources]
    deploy.__globals__["_deploy"].cache_clear()
    assert [item.id for item in made("My.Env_(2)").resources] == first


# ---- what exists keeps its names -------------------------------------------------------------------------------------


def before(name: str) -> dict[str, str]:
    """The names that the templates gave until commit 6a26bdd, for those types that show the rule; {} for the token."""
    label = name.replace("_", "-")[:30]
    short = name.replace("-", "").replace("_", "").lower()[:8]
    return {
        "Microsoft.Resources/resourceGroups": f"rg-{name}",
        "Microsoft.App/jobs": f"job-{short}-{{}}",
        "Microsoft.App/managedEnvironments": f"cae-{label}-{{}}",
        "Microsoft.ContainerRegistry/registries": f"cr{short}{{}}",
        "Microsoft.Web/sites": f"func-{label}-{{}}",
        "Microsoft.Web/serverfarms": f"plan-{label}-{{}}",
        "Microsoft.OperationalInsights/workspaces": f"log-{label}-{{}}",
        "Microsoft.Insights/components": f"appi-{label}-{{}}",
        "Microsoft.EventGrid/systemTopics": f"evgt-{label}-{{}}",
        "Microsoft.Network/virtualNetworks": f"vnet-{label}-{{}}",
    }


def without_token(deployment: bicep.Deployment, name: str) -> str:
    token = deployment.outputs["AZURE_STORAGE_ACCOUNT_NAME"][-13:]
    return name.replace(token, "{}")


@pytest.mark.parametrize("name", [name for name in HOSTILE if re.fullmatch(r"[A-Za-z0-9_-]+", name)])
def test_a_name_that_was_valid_stays(name: str) -> None:
    """Services compare names without case. With a dot or parenthesis identities were refused: none exists."""
    deployment = made(name, GPU_PROFILE_FALLBACK="")
    for type, old in before(name).items():
        if re.fullmatch(RULES[type], old.format("0" * 13), re.IGNORECASE):
            assert without_token(deployment, deployment.one(type).name).lower() == old.lower()
    names = {item.name for item in deployment.of("Microsoft.Insights/diagnosticSettings")}
    assert f"video-splat-{name}" in names, "a second setting for the same logs would be refused"


def test_an_environment_that_the_compiler_resolved_keeps_every_resource_and_assignment() -> None:
    """names_of_scan_prod.json: `bicep snapshot` (0.49.2) of commit 064463b, environment scan-prod; {} is the token."""
    old = json.loads(Path(__file__).with_name("names_of_scan_prod.json").read_text())
    deployment = deploy({"AZURE_ENV_NAME": "scan-prod"})
    own = [item for item in deployment.resources if item.deployed and not item.existing]
    roles = [item for item in own if item.type == "Microsoft.Authorization/roleAssignments"]
    found = sorted([item.type, without_token(deployment, item.name)] for item in own if item not in roles)
    assert found == sorted(old["resources"])
    given = Counter(
        (
            scope.type,
            without_token(deployment, scope.name),
            item.body["properties"]["roleDefinitionId"].rpartition("/")[2],
        )
        for item in roles
        for scope in [item.body["scope"]]
    )
    gone = Counter(map(tuple, old["role assignments"])) - given
    reader = "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1"
    assert [*gone] == [
        ("Microsoft.Storage/storageAccounts/blobServices/containers", "stscanprod{}/default/input", reader)
    ], "the dispatcher deletes there since 7261d3a, and is Contributor"


# ---- names of deployments --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", sorted(INFRA.rglob("*.bicep")), ids=lambda path: path.name)
def test_a_nested_deployment_is_named_by_a_word_and_the_token(path: Path) -> None:
    """64 characters at most, whatever the environment is called (BCP335)."""
    for node in walk(root(path)):
        if node.type != "module_declaration":
            continue
        name = next(
            named(item)[1] for item in walk(node) if item.type == "object_property" and text(named(item)[0]) == "name"
        )
        fixed = re.fullmatch(r"'([a-z-]+)-\$\{(token|uniqueString\(runnerPrincipalId\))\}'", text(name))
        assert fixed, text(name)
        assert len(fixed[1]) + 14 <= 64


def test_nested_deployments_share_no_name_within_a_group() -> None:
    names = [module for module in dry_run.needs(MAIN)]
    assert len(set(names)) == len(names)
    texts = re.findall(r"^  name: '([a-z-]+-\$\{token\})'$", MAIN.read_text(), re.M)
    assert len(set(texts)) == len(texts) >= 15
