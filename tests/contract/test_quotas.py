"""`scenejobs doctor` on the quota of Container Apps, against a server that answers as the management service does.

Shapes: the REST reference of Microsoft.App (Jobs Get, Managed Environments Get, Usages List, Managed Environment Usages
List). No subscription was asked.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from scenejobs.adapters.memory import MemoryBlobStore, MemoryQueue
from scenejobs.adapters.open import Storage
from scenejobs.commands import cli
from scenejobs.ports import Containers, Queues
from scenejobs.settings.groups import DispatchSettings
from scenejobs.settings.storage import StorageSettings
from tests.contract.jobs_api import Answer, JobsApi, jobs_api
from tests.contract.test_compute import execution, refusal

SUBSCRIPTION = "/subscriptions/11111111-2222-3333-4444-555555555555"
GROUP = f"{SUBSCRIPTION}/resourceGroups/rg/providers/Microsoft.App"
SHARED = f"{SUBSCRIPTION}/resourceGroups/rg-shared/providers/Microsoft.App/managedEnvironments/cae-dev"
REGION = f"{SUBSCRIPTION}/providers/Microsoft.App/locations/swedencentral/usages"
T4, A100 = "Consumption-GPU-NC8as-T4", "Consumption-GPU-NC24-A100"


def job(profile: str = "gpu", cpu: float = 8.0) -> Answer:
    container = {"name": "runner", "image": "cr.azurecr.io/runner@sha256:0123", "resources": {"cpu": cpu}}
    properties = {
        "environmentId": SHARED, "workloadProfileName": profile, "template": {"containers": [container]},
    }  # fmt: skip
    return Answer(200, {"name": "runner", "location": "Sweden Central", "properties": properties})


def environment(kind: str = T4) -> Answer:
    """In a group of its own, its region in the words of the portal: that is how the service answers."""
    profiles = [
        {"name": "Consumption", "workloadProfileType": "Consumption"},
        {"name": "gpu", "workloadProfileType": kind},
    ]
    return Answer(200, {"name": "cae-dev", "location": "Sweden Central", "properties": {"workloadProfiles": profiles}})


def usages(**counters: tuple[float, float]) -> Answer:
    """counters: name to use and limit."""
    value = [
        {"unit": "Count", "currentValue": used, "limit": limit, "name": {"value": name, "localizedValue": name}}
        for name, (used, limit) in counters.items()
    ]
    return Answer(200, {"value": value})


def executions(*states: str) -> Answer:
    return Answer(200, {"value": [execution(f"e{number}", state) for number, state in enumerate(states)]})


@pytest.fixture
def api() -> Iterator[JobsApi]:
    with jobs_api(Answer(500)) as served:
        yield served


def doctor(
    api: JobsApi, answers: list[Answer], capsys: pytest.CaptureFixture[str], max_parallel: int = 3, **more: str
) -> tuple[int, list[dict[str, Any]]]:
    """The exit code and the lines on quota of a person's `scenejobs doctor --json`; all other lines are right."""
    api.answers[:] = answers
    containers = Containers(*(MemoryBlobStore(name) for name in ("input", "output", "processed", "error", "state")))
    storage = Storage(containers, containers.state, Queues(*(MemoryQueue() for _ in range(3))), "memory", True)
    env = {
        "AZURE_SUBSCRIPTION_ID": SUBSCRIPTION.rpartition("/")[2], "AZURE_RESOURCE_GROUP": "rg",
        "RUNNER_JOB_NAME": "runner", "ARM_ENDPOINT": api.url, **more,
    }  # fmt: skip
    code = cli.main(["doctor", "--json"], env, lambda _: (storage, DispatchSettings(max_parallel_jobs=max_parallel)))
    lines = json.loads(capsys.readouterr().out)["lines"]
    assert not [line for line in lines if line["remedy"] and not line["what"].startswith("quota")]
    return code, [line for line in lines if line["what"].startswith("quota")]


