"""The scripts with stubs in the place of az and azd: what they call, what they say, and how they end.

Those of deploy/ have tests of their own too (test_aci.py, test_vm.py).
"""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import av
import pytest
from PIL import Image

from local.azurite import Azurite
from scenejobs.layout import MANIFEST
from scenejobs.model import JobMessage
from scenejobs.settings import StorageSettings
from tests.infra import bicep
from tests.infra.deployed import PARAMETERS, source
from tests.infra.scripted import FORBIDDEN, NOT_FOUND, ROOT, SIGNED_OUT, Bench, Ended

SCRIPTS = sorted(
    path.relative_to(ROOT).as_posix() for folder in ("scripts", "deploy") for path in (ROOT / folder).rglob("*.sh")
)
PROGRAMS = [name for name in SCRIPTS if not name.startswith("scripts/lib")]
ROWS = [line.split("\t") for line in (ROOT / "scripts/roles.tsv").read_text().splitlines() if line[:1] != "#"]
ROLES = [row for row in ROWS if not row[1].startswith("queue:uploads")]  # without UPLOADS_QUEUE


def option(call: list[str], name: str) -> str:
    return call[call.index(name) + 1]


# ---- all of them -----------------------------------------------------------------------------------------------------


def test_shellcheck_finds_nothing() -> None:
    files = [*SCRIPTS, "runner/image/build_kernels.sh", "runner/image/lock.sh"]
    tool = Path(sys.executable).with_name("shellcheck")
    done = subprocess.run(
        [tool, "-x", "-P", "SCRIPTDIR", *files], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("script", PROGRAMS)
def test_every_script_stops_at_errors_and_runs_no_text_as_code(script: str) -> None:
    text = (ROOT / script).read_text()
    assert "\nset -euo pipefail\n" in text
    assert not re.search(r"^\s*eval\b|\bbash -c\b|\bsh -c\b", text, re.MULTILINE)
    assert script.startswith("scripts/e2e") or re.search(
        r'^\. "\$here/(?:\.\./\.\./scripts/)?lib\.sh"$', text, re.MULTILINE
    )
    assert (ROOT / script).stat().st_mode & 0o111


@pytest.mark.parametrize("script", [name for name in PROGRAMS if "e2e" not in name])
def test_help_is_told_without_a_call_and_an_unknown_option_is_refused(script: str, bench: Bench) -> None:
    helped = bench.run(script, "--help")
    assert helped.code == 0
    assert script in helped.out
    assert bench.run(script, "--no-such-option").code == 2
    assert helped.calls == []


# ---- roles -----------------------------------------------------------------------------------------------------------


def test_every_role_is_assigned_to_its_principal_on_its_scope_and_no_other(provisioned: Bench) -> None:
    ended = provisioned.run("scripts/assign-rbac.sh")
    assert ended.code == 0, ended.err
    made = {
        (
            option(call, "--assignee-object-id")[-1],
            option(call, "--scope").split("/providers/")[1],
            option(call, "--role"),
        )
        for call in ended.called("role assignment create")
    }
    numbers = {"runner": "1", "dispatcher": "2", "deployer": "3", "events": "4"}
    account = "Microsoft.Storage/storageAccounts/stdev"
    places = {
        "registry": "Microsoft.ContainerRegistry/registries/crdev", "job": "Microsoft.App/jobs/job-dev",
        "host": "Microsoft.Storage/storageAccounts/sthost", "insights": "Microsoft.Insights/components/appi-dev",
    }  # fmt: skip

    def place(where: str) -> str:
        kind, _, name = where.partition(":")
        if kind == "container":
            return f"{account}/blobServices/default/containers/{name}"
        return f"{account}/queueServices/default/queues/{name}" if kind == "queue" else places[kind]

    assert made == {(numbers[who], place(where), role) for who, where, _, role, _ in ROLES}
    types = {option(call, "--assignee-principal-type") for call in ended.called("create .*000000000003")}
    assert types == {"User"}, "the deployer is a person unless AZURE_PRINCIPAL_TYPE says otherwise"


def test_what_is_assigned_already_stays(provisioned: Bench) -> None:
    provisioned.answer("role assignment list", "/an/assignment\n")
    ended = provisioned.run("scripts/assign-rbac.sh")
    assert ended.code == 0
    assert ended.called("role assignment (create|delete)") == []


def test_renamed_containers_and_queues_are_the_scopes(provisioned: Bench) -> None:
    provisioned.values |= {"AZURE_BLOB_CONTAINER_INPUT": "uploads", "JOBS_QUEUE": "work"}
    scopes = {option(call, "--scope") for call in provisioned.run("scripts/assign-rbac.sh").called("assignment create")}
    assert {scope.rsplit("/", 1)[1] for scope in scopes} >= {"uploads", "work", "work-poison", "debounce"}
    assert not {scope for scope in scopes if scope.endswith(("/input", "/jobs", "/jobs-poison"))}


def few(bench: Bench, rows: list[list[str]] = ROLES[:2]) -> None:
    """Two roles, so that a test of failures needs few calls."""
    table = bench.folder / "roles.tsv"
    table.write_text("".join("\t".join(row) + "\n" for row in rows))
    bench.env["ROLES_FILE"] = str(table)


def test_with_a_queue_of_events_its_roles_are_assigned_and_those_of_the_blob_trigger_only_removed(
    provisioned: Bench,
) -> None:
    few(provisioned, [row for row in ROWS if row[1].startswith(("queue:uploads", "queue:webjobs"))])
    provisioned.values["UPLOADS_QUEUE"] = "arrivals"
    ended = provisioned.run("scripts/assign-rbac.sh")
    assert ended.code == 0, ended.err
    scopes = [option(call, "--scope").rpartition("/")[2] for call in ended.called("assignment create")]
    assert sorted(scopes) == ["arrivals", "arrivals", "arrivals-poison"]
    ended = provisioned.run("scripts/cleanup-rbac.sh")
    assert "webjobs-blobtrigger-poison" in str(ended.called("assignment list")[-4:])


def test_a_principal_that_is_not_known_yet_is_tried_again(provisioned: Bench) -> None:
    few(provisioned)
    provisioned.answer("assignment create", err="ERROR: PrincipalNotFound: replication delay\n", code=1, times=2)
    ended = provisioned.run("scripts/assign-rbac.sh")
    assert ended.code == 0, ended.err
    assert len(ended.called("assignment create")) == 4


def test_without_the_right_to_assign_every_refusal_is_shown_and_the_code_is_2(provisioned: Bench) -> None:
    few(provisioned)
    provisioned.answer("assignment create", **FORBIDDEN)
    ended = provisioned.run("scripts/assign-rbac.sh")
    assert ended.code == 2
    assert ended.err.count("refused (403)") == 2
    assert len(ended.called("assignment create")) == 2, "a refusal is final"
    assert "Owner or User Access Administrator" in ended.err


@pytest.mark.parametrize(
    "script", ["assign-rbac.sh", "verify-rbac.sh", "cleanup-rbac.sh", "run-job.sh", "deploy-job.sh"]
)
def test_signed_out_says_what_to_run(script: str, provisioned: Bench) -> None:
    provisioned.answers = [{"call": "^az ", "out": "", **SIGNED_OUT}]
    ended = provisioned.run(f"scripts/{script}")
    assert ended.code == 2
    assert "az login" in ended.err


def test_a_call_that_hangs_is_ended_and_named(provisioned: Bench) -> None:
    provisioned.answers.insert(0, {"call": "storage account show", "sleep_s": 30})
    provisioned.env["AZ_TIMEOUT_S"] = "1"
    ended = provisioned.run("scripts/verify-rbac.sh")
    assert ended.code == 3
    assert "az storage account did not answer within 1 s" in ended.err


def test_before_provisioning_the_missing_value_is_named(bench: Bench) -> None:
    ended = bench.run("scripts/assign-rbac.sh")
    assert (ended.code, ended.called("^az ")) == (2, [])
    assert "AZURE_RESOURCE_GROUP is not set" in ended.err


def test_verify_prints_a_line_per_role_and_fails_for_one_that_is_missing(provisioned: Bench) -> None:
    provisioned.answer("assignment list .*7f951dda-4ed3-4680-a7ca-43fe172d538d", "")
    provisioned.answer("assignment list", "/an/assignment\n")
    ended = provisioned.run("scripts/verify-rbac.sh")
    assert ended.code == 1
    lines = [line for line in ended.out.splitlines() if line.startswith("  ")]
    assert len(lines) == len(ROLES)
    assert [line for line in lines if "MISSING" in line] == ["  ❌ runner: AcrPull on registry - MISSING"]
    assert ended.called("assignment (create|delete)") == []


def test_verify_is_content_when_all_are_there(provisioned: Bench) -> None:
    few(provisioned)
    provisioned.answer("assignment list", "/an/assignment\n")
    assert provisioned.run("scripts/verify-rbac.sh").code == 0


def test_a_look_that_is_refused_is_not_a_missing_role(provisioned: Bench) -> None:
    few(provisioned)
    provisioned.answer("assignment list", **FORBIDDEN)
    ended = provisioned.run("scripts/verify-rbac.sh")
    assert ended.code == 2
    assert "MISSING" not in ended.out


def test_cleanup_deletes_exactly_the_assignments_it_found(provisioned: Bench) -> None:
    few(provisioned)
    provisioned.answer("assignment list .*7f951dda", "/one\n/two\n")
    ended = provisioned.run("scripts/cleanup-rbac.sh")
    assert ended.code == 0
    assert [option(call, "--ids") for call in ended.called("assignment delete")] == ["/one", "/two"]
    for call in ended.called("assignment list"):
        assert "--include-inherited" not in call, "inherited assignments belong to somebody else"
        assert option(call, "--query") == "[].id", "az compares scopes whatever their case; a query cannot"


def test_cleanup_goes_on_where_resources_are_gone_already(provisioned: Bench) -> None:
    """A teardown that stopped in the middle is run again."""
    few(provisioned, [row for row in ROWS if row[1] in ("registry", "job", "insights", "container:input")])
    provisioned.answers.insert(0, {"call": "containerapp job show|resource show", "out": "", **NOT_FOUND})
    provisioned.answer("assignment list", "/one\n")
    ended = provisioned.run("scripts/cleanup-rbac.sh")
    assert ended.code == 0, ended.err
    scopes = {option(call, "--scope").rpartition("/")[2] for call in ended.called("assignment list")}
    assert scopes == {"crdev", "input"}
    provisioned.answers.insert(0, {"call": "acr show", "out": "", **FORBIDDEN})
    assert provisioned.run("scripts/cleanup-rbac.sh").code == 2


@pytest.mark.parametrize("script", ["assign-rbac.sh", "verify-rbac.sh"])
def test_to_give_and_to_check_roles_every_resource_must_be_there(script: str, provisioned: Bench) -> None:
    provisioned.answers.insert(0, {"call": "containerapp job show", "out": "", **NOT_FOUND})
    assert provisioned.run(f"scripts/{script}").code == 1


def test_a_role_by_way_of_a_group_or_a_parent_counts_when_roles_are_verified(provisioned: Bench) -> None:
    few(provisioned)
    (first, *_) = provisioned.run("scripts/verify-rbac.sh").called("assignment list")
    assert {"--include-inherited", "--include-groups"} <= set(first)


def test_bicep_assigns_the_same_roles_for_the_values_of_the_deployment(provisioned: Bench) -> None:
    """The call works the role module out: nothing is missing, nothing unknown, and as many roles as the table has."""
    provisioned.values |= {"STORAGE_RESOURCE_GROUP": "rg-shared", "AZURE_BLOB_CONTAINER_INPUT": "uploads"}
    ended = provisioned.run("scripts/assign-rbac.sh", "--use-bicep")
    assert ended.code == 0, ended.err
    (call,) = ended.called("deployment group create")
    given = dict(item.split("=", 1) for item in call[call.index("--parameters") + 1 :] if re.match(r"\w+=", item))
    found = bicep.deploy(Path(option(call, "--template-file")), given, option(call, "--resource-group"))
    made = found.of("Microsoft.Authorization/roleAssignments")
    assert len(made) == len(ROLES)
    scopes = {item.body["scope"].id for item in made}
    assert any(scope.endswith("/containers/uploads") and "/resourceGroups/rg-shared/" in scope for scope in scopes)


# ---- running and deploying -------------------------------------------------------------------------------------------


def started(bench: Bench, *states: str) -> Bench:
    bench.answer("job start", "job-dev-abc\n")
    for state in states[:-1]:
        bench.answer("job execution show", f"{state}\n", times=1)
    bench.answer("job execution show", f"{states[-1]}\n")
    return bench


@pytest.mark.parametrize(
    ("states", "code"),
    [
        (["Processing", "Running", "Succeeded"], 0),
        (["Running", "Failed"], 1),
        (["Unknown", "Stopped"], 1),
        (["Degraded"], 1),
        (["Brandnew", "Succeeded"], 0),
    ],
)
def test_waiting_ends_with_the_executions_own_end(states: list[str], code: int, provisioned: Bench) -> None:
    ended = started(provisioned, *states).run("scripts/run-job.sh", "--wait")
    assert ended.code == code, ended.err
    assert len(ended.called("execution show")) == len(states)
    assert ended.called("job update") == []


def test_one_failed_look_does_not_end_the_waiting(provisioned: Bench) -> None:
    provisioned.answer("job execution show", err="ERROR: connection reset\n", code=1, times=2)
    assert started(provisioned, "Succeeded").run("scripts/run-job.sh", "--wait").code == 0


def test_a_wait_has_an_end(provisioned: Bench) -> None:
    ended = started(provisioned, "Running").run("scripts/run-job.sh", "--wait", "--timeout", "0")
    assert ended.code == 3
    assert "still 'Running'" in ended.err


def test_a_scene_goes_by_a_message_that_the_runner_reads(provisioned: Bench) -> None:
    ended = started(provisioned, "Succeeded").run("scripts/run-job.sh", "--scene", "lobby/", "--logs")
    assert ended.code == 0, ended.err
    (put,) = ended.called("storage message put")
    assert JobMessage.from_json(option(put, "--content")).scene == "lobby"
    assert (option(put, "--queue-name"), option(put, "--time-to-live")) == ("jobs", "-1")
    assert ended.calls.index(put) < ended.calls.index(ended.called("job start")[0])
    assert option(ended.called("logs show")[0], "--execution") == "job-dev-abc"


@pytest.mark.parametrize("scene", ['a","scene":"b', "../x", "/x", "a b", "a//b"])
def test_a_scene_that_is_no_name_is_refused(scene: str, provisioned: Bench) -> None:
    ended = provisioned.run("scripts/run-job.sh", "--scene", scene)
    assert (ended.code, ended.calls) == (2, [])


def test_a_new_image_is_given_by_digest_and_remembered(provisioned: Bench) -> None:
    digest = "sha256:" + "a" * 64
    provisioned.answer("acr repository show ", f"{digest}\n")
    ended = provisioned.run("scripts/deploy-job.sh", "--tag", "v1")
    assert ended.code == 0, ended.err
    (build,) = ended.called("acr build")
    assert (option(build, "--target"), option(build, "--image")) == ("gpu", "runner:v1")
    image = f"crdev.azurecr.io/runner@{digest}"
    assert option(ended.called("job update")[0], "--image") == image
    assert ended.called("azd env set") == [["azd", "env", "set", "SERVICE_RUNNER_IMAGE_NAME", image]]


def test_a_failed_build_changes_nothing(provisioned: Bench) -> None:
    provisioned.answer("acr build", err="ERROR: step 9 failed\n", code=1)
    ended = provisioned.run("scripts/deploy-job.sh")
    assert ended.code == 3
    assert "step 9 failed" in ended.err
    assert ended.called("job update|azd env set") == []


def test_without_a_build_the_newest_image_is_taken_and_none_is_an_error(provisioned: Bench) -> None:
    assert provisioned.run("scripts/deploy-job.sh", "--skip-build").code == 1
    provisioned.answer("show-tags", "v7\n")
    provisioned.answer("acr repository show ", "sha256:" + "b" * 64 + "\n")
    ended = provisioned.run("scripts/deploy-job.sh", "--skip-build")
    assert ended.code == 0, ended.err
    assert ended.called("acr build") == []
    assert "runner:v7" in option(ended.called("repository show ")[-1], "--image")


# ---- reuse of what exists --------------------------------------------------------------------------------------------

ACCOUNT = "/subscriptions/s/resourceGroups/rg-shared/providers/Microsoft.Storage/storageAccounts/stteam"
TOPIC = f"{ACCOUNT.lower()}\tRG-Shared\tevgt-team\tSystemAssigned\n"  # as Azure writes ids: now so, now so
PROFILES = "Consumption\tConsumption\ngpu-t4\tConsumption-GPU-NC8as-T4\n"


@pytest.fixture
def shared(bench: Bench) -> Bench:
    """A subscription with a group that has everything."""
    bench.answer("account show --query name", "sub\n")
    bench.answer("group list", "rg-a\nrg-shared\n")
    bench.answer("group show", "swedencentral\n")
    bench.answer("acr list", "crteam\n")
    bench.answer("storage account list", "stteam\n")
    bench.answer("storage account show .*--query id", f"{ACCOUNT}\n")
    bench.answer("storage account show .*primaryLocation", "swedencentral\n")
    bench.answer("system-topic list", f"/another/account\trg-shared\tevgt-other\tNone\n{TOPIC}")
    bench.answer("containerapp env list", "cae\n")
    bench.answer("container list", "".join(f"{name}\n" for name in CONTAINERS))
    bench.answer("env show .*workloadProfiles", PROFILES)
    bench.answer("env show", "Sweden Central\n")
    return bench


CONTAINERS = [getattr(StorageSettings(), kind) for kind in ("input", "output", "processed", "error", "state")]
BY_FLAGS = ["--resource-group", "rg-shared", "--acr", "crteam", "--storage", "stteam", "--environment", "cae"]
WIZARD = "scripts/configure-existing-resources.sh"
CHOSEN = {
    "EXISTING_RESOURCE_GROUP": "rg-shared", "EXISTING_RESOURCES_GROUP": "", "EXISTING_ACR_NAME": "crteam",
    "EXISTING_STORAGE_ACCOUNT_NAME": "stteam", "EXISTING_STORAGE_LOCATION": "",
    "EXISTING_EVENT_GRID_TOPIC_NAME": "evgt-team", "EXISTING_CONTAINER_APPS_ENV_NAME": "cae",
    "EXISTING_LOG_ANALYTICS_NAME": "", "GPU_PROFILE_NAME": "gpu-t4", "AZURE_LOCATION": "swedencentral",
}  # fmt: skip


def chosen(ended: Ended) -> dict[str, str]:
    return {call[3]: call[4] for call in ended.called("azd env set")}


@pytest.mark.parametrize("named", [[], ["--event-grid-topic", "evgt-team", "--gpu-profile", "gpu-t4"]])
def test_flags_choose_what_is_named_and_find_what_there_is_one_of(named: list[str], shared: Bench) -> None:
    ended = shared.run(WIZARD, *BY_FLAGS, *named)
    assert ended.code == 0, ended.err
    assert chosen(ended) == CHOSEN
    assert "system topic evgt-team" in ended.out


def test_answers_choose_the_same(shared: Bench) -> None:
    shared.stdin, shared.env["ANSWERS_FROM_STDIN"] = "9\n2\n\n1\n1\n1\n", "1"
    ended = shared.run(WIZARD)
    assert ended.code == 0, ended.err
    assert chosen(ended) == CHOSEN


@pytest.mark.parametrize("how", ["flags", "answers"])
def test_ours_can_have_a_group_of_its_own(how: str, shared: Bench) -> None:
    """New ones go into a new group; reused ones are looked for, and later addressed, in theirs."""
    flags = ["--resources-group", "rg-shared", "--acr", "crteam", "--storage", "stteam"]
    shared.stdin, shared.env["ANSWERS_FROM_STDIN"] = "\n2\n1\n1\n\n\n", "1"
    ended = shared.run(WIZARD, *(flags if how == "flags" else []))
    assert ended.code == 0, ended.err
    assert chosen(ended) == CHOSEN | {
        "EXISTING_RESOURCE_GROUP": "", "EXISTING_RESOURCES_GROUP": "rg-shared", "GPU_PROFILE_NAME": "",
        "EXISTING_CONTAINER_APPS_ENV_NAME": "",
    }  # fmt: skip
    looked = [option(call, "--resource-group") for call in ended.calls if "--resource-group" in call]
    assert set(looked) == {"rg-shared"}


def test_the_region_of_an_account_elsewhere_is_remembered_because_its_events_are_raised_there(shared: Bench) -> None:
    shared.answers.insert(0, {"call": "primaryLocation", "out": "North Europe\n"})
    assert chosen(shared.run(WIZARD, *BY_FLAGS))["EXISTING_STORAGE_LOCATION"] == "northeurope"


def test_an_account_without_a_topic_gets_a_new_one(shared: Bench) -> None:
    shared.answers.insert(0, {"call": "system-topic list", "out": ""})
    assert chosen(shared.run(WIZARD, *BY_FLAGS))["EXISTING_EVENT_GRID_TOPIC_NAME"] == ""


@pytest.mark.parametrize(
    ("answers", "flags", "profile"),
    [("2\n", [], "gpu-b"), ("\n", [], "gpu-a"), ("", ["--gpu-profile", "gpu-b"], "gpu-b"), ("", [], None)],
)
def test_of_several_gpu_profiles_somebody_chooses(
    answers: str, flags: list[str], profile: str | None, shared: Bench
) -> None:
    kind = "Consumption-GPU-NC8as-T4"
    shared.answers.insert(0, {"call": "workloadProfiles", "out": f"gpu-a\t{kind}\ngpu-b\t{kind}\n"})
    if answers:
        shared.stdin, shared.env["ANSWERS_FROM_STDIN"] = f"2\n\n1\n1\n1\n{answers}", "1"
    ended = shared.run(WIZARD, *([] if answers else [*BY_FLAGS, *flags]))
    if profile is None:
        assert (ended.code, chosen(ended)) == (2, {})
        assert "choose with --gpu-profile" in ended.err
    else:
        assert chosen(ended)["GPU_PROFILE_NAME"] == profile, ended.err


def test_without_a_terminal_and_flags_nothing_is_asked(shared: Bench) -> None:
    ended = shared.run(WIZARD)
    assert (ended.code, chosen(ended)) == (2, {})


@pytest.mark.parametrize(
    ("call", "out", "flags", "words"),
    [
        ("container list", "input\noutput\nerror\n", [], "lacks the containers: processed state"),
        ("workloadProfiles", "Consumption\tConsumption\n", [], "no workload profile of type Consumption-GPU-NC8as-T4"),
        (
            "workloadProfiles",
            PROFILES,
            ["--gpu-profile", "a100"],
            "has no profile a100 of type Consumption-GPU-NC8as-T4",
        ),
        ("env show .*query location", "Norway East\n", [], "not offered in norwayeast"),
        ("system-topic list", TOPIC, ["--event-grid-topic", "mine"], "has the system topic evgt-team, not mine"),
        ("system-topic list", "", ["--event-grid-topic", "mine"], "not mine"),
        ("system-topic list", TOPIC.replace("SystemAssigned", "None"), [], "update --resource-group RG-Shared"),
        ("system-topic list", TOPIC.replace("RG-Shared", "rg-other"), [], "is in group rg-other, not in rg-shared"),
    ],
)
def test_what_does_not_fit_is_named_and_nothing_is_set(
    call: str, out: str, flags: list[str], words: str, shared: Bench
) -> None:
    shared.answers.insert(0, {"call": call, "out": out})
    ended = shared.run(WIZARD, *BY_FLAGS, *flags)
    assert ended.code == 1
    assert words in ended.err
    assert (chosen(ended), ended.called("create|update")) == ({}, [])


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--acr", "crteam"], "looked for in --resource-group or --resources-group"),
        (["--resource-group", "rg-shared", "--event-grid-topic", "x"], "name it with --storage"),
    ],
)
def test_what_belongs_to_something_that_is_not_named_is_refused(flags: list[str], words: str, shared: Bench) -> None:
    ended = shared.run(WIZARD, *flags)
    assert (ended.code, chosen(ended)) == (2, {})
    assert words in ended.err


