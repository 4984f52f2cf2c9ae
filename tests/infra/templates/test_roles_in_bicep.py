"""Who may do what in Azure: the templates assign the roles of scripts/roles.tsv, which are those SECURITY.md needs."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from tests.infra.azd import dry_run
from tests.infra.scripts.scripted import ROOT
from tests.infra.templates import bicep, bicep_tree
from tests.infra.templates.deployed import INFRA, MAIN, REUSED, deploy

ROWS = [line.split("\t") for line in (ROOT / "scripts/roles.tsv").read_text().splitlines() if line[:1] != "#"]
KINDS = {
    "Microsoft.ContainerRegistry/registries": "registry", "Microsoft.App/jobs": "job",
    "Microsoft.Insights/components": "insights", "Microsoft.Storage/storageAccounts": "host",
    "Microsoft.Storage/storageAccounts/blobServices/containers": "container",
    "Microsoft.Storage/storageAccounts/queueServices/queues": "queue",
}  # fmt: skip
DELEGATOR = "db58b8e5-c6ad-4a2a-8342-4190687cbf4a"  # Storage Blob Delegator
OPERATED = {"OPERATORS_PRINCIPAL_ID": "<operators>"}


def identity(principal: str) -> str:
    words = {"id-runner": "runner", "id-dispatcher": "dispatcher", "id-web": "web", "systemTopics": "events"}
    words |= {"<deployer>": "deployer", "<operators>": "operators"}
    (found,) = [who for word, who in words.items() if word in principal]
    return found


def assigned(deployment: bicep.Deployment) -> list[tuple[str, str, str]]:
    """(identity, where, role definition id) of every assignment."""
    found = []
    for item in deployment.of("Microsoft.Authorization/roleAssignments"):
        scope, properties = item.body["scope"], item.body["properties"]
        kind = "fallback" if scope.name.startswith("fallback-") else KINDS[scope.type]
        if kind == "host" and scope.name != deployment.outputs["FUNCTION_STORAGE_ACCOUNT_NAME"]:
            kind = "account"
            role = properties["roleDefinitionId"].rpartition("/")[2]
            assert role == DELEGATOR, "on the account with the videos nothing but this, which opens nothing by itself"
        where = f"{kind}:{scope.name.rpartition('/')[2]}" if kind in ("container", "queue") else kind
        found.append((identity(properties["principalId"]), where, properties["roleDefinitionId"].rpartition("/")[2]))
    return found


def rows(variables: dict[str, str]) -> list[list[str]]:
    """Those of the table for this way to be told of uploads."""
    other = "queue:webjobs-" if "UPLOADS_QUEUE" in variables else "queue:uploads"
    nobody = {"OPERATORS_PRINCIPAL_ID": "operators", "WEB": "web"}
    absent = [who for variable, who in nobody.items() if variable not in variables]
    nowhere = "" if "GPU_PROFILE_FALLBACK" in variables else "fallback"
    return [row for row in ROWS if not row[1].startswith(other) and row[0] not in absent and row[1] != nowhere]


@pytest.mark.parametrize(
    "variables",
    [
        {},
        REUSED,
        {"UPLOADS_QUEUE": "uploads"},
        REUSED | {"UPLOADS_QUEUE": "uploads"} | OPERATED,
        OPERATED,
        {"GPU_PROFILE_FALLBACK": "Consumption"} | OPERATED,
        {"WEB": "true"},
        REUSED | {"WEB": "true", "UPLOADS_QUEUE": "uploads"} | OPERATED,
    ],
    ids=[
        "new",
        "reused",
        "by queue",
        "reused by queue, operated",
        "operated",
        "two jobs, operated",
        "web",
        "reused by queue, operated, web",
    ],
)
def test_the_assignments_are_the_table_line_by_line(variables: dict[str, str]) -> None:
    found = Counter(assigned(deploy(variables)))
    assert found == Counter((who, where, id) for who, where, _, id, _ in rows(variables))


def test_without_rbac_no_role_is_assigned_and_all_else_is_made() -> None:
    without = deploy({"INCLUDE_RBAC": "false"})
    assert without.of("Microsoft.Authorization/roleAssignments") == []
    types = Counter(item.type for item in deploy().resources if item.deployed and not item.existing)
    del types["Microsoft.Authorization/roleAssignments"]
    assert Counter(item.type for item in without.resources if item.deployed and not item.existing) == types


def test_roles_are_assigned_in_one_place() -> None:
    """Whoever reviews rights reads roles.bicep; three modules only carry it out where account, registry and job are."""
    places = [path.name for path in INFRA.rglob("*.bicep") if "roleAssignments@" in path.read_text()]
    assert sorted(places) == ["job-roles.bicep", "registry-roles.bicep", "roles.bicep", "storage-roles.bicep"]


def test_an_unknown_deployer_gets_nothing() -> None:
    found = deploy({"DEPLOYER_PRINCIPAL_ID": ""}).of("Microsoft.Authorization/roleAssignments")
    assert len(found) == len([row for row in rows({}) if row[0] != "deployer"])
    assert all(item.body["properties"]["principalId"] for item in found)


def test_every_assignment_says_what_kind_of_principal_it_is_for() -> None:
    """Without it an identity that was made a moment ago is looked up, and not found."""
    for item in deploy({"DEPLOYER_PRINCIPAL_TYPE": "User"} | OPERATED).of("Microsoft.Authorization/roleAssignments"):
        properties = item.body["properties"]
        people = {"deployer": "User", "operators": "Group"}
        assert properties["principalType"] == people.get(identity(properties["principalId"]), "ServicePrincipal")


def test_roles_come_before_job_and_function_app_which_need_them() -> None:
    """The host reads its keys, the job pulls its image, with roles given before: 403 at the first start otherwise."""
    order = dry_run.needs(MAIN)
    for symbol in ("job", "functionApp"):
        assert "roles" in order[symbol]
    assert order["jobRoles"] >= {"job"}
    given = deploy().modules["roles"].of("Microsoft.Authorization/roleAssignments")
    assert len(deploy().of("Microsoft.Authorization/roleAssignments")) == len(given) + 1, "all but that on the job"


def test_no_two_assignments_share_a_name() -> None:
    names = [item.name for item in deploy(OPERATED | {"WEB": "true"}).of("Microsoft.Authorization/roleAssignments")]
    assert len(set(names)) == len(names)


def test_the_role_module_can_be_deployed_by_itself_with_what_the_script_passes() -> None:
    script = (ROOT / "scripts/assign-rbac.sh").read_text()
    passed = set(re.findall(r'"(\w+)=\$', script)) | set(re.findall(r"^(\w+) [A-Z_]+$", script, re.M))
    declared = bicep_tree.parameters(INFRA / "roles.bicep")
    assert {name for name, param in declared.items() if param.required} <= passed
    assert passed - declared.keys() == set()
    assert declared.keys() - passed == {"uploadPoisonQueue"}, "the Functions host's own name, the same everywhere"
