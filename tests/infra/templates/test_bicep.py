"""The templates: each can be read, every combination of switches works out, and each switch does what its name says."""

from __future__ import annotations

import re
from collections import Counter
from itertools import product
from pathlib import Path

import pytest
from pycep import BicepParser

from scenejobs.adapters.azure.clients import poison_name
from scenejobs.adapters.azure.container_apps import PLACEHOLDER
from scenejobs.settings.storage import StorageSettings
from tests.infra.scripts.scripted import ROOT
from tests.infra.templates import bicep, bicep_tree
from tests.infra.templates.deployed import (
    BASE,
    INFRA,
    MAIN,
    PARAMETERS,
    RENAMED,
    REUSED,
    app_settings,
    deploy,
    job_container,
    source,
)

TEMPLATES = sorted(INFRA.rglob("*.bicep"))
SWITCHES = [
    *({"USE_GPU": gpu, "INCLUDE_RBAC": rbac, "PRIVATE_NETWORKING": private}
      for gpu, rbac, private in product(("true", "false"), repeat=3)),
    {"GPU_PROFILE_TYPE": "Consumption-GPU-NC24-A100", "PROCESSOR_BACKEND": "mock"},
    {"GPU_PROFILE_FALLBACK": "Consumption-GPU-NC24-A100", "PRIVATE_NETWORKING": "true"},
    {"GPU_PROFILE_FALLBACK": "Consumption", "GPU_PROFILE_FALLBACK_LOCATION": "westus3", **REUSED},
    {"ZONE_REDUNDANT": "true", "GEO_REDUNDANT": "true", "REGISTRY_SKU": "Premium", "PRIVATE_NETWORKING": "true"},
    {"EXISTING_RESOURCE_GROUP": "rg-team"},
    REUSED,
    REUSED | {"EXISTING_RESOURCE_GROUP": "rg-shared", "EXISTING_RESOURCES_GROUP": "", "PRIVATE_NETWORKING": "true"},
    *({name: value} for name, value in REUSED.items() if name != "EXISTING_RESOURCES_GROUP"),
    {"AZURE_ENV_NAME": "A_rather-Long_name-of-an-Environment-with-60-characters-abcde", "DEPLOYER_PRINCIPAL_ID": ""},
    {"UPLOADS_QUEUE": "uploads", "RESTRICT_INBOUND": "true"},
    REUSED | {"UPLOADS_QUEUE": "uploads"},
    {"ALERT_EMAIL": "ops@example.org", "RESTRICT_INBOUND": "true", "RETENTION_DAYS": "0"},
    {"ALWAYS_READY_INSTANCES": "1", "ALLOWED_IP_RANGES": "198.51.100.0/24, 203.0.113.7", "PRIVATE_NETWORKING": "true"},
]  # fmt: skip
NAMES = {  # https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules
    "Microsoft.Storage/storageAccounts": r"[a-z0-9]{3,24}",
    "Microsoft.ContainerRegistry/registries": r"[A-Za-z0-9]{5,50}",
    "Microsoft.App/jobs": r"[a-z](?!.*--)[a-z0-9-]{0,30}[a-z0-9]",
    "Microsoft.App/managedEnvironments": r"[A-Za-z][A-Za-z0-9_-]{0,58}[A-Za-z0-9]",
    "Microsoft.Web/sites": r"[A-Za-z0-9][A-Za-z0-9-]{0,58}[A-Za-z0-9]",
    "Microsoft.Web/serverfarms": r"[A-Za-z0-9_-]{1,60}",
    "Microsoft.OperationalInsights/workspaces": r"[A-Za-z0-9][A-Za-z0-9-]{2,61}[A-Za-z0-9]",
    "Microsoft.EventGrid/systemTopics": r"[A-Za-z0-9-]{3,50}",
    "Microsoft.Resources/resourceGroups": r"[\w().-]{0,89}[\w()-]",
    "Microsoft.ManagedIdentity/userAssignedIdentities": r"[A-Za-z0-9][A-Za-z0-9_-]{2,127}",
}


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_two_parsers_can_read_every_template(path: Path) -> None:
    bicep_tree.root(path)
    assert BicepParser().parse(text=path.read_text())


@pytest.mark.parametrize("variables", SWITCHES, ids=lambda item: " ".join(f"{k}={v}" for k, v in item.items())[:80])
def test_every_combination_of_switches_works_out_with_names_that_azure_takes(variables: dict[str, str]) -> None:
    deployment = deploy(variables)
    made = [item for item in deployment.resources if item.deployed and not item.existing]
    twice = [
        id
        for id, count in Counter((item.type, item.id, str(item.body.get("scope"))) for item in made).items()
        if count > 1
    ]
    assert twice == []
    for item in made:
        if item.type in NAMES:
            assert re.fullmatch(NAMES[item.type], item.name), (item.type, item.name)


