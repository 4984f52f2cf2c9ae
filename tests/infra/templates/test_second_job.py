"""A second job for days on which the first gets no machine: GPU_PROFILE_FALLBACK, in templates, hooks and scripts."""

from __future__ import annotations

import json
from typing import Any

import pytest

from function_app.wiring import fallback_of
from scenejobs.settings.groups import ComputeSettings
from scenejobs.settings.reader import read_all
from tests.infra.scripts.scripted import FORBIDDEN, ROWS, Bench, few, option
from tests.infra.templates import bicep
from tests.infra.templates.deployed import REUSED, app_settings, deploy, job_container, job_env
from tests.infra.templates.test_settings_of_infra import RUNNER, read_by

T4, A100 = "Consumption-GPU-NC8as-T4", "Consumption-GPU-NC24-A100"
SECOND = {"GPU_PROFILE_FALLBACK": A100}
IMAGE = "crdev.azurecr.io/runner@sha256:0123"


def environments(deployment: bicep.Deployment) -> dict[str, list[dict[str, str]]]:
    """Region -> profiles of what is made there."""
    return {
        item.body["location"]: item.body["properties"]["workloadProfiles"]
        for item in deployment.of("Microsoft.App/managedEnvironments")
    }


def second(deployment: bicep.Deployment) -> dict[str, Any]:
    return deployment.one("Microsoft.App/jobs", "fallback-").body


# ---- templates -------------------------------------------------------------------------------------------------------


def test_without_the_variable_there_is_one_job_and_the_dispatcher_knows_of_no_other() -> None:
    for deployment in (deploy(), deploy({**SECOND, "USE_GPU": "false"})):
        assert len(deployment.of("Microsoft.App/jobs")) == 1
        assert "FALLBACK_JOB_NAME" not in app_settings(deployment)
        assert deployment.outputs["RUNNER_FALLBACK_JOB_NAME"] == ""


def test_the_dispatcher_starts_the_second_job_by_its_name_and_the_runner_in_it_says_so() -> None:
    deployment = deploy(SECOND)
    settings = app_settings(deployment)
    (group,) = read_all((ComputeSettings,), settings)
    other = fallback_of(group)
    assert other is not None
    assert other.job_name == deployment.outputs["RUNNER_FALLBACK_JOB_NAME"]
    assert other.resource_group == deployment.one("Microsoft.App/jobs", "fallback-").group
    assert job_env(deployment, "fallback-")["IS_FALLBACK_JOB"] == "true"
    assert "IS_FALLBACK_JOB" not in job_env(deployment)
    assert job_env(deployment, "fallback-").keys() - read_by(RUNNER) == set()


def test_both_jobs_take_from_one_queue_with_one_identity_and_one_image() -> None:
    deployment = deploy({**SECOND, "SERVICE_RUNNER_IMAGE_NAME": IMAGE, "RUNNER_SETTINGS": '{"PRESET": "high"}'})
    assert job_container(deployment)["image"] == job_container(deployment, "fallback-")["image"] == IMAGE
    first, other = job_env(deployment), job_env(deployment, "fallback-")
    different = {name for name in other.keys() | first.keys() if other.get(name) != first.get(name)}
    assert different == {"IS_FALLBACK_JOB", "MACHINE_PROFILE"}  # each knows what its minutes cost
    assert second(deployment)["identity"] == deployment.one("Microsoft.App/jobs", "job-").body["identity"]


def test_azd_finds_the_first_job_alone() -> None:
    """It refuses a service with two resources of its tag."""
    tagged = [
        item.name[:4] for item in deploy(SECOND).of("Microsoft.App/jobs") if "azd-service-name" in item.body["tags"]
    ]
    assert tagged == ["job-"]
    assert second(deploy(SECOND))["tags"] == {"azd-env-name": "dev"}, "teardown.sh finds it"


