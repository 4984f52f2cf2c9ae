"""Application settings and job environment against what the code reads: nothing is missing, nothing is set in vain."""

from __future__ import annotations

import json
import re
from typing import get_args, get_type_hints

from scenejobs.adapters.azure.credentials import access
from scenejobs.settings.groups import ComputeSettings, DispatchSettings, LogSettings, RunnerSettings, table
from scenejobs.settings.notices import NoticeSettings
from scenejobs.settings.pipeline import PipelineSettings
from scenejobs.settings.reader import read_all
from scenejobs.settings.storage import FolderSettings, StorageSettings
from tests.infra.scripts.scripted import ROOT
from tests.infra.templates import bicep_tree
from tests.infra.templates.deployed import MAIN, RENAMED, app_settings, deploy, job_env

DISPATCHER = (StorageSettings, DispatchSettings, ComputeSettings, NoticeSettings, LogSettings)  # function_app/wiring.py
RUNNER = (RunnerSettings, StorageSettings, FolderSettings, PipelineSettings, LogSettings)  # runner/commands/work.py
HOST = {  # https://learn.microsoft.com/azure/azure-functions/functions-app-settings
    *(f"AzureWebJobsStorage__{name}" for name in ("blobServiceUri", "queueServiceUri", "tableServiceUri")),
    "AzureWebJobsStorage__credential", "AzureWebJobsStorage__clientId",
    *(f"SceneStorage__{name}" for name in ("blobServiceUri", "queueServiceUri", "credential", "clientId")),
    "APPLICATIONINSIGHTS_CONNECTION_STRING", "APPLICATIONINSIGHTS_AUTHENTICATION_STRING", "PYTHON_SCRIPT_FILE_NAME",
}  # fmt: skip
# Another means to sign in, or where something is; the deployment has its own.
OTHER_MEANS = {
    "AZURE_STORAGE_CONNECTION_STRING", "AZURE_STORAGE_CONNECTION_STRING_FILE", "AZURE_STORAGE_SAS_TOKEN",
    "AZURE_STORAGE_SAS_TOKEN_FILE", "AZURE_TENANT_ID", "AZURE_CLIENT_SECRET", "AZURE_CLIENT_SECRET_FILE",
    "AZURE_FEDERATED_TOKEN_FILE", "AZURE_USE_AZURE_AD",
}  # fmt: skip


def read_by(groups: tuple[type, ...]) -> set[str]:
    names = {group.__name__ for group in groups}
    return {row.variable for row in table() if row.group in names}


def test_the_groups_are_those_that_the_programs_read() -> None:
    assert (
        "(StorageSettings, DispatchSettings, ComputeSettings, NoticeSettings, LogSettings)"
        in (ROOT / "function_app/wiring.py").read_text()
    )
    assert (
        "(RunnerSettings, StorageSettings, FolderSettings, PipelineSettings, LogSettings)"
        in (ROOT / "runner/commands/work.py").read_text()
    )


def test_every_application_setting_is_read_by_somebody() -> None:
    triggers = (ROOT / "function_app/triggers.py").read_text()
    by_triggers = set(re.findall(r'environ\.get\("(\w+)"\)', triggers)) | set(re.findall(r"%(\w+)%", triggers))
    for variables, other in (({}, "UPLOADS_QUEUE"), ({"UPLOADS_QUEUE": "uploads"}, "BLOB_TRIGGER_SOURCE")):
        found = app_settings(deploy(variables)).keys()
        assert found - read_by(DISPATCHER) - HOST - by_triggers == set()
        assert HOST | by_triggers - {other} <= found, "the host knows no defaults"
        assert other not in found


def test_every_variable_of_the_job_is_read_by_the_runner() -> None:
    assert job_env(deploy()).keys() - read_by(RUNNER) == set()


def test_the_job_works_on_the_account_and_never_on_folders() -> None:
    """With DATA_PATH beside the account the runner would refuse to start."""
    folders = read_by((FolderSettings,))
    for settings in (app_settings(deploy()), job_env(deploy())):
        assert settings.keys() & folders == set()


def test_where_the_data_is_does_not_depend_on_a_default() -> None:
    storage = read_by((StorageSettings,)) - OTHER_MEANS
    for settings in (app_settings(deploy()), job_env(deploy())):
        assert storage <= settings.keys()


def test_the_programs_start_with_these_settings_and_sign_in_with_their_identity() -> None:
    deployment = deploy()
    for groups, settings in ((DISPATCHER, app_settings(deployment)), (RUNNER, job_env(deployment))):
        found = {type(group): group for group in read_all(groups, settings)}
        account = access(found[StorageSettings])
        name = deployment.outputs["AZURE_STORAGE_ACCOUNT_NAME"]
        assert account.means == "managed identity"
        assert (account.blob_url, account.queue_url) == (
            f"https://{name}.blob.core.windows.net",
            f"https://{name}.queue.core.windows.net",
        )


def test_each_half_has_its_own_identity_and_uses_it_everywhere() -> None:
    deployment = deploy()
    settings, env = app_settings(deployment), job_env(deployment)
    dispatcher = {value for name, value in settings.items() if name.endswith(("clientId", "CLIENT_ID"))}
    assert len(dispatcher) == 1
    assert dispatcher.isdisjoint({env["AZURE_CLIENT_ID"]})
    (client_id,) = dispatcher
    assert "id-dispatcher" in client_id
    assert settings["APPLICATIONINSIGHTS_AUTHENTICATION_STRING"] == f"ClientId={client_id};Authorization=AAD"
    assert [settings[f"{name}__credential"] for name in ("SceneStorage", "AzureWebJobsStorage")] == [
        "managedidentity"
    ] * 2
    for type_, identity in (("Microsoft.Web/sites", "id-dispatcher"), ("Microsoft.App/jobs", "id-runner")):
        (own,) = deployment.one(type_).body["identity"]["userAssignedIdentities"]
        assert identity in own