def test_enough_is_told_with_the_counter_of_the_region_and_of_the_environment(
    api: JobsApi, capsys: pytest.CaptureFixture[str]
) -> None:
    region = usages(ManagedEnvironmentCount=(1, 15), SubscriptionConsumptionNCA100Gpus=(0, 0),
                    SubscriptionConsumptionT4Gpus=(1, 5))  # fmt: skip
    inside = usages(ManagedEnvironmentConsumptionCores=(8, 100), ManagedEnvironmentConsumptionT4Gpus=(1, 4))
    code, lines = doctor(api, [job(), environment(), region, inside, executions("Running")], capsys)
    assert code == 0
    assert [line["what"] for line in lines] == [
        "quota of job runner in region swedencentral", "quota of job runner in environment cae-dev",
    ]  # fmt: skip
    assert "1 of 5 GPUs in use (SubscriptionConsumptionT4Gpus)" in lines[0]["found"]
    assert "1 of 4 GPUs in use (ManagedEnvironmentConsumptionT4Gpus)" in lines[1]["found"]
    assert [line["remedy"] for line in lines] == ["", ""]
    asked = [path for _, path, _ in api.requests]
    assert asked == [f"{GROUP}/jobs/runner", SHARED, REGION, f"{SHARED}/usages", f"{GROUP}/jobs/runner/executions"]
    assert {method for method, _, _ in api.requests} == {"GET"}


def test_a_quota_of_nothing_is_wrong_and_says_where_to_ask(api: JobsApi, capsys: pytest.CaptureFixture[str]) -> None:
    """The A100's, while the T4 beside it has some: the counter is that of the job's own profile."""
    region = usages(SubscriptionConsumptionNCA100Gpus=(0, 0), SubscriptionConsumptionT4Gpus=(0, 5))
    code, (line,) = doctor(api, [job(), environment(A100), region, usages(), executions()], capsys)
    assert code == 1
    assert "none can start, ever" in line["found"]
    assert (
        "portal: Quotas, provider Azure Container Apps, SubscriptionConsumptionNCA100Gpus in region" in line["remedy"]
    )


def test_what_others_took_is_wrong_and_what_this_job_runs_is_not(
    api: JobsApi, capsys: pytest.CaptureFixture[str]
) -> None:
    region = usages(SubscriptionConsumptionT4Gpus=(2, 2))
    code, (line,) = doctor(api, [job(), environment(), region, usages(), executions("Succeeded")], capsys, 2)
    assert code == 1
    assert "none is left" in line["found"]
    code, (line,) = doctor(api, [job(), environment(), region, usages(), executions("Running", "Running")], capsys, 2)
    assert code == 0
    assert "2 are running: the next waits until one ends" in line["found"]


def test_fewer_at_once_than_wished_is_told_and_is_not_wrong(api: JobsApi, capsys: pytest.CaptureFixture[str]) -> None:
    region = usages(SubscriptionConsumptionT4Gpus=(0, 1))
    code, (line,) = doctor(api, [job(), environment(), region, usages(), executions()], capsys, max_parallel=3)
    assert code == 0
    assert "no more than 1 run at once, whatever MAX_PARALLEL_JOBS (3) says" in line["found"]


def test_a_machine_of_several_gpus_needs_them_all(api: JobsApi, capsys: pytest.CaptureFixture[str]) -> None:
    answers = [job(), environment("NC48-A100"), usages(SubscriptionNCA100Gpus=(0, 1)), executions()]
    code, (line,) = doctor(api, answers, capsys)
    assert code == 1
    assert "takes 2: none can start, ever" in line["found"]


def test_a_job_on_processors_is_held_against_the_cores_of_its_environment(
    api: JobsApi, capsys: pytest.CaptureFixture[str]
) -> None:
    cores = usages(ManagedEnvironmentConsumptionCores=(98, 100))
    answers = [job("Consumption", cpu=4.0), environment(), cores, executions()]
    code, (line,) = doctor(api, answers, capsys)
    assert code == 1
    assert (
        "98 of 100 cores in use (ManagedEnvironmentConsumptionCores), an execution on Consumption takes 4"
        in (line["found"])
    )
    assert "the page Quota of environment cae-dev" in line["remedy"]


@pytest.mark.parametrize(
    ("answers", "right"),
    [
        ([refusal(403, "AuthorizationFailed")], "Microsoft.App/jobs/read"),
        ([job(), refusal(403, "AuthorizationFailed")], "Microsoft.App/managedEnvironments/read"),
        (
            [job(), environment(), refusal(403, "AuthorizationFailed"), usages(), executions()],
            "Microsoft.App/locations/usages/read on the subscription (role Reader)",
        ),
        (
            [job(), environment(), usages(SubscriptionConsumptionT4Gpus=(0, 5)), refusal(403, "AuthorizationFailed"),
             executions()],
            "Microsoft.App/managedEnvironments/usages/read",
        ),
    ],
    ids=["job", "environment", "region's counters", "environment's counters"],
)  # fmt: skip
def test_what_may_not_be_read_names_the_right_and_is_no_failure(
    answers: list[Answer], right: str, api: JobsApi, capsys: pytest.CaptureFixture[str]
) -> None:
    code, lines = doctor(api, answers, capsys)
    assert code == 0
    (line,) = [line for line in lines if line["unknown"]]
    assert "AuthorizationFailed" in line["found"]
    assert right in line["remedy"]