@pytest.mark.parametrize("call", ["system-topic list", "workloadProfiles", "primaryLocation", "container list"])
def test_a_look_that_is_refused_sets_nothing(call: str, shared: Bench) -> None:
    shared.answers.insert(0, {"call": call, "out": "", **FORBIDDEN})
    ended = shared.run(WIZARD, *BY_FLAGS)
    assert (ended.code, chosen(ended)) == (2, {})


def test_missing_containers_are_made_when_asked_and_all_else_fits(shared: Bench) -> None:
    shared.answers.insert(0, {"call": "container list", "out": "input\noutput\nerror\n"})
    ended = shared.run(WIZARD, *BY_FLAGS, "--create-containers")
    assert ended.code == 0, ended.err
    assert [option(call, "--name") for call in ended.called("container create")] == ["processed", "state"]
    shared.answers.insert(0, {"call": "workloadProfiles", "out": ""})
    (shared.folder / "calls").unlink()
    assert shared.run(WIZARD, *BY_FLAGS, "--create-containers").called("container create") == []


def test_containers_with_other_names_are_looked_for_under_these(shared: Bench) -> None:
    shared.values["AZURE_BLOB_CONTAINER_INPUT"] = "arrivals"
    ended = shared.run(WIZARD, *BY_FLAGS)
    assert ended.code == 1
    assert "lacks the containers: arrivals;" in ended.err


