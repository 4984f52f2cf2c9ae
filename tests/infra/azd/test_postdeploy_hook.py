"""The hook after azd deploy with stubs for az, azd and curl: uploads are subscribed, and the key is never seen."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from function_app import triggers
from scenejobs.settings.storage import StorageSettings
from tests.infra.scripts.scripted import FORBIDDEN, ROOT, SUBSCRIPTION, Bench
from tests.infra.templates import bicep
from tests.infra.templates.deployed import INFRA, REUSED, deploy

POST = "scripts/hooks/postdeploy.sh"


def test_uploads_are_subscribed_by_a_template_with_every_parameter(deployed: Bench) -> None:
    ended = deployed.run(POST)
    assert ended.code == 0, ended.err
    (call,) = ended.called("deployment group create")
    given = dict(item.split("=", 1) for item in call[call.index("--parameters") + 1 :] if re.match(r"\w+=", item))
    template = Path(call[call.index("--template-file") + 1])
    assert template == INFRA / "eventgrid-subscription.bicep"
    assert call[call.index("--resource-group") + 1] == deployed.values["EVENT_GRID_TOPIC_RESOURCE_GROUP"]
    result = bicep.deploy(template, given, deployed.values["EVENT_GRID_TOPIC_RESOURCE_GROUP"])
    subscription = result.one("Microsoft.EventGrid/systemTopics/eventSubscriptions").body["properties"]
    assert (
        subscription["filter"]["subjectBeginsWith"]
        == f"/blobServices/default/containers/{StorageSettings().input}/blobs/"
    )
    assert deployed.values["AZURE_STORAGE_ACCOUNT_NAME"] in ended.out


def test_the_key_is_in_no_call_and_no_variable(deployed: Bench) -> None:
    ended = deployed.run(POST)
    text = "".join(path.read_text() for path in (ROOT / "scripts/hooks").glob("*.sh"))
    assert not re.search(r"keys list|listKeys|blobs_extension|systemKeys|&code=", text)
    assert not [call for call in ended.calls if "keys" in call or call[1:3] == ["functionapp", "keys"]]


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
    deployed.values["DEPLOYED_UPLOADS_QUEUE"] = "uploads"
    ended = deployed.run(POST)
    assert ended.code == 0, ended.err
    (call,) = ended.called("deployment group create")
    given = dict(item.split("=", 1) for item in call[call.index("--parameters") + 1 :] if re.match(r"\w+=", item))
    result = bicep.deploy(INFRA / "eventgrid-subscription.bicep", given, "rg")
    properties = result.one("Microsoft.EventGrid/systemTopics/eventSubscriptions").body["properties"]
    assert properties["deliveryWithResourceIdentity"]["destination"]["properties"]["queueName"] == "uploads"
    assert ended.called("^curl") == []


def test_a_variable_that_was_set_after_provisioning_changes_nothing_before_the_next(deployed: Bench) -> None:
    deployed.values |= {"UPLOADS_QUEUE": "uploads", "AZURE_BLOB_CONTAINER_INPUT": "elsewhere"}
    (call,) = deployed.run(POST).called("deployment group create")
    assert "inputContainer=input" in call
    assert not [word for word in call if word.startswith("uploadsQueue=")], "there is no such queue yet"


@pytest.mark.parametrize(
    ("queue", "types", "operations"),
    [
        ("", ["Microsoft.Storage.BlobCreated"], ["SftpCommit"]),
        ("uploads", ["Microsoft.Storage.BlobCreated", "Microsoft.Storage.BlobRenamed",
                     "Microsoft.Storage.DirectoryRenamed"], ["SftpCommit", "RenameFile", "RenameDirectory",
                                                             "SftpRename"]),
    ],
    ids=["webhook", "queue"],
)  # fmt: skip
def test_a_reused_account_with_a_hierarchy_reports_what_ends_there(
    queue: str, types: list[str], operations: list[str], deployed: Bench
) -> None:
    """New names only where somebody of ours reads them: the blob trigger's webhook knows one kind of event."""
    deployed.values |= {"DEPLOYED_UPLOADS_QUEUE": queue, "EXISTING_STORAGE_ACCOUNT_NAME": "stdev"}
    deployed.answers.insert(0, {"call": "storage account show .*isHnsEnabled", "out": "true\n"})
    (call,) = deployed.run(POST).called("deployment group create")
    given = dict(item.split("=", 1) for item in call[call.index("--parameters") + 1 :] if re.match(r"\w+=", item))
    assert given.pop("hierarchical") == "true"
    result = bicep.deploy(INFRA / "eventgrid-subscription.bicep", given | {"hierarchical": True}, "rg")
    wanted = result.one("Microsoft.EventGrid/systemTopics/eventSubscriptions").body["properties"]["filter"]
    assert wanted["includedEventTypes"] == types
    (by,) = wanted["advancedFilters"]
    assert by["values"] == ["CopyBlob", "PutBlob", "PutBlockList", "FlushWithClose", *operations]


