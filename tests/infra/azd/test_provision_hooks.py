"""The hooks around azd provision with stubs for az and azd: what they set, what they refuse, what they say is next."""

from __future__ import annotations

import re

import pytest

from tests.infra.scripts.scripted import FORBIDDEN, ROOT, SIGNED_OUT, Bench
from tests.infra.templates.deployed import deploy

PRE, POSTPROVISION = "scripts/hooks/preprovision.sh", "scripts/hooks/postprovision.sh"
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


# ---- preprovision ----------------------------------------------------------------------------------------------------


def test_a_person_is_recorded_as_the_deployer(fresh: Bench) -> None:
    ended = fresh.run(PRE)
    assert ended.code == 0, ended.err
    assert [setting(call) for call in ended.called("^azd env set")] == [
        ("DEPLOYER_PRINCIPAL_ID", "me-object-id"),
        ("DEPLOYER_PRINCIPAL_TYPE", "User"),
    ]
    assert ended.called("provider register") == []


def test_a_page_wants_to_know_who_asks_before_anything_is_made(fresh: Bench) -> None:
    fresh.values |= {"WEB": "true"}
    refused = fresh.run(PRE)
    assert (refused.code, "WEB_ENTRA_CLIENT_ID" in refused.err) == (2, True)
    assert refused.called("^azd env set") == []
    for more, code in (({"WEB_ENTRA_CLIENT_ID": "app"}, 0), ({"WEB_AUTH": "keys"}, 0), ({"WEB_AUTH": "local"}, 2)):
        fresh.values = {"AZURE_ENV_NAME": "dev", "AZURE_LOCATION": "swedencentral", "WEB": "true", **more}
        assert fresh.run(PRE).code == code, more


def test_a_page_that_nobody_reaches_is_refused(fresh: Bench) -> None:
    """Without the queue Event Grid's webhook is let in alone; without addresses nobody is."""
    closed = {"WEB": "true", "WEB_AUTH": "keys", "RESTRICT_INBOUND": "true"}
    base = dict(fresh.values)
    for more in ({}, {"UPLOADS_QUEUE": "uploads"}, {"WEB_ADDRESSES": "203.0.113.7/32"}):
        fresh.values = {**base, **closed, **more}
        refused = fresh.run(PRE)
        assert (refused.code, "WEB_ADDRESSES" in refused.err, "UPLOADS_QUEUE" in refused.err) == (2, True, True), more
    fresh.values = {**base, **closed, "UPLOADS_QUEUE": "uploads", "WEB_ADDRESSES": "203.0.113.7/32"}
    assert fresh.run(PRE).code == 0


def test_an_object_that_was_emptied_is_an_empty_object_for_azd(fresh: Bench) -> None:
    """azd env set RUNNER_SETTINGS "" would stop provisioning: '' is not valid JSON (azd's loadParameters)."""
    fresh.values |= {"RUNNER_SETTINGS": "", "DISPATCHER_SETTINGS": "{}", "DEPLOYER_PRINCIPAL_ID": "me"}
    assert [setting(call) for call in fresh.run(PRE).called("^azd env set")] == [("RUNNER_SETTINGS", "{}")]


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"GAUSSIAN_SPLATTING_BIN": "/x", "COLMAP_USE_CPU": "true"}, ["COLMAP_USE_CPU", "GAUSSIAN_SPLATTING_BIN"]),
        ({"RECONSTRUCTION_BACKEND": "nerfstudio"}, ["RECONSTRUCTION_BACKEND"]),
        ({"RUNNER_SETTINGS": '{"PRESET": "high", "COLMAP_USE_CPU": "true"}'}, ["COLMAP_USE_CPU"]),
        ({"DISPATCHER_SETTINGS": '{"COLMAP_USE_CPU":"x"}', "TDGS_CPP_BIN": "/x"}, ["COLMAP_USE_CPU", "TDGS_CPP_BIN"]),
        ({"RECONSTRUCTION_BACKEND": "colmap", "RUNNER_SETTINGS": '{"RECONSTRUCTION_BACKEND": "colmap"}'}, []),
        ({"COLMAP_USE_CPU": "", "MY_COLMAP_USE_CPU": "x", "RUNNER_SETTINGS": '{"COLMAP_MATCHER": "exhaustive"}'}, []),
    ],
)  # fmt: skip
def test_settings_of_the_older_guide_are_refused_before_anything_is_made(
    values: dict[str, str], named: list[str], fresh: Bench
) -> None:
    """They would be dropped by the templates, or stop every execution."""
    fresh.values |= values
    ended = fresh.run(PRE)
    assert ended.code == (2 if named else 0), ended.err
    if named:
        assert f"not read by anything here: {' '.join(named)}." in ended.err
        assert ended.called("env set|register") == []


