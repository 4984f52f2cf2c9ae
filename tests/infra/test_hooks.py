"""The hooks of azd with stubs for az, azd and curl: what they set, what they refuse, and what they never see."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from scenejobs.settings import StorageSettings
from tests.infra import bicep
from tests.infra.deployed import INFRA, REUSED, deploy
from tests.infra.scripted import FORBIDDEN, NOT_FOUND, ROOT, SIGNED_OUT, Bench

PRE, POSTPROVISION, POST, DOWN = (
    f"scripts/hooks/{name}.sh" for name in ("preprovision", "postprovision", "postdeploy", "predown")
)
OUTPUTS = {name: str(value) for name, value in deploy().outputs.items()}
PROVIDERS = """\
Microsoft.App
Microsoft.ContainerRegistry
Microsoft.EventGrid
Microsoft.Insights
Microsoft.ManagedIdentity
Microsoft.Network
Microsoft.OperationalInsights
Microsoft.Storage
Microsoft.Web
"""
IMAGE = "crdev.azurecr.io/runner@sha256:0123"


def setting(call: list[str]) -> tuple[str, str]:
    assert call[:3] == ["azd", "env", "set"]
    return call[3], call[4]


@pytest.fixture
def fresh(bench: Bench) -> Bench:
    """Somebody signed in, before the first provisioning; Owner of the subscription."""
    bench.values = {"AZURE_ENV_NAME": "dev", "AZURE_LOCATION": "swedencentral"}
    bench.answer("account show .*user.type", "user\n")
    bench.answer("account show .*--query id", "00000000-sub\n")
    bench.answer("ad signed-in-user show", "me-object-id\n")
    bench.answer("role assignment list", "Owner\n")
    bench.answer("provider list", PROVIDERS)
    return bench


@pytest.fixture
def deployed(bench: Bench) -> Bench:
    """After azd provision and azd deploy."""
    bench.values = dict(OUTPUTS)
    bench.answer("resource show", "func-dev.azurewebsites.net\n")
    bench.answer("containerapp job show", f"{IMAGE}\n")
    return bench


# ---- preprovision ----------------------------------------------------------------------------------------------------


def test_a_person_is_recorded_as_the_deployer(fresh: Bench) -> None:
    ended = fresh.run(PRE)
    assert ended.code == 0, ended.err
    assert [setting(call) for call in ended.called("^azd env set")] == [
        ("AZURE_PRINCIPAL_ID", "me-object-id"),
        ("AZURE_PRINCIPAL_TYPE", "User"),
    ]
    assert ended.called("provider register") == []


def test_a_pipelines_service_principal_is_recorded_by_its_object_id(bench: Bench) -> None:
    bench.values = {"AZURE_ENV_NAME": "dev", "AZURE_LOCATION": "swedencentral"}
    bench.answer("account show .*user.type", "servicePrincipal\n")
    bench.answer("account show .*user.name", "app-id\n")
    bench.answer("ad sp show --id app-id", "sp-object-id\n")
    bench.answer("provider list", PROVIDERS)
    found = dict(setting(call) for call in bench.run(PRE).called("^azd env set"))
    assert found == {"AZURE_PRINCIPAL_ID": "sp-object-id", "AZURE_PRINCIPAL_TYPE": "ServicePrincipal"}


@pytest.mark.parametrize("call", ["account show", "ad signed-in-user", "role assignment list", "provider"])
def test_what_cannot_be_read_about_the_deployer_is_said_and_stops_nothing(call: str, fresh: Bench) -> None:
    fresh.answers.insert(0, {"call": call, **FORBIDDEN})
    ended = fresh.run(PRE)
    assert ended.code == 0
    assert "refused (403)" in ended.err


def test_a_deployer_without_the_right_to_assign_is_told_of_the_other_way(fresh: Bench) -> None:
    fresh.answers.insert(0, {"call": "role assignment list", "out": "Contributor\n"})
    ended = fresh.run(PRE)
    assert ended.code == 0
    assert "INCLUDE_RBAC false" in ended.err
    fresh.values["INCLUDE_RBAC"] = "false"
    assert "INCLUDE_RBAC false" not in fresh.run(PRE).err


def test_providers_are_registered_where_they_are_not(fresh: Bench) -> None:
    fresh.answers.insert(0, {"call": "provider list", "out": PROVIDERS.replace("Microsoft.App\n", "")})
    ended = fresh.run(PRE)
    assert [call[call.index("--namespace") + 1] for call in ended.called("provider register")] == ["Microsoft.App"]


def test_every_provider_of_the_templates_is_registered(fresh: Bench) -> None:
    fresh.answers.insert(0, {"call": "provider list", "out": ""})
    made = {call[call.index("--namespace") + 1] for call in fresh.run(PRE).called("provider register")}
    used = {item.type.split("/")[0] for item in deploy({"PRIVATE_NETWORKING": "true"}).resources if item.deployed}
    assert used - made <= {"Microsoft.Resources", "Microsoft.Authorization"}, "which every subscription has"


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"AZURE_LOCATION": "swedencentral"}, 0),
        ({"AZURE_LOCATION": "southindia"}, 0),
        ({"AZURE_LOCATION": "southindia", "GPU_PROFILE_TYPE": "Consumption-GPU-NC24-A100"}, 2),
        ({"AZURE_LOCATION": "northeurope"}, 2),
        ({"AZURE_LOCATION": "northeurope", "USE_GPU": "false"}, 0),
        ({"AZURE_LOCATION": "northeurope", "SKIP_REGION_CHECK": "true"}, 0),
    ],
)
def test_a_region_without_the_gpu_is_refused_before_anything_is_made(
    values: dict[str, str], code: int, fresh: Bench
) -> None:
    fresh.values |= values
    ended = fresh.run(PRE)
    assert ended.code == code, ended.err
    if code:
        assert "Choose one of: australiaeast" in ended.err
        assert ended.called("^az ") == []


def test_a_job_that_runs_an_image_keeps_it_on_another_machine(fresh: Bench) -> None:
    fresh.answer("resource list .*Microsoft.App/jobs --tag azd-env-name=dev", "/id/of/job-dev\n")
    fresh.answer("containerapp job show --ids /id/of/job-dev", f"{IMAGE}\n")
    assert ("SERVICE_RUNNER_IMAGE_NAME", IMAGE) in [setting(call) for call in fresh.run(PRE).called("^azd env set")]


def test_an_image_that_is_recorded_already_is_not_set_again(fresh: Bench) -> None:
    fresh.values["SERVICE_RUNNER_IMAGE_NAME"] = IMAGE
    fresh.answer("resource list .*Microsoft.App/jobs", "/id/of/job-dev\n")
    fresh.answer("containerapp job show", f"{IMAGE}\n")
    assert fresh.run(PRE).called("SERVICE_RUNNER_IMAGE_NAME") == []


def test_after_a_teardown_the_image_that_went_with_its_registry_is_forgotten(fresh: Bench) -> None:
    """azd down keeps the variable; a job with an image that is not there cannot be made."""
    fresh.values["SERVICE_RUNNER_IMAGE_NAME"] = IMAGE
    ended = fresh.run(PRE)
    assert ("SERVICE_RUNNER_IMAGE_NAME", "") in [setting(call) for call in ended.called("^azd env set")]
    assert "does nothing" in ended.out


def test_an_image_that_needs_no_registry_of_ours_is_kept_before_the_first_job(fresh: Bench) -> None:
    fresh.values["SERVICE_RUNNER_IMAGE_NAME"] = "ghcr.io/somebody/runner:1"
    assert fresh.run(PRE).called("SERVICE_RUNNER_IMAGE_NAME") == []


@pytest.mark.parametrize("call", ["resource list", "containerapp job show"])
def test_an_image_that_cannot_be_read_stops_provisioning_unless_it_is_recorded(call: str, fresh: Bench) -> None:
    fresh.answer(call, **FORBIDDEN)
    fresh.answer("resource list", "/id/of/job-dev\n")
    ended = fresh.run(PRE)
    assert ended.code == 2
    assert "would replace it" in ended.err
    fresh.values["SERVICE_RUNNER_IMAGE_NAME"] = IMAGE
    assert fresh.run(PRE).code == 0


def test_signed_out_stops_before_the_image_could_be_lost(fresh: Bench) -> None:
    fresh.answers = [{"call": "^az ", **SIGNED_OUT}]
    ended = fresh.run(PRE)
    assert ended.code == 2
    assert "az login" in ended.err


# ---- postprovision ---------------------------------------------------------------------------------------------------


def test_without_rbac_the_next_steps_are_named(bench: Bench) -> None:
    bench.values = {"INCLUDE_RBAC": "false"}
    ended = bench.run(POSTPROVISION)
    assert ended.code == 0
    for command in re.findall(r"scripts/[\w-]+\.sh", ended.out):
        assert (ROOT / command).is_file()
    assert "scripts/assign-rbac.sh" in ended.out
    bench.values = {}
    assert bench.run(POSTPROVISION).out == ""


# ---- postdeploy ------------------------------------------------------------------------------------------------------


def test_uploads_are_subscribed_by_a_template_with_every_parameter(deployed: Bench) -> None:
    ended = deployed.run(POST)
    assert ended.code == 0, ended.err
    (call,) = ended.called("deployment group create")
    given = dict(item.split("=", 1) for item in call[call.index("--parameters") + 1 :] if re.match(r"\w+=", item))
    template = Path(call[call.index("--template-file") + 1])
    assert template == INFRA / "eventgrid-subscription.bicep"
    assert call[call.index("--resource-group") + 1] == OUTPUTS["EVENT_GRID_TOPIC_RESOURCE_GROUP"]
    result = bicep.deploy(template, given, OUTPUTS["EVENT_GRID_TOPIC_RESOURCE_GROUP"])
    subscription = result.one("Microsoft.EventGrid/systemTopics/eventSubscriptions").body["properties"]
    assert (
        subscription["filter"]["subjectBeginsWith"]
        == f"/blobServices/default/containers/{StorageSettings().input}/blobs/"
    )
    assert OUTPUTS["AZURE_STORAGE_ACCOUNT_NAME"] in ended.out


def test_the_key_is_in_no_call_and_no_variable(deployed: Bench) -> None:
    ended = deployed.run(POST)
    text = "".join(path.read_text() for path in (ROOT / "scripts/hooks").glob("*.sh"))
    assert not re.search(r"keys list|listKeys|blobs_extension|systemKeys|&code=", text)
    assert not [call for call in ended.calls if "keys" in call or "functionapp" in call]


def test_the_app_is_woken_first(deployed: Bench) -> None:
    calls = [" ".join(call) for call in deployed.run(POST).calls]
    woken = next(i for i, call in enumerate(calls) if call.startswith("curl") and "func-dev.azurewebsites.net" in call)
    subscribed = next(i for i, call in enumerate(calls) if "deployment group create" in call)
    assert woken < subscribed


def test_a_cold_app_that_refuses_the_handshake_is_tried_again(deployed: Bench) -> None:
    deployed.answer("^curl", code=28)
    deployed.answer(
        "deployment group create",
        err="ERROR: Webhook validation handshake failed: response code Unknown\n",
        code=1,
        times=3,
    )
    ended = deployed.run(POST)
    assert ended.code == 0, ended.err
    assert len(ended.called("deployment group create")) == 4


def test_a_handshake_that_never_works_is_an_error_that_says_what_happens_meanwhile(deployed: Bench) -> None:
    deployed.env["TRIES"] = "3"
    deployed.answer("deployment group create", err="ERROR: handshake failed\n", code=1)
    ended = deployed.run(POST)
    assert ended.code == 3
    assert len(ended.called("deployment group create")) == 3
    assert "the sweep finds them" in ended.err
    assert "azd hooks run postdeploy" in ended.err


@pytest.mark.parametrize("answer", ["Forbidden", "Unauthorized", "(403)", "Unknown"])
def test_a_handshake_that_the_app_refuses_is_no_refusal_of_ours(answer: str, deployed: Bench) -> None:
    """The app answers so until it has loaded its keys (azure-functions-host issue 11834)."""
    text = (
        f"ERROR: (Url validation) Webhook validation handshake failed for https://func-dev.azurewebsites.net/runtime. "
        f"Http POST request failed with response code {answer}.\n"
    )
    deployed.answer("deployment group create", err=text, code=1, times=2)
    ended = deployed.run(POST)
    assert ended.code == 0, ended.err
    assert len(ended.called("deployment group create")) == 3


def test_uploads_by_a_queue_need_no_app_that_answers(deployed: Bench) -> None:
    deployed.values["UPLOADS_QUEUE"] = "uploads"
    ended = deployed.run(POST)
    assert ended.code == 0, ended.err
    (call,) = ended.called("deployment group create")
    given = dict(item.split("=", 1) for item in call[call.index("--parameters") + 1 :] if re.match(r"\w+=", item))
    result = bicep.deploy(INFRA / "eventgrid-subscription.bicep", given, "rg")
    properties = result.one("Microsoft.EventGrid/systemTopics/eventSubscriptions").body["properties"]
    assert properties["deliveryWithResourceIdentity"]["destination"]["properties"]["queueName"] == "uploads"
    assert ended.called("^curl") == []


def test_two_environments_on_one_topic_have_subscriptions_of_their_own() -> None:
    first, second = deploy(REUSED), deploy(REUSED | {"AZURE_ENV_NAME": "prod"})
    names = {item.outputs["EVENT_GRID_SUBSCRIPTION_NAME"] for item in (first, second)}
    assert len(names) == 2
    assert all(re.fullmatch(r"[A-Za-z0-9-]{3,64}", name) for name in names)


def test_a_refusal_is_final(deployed: Bench) -> None:
    deployed.answer("deployment group create", **FORBIDDEN)
    ended = deployed.run(POST)
    assert (ended.code, len(ended.called("deployment group create"))) == (2, 1)


def test_a_job_without_a_real_image_is_told(deployed: Bench) -> None:
    deployed.answers.insert(
        0, {"call": "containerapp job show", "out": "mcr.microsoft.com/k8se/quickstart-jobs:latest\n"}
    )
    ended = deployed.run(POST)
    assert ended.code == 0
    assert "image that does nothing" in ended.err


def test_before_provisioning_the_missing_output_is_named(bench: Bench) -> None:
    ended = bench.run(POST)
    assert (ended.code, ended.called("^az ")) == (2, [])
    assert "AZURE_RESOURCE_GROUP is not set" in ended.err


# ---- predown ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def reusing(deployed: Bench) -> Bench:
    """After a deployment onto somebody else's topic."""
    deployed.values |= {
        "EXISTING_EVENT_GRID_TOPIC_NAME": "evgt-shared", "EVENT_GRID_TOPIC_NAME": "evgt-shared",
        "EVENT_GRID_TOPIC_RESOURCE_GROUP": "rg-shared",
    }  # fmt: skip
    deployed.answer("event-subscription list", f"somebody-elses\n{OUTPUTS['EVENT_GRID_SUBSCRIPTION_NAME']}\n")
    return deployed