def test_blanks_between_two_values_of_a_text_count(tmp_path: Path) -> None:
    template = tmp_path / "text.bicep"
    template.write_text("param a string\noutput text string = ' ${a} ${a}, ${a}${a} '\n")
    assert bicep.deploy(template, {"a": "x"}).outputs["text"] == " x x, xx "


def test_every_template_is_used() -> None:
    texts = "".join(path.read_text() for path in [*TEMPLATES, *(ROOT / "scripts").rglob("*.sh")])
    assert [path.name for path in TEMPLATES if path != MAIN and not re.search(rf"[/']{path.name}['\"]", texts)] == []


# ---- variables and outputs -------------------------------------------------------------------------------------------


def test_the_parameters_file_fills_every_parameter_with_its_own_default() -> None:
    declared = bicep_tree.parameters(MAIN)
    assert PARAMETERS.keys() == declared.keys()
    for name, param in declared.items():
        text = source(name)[1]
        if param.required:
            assert text == ""
        elif param.type == "object":
            assert (text, bicep.default_of(param)) == ("", {})
        else:
            default = bicep.default_of(param)
            assert text == (str(default).lower() if isinstance(default, bool) else str(default)), name


def test_no_variable_feeds_two_parameters() -> None:
    assert [name for name, count in Counter(source(name)[0] for name in PARAMETERS).items() if count > 1] == []


def readme_words(first: str, last: str) -> set[str]:
    text = (INFRA / "README.md").read_text()
    text = text[text.index(first) : text.index(last)] if last else text[text.index(first) :]
    named, stem = set[str](), ""
    for word in re.findall(
        r"`([A-Z_]+)`", "\n".join(line.split("|")[1] for line in text.splitlines() if line[:3] == "| `")
    ):
        stem = word if word[0] != "_" else stem
        named.add(word if word[0] != "_" else stem.rpartition("_")[0] + word)
    return named


def test_the_readme_names_every_variable_and_output_and_no_other() -> None:
    assert readme_words("## Variables", "## Outputs") == {source(name)[0] for name in PARAMETERS}
    assert readme_words("## Outputs", "") == deploy().outputs.keys()


def test_the_guides_variables_are_there() -> None:
    guide = {
        "AZURE_LOCATION", "USE_GPU", "GPU_PROFILE_TYPE", "PROCESSOR_BACKEND", "INCLUDE_RBAC", "USE_STORAGE_KEYS",
        "EXISTING_RESOURCE_GROUP", "EXISTING_ACR_NAME", "EXISTING_STORAGE_ACCOUNT_NAME",
        "EXISTING_CONTAINER_APPS_ENV_NAME", "EXISTING_LOG_ANALYTICS_NAME",
    }  # fmt: skip
    assert guide <= {source(name)[0] for name in PARAMETERS}


def test_what_scripts_and_hooks_ask_for_is_an_output_a_variable_or_theirs() -> None:
    asked: set[str] = set()
    for path in (ROOT / "scripts").rglob("*.sh"):
        asked |= set(re.findall(r"\b(?:need|value|deployed|resource_id|queue_name) ([A-Z]+_[A-Z_]+)", path.read_text()))
    known = deploy().outputs.keys() | {source(name)[0] for name in PARAMETERS}
    theirs = {
        "FORCE_DELETE",
        "SKIP_REGION_CHECK",
        "SKIP_QUOTA_CHECK",
        "TEST_RESOURCE_GROUP",
        "TEST_SUBSCRIPTION",
        "AZURE_STORAGE_ACCOUNT",
    }
    theirs |= {"AZURE_SUBSCRIPTION_ID"}  # azd's own
    theirs |= {"AZURE_PRINCIPAL_ID", "AZURE_PRINCIPAL_TYPE"}  # azd's own, of environments from before DEPLOYER_*
    theirs |= {"RUNNER_CUDA", "RUNNER_CUDA_ARCHITECTURES", "RUNNER_KERNELS_IMAGE", "RUNNER_KERNELS_RUN"}  # predeploy.sh
    assert asked - known <= theirs
    assert len(asked) > 20


# ---- names that the code knows ---------------------------------------------------------------------------------------


