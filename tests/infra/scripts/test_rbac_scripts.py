"""assign-rbac.sh, verify-rbac.sh and cleanup-rbac.sh: what they give, look for and take, and how they end."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.infra.scripts.scripted import FORBIDDEN, NOT_FOUND, ROLES, ROWS, Bench, few, option
from tests.infra.templates import bicep


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
    assert types == {"User"}, "the deployer is a person unless DEPLOYER_PRINCIPAL_TYPE says otherwise"


def test_operators_get_what_audit_redrive_cancel_and_delete_need(provisioned: Bench) -> None:
    few(provisioned, [row for row in ROWS if row[0] == "operators"])
    provisioned.values["OPERATORS_PRINCIPAL_ID"] = "11111111-0000-0000-0000-000000000005"
    calls = provisioned.run("scripts/assign-rbac.sh").called("assignment create")
    assert {option(call, "--assignee-principal-type") for call in calls} == {"Group"}
    scopes = {option(call, "--scope").rpartition("/")[2] for call in calls}
    assert scopes >= {"input", "output", "processed", "error", "state", "jobs", "jobs-poison", "debounce", "job-dev"}


def test_the_identity_of_the_page_gets_its_roles_where_there_is_one(provisioned: Bench) -> None:
    few(provisioned, [row for row in ROWS if row[0] == "web"])
    assert provisioned.run("scripts/assign-rbac.sh").called("assignment create") == []
    provisioned.values["WEB_PRINCIPAL_ID"] = "11111111-0000-0000-0000-000000000006"
    calls = provisioned.run("scripts/assign-rbac.sh").called("assignment create")
    assert {option(call, "--assignee-principal-type") for call in calls} == {"ServicePrincipal"}
    scopes = {option(call, "--scope").rpartition("/")[2] for call in calls}
    assert scopes == {"stdev", "input", "output", "processed", "error", "state", "debounce"}


def test_an_environment_of_before_keeps_its_deployer(provisioned: Bench) -> None:
    """It knows AZURE_PRINCIPAL_ID only, which azd writes over at every provisioning."""
    few(provisioned, [row for row in ROWS if row[0] == "deployer"])
    provisioned.values["AZURE_PRINCIPAL_ID"] = provisioned.values.pop("DEPLOYER_PRINCIPAL_ID")
    calls = provisioned.run("scripts/assign-rbac.sh").called("assignment create")
    assert {option(call, "--assignee-object-id")[-1] for call in calls} == {"3"}


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


def test_with_a_queue_of_events_its_roles_are_assigned_and_those_of_the_blob_trigger_only_removed(
    provisioned: Bench,
) -> None:
    few(provisioned, [row for row in ROWS if row[1].startswith(("queue:uploads", "queue:webjobs"))])
    provisioned.values["UPLOADS_QUEUE"] = "arrivals"
    ended = provisioned.run("scripts/assign-rbac.sh")
    assert ended.code == 0, ended.err
    scopes = [option(call, "--scope").rpartition("/")[2] for call in ended.called("assignment create")]
    assert sorted(scopes) == ["arrivals", "arrivals", "arrivals-poison"]
    ended = provisioned.run("scripts/cleanup-rbac.sh", "--yes")
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
    ended = provisioned.run("scripts/cleanup-rbac.sh", "--yes")
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
    ended = provisioned.run("scripts/cleanup-rbac.sh", "--yes")
    assert ended.code == 0, ended.err
    scopes = {option(call, "--scope").rpartition("/")[2] for call in ended.called("assignment list")}
    assert scopes == {"crdev", "input"}
    provisioned.answers.insert(0, {"call": "acr show", "out": "", **FORBIDDEN})
    assert provisioned.run("scripts/cleanup-rbac.sh", "--yes").code == 2


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


def test_what_is_removed_is_listed_and_asked_first(provisioned: Bench) -> None:
    few(provisioned)
    provisioned.answer("assignment list", "/one\n")
    ended = provisioned.run("scripts/cleanup-rbac.sh")
    assert ended.code == 2, "nobody can be asked"
    assert all(f"{who}: {role} on {where}" in ended.out for who, where, role, *_ in ROLES[:2])
    provisioned.env["ANSWERS_FROM_STDIN"], provisioned.stdin = "1", "n\n"
    ended = provisioned.run("scripts/cleanup-rbac.sh")
    assert ended.called("assignment delete") == []
    provisioned.stdin = "y\n"
    assert provisioned.run("scripts/cleanup-rbac.sh").called("assignment delete") != []


def test_without_any_role_left_nothing_is_asked(provisioned: Bench) -> None:
    few(provisioned)
    ended = provisioned.run("scripts/cleanup-rbac.sh")
    assert ended.code == 0, ended.err