@pytest.mark.parametrize(
    "variable",
    ["EXISTING_RESOURCE_GROUP", "EXISTING_RESOURCES_GROUP", "EXISTING_ACR_NAME", "EXISTING_STORAGE_ACCOUNT_NAME",
     "EXISTING_CONTAINER_APPS_ENV_NAME", "EXISTING_LOG_ANALYTICS_NAME", "EXISTING_EVENT_GRID_TOPIC_NAME"],
)  # fmt: skip
def test_down_is_refused_while_anything_is_reused(variable: str, bench: Bench) -> None:
    bench.values = {variable: "shared"}
    ended = bench.run(DOWN)
    assert ended.code == 2
    assert "EXISTING RESOURCES DETECTED" in ended.err
    assert f"{variable}: shared" in ended.err
    assert ended.called("^az ") == []
    bench.values["FORCE_DELETE"] = "true"
    assert bench.run(DOWN).code == 0


def test_what_the_last_provisioning_reused_is_guarded_after_the_choice_was_reset(bench: Bench) -> None:
    """azd deletes the groups of the last deployment, whatever the variables say now."""
    bench.values = {"REUSED_RESOURCES": deploy(REUSED).outputs["REUSED_RESOURCES"]}
    ended = bench.run(DOWN)
    assert ended.code == 2
    assert "crshared stshared" in ended.err
    bench.values = {"REUSED_RESOURCES": deploy().outputs["REUSED_RESOURCES"]}
    assert bench.run(DOWN).code == 0