def test_both_halves_agree_on_what_both_read() -> None:
    variables = {"SCENE_PREFIX_DEPTH": "2", "MAX_GPU_MINUTES_PER_DAY": "600", **RENAMED}
    deployment = deploy(variables)
    settings, env = app_settings(deployment), job_env(deployment)
    own = {"AZURE_CLIENT_ID", "LOG_FORMAT"}  # the function app's log is the host's
    both = (read_by(DISPATCHER) & read_by(RUNNER)) - own - OTHER_MEANS
    assert {name: settings.get(name) for name in both} == {name: env.get(name) for name in both}
    assert {name: env[name] for name in variables} == variables


def test_defaults_are_those_of_the_code() -> None:
    code = {row.variable: row.default for row in table()}
    deployment = deploy()
    own = {
        "BACKEND",
        "REPLICA_TIMEOUT_SECS",
        "LOG_FORMAT",
        "MAX_GPU_MINUTES_PER_DAY",
        "JOB_DISK_GB",
        "MACHINE_PROFILE",
    }  # a GPU, whose end and disk are known, and costs
    for settings in (app_settings(deployment), job_env(deployment)):
        for name in settings.keys() & code.keys() - own:
            if isinstance(code[name], int | float) and not isinstance(code[name], bool):
                assert float(settings[name]) == code[name], name
    assert app_settings(deployment)["SWEEP_SCHEDULE"] == code["SWEEP_SCHEDULE"]


def test_any_other_setting_can_be_given() -> None:
    deployment = deploy({"RUNNER_SETTINGS": '{"PRESET": "high"}', "DISPATCHER_SETTINGS": '{"MAX_WAIT_SECONDS": "60"}'})
    assert job_env(deployment)["PRESET"] == "high"
    assert app_settings(deployment)["MAX_WAIT_SECONDS"] == "60"


def test_the_runner_knows_when_the_platform_ends_it() -> None:
    deployment = deploy({"REPLICA_TIMEOUT_SECS": "7200"})
    configuration = deployment.one("Microsoft.App/jobs").body["properties"]["configuration"]
    assert job_env(deployment)["REPLICA_TIMEOUT_SECS"] == str(configuration["replicaTimeout"]) == "7200"


def test_the_backends_are_those_of_the_code() -> None:
    allowed = bicep_tree.parameters(MAIN)["processorBackend"].allowed
    assert set(allowed) == set(get_args(get_type_hints(PipelineSettings)["backend"]))


def test_flex_consumption_is_told_nothing_that_it_refuses() -> None:
    """https://learn.microsoft.com/azure/azure-functions/functions-app-settings, the Flex plan's deprecations."""
    refused = {
        "FUNCTIONS_WORKER_RUNTIME", "FUNCTIONS_EXTENSION_VERSION", "WEBSITE_RUN_FROM_PACKAGE", "ENABLE_ORYX_BUILD",
        "SCM_DO_BUILD_DURING_DEPLOYMENT", "WEBSITE_CONTENTSHARE", "WEBSITE_CONTENTAZUREFILECONNECTIONSTRING",
        "AzureWebJobsStorage", "SceneStorage",
    }  # fmt: skip
    assert app_settings(deploy()).keys() & refused == set()


def test_the_entry_file_and_the_sample_settings_agree_with_the_deployment() -> None:
    settings = app_settings(deploy())
    sample = json.loads((ROOT / "local.settings.json.example").read_text())["Values"]
    assert (ROOT / settings["PYTHON_SCRIPT_FILE_NAME"]).is_file()
    assert sample["PYTHON_SCRIPT_FILE_NAME"] == settings["PYTHON_SCRIPT_FILE_NAME"]
    assert settings["BLOB_TRIGGER_SOURCE"] == "EventGrid"
    instead = {  # a connection string in the place of an identity, and the worker's name that Azure knows
        "FUNCTIONS_WORKER_RUNTIME", "AzureWebJobsStorage", "SceneStorage", "AZURE_STORAGE_CONNECTION_STRING",
    }  # fmt: skip
    assert sample.keys() - settings.keys() - instead == set()


def test_the_scripts_make_the_containers_and_queues_that_the_code_asks() -> None:
    from scenejobs.adapters.azure.clients import container_names, queue_names

    library = (ROOT / "scripts/lib.sh").read_text()
    lists = {name: set(text.split()) for name, text in re.findall(r'^([A-Z]+)="([^"]*)"$', library, re.MULTILINE)}
    assert lists["CONTAINERS"] == set(container_names(StorageSettings()))
    of_the_host = {f"{StorageSettings().debounce_queue}-poison"}
    assert lists["QUEUES"] == set(queue_names(StorageSettings())) | of_the_host


def test_python_is_one_that_the_code_is_tested_with() -> None:
    runtime = deploy().one("Microsoft.Web/sites").body["properties"]["functionAppConfig"]["runtime"]
    assert runtime == {"name": "python", "version": "3.11"}