def test_a_resource_that_is_not_there_is_named(shared: Bench) -> None:
    shared.answers.insert(0, {"call": "acr show", "out": "", **NOT_FOUND})
    ended = shared.run(WIZARD, *BY_FLAGS)
    assert ended.code == 1
    assert "az acr show: not found" in ended.err
    assert chosen(ended) == {}


def test_reset_clears_every_choice(bench: Bench) -> None:
    ended = bench.run(WIZARD, "--reset")
    assert ended.code == 0
    assert chosen(ended) == dict.fromkeys([*(set(CHOSEN) - {"AZURE_LOCATION"}), "FORCE_DELETE"], "")
    existing = {source(name)[0] for name in PARAMETERS if name.startswith("existing")}
    assert existing <= chosen(ended).keys(), "every one that the templates know"


# ---- taking down -----------------------------------------------------------------------------------------------------


def test_a_group_of_ours_goes_with_azd_after_the_roles(provisioned: Bench) -> None:
    few(provisioned)
    provisioned.answer("assignment list", "/one\n")
    ended = provisioned.run("scripts/teardown.sh", "--yes")
    assert ended.code == 0, ended.err
    assert ended.calls[-1] == ["azd", "down", "--purge", "--force"]
    assert len(ended.called("assignment delete")) == 2
    assert ended.called("eventgrid") == []