def test_in_the_same_environment_both_profiles_are_there() -> None:
    deployment = deploy(SECOND)
    (profiles,) = environments(deployment).values()
    assert {item["name"]: item["workloadProfileType"] for item in profiles} == {
        "Consumption": "Consumption", "gpu": T4, "gpu-fallback": A100,
    }  # fmt: skip
    assert second(deployment)["properties"]["workloadProfileName"] == "gpu-fallback"
    assert job_container(deployment, "fallback-")["resources"] == {"cpu": 24, "memory": "220Gi"}


def test_in_another_region_it_has_an_environment_of_its_own() -> None:
    """A job cannot move: another region gives other names."""
    deployment = deploy({"GPU_PROFILE_FALLBACK": T4, "GPU_PROFILE_FALLBACK_LOCATION": "westus3"})
    assert {region: [item["name"] for item in profiles] for region, profiles in environments(deployment).items()} == {
        "swedencentral": ["Consumption", "gpu"], "westus3": ["Consumption", "gpu-fallback"],
    }  # fmt: skip
    there = second(deployment)
    (environment,) = [
        item for item in deployment.of("Microsoft.App/managedEnvironments") if item.body["location"] == "westus3"
    ]
    assert (there["location"], there["properties"]["environmentId"]) == ("westus3", environment.id)
    assert there["name"] != second(deploy(SECOND))["name"]


def test_without_a_gpu_it_has_a_preset_that_fits_whatever_the_first_has() -> None:
    deployment = deploy(
        {"GPU_PROFILE_FALLBACK": "Consumption", "RUNNER_SETTINGS": '{"PRESET": "high", "LOG_LEVEL": "DEBUG"}'}
    )
    env = job_env(deployment, "fallback-")
    assert (env["BACKEND"], env["PRESET"], env["LOG_LEVEL"]) == ("cpu", "laptop", "DEBUG")
    assert second(deployment)["properties"]["workloadProfileName"] == "Consumption"
    chosen = deploy(
        {"GPU_PROFILE_FALLBACK": "Consumption", "FALLBACK_SETTINGS": '{"PRESET": "smoke", "IS_FALLBACK_JOB": "false"}'}
    )
    assert job_env(chosen, "fallback-")["PRESET"] == "smoke"
    assert job_env(chosen, "fallback-")["IS_FALLBACK_JOB"] == "true", "its starts would count as the first's"


def test_a_reused_environment_stays_as_it_is_and_holds_both_jobs() -> None:
    deployment = deploy({**REUSED, **SECOND})
    assert environments(deployment) == {}
    for item in deployment.of("Microsoft.App/jobs"):
        assert item.body["properties"]["environmentId"].endswith("/managedEnvironments/cae-shared")


def test_a_profile_that_comes_later_needs_its_size_alone() -> None:
    sizes = {"Consumption-GPU-NEW": {"cpu": "16", "memory": "128Gi"}}
    deployment = deploy({"GPU_PROFILE_TYPE": "Consumption-GPU-NEW", "GPU_PROFILE_SIZES": json.dumps(sizes)})
    assert job_container(deployment)["resources"] == {"cpu": 16, "memory": "128Gi"}


# ---- preprovision ----------------------------------------------------------------------------------------------------