def test_a_pipelines_service_principal_is_recorded_by_its_object_id(bench: Bench) -> None:
    bench.values = {"AZURE_ENV_NAME": "dev", "AZURE_LOCATION": "swedencentral"}
    bench.answer("account show .*user.type", "servicePrincipal\n")
    bench.answer("account show .*user.name", "app-id\n")
    bench.answer("ad sp show --id app-id", "sp-object-id\n")
    bench.answer("provider list", PROVIDERS)
    found = dict(setting(call) for call in bench.run(PRE).called("^azd env set"))
    assert found == {"DEPLOYER_PRINCIPAL_ID": "sp-object-id", "DEPLOYER_PRINCIPAL_TYPE": "ServicePrincipal"}


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


@pytest.mark.parametrize(
    ("values", "told", "code"),
    [
        ({}, "0\n", 2),
        ({}, "0.0\n", 2),
        ({"GPU_PROFILE_TYPE": "Consumption-GPU-NC24-A100"}, "0\n", 2),
        ({}, "1\n", 0),
        ({}, "", 0),
        ({"SKIP_QUOTA_CHECK": "true"}, "0\n", 0),
        ({"USE_GPU": "false"}, "0\n", 0),
        ({"EXISTING_CONTAINER_APPS_ENV_NAME": "cae-theirs"}, "0\n", 0),
        ({"GPU_PROFILE_TYPE": "Consumption-GPU-NEW", "GPU_PROFILE_SIZES": '{"Consumption-GPU-NEW": {}}'}, "0\n", 0),
    ],
)
def test_a_subscription_without_gpu_quota_is_told_before_anything_is_made(
    values: dict[str, str], told: str, code: int, fresh: Bench
) -> None:
    fresh.values |= values
    fresh.answer("rest .*Microsoft.App/locations/swedencentral/usages", told)
    ended = fresh.run(PRE)
    assert ended.code == code, ended.err
    if code:
        assert "portal: Quotas, Container Apps" in ended.err
        assert "SKIP_QUOTA_CHECK true" in ended.err
        (call,) = ended.called("usages")
        counter = "NCA100Gpus" if values else "T4Gpus"
        assert f"SubscriptionConsumption{counter}" in call[call.index("--query") + 1]


def test_quota_is_asked_for_after_its_provider_is_registered(fresh: Bench) -> None:
    """Microsoft.App answers nobody before."""
    fresh.answers.insert(0, {"call": "provider list", "out": PROVIDERS.replace("Microsoft.App\n", "")})
    calls = [" ".join(call) for call in fresh.run(PRE).calls]
    registered = next(at for at, call in enumerate(calls) if "provider register --namespace Microsoft.App" in call)
    assert registered < next(at for at, call in enumerate(calls) if "/usages" in call)


@pytest.mark.parametrize(
    ("offer", "warned"),
    [
        ("FreeTrial_2014-09-01", True),
        ("AzureForStudents_2018-01-01", True),
        ("AzurePass_2014-09-01", True),
        ("PayAsYouGo_2014-09-01", False),
        ("EnterpriseAgreement_2014-09-01", False),
        ("", False),
    ],
)
def test_free_credit_that_builds_no_images_is_told_and_goes_on(offer: str, warned: bool, fresh: Bench) -> None:
    fresh.answer("rest .*subscriptionPolicies.quotaId", f"{offer}\n")
    ended = fresh.run(PRE)
    assert ended.code == 0
    assert ("free credit" in ended.err) == warned
    if warned:
        page, section = ROOT / "docs/images.md", "Without builds in the registry"
        assert f"docs/images.md, {section}" in ended.err
        assert f"### {section}" in page.read_text()


@pytest.mark.parametrize("failure", [FORBIDDEN, {"err": "ERROR: (MissingSubscriptionRegistration)\n", "code": 1}])
def test_quota_and_offer_that_cannot_be_read_stop_nothing(failure: dict[str, object], fresh: Bench) -> None:
    fresh.answers.insert(0, {"call": "^az rest", **failure})
    ended = fresh.run(PRE)
    assert ended.code == 0
    assert "GPU quota in swedencentral cannot be read" in ended.err
    assert "offer cannot be read" in ended.err


def test_a_job_that_runs_an_image_keeps_it_on_another_machine(fresh: Bench) -> None:
    fresh.answer(
        "resource list --tag azd-env-name=dev",
        "/x/providers/Microsoft.Web/sites/f\n/x/providers/Microsoft.App/jobs/job-dev\n",
    )
    fresh.answer("containerapp job show --ids /x/providers/Microsoft.App/jobs/job-dev", f"{IMAGE}\n")
    assert ("SERVICE_RUNNER_IMAGE_NAME", IMAGE) in [setting(call) for call in fresh.run(PRE).called("^azd env set")]


def test_an_image_that_is_recorded_already_is_not_set_again(fresh: Bench) -> None:
    fresh.values["SERVICE_RUNNER_IMAGE_NAME"] = IMAGE
    fresh.answer("resource list", "/x/providers/Microsoft.App/jobs/job-dev\n")
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
    fresh.answer("resource list", "/x/providers/Microsoft.App/jobs/job-dev\n")
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