def test_nothing_goes_unconfirmed_or_when_the_roles_cannot_be_removed(provisioned: Bench) -> None:
    few(provisioned)
    assert provisioned.run("scripts/teardown.sh").code == 2
    provisioned.answer("assignment list", "/one\n")
    provisioned.answer("assignment delete", **FORBIDDEN)
    ended = provisioned.run("scripts/teardown.sh", "--yes")
    assert ended.code == 2
    assert ended.called("azd down|resource delete|group delete") == []


@pytest.fixture
def in_shared_group(provisioned: Bench) -> Bench:
    """Deployed into a group of somebody else."""
    provisioned.values |= {"EXISTING_RESOURCE_GROUP": "rg-shared", "AZURE_RESOURCE_GROUP": "rg-shared"}
    return provisioned


def test_in_a_shared_group_only_what_is_tagged_goes(in_shared_group: Bench) -> None:
    in_shared_group.answer("resource list .*--tag", "/x/identity\n/x/job\n")
    in_shared_group.answer("group show", "None\n")
    in_shared_group.answer("resource delete .*identity", err="ERROR: in use\n", code=1, times=1)
    ended = in_shared_group.run("scripts/teardown.sh", "--yes", "--keep-rbac")
    assert ended.code == 0, ended.err
    assert [option(call, "--ids") for call in ended.called("resource delete")] == [
        "/x/identity",
        "/x/job",
        "/x/identity",
    ]
    assert option(ended.called("resource list")[0], "--tag") == "azd-env-name=dev"
    assert ended.called("azd down|group delete") == []


