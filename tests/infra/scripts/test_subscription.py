"""Somebody has several subscriptions, and `az` has another one selected than the deployment's."""

from __future__ import annotations

import re
import subprocess

import pytest

from tests.infra.docs.documents import DOCUMENTS, commands
from tests.infra.scripts.scripted import ROOT, SUBSCRIPTION, Bench

PRE = "scripts/hooks/preprovision.sh"
IMAGE = "crdev.azurecr.io/runner@sha256:0123"
OURS = f".*--subscription {SUBSCRIPTION}"
JOB = "containerapp job show .*job-dev"


@pytest.fixture
def several(bench: Bench) -> Bench:
    """The job is in the deployment's subscription; the selected one has nothing."""
    bench.values = {"AZURE_ENV_NAME": "dev", "AZURE_LOCATION": "swedencentral", "SERVICE_RUNNER_IMAGE_NAME": IMAGE}
    bench.answer(f"resource list{OURS}", "/x/providers/Microsoft.App/jobs/job-dev\n")
    bench.answer(f"{JOB}{OURS}", f"{IMAGE}\n")
    return bench


def test_provisioning_again_never_puts_the_placeholder_into_a_job_that_works(several: Bench) -> None:
    ended = several.run(PRE)
    assert ended.code == 0, ended.err
    assert ended.called("SERVICE_RUNNER_IMAGE_NAME") == []


@pytest.mark.parametrize("text", ["Subscription 'x' not found. Check the spelling.", "(SubscriptionNotFound) gone"])
def test_a_subscription_that_is_not_seen_is_no_job_that_is_gone(text: str, bench: Bench) -> None:
    bench.values = {"AZURE_ENV_NAME": "dev", "AZURE_LOCATION": "swedencentral", "SERVICE_RUNNER_IMAGE_NAME": IMAGE}
    bench.answer("^az ", err=f"ERROR: {text}\n", code=1)
    ended = bench.run(PRE)
    assert ended.called("SERVICE_RUNNER_IMAGE_NAME") == []
    assert "AZURE_SUBSCRIPTION_ID" in ended.err


@pytest.mark.parametrize(
    ("answer", "cleared"),
    [
        ({"err": "ERROR: (ResourceNotFound) gone\n", "code": 3}, True),
        ({"err": "ERROR: (ResourceGroupNotFound) gone\n", "code": 3}, True),
        ({"err": "ERROR: (403) Forbidden\n", "code": 1}, False),
        ({"err": "ERROR: connection reset\n", "code": 1}, False),
        ({"out": f"{IMAGE}\n"}, False),
    ],
)
def test_the_image_is_forgotten_only_where_the_job_was_seen_to_be_gone(
    answer: dict[str, object], cleared: bool, bench: Bench
) -> None:
    """A list that lacks the job may be that of somebody who may not see it."""
    bench.values = {
        "AZURE_ENV_NAME": "dev", "AZURE_LOCATION": "swedencentral", "SERVICE_RUNNER_IMAGE_NAME": IMAGE,
        "RUNNER_JOB_NAME": "job-dev", "AZURE_RESOURCE_GROUP": "rg-dev",
    }  # fmt: skip
    bench.answers.append({"call": JOB, "out": "", **answer})
    bench.answer("containerapp job show", f"{IMAGE}\n")
    ended = bench.run(PRE)
    assert ended.code == 0, ended.err
    assert bool(ended.called("azd env set SERVICE_RUNNER_IMAGE_NAME")) == cleared


@pytest.mark.parametrize("script", ["run-job.sh", "deploy-job.sh", "teardown.sh", "hooks/preprovision.sh"])
def test_without_a_subscription_nothing_is_looked_at(script: str, provisioned: Bench) -> None:
    provisioned.values["AZURE_SUBSCRIPTION_ID"] = ""
    ended = provisioned.run(f"scripts/{script}")
    assert (ended.code, ended.called("^az ")) == (2, [])
    assert "azd env set AZURE_SUBSCRIPTION_ID" in ended.err


def test_a_script_of_no_deployment_names_the_one_that_is_selected_throughout(bench: Bench) -> None:
    bench.answer("account show", "selected-1\n")
    bench.answer("group exists", "false\n")
    bench.answer("show", "id\n")
    ended = bench.run("scripts/azure-setup.sh", "--account", "splattest1")
    assert ended.code == 0, ended.err
    calls = [call for call in ended.called("^az ") if call[1:3] not in (["account", "show"], ["ad", "signed-in-user"])]
    assert len(calls) > 5
    assert all(call[call.index("--subscription") + 1] == "selected-1" for call in calls)
    assert "TEST_SUBSCRIPTION=selected-1" in (bench.folder / "azure-test-config.env").read_text()


def test_no_script_calls_az_around_the_wrapper() -> None:
    files = subprocess.run(["git", "ls-files", "*.sh"], cwd=ROOT, capture_output=True, text=True, check=True)
    for name in files.stdout.split():
        for line in (ROOT / name).read_text().splitlines():
            if re.search(r"(^\s*|[(|&;]\s*|call )az [a-z]", line.partition("#")[0]):
                # the other one runs on a machine whose identity sees no subscription
                assert name in ("scripts/lib.sh", "infra/vm/pull.sh"), f"{name}: {line}"


# The transcript leaves it out; the README's calls of az are to the emulator.
@pytest.mark.parametrize("document", [name for name in DOCUMENTS if name not in ("docs/azd-dry-run.md", "README.md")])
def test_documents_name_it_too(document: str) -> None:
    for command in commands(document):
        if command.words[0] != "az" or command.words[1] in ("login", "ad", "acr", "account"):
            continue
        assert "--subscription" in command.options, command