@pytest.fixture
def before(bench: Bench) -> Bench:
    """Right before `azd provision`, with a second job wanted."""
    bench.values = {"AZURE_ENV_NAME": "dev", "AZURE_LOCATION": "swedencentral", "DEPLOYER_PRINCIPAL_ID": "1", **SECOND}
    bench.answer("role assignment list", "Owner\n")
    bench.answer("provider list", " ".join(["Microsoft.App", "Microsoft.ContainerRegistry", "Microsoft.EventGrid",
        "Microsoft.Insights", "Microsoft.ManagedIdentity", "Microsoft.Network", "Microsoft.OperationalInsights",
        "Microsoft.Storage", "Microsoft.Web"]))  # fmt: skip
    return bench


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"GPU_PROFILE_FALLBACK": T4}, "the same profile in the same region"),
        ({"USE_GPU": "false"}, "USE_GPU=false"),
        ({"GPU_PROFILE_FALLBACK_LOCATION": "westus3", "PRIVATE_NETWORKING": "true"}, "PRIVATE_NETWORKING"),
        ({"GPU_PROFILE_FALLBACK_NAME": "gpu"}, "both profiles are called gpu"),
        ({"GPU_PROFILE_FALLBACK_LOCATION": "southindia"}, "not known to be offered in southindia"),
        ({"GPU_PROFILE_FALLBACK": "Consumption-GPU-NC24-A10"}, "how large Consumption-GPU-NC24-A10"),
        ({"GPU_PROFILE_TYPE": "T4"}, "how large T4"),
    ],
)
def test_a_second_job_that_could_not_help_stops_before_anything_is_made(
    values: dict[str, str], says: str, before: Bench
) -> None:
    before.values |= values
    ended = before.run("scripts/hooks/preprovision.sh")
    assert ended.code == 2
    assert says in ended.err
    assert "azd env set" in ended.err
    assert ended.called("^az ") == []


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"GPU_PROFILE_FALLBACK": "Consumption"},
        {"GPU_PROFILE_FALLBACK": T4, "GPU_PROFILE_FALLBACK_LOCATION": "westus3"},
        {"GPU_PROFILE_FALLBACK": "Consumption-GPU-NEW", "GPU_PROFILE_SIZES": '{\\"Consumption-GPU-NEW\\": {}}'},
    ],
)  # fmt: skip
def test_a_second_job_that_can_help_goes_on(values: dict[str, str], before: Bench) -> None:
    before.values |= values
    ended = before.run("scripts/hooks/preprovision.sh")
    assert ended.code == 0, ended.err


def test_the_second_profile_has_a_quota_of_its_own_in_its_own_region(before: Bench) -> None:
    before.values["GPU_PROFILE_FALLBACK_LOCATION"] = "westus3"
    before.answer("A100Gpus.*locations/westus3/usages", "0\n")
    ended = before.run("scripts/hooks/preprovision.sh")
    assert ended.code == 2
    assert "no quota for Consumption-GPU-NC24-A100 in westus3" in ended.err
    assert "GPU_PROFILE_FALLBACK_LOCATION" in ended.err
    assert len(ended.called("T4Gpus.*locations/swedencentral/usages")) == 1


def test_the_image_that_is_kept_is_the_first_jobs(before: Bench) -> None:
    ended = before.run("scripts/hooks/preprovision.sh")
    (call,) = ended.called("az resource list")
    assert option(call, "--query") == "[?tags.\"azd-service-name\"=='runner'].id"


# ---- after the deployment --------------------------------------------------------------------------------------------


def test_the_second_job_gets_the_image_of_the_first(deployed: Bench) -> None:
    deployed.values["RUNNER_FALLBACK_JOB_NAME"] = "fallback-dev"
    ended = deployed.run("scripts/hooks/postdeploy.sh")
    assert ended.code == 0, ended.err
    (call,) = ended.called("job update")
    assert (option(call, "--name"), option(call, "--image")) == ("fallback-dev", IMAGE)
    assert "fallback-dev" in ended.out


def test_an_image_that_the_second_job_does_not_get_is_told_with_what_to_do(deployed: Bench) -> None:
    deployed.values["RUNNER_FALLBACK_JOB_NAME"] = "fallback-dev"
    deployed.answers.insert(0, {"call": "job update", **FORBIDDEN})
    ended = deployed.run("scripts/hooks/postdeploy.sh")
    assert ended.code == 3
    assert "azd hooks run postdeploy" in ended.err


def test_no_second_job_is_asked_for_where_there_is_none(deployed: Bench) -> None:
    assert deployed.run("scripts/hooks/postdeploy.sh").called("job update") == []