def test_containers_and_queues_are_those_of_the_code() -> None:
    settings = StorageSettings()
    deployment = deploy()
    account = deployment.outputs["AZURE_STORAGE_ACCOUNT_NAME"]
    containers = {
        item.name.rpartition("/")[2]
        for item in deployment.of("Microsoft.Storage/storageAccounts/blobServices/containers")
        if item.name.startswith(account)
    }
    queues = {
        item.name.rpartition("/")[2] for item in deployment.of("Microsoft.Storage/storageAccounts/queueServices/queues")
    }
    assert containers == {
        settings.input, settings.output, settings.processed, settings.error, settings.state, "eventgrid-deadletter",
    }  # fmt: skip
    triggers = (ROOT / "function_app/triggers.py").read_text()
    (given_up,) = re.findall(r'queue_name="([\w-]+)"', triggers)
    assert queues == {
        settings.debounce_queue, f"{settings.debounce_queue}-poison", settings.jobs_queue, poison_name(settings),
        given_up,
    }  # fmt: skip


def test_a_renamed_container_or_queue_is_renamed_everywhere() -> None:
    deployment = deploy(RENAMED)
    made = [item for item in deployment.resources if item.deployed and not item.existing]
    names = {item.name.rpartition("/")[2] for item in made}
    queues = {RENAMED["JOBS_QUEUE"], RENAMED["DEBOUNCE_QUEUE"]}
    assert set(RENAMED.values()) | {f"{name}-poison" for name in queues} <= names
    old = {"input", "output", "processed", "error", "state", "jobs", "jobs-poison", "debounce", "debounce-poison"}
    assert not old & names
    assert {name: deployment.outputs[f"DEPLOYED_{name}"] for name in RENAMED} == RENAMED


def test_no_output_has_the_name_of_a_variable_that_somebody_sets() -> None:
    """azd down deletes every output from the environment (azd, pkg/infra/provisioning/manager.go, Destroy)."""
    assert deploy().outputs.keys() & {source(name)[0] for name in PARAMETERS} == set()


# ---- switches --------------------------------------------------------------------------------------------------------


def test_the_job_runs_the_image_it_has_and_a_placeholder_only_before_the_first() -> None:
    assert job_container(deploy({"SERVICE_RUNNER_IMAGE_NAME": "cr.azurecr.io/runner@sha256:1"}))["image"] == (
        "cr.azurecr.io/runner@sha256:1"
    )
    assert job_container(deploy())["image"] == "mcr.microsoft.com/k8se/quickstart-jobs:latest"
    assert "mcr.microsoft.com/k8se/quickstart-jobs:latest".startswith(PLACEHOLDER), "the dispatcher holds work back"


@pytest.mark.parametrize(
    ("profile", "cpu", "memory"), [("Consumption-GPU-NC8as-T4", 8, "56Gi"), ("Consumption-GPU-NC24-A100", 24, "220Gi")]
)
def test_a_gpu_job_takes_the_profile_whole(profile: str, cpu: int, memory: str) -> None:
    deployment = deploy({"GPU_PROFILE_TYPE": profile})
    profiles = deployment.one("Microsoft.App/managedEnvironments").body["properties"]["workloadProfiles"]
    job = deployment.one("Microsoft.App/jobs").body["properties"]
    assert {"name": job["workloadProfileName"], "workloadProfileType": profile} in profiles, (
        "no counts: they are refused"
    )
    assert job_container(deployment)["resources"] == {"cpu": cpu, "memory": memory}


def test_without_a_gpu_there_is_no_profile_and_the_backend_is_the_cpus() -> None:
    deployment = deploy({"USE_GPU": "false"})
    profiles = deployment.one("Microsoft.App/managedEnvironments").body["properties"]["workloadProfiles"]
    assert [item["workloadProfileType"] for item in profiles] == ["Consumption"]
    assert deployment.one("Microsoft.App/jobs").body["properties"]["workloadProfileName"] == "Consumption"
    env = {item["name"]: item["value"] for item in job_container(deployment)["env"]}
    assert env["BACKEND"] == "cpu"


def test_an_execution_is_one_attempt_that_somebody_started() -> None:
    configuration = deploy().one("Microsoft.App/jobs").body["properties"]["configuration"]
    assert (configuration["triggerType"], configuration["replicaRetryLimit"]) == ("Manual", 0)
    assert configuration["manualTriggerConfig"] == {"parallelism": 1, "replicaCompletionCount": 1}


@pytest.mark.parametrize(("days", "kept"), [("30", 30), ("90", 90), ("0", None)])
def test_retention_deletes_archives_and_never_uploads_or_results(days: str, kept: int | None) -> None:
    policy = deploy({"RETENTION_DAYS": days}).one("Microsoft.Storage/storageAccounts/managementPolicies")
    found = {
        prefix: rule["definition"]["actions"]["baseBlob"]["delete"]["daysAfterModificationGreaterThan"]
        for rule in policy.body["properties"]["policy"]["rules"]
        for prefix in rule["definition"]["filters"]["prefixMatch"]
    }
    archives = {} if kept is None else {"processed/": kept, "error/": kept}
    assert found == archives | {"eventgrid-deadletter/": 30}