@pytest.mark.parametrize("answer", [{"out": "false\n"}, {"code": 1, "err": "ERROR\n"}, {}])
def test_another_reused_account_is_subscribed_as_ever(answer: dict[str, object], deployed: Bench) -> None:
    deployed.values["EXISTING_STORAGE_ACCOUNT_NAME"] = "stdev"
    deployed.answers.insert(0, {"call": "storage account show .*isHnsEnabled", "out": "", **answer})
    (call,) = deployed.run(POST).called("deployment group create")
    assert not [word for word in call if word.startswith("hierarchical")]


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
    for name in ("AZURE_RESOURCE_GROUP", "RUNNER_JOB_NAME", "AZURE_BLOB_CONTAINER_INPUT"):
        assert f"{name} is not set" in ended.err, "every missing one at once"


def functions(*, without: str = "", queue: bool = False) -> str:
    parts = [triggers.blueprint, triggers.by_queue if queue else triggers.by_webhook]
    names = [builder._function.get_function_name() for part in parts for builder in part._function_builders]
    return "".join(f"func-dev/{name}\n" for name in names if name != without)


@pytest.mark.parametrize("queue", [False, True], ids=["webhook", "queue"])
@pytest.mark.parametrize("missing", ["all", "on_quiet", "sweep", "the upload's"])
def test_a_deployment_whose_functions_do_not_run_is_not_ready(missing: str, queue: bool, deployed: Bench) -> None:
    """The host answers 200 without any function; what could not be indexed is told in Application Insights alone."""
    upload = "on_event" if queue else "on_upload"
    name = upload if missing == "the upload's" else missing
    listed = "" if missing == "all" else functions(without=name, queue=queue)
    deployed.values["DEPLOYED_UPLOADS_QUEUE"] = "uploads" if queue else ""
    deployed.answers.insert(0, {"call": "functionapp function list", "out": listed})
    deployed.env["TRIES"] = "2"
    ended = deployed.run(POST)
    assert ended.code == 1
    assert "Ready" not in ended.out
    assert f"{upload} {upload}_poison on_quiet" in ended.err if missing == "all" else f"no function {name}" in ended.err
    assert "AppExceptions" in ended.err


def test_functions_that_are_listed_a_moment_later_are_waited_for(deployed: Bench) -> None:
    deployed.answers.insert(0, {"call": "functionapp function list", "out": "", "times": 2})
    ended = deployed.run(POST)
    assert ended.code == 0, ended.err
    assert "Ready" in ended.out
    assert len(ended.called("functionapp function list")) == 3


@pytest.mark.parametrize("queue", ["", "uploads"])
def test_the_check_and_the_subscription_name_the_functions_that_the_app_has(queue: str, deployed: Bench) -> None:
    """An event for a function with another name is answered with 202, and gone."""
    deployed.values["DEPLOYED_UPLOADS_QUEUE"] = queue
    deployed.answers.insert(0, {"call": "functionapp function list", "out": functions(queue=bool(queue))})
    assert deployed.run(POST).code == 0
    template = (INFRA / "eventgrid-subscription.bicep").read_text()
    default = re.search(r"^param functionName string = '(\w+)'", template, re.MULTILINE)
    assert default
    assert f"/{default[1]}\n" in functions()


# ---- its last lines --------------------------------------------------------------------------------------------------

REMOVE = "Remove what this environment made, scenes and archives with it:\n    scripts/teardown.sh\n"


def test_the_last_lines_name_what_is_there_its_cost_and_what_to_do_next(deployed: Bench) -> None:
    ended = deployed.run(POST)
    assert ended.code == 0, ended.err
    told = ended.out[ended.out.index("Ready.") :]
    for name in (
        "AZURE_RESOURCE_GROUP", "FUNCTION_APP_NAME", "RUNNER_JOB_NAME", "AZURE_CONTAINER_REGISTRY_NAME",
        "AZURE_STORAGE_ACCOUNT_NAME", "FUNCTION_STORAGE_ACCOUNT_NAME", "EVENT_GRID_TOPIC_NAME",
    ):  # fmt: skip
        assert f": {deployed.values[name]}\n" in told, name
    rules = [item for item in deploy().resources if item.type == "Microsoft.Insights/scheduledQueryRules"]
    assert f" {len(rules)} log-alert rules" in told
    assert "docs/cost.md" in told
    account = deployed.values["AZURE_STORAGE_ACCOUNT_NAME"]
    assert (
        f"az storage blob upload-batch --subscription {SUBSCRIPTION} --auth-mode login --account-name {account}" in told
    )
    assert f"export AZURE_STORAGE_ACCOUNT={account}\n    scenejobs status my-scene --wait" in told
    assert told.endswith(REMOVE)
    assert "(reused)" not in told
    assert "private endpoints" not in told
    assert "always-ready" not in told


def test_what_was_there_before_is_told_as_such_and_what_costs_more_too(deployed: Bench) -> None:
    registry = deployed.values["AZURE_CONTAINER_REGISTRY_NAME"]
    deployed.values |= {
        "REUSED_RESOURCES": f"  {registry}  ",
        "PRIVATE_NETWORKING": "true",
        "ALWAYS_READY_INSTANCES": "1",
    }
    told = deployed.run(POST).out
    assert f"registry: {registry} (reused)" in told
    assert "private endpoints" in told
    assert "twice 1 always-ready instances" in told