def test_a_placeholder_is_not_given_on(deployed: Bench) -> None:
    deployed.values["RUNNER_FALLBACK_JOB_NAME"] = "fallback-dev"
    deployed.answers.insert(0, {"call": "job show", "out": "mcr.microsoft.com/k8se/quickstart-jobs:latest\n"})
    ended = deployed.run("scripts/hooks/postdeploy.sh")
    assert ended.called("job update") == []
    assert "the image that does nothing" in ended.err


def test_a_new_image_and_the_one_before_are_given_to_both(provisioned: Bench) -> None:
    provisioned.values["RUNNER_FALLBACK_JOB_NAME"] = "fallback-dev"
    provisioned.answer("show-tags", "v7\n")
    provisioned.answer("acr repository show ", "sha256:" + "b" * 64 + "\n")
    ended = provisioned.run("scripts/deploy-job.sh", "--skip-build")
    assert ended.code == 0, ended.err
    assert [option(call, "--name") for call in ended.called("job update")] == ["job-dev", "fallback-dev"]
    provisioned.answers.insert(0, {"call": "show-tags", "out": f"sha256:{'b' * 64}\tv7\nsha256:{'a' * 64}\tv6\n"})
    provisioned.answers.insert(0, {"call": "job show", "out": f"crdev.azurecr.io/runner@sha256:{'b' * 64}\n"})
    ended = provisioned.run("scripts/rollback.sh")
    assert ended.code == 0, ended.err
    images = {option(call, "--name"): option(call, "--image")[-64:] for call in ended.called("job update")[2:]}
    assert images == {"job-dev": "a" * 64, "fallback-dev": "a" * 64}


def test_the_second_job_can_be_started_by_hand(provisioned: Bench) -> None:
    provisioned.answer("blob list .*active/", "active/lobby.json\n")
    provisioned.answer("job start", "fallback-dev-abc\n")
    assert provisioned.run("scripts/run-job.sh", "--fallback").code == 2, "there is none"
    provisioned.values["RUNNER_FALLBACK_JOB_NAME"] = "fallback-dev"
    ended = provisioned.run("scripts/run-job.sh", "--fallback")
    assert ended.code == 0, ended.err
    assert option(ended.called("job start")[0], "--name") == "fallback-dev"


def test_its_roles_are_given_looked_for_and_taken_by_the_scripts(provisioned: Bench) -> None:
    few(provisioned, [row for row in ROWS if row[1] == "fallback" and row[0] == "dispatcher"])
    assert provisioned.run("scripts/assign-rbac.sh").called("assignment create") == []
    provisioned.values["RUNNER_FALLBACK_JOB_NAME"] = "fallback-dev"
    provisioned.answers.insert(
        0, {"call": "job show .*fallback-dev", "out": "/p/providers/Microsoft.App/jobs/fallback-dev\n"}
    )
    (call,) = provisioned.run("scripts/assign-rbac.sh").called("assignment create")
    assert option(call, "--scope").endswith("/jobs/fallback-dev")
    by_bicep = provisioned.run("scripts/assign-rbac.sh", "--use-bicep").called("deployment group create")
    assert "fallbackJobName=fallback-dev" in by_bicep[0]


def test_a_reused_environment_needs_both_profiles(provisioned: Bench) -> None:
    provisioned.values = {"GPU_PROFILE_FALLBACK": A100}
    provisioned.answer("env show .*location", "swedencentral\n")
    provisioned.answer("group show", "swedencentral\n")
    provisioned.answer("workloadProfiles", f"main\t{T4}\n", times=1)
    provisioned.answer("workloadProfiles", f"main\t{T4}\nbig\t{A100}\n")
    arguments = ("scripts/configure-existing-resources.sh", "--resource-group", "rg", "--environment", "cae")
    ended = provisioned.run(*arguments)
    assert (ended.code, ended.called("env set")) == (1, [])
    assert A100 in ended.err
    ended = provisioned.run(*arguments)
    assert ended.code == 0, ended.err
    assert ["azd", "env", "set", "GPU_PROFILE_FALLBACK_NAME", "big"] in ended.calls