@pytest.mark.parametrize(
    "values",
    [{"EXISTING_ACR_NAME": "crteam", "EXISTING_RESOURCES_GROUP": "rg-team"}, {"REUSED_RESOURCES": "  crteam "}],
    ids=["chosen", "of the last provisioning"],
)
def test_with_anything_reused_azd_down_is_never_called_and_the_group_of_ours_goes_when_it_is_empty(
    values: dict[str, str], provisioned: Bench
) -> None:
    """azd down deletes every group that the deployment touched, and its guard would refuse it anyhow."""
    provisioned.values |= values
    provisioned.answer("resource list .*--tag", "/x/job\n", times=1)
    provisioned.answer("group show", "dev\n")
    ended = provisioned.run("scripts/teardown.sh", "--yes", "--keep-rbac")
    assert ended.code == 0, ended.err
    assert [option(call, "--ids") for call in ended.called("resource delete")] == ["/x/job"]
    assert ended.calls[-1][:6] == ["az", "group", "delete", "--name", "rg-dev", "--yes"]
    assert ended.called("azd down") == []


@pytest.mark.parametrize(("tag", "rest"), [("None\n", ""), ("prod\n", ""), ("dev\n", "/x/somebody-elses\n")])
def test_a_group_that_is_not_ours_or_not_empty_stays(tag: str, rest: str, provisioned: Bench) -> None:
    provisioned.values["EXISTING_ACR_NAME"] = "crteam"
    provisioned.answer("resource list .*--tag", "/x/job\n")
    provisioned.answer("resource list", rest)
    provisioned.answer("group show", tag)
    ended = provisioned.run("scripts/teardown.sh", "--yes", "--keep-rbac")
    assert ended.code == 0, ended.err
    assert ended.called("group delete") == []