def test_forced_down_removes_our_subscription_from_somebody_elses_topic_first(reusing: Bench) -> None:
    reusing.values["FORCE_DELETE"] = "true"
    ended = reusing.run(DOWN)
    assert ended.code == 0, ended.err
    (call,) = ended.called("^az .*delete")
    assert call[:5] == ["az", "eventgrid", "system-topic", "event-subscription", "delete"]
    assert call[call.index("--name") + 1] == OUTPUTS["EVENT_GRID_SUBSCRIPTION_NAME"]
    assert call[call.index("--system-topic-name") + 1] == "evgt-shared"
    assert call[call.index("--resource-group") + 1] == "rg-shared"


@pytest.mark.parametrize(
    ("call", "answer", "code"),
    [
        ("event-subscription list", FORBIDDEN, 2),
        ("event-subscription delete", FORBIDDEN, 2),
        ("event-subscription list", {"err": "ERROR: connection reset\n", "code": 1}, 3),
        ("event-subscription list", NOT_FOUND, 0),  # the topic is gone, and everything on it
        ("event-subscription list", {"out": "somebody-elses\n"}, 0),
    ],
)
def test_a_subscription_that_cannot_be_removed_stops_and_one_that_is_gone_does_not(
    call: str, answer: dict[str, object], code: int, reusing: Bench
) -> None:
    reusing.values["FORCE_DELETE"] = "true"
    reusing.answers.insert(0, {"call": call, "out": "", **answer})
    ended = reusing.run(DOWN)
    assert ended.code == code, ended.err
    if code:
        assert "nothing is deleted" in ended.err
    else:
        assert ended.called("^az .*delete") == []


def test_a_topic_of_ours_goes_with_its_subscription_and_is_not_asked(deployed: Bench) -> None:
    ended = deployed.run(DOWN)
    assert ended.code == 0
    assert ended.called("^az ") == []


def test_the_guard_knows_every_existing_variable_of_the_templates() -> None:
    from tests.infra.deployed import PARAMETERS, source

    known = {source(name)[0] for name in PARAMETERS if name.startswith("existing")} - {"EXISTING_STORAGE_LOCATION"}
    texts = (ROOT / DOWN).read_text() + (ROOT / "scripts/lib.sh").read_text()
    assert {name for name in known if name not in texts} == set()


def test_down_of_a_deployment_of_its_own_goes_on(bench: Bench) -> None:
    bench.values = {"AZURE_ENV_NAME": "dev", "EXISTING_ACR_NAME": ""}
    assert bench.run(DOWN).code == 0


def test_an_environment_that_cannot_be_read_is_not_taken_for_an_empty_one(bench: Bench) -> None:
    bench.answer("azd env get-values", err="ERROR: no default environment\n", code=1)
    ended = bench.run(DOWN)
    assert ended.code != 0
    assert "nothing is deleted" in ended.err