@pytest.mark.parametrize(
    "answers",
    [
        [refusal(404, "ResourceNotFound")],
        [Answer(500)],
        [Answer(200, ["not", "an", "object"])],
        [Answer(200, {"name": "runner"})],
        [job(), Answer(200, {"name": "cae-dev"})],
        [job(), environment(), Answer(200, {"value": None}), Answer(200, ["odd"]), executions()],
        [job(), environment(), Answer(200, {"value": [{"name": None}, {"limit": 3}]}), usages(), Answer(500)],
        [job(), environment(), usages(), usages(), executions()],
    ],
    ids=["no job", "error", "odd body", "bare job", "bare environment", "odd lists", "odd counters", "no counter"],
)  # fmt: skip
def test_whatever_the_service_answers_doctor_ends_with_its_other_lines(
    answers: list[Answer], api: JobsApi, capsys: pytest.CaptureFixture[str]
) -> None:
    code, lines = doctor(api, answers, capsys)
    assert code == 0
    assert lines
    assert all(line["unknown"] or not line["remedy"] for line in lines)


def test_the_second_job_has_lines_of_its_own(api: JobsApi, capsys: pytest.CaptureFixture[str]) -> None:
    enough = usages(SubscriptionConsumptionT4Gpus=(0, 5), SubscriptionConsumptionNCA100Gpus=(0, 0))
    first = [job(), environment(), enough, usages(), executions()]
    second = [job(), environment(A100), enough, usages(), executions()]
    code, lines = doctor(api, [*first, *second], capsys, FALLBACK_JOB_NAME="second", FALLBACK_RESOURCE_GROUP="rg-2")
    assert code == 1
    assert [line["what"] for line in lines] == [
        "quota of job runner in region swedencentral", "quota of job second in region swedencentral",
    ]  # fmt: skip
    assert [bool(line["remedy"]) for line in lines] == [False, True]
    assert f"{SUBSCRIPTION}/resourceGroups/rg-2/providers/Microsoft.App/jobs/second" in {p for _, p, _ in api.requests}


def test_nobody_who_is_logged_in_is_one_line(
    api: JobsApi, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:  # fmt: skip
    """Over TLS somebody has to ask. Nobody is at hand here: no variables, no program, no folder of a login."""
    for name in [name for name in os.environ if name.startswith(("AZURE_", "IDENTITY_", "MSI_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    code, (line,) = doctor(api, [Answer(500)], capsys, ARM_ENDPOINT="https://127.0.0.1:1")
    assert code == 0
    assert line["unknown"]
    assert "reading job runner" in line["found"]
    assert not [record for record in caplog.records if record.name.startswith("azure.identity")]


def test_without_the_names_of_a_job_it_says_what_to_set(api: JobsApi, capsys: pytest.CaptureFixture[str]) -> None:
    code, (line,) = doctor(api, [Answer(500)], capsys, RUNNER_JOB_NAME="")
    assert code == 0
    assert line["found"] == "not looked at: RUNNER_JOB_NAME not set"
    assert api.requests == []


@pytest.mark.parametrize("place", ["folders", pytest.param("emulator", marks=pytest.mark.azurite)])
def test_on_folders_and_on_the_emulator_no_quota_is_asked_for(
    place: str, api: JobsApi, tmp_path: Path, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    env = {
        "AZURE_SUBSCRIPTION_ID": "s", "AZURE_RESOURCE_GROUP": "rg", "RUNNER_JOB_NAME": "runner",
        "ARM_ENDPOINT": api.url, "DATA_PATH": str(tmp_path),
    }  # fmt: skip
    if place == "emulator":
        storage: StorageSettings = request.getfixturevalue("storage")
        del env["DATA_PATH"]
        env |= {item.metadata["variable"]: str(getattr(storage, item.name)) for item in fields(storage)
                if getattr(storage, item.name) not in ("", False)}  # fmt: skip
    assert cli.main(["doctor"], env) == 0
    said = capsys.readouterr().out
    assert "all is right" in said
    assert "quota" not in said
    assert api.requests == []