SUBSCRIBED = {
    "EXISTING_EVENT_GRID_TOPIC_NAME": "evgt-team", "EVENT_GRID_TOPIC_NAME": "evgt-team",
    "EVENT_GRID_TOPIC_RESOURCE_GROUP": "rg-team", "EVENT_GRID_SUBSCRIPTION_NAME": "uploads-dev-x",
}  # fmt: skip


def test_our_subscription_goes_from_a_reused_topic_and_nothing_else_of_it(in_shared_group: Bench) -> None:
    in_shared_group.values |= SUBSCRIBED
    in_shared_group.answer("event-subscription list", "theirs\nuploads-dev-x\n")
    in_shared_group.answer("resource list .*--tag", "/x/job\n")
    ended = in_shared_group.run("scripts/teardown.sh", "--yes", "--keep-rbac")
    assert ended.code == 0, ended.err
    first, second = ended.called("^az .* delete")
    assert first[1:5] == ["eventgrid", "system-topic", "event-subscription", "delete"]
    assert (option(first, "--name"), option(first, "--system-topic-name"), option(first, "--resource-group")) == (
        "uploads-dev-x",
        "evgt-team",
        "rg-team",
    )
    assert option(second, "--ids") == "/x/job"


def test_it_goes_even_when_everything_else_is_gone_already(in_shared_group: Bench) -> None:
    in_shared_group.values |= SUBSCRIBED
    in_shared_group.answer("event-subscription list", "uploads-dev-x\n")
    ended = in_shared_group.run("scripts/teardown.sh", "--yes", "--keep-rbac")
    assert ended.code == 0, ended.err
    assert len(ended.called("event-subscription delete")) == 1