def test_redundancy_is_what_was_asked_for() -> None:
    def skus(variables: dict[str, str]) -> set[str]:
        made = deploy(variables).of("Microsoft.Storage/storageAccounts")
        return {item.body["sku"]["name"] for item in made if item.name.startswith("st")}

    assert skus({}) == {"Standard_LRS"}
    assert skus({"ZONE_REDUNDANT": "true"}) == {"Standard_ZRS"}
    assert skus({"GEO_REDUNDANT": "true"}) == {"Standard_GRS"}
    assert skus({"ZONE_REDUNDANT": "true", "GEO_REDUNDANT": "true"}) == {"Standard_GZRS"}


def test_names_can_be_given() -> None:
    given = {
        "NAME_RESOURCE_GROUP": "house-rg", "NAME_STORAGE_ACCOUNT": "housevideos", "NAME_REGISTRY": "houseimages",
        "NAME_FUNCTION_STORAGE_ACCOUNT": "househost", "NAME_FUNCTION_APP": "house-func", "NAME_JOB": "house-job",
        "NAME_CONTAINER_APPS_ENV": "house-cae", "NAME_LOG_ANALYTICS": "house-log",
    }  # fmt: skip
    deployment = deploy(given)
    assert set(given.values()) <= {item.name for item in deployment.resources if item.deployed and not item.existing}
    assert app_settings(deployment)["AZURE_STORAGE_ACCOUNT"] == "housevideos"
    prefixed = deploy({"NAME_PREFIX": "house"})
    assert prefixed.outputs["AZURE_RESOURCE_GROUP"] == "rg-house"
    assert prefixed.outputs["AZURE_STORAGE_ACCOUNT_NAME"].startswith("sthouse")


# ---- existing resources ----------------------------------------------------------------------------------------------


def test_reused_resources_are_not_made_and_what_is_put_into_their_group_is_named() -> None:
    deployment = deploy(REUSED)
    made = [item for item in deployment.resources if item.deployed and not item.existing]
    assert {item.type for item in made if item.group == "rg-shared"} == {
        "Microsoft.Storage/storageAccounts/blobServices/containers",
        "Microsoft.Storage/storageAccounts/queueServices/queues",
        "Microsoft.Insights/diagnosticSettings",
        "Microsoft.Authorization/roleAssignments",
    }
    assert {item.type for item in made} & {
        "Microsoft.ContainerRegistry/registries", "Microsoft.App/managedEnvironments",
        "Microsoft.OperationalInsights/workspaces", "Microsoft.EventGrid/systemTopics",
        "Microsoft.Storage/storageAccounts/managementPolicies",
    } == set()  # fmt: skip
    assert [item.name[:2] for item in deployment.of("Microsoft.Storage/storageAccounts")] == ["fn"]
    job = deployment.one("Microsoft.App/jobs")
    assert (job.group, job.body["properties"]["environmentId"].split("/")[4]) == ("rg-dev", "rg-shared")
    assert job.body["properties"]["configuration"]["registries"][0]["server"] == "crshared.azurecr.io"
    assert deployment.outputs["STORAGE_RESOURCE_GROUP"] == "rg-shared"
    assert deployment.outputs["EVENT_GRID_TOPIC_RESOURCE_GROUP"] == "rg-shared"


def test_an_existing_group_is_deployed_into_and_not_made() -> None:
    deployment = deploy({"EXISTING_RESOURCE_GROUP": "rg-team"})
    assert deployment.of("Microsoft.Resources/resourceGroups") == []
    assert {item.group for item in deployment.resources if item.deployed} == {"rg-team"}


def test_whatever_is_made_can_be_found_by_the_environments_tag() -> None:
    """scripts/teardown.sh deletes by it. What belongs to another resource or cannot be tagged goes with it."""
    for item in deploy({"PRIVATE_NETWORKING": "true", "ALERT_EMAIL": "a@b.c"}).resources:
        own = item.type.count("/") == 1 and item.type.rpartition("/")[2] not in (
            "roleAssignments",
            "diagnosticSettings",
        )
        if item.deployed and not item.existing and own:
            assert item.body["tags"]["azd-env-name"] == BASE["AZURE_ENV_NAME"], item.type


def test_azd_finds_both_services_by_their_tags() -> None:
    deployment = deploy()
    tagged = {
        item.body["tags"]["azd-service-name"]: item.type
        for item in deployment.resources
        if "azd-service-name" in item.body.get("tags", {})
    }
    assert tagged == {"dispatcher": "Microsoft.Web/sites", "runner": "Microsoft.App/jobs"}