@pytest.mark.parametrize("call", ["event-subscription list", "event-subscription delete"])
def test_when_it_cannot_be_removed_nothing_is(call: str, in_shared_group: Bench) -> None:
    in_shared_group.values |= SUBSCRIBED
    in_shared_group.answer(call, **FORBIDDEN)
    in_shared_group.answer("event-subscription list", "uploads-dev-x\n")
    in_shared_group.answer("resource list .*--tag", "/x/job\n")
    ended = in_shared_group.run("scripts/teardown.sh", "--yes", "--keep-rbac")
    assert ended.code == 2
    assert ended.called("resource delete|assignment delete|azd down|group delete") == []


@pytest.mark.parametrize("values", [{"EXISTING_ACR_NAME": "crteam"}, {"REUSED_RESOURCES": " crteam"}])
def test_an_existing_resource_is_never_deleted_even_if_it_is_tagged(
    values: dict[str, str], in_shared_group: Bench
) -> None:
    in_shared_group.values |= values
    in_shared_group.answer("resource list", "/x/job\n/y/crteam\n")
    ended = in_shared_group.run("scripts/teardown.sh", "--yes", "--keep-rbac")
    assert ended.code == 2
    assert ended.called("delete") == []


# ---- a trial account -------------------------------------------------------------------------------------------------


def test_setup_makes_an_account_without_keys_and_writes_no_secret(bench: Bench) -> None:
    bench.answer("account show --query id", "sub-id\n")
    bench.answer("group exists", "false\n")
    bench.answer("storage account show", "/the/account\n")
    bench.answer("signed-in-user", "me\n")
    bench.answer("container create", times=2, **FORBIDDEN)  # the roles are not known everywhere yet
    ended = bench.run("scripts/azure-setup.sh", "--account", "sttry")
    assert ended.code == 0, ended.err
    (made,) = ended.called("storage account create")
    assert (option(made, "--allow-shared-key-access"), option(made, "--allow-blob-public-access")) == ("false", "false")
    config = bench.folder / "azure-test-config.env"
    assert config.stat().st_mode & 0o777 == 0o600
    assert "AZURE_STORAGE_ACCOUNT=sttry" in config.read_text()
    assert not re.search("key|sas|secret=", config.read_text(), re.IGNORECASE)


def test_somebody_elses_group_is_neither_taken_nor_deleted(bench: Bench) -> None:
    bench.answer("group exists", "true\n")
    assert bench.run("scripts/azure-setup.sh").code == 2
    (bench.folder / "azure-test-config.env").write_text(
        "AZURE_STORAGE_ACCOUNT=x\nTEST_RESOURCE_GROUP=rg\nTEST_SUBSCRIPTION=s\n"
    )
    ended = bench.run("scripts/azure-cleanup.sh", "--delete-all", "--yes")
    assert ended.code == 2
    assert ended.called("group (create|delete)|account create") == []
    bench.answer("group show", "azure-setup.sh\n")
    assert bench.run("scripts/azure-cleanup.sh", "--delete-all", "--yes").code == 0
    assert not (bench.folder / "azure-test-config.env").exists()


def test_test_data_that_cannot_be_fetched_is_an_error_with_its_cause(bench: Bench) -> None:
    bench.answer("^curl", err="curl: (22) The requested URL returned error: 404\n", code=22)
    ended = bench.run("scripts/upload-testdata.sh", "--download-only", "--dir", str(bench.folder / "data"))
    assert ended.code == 3
    assert "404" in ended.err
    assert not (bench.folder / "data/photos.zip").exists()


def test_test_data_goes_to_the_prefix(provisioned: Bench) -> None:
    clips = provisioned.folder / "data/clips"
    clips.mkdir(parents=True)
    (clips / "complete").touch()
    ended = provisioned.run(
        "scripts/upload-testdata.sh", "--prefix", "hall/", "--dir", str(provisioned.folder / "data")
    )
    assert ended.code == 0, ended.err
    (upload,) = ended.called("upload-batch")
    assert (option(upload, "--destination"), option(upload, "--destination-path")) == ("input", "hall")


# ---- what only the real az can say, kept -----------------------------------------------------------------------------


def test_the_answer_of_the_real_az_is_kept_for_a_version() -> None:
    table = json.loads(Path(__file__).with_name("az_commands.json").read_text())
    assert re.match(r"\d+\.\d+", table["azure-cli"])
    assert "--assignee-object-id" in table["commands"]["role assignment create"]
    assert MANIFEST in (ROOT / "scripts/azure-test.sh").read_text()


def test_photos_become_clips_that_show_every_one(bench: Bench) -> None:
    with zipfile.ZipFile(bench.folder / "photos.zip", "w") as archive:
        for number in range(7):
            picture = io.BytesIO()
            Image.new("RGB", (65, 49), (number * 30, 0, 0)).save(picture, "JPEG", quality=95)
            archive.writestr(f"south/images/P{number}.JPG", picture.getvalue())
        archive.writestr("__MACOSX/._P0.JPG", b"no picture")
    arguments = ("--download-only", "--archive", "photos.zip", "--dir", str(bench.folder / "data"))
    for _ in range(2):  # the second finds them
        ended = bench.run("scripts/e2e/01-download-testdata.sh", *arguments[1:])
        assert ended.code == 0, ended.err
    reds = []
    for clip in sorted((bench.folder / "data/clips").glob("*.mp4")):
        with av.open(str(clip)) as container:
            reds.append(
                [round(frame.to_ndarray(format="rgb24")[..., 0].mean() / 30) for frame in container.decode(video=0)]
            )
    assert [sorted(set(clip)) for clip in reds] == [[0, 1], [2, 3, 4], [5, 6]]


@pytest.mark.azurite
def test_the_trial_runs_a_whole_scene_through_a_storage_account(
    azurite: Azurite, storage: StorageSettings, bench: Bench
) -> None:
    """With the mock backend; everything else is real: upload, runner, commit, publishing, download, hashes."""
    video = bench.folder / "view1.mp4"
    video.write_bytes(b"any bytes do for the mock")
    bench.env |= {"AZURE_STORAGE_CONNECTION_STRING": azurite.connection_string, "BACKEND": "mock"}
    for kind in ("input", "output", "processed", "error", "state"):
        bench.env[f"AZURE_BLOB_CONTAINER_{kind.upper()}"] = getattr(storage, kind)
    ended = bench.run("scripts/azure-test.sh", "--scene", "lobby", "view1.mp4")
    assert ended.code == 0, ended.err
    assert "went through" in ended.out
    assert ended.calls == []


@pytest.mark.parametrize(
    "name", ["assign-rbac", "verify-rbac", "cleanup-rbac", "run-job", "deploy-job", "upload-testdata"]
)
def test_the_guides_own_paths_lead_to_the_scripts(name: str, provisioned: Bench) -> None:
    link = ROOT / "infra/scripts" / f"{name}.sh"
    assert link.resolve() == ROOT / "scripts" / f"{name}.sh"
    assert provisioned.run(f"infra/scripts/{name}.sh", "--help").code == 0
