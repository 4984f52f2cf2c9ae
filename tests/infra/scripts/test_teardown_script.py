"""teardown.sh: what goes, in which order, and what stays."""

from __future__ import annotations

import pytest

from tests.infra.scripts.scripted import FORBIDDEN, NOT_FOUND, Bench, few, option

X = "/subscriptions/s/resourceGroups/RG-Shared/providers"  # in the group, whatever its case
THEIRS = "/subscriptions/s/resourceGroups/rg-shared-too/providers"


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
    in_shared_group.answer("resource list .*--tag", f"{X}/identity\n{X}/job\n{THEIRS}/team\n")
    in_shared_group.answer("group show", "None\n")
    in_shared_group.answer("resource delete .*identity", err="ERROR: in use\n", code=1, times=1)
    ended = in_shared_group.run("scripts/teardown.sh", "--yes", "--keep-rbac")
    assert ended.code == 0, ended.err
    assert [option(call, "--ids") for call in ended.called("resource delete")] == [
        f"{X}/identity",
        f"{X}/job",
        f"{X}/identity",
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
    provisioned.answer("resource list .*--tag", "/s/resourceGroups/rg-dev/providers/job\n", times=1)
    provisioned.answer("group show", "dev\n")
    ended = provisioned.run("scripts/teardown.sh", "--yes", "--keep-rbac")
    assert ended.code == 0, ended.err
    assert [option(call, "--ids") for call in ended.called("resource delete")] == [
        "/s/resourceGroups/rg-dev/providers/job"
    ]
    assert ended.calls[-1][:6] == ["az", "group", "delete", "--name", "rg-dev", "--yes"]
    assert ended.called("azd down") == []


@pytest.mark.parametrize(("tag", "rest"), [("None\n", ""), ("prod\n", ""), ("dev\n", "/x/somebody-elses\n")])
def test_a_group_that_is_not_ours_or_not_empty_stays(tag: str, rest: str, provisioned: Bench) -> None:
    provisioned.values["EXISTING_ACR_NAME"] = "crteam"
    provisioned.answer("resource list .*--tag", "/s/resourceGroups/rg-dev/providers/job\n")
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
    in_shared_group.answer("resource list .*--tag", f"{X}/job\n")
    ended = in_shared_group.run("scripts/teardown.sh", "--yes", "--keep-rbac")
    assert ended.code == 0, ended.err
    first, second = ended.called("^az .* delete")
    assert first[1:5] == ["eventgrid", "system-topic", "event-subscription", "delete"]
    assert (option(first, "--name"), option(first, "--system-topic-name"), option(first, "--resource-group")) == (
        "uploads-dev-x",
        "evgt-team",
        "rg-team",
    )
    assert option(second, "--ids") == f"{X}/job"


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
    in_shared_group.answer("resource list .*--tag", f"{X}/job\n")
    ended = in_shared_group.run("scripts/teardown.sh", "--yes", "--keep-rbac")
    assert ended.code == 2
    assert ended.called("resource delete|assignment delete|azd down|group delete") == []


@pytest.mark.parametrize("values", [{"EXISTING_ACR_NAME": "crteam"}, {"REUSED_RESOURCES": " crteam"}])
def test_an_existing_resource_is_never_deleted_even_if_it_is_tagged(
    values: dict[str, str], in_shared_group: Bench
) -> None:
    in_shared_group.values |= values
    in_shared_group.answer("resource list", f"{X}/job\n{X}/crteam\n")
    ended = in_shared_group.run("scripts/teardown.sh", "--yes", "--keep-rbac")
    assert ended.code == 2
    assert ended.called("delete") == []


DEV = "/subscriptions/s/resourceGroups/rg-dev/providers"
OURS = f"{DEV}/Microsoft.App/jobs/job-dev\n{DEV}/Microsoft.Network/privateDnsZones/blob\n"
AZURES = (  # what Azure makes beside them, without a tag
    f"{DEV}/Microsoft.Network/networkInterfaces/pep-dev.nic.0123\n{DEV}/Microsoft.Network/privateDnsZones/blob/link\n"
    f"{DEV}/microsoft.alertsmanagement/smartDetectorAlertRules/Failure Anomalies - appi-dev\n"
    f"{DEV}/microsoft.insights/actiongroups/Application Insights Smart Detection\n"
)


def test_what_goes_and_what_stays_is_listed_before_it_is_asked(provisioned: Bench) -> None:
    few(provisioned)
    provisioned.answer("resource list .*--tag", OURS)
    provisioned.answer("resource list", OURS + AZURES + f"{DEV}/Microsoft.Web/sites/somebody-elses\n")
    provisioned.env["ANSWERS_FROM_STDIN"], provisioned.stdin = "1", "n\n"
    ended = provisioned.run("scripts/teardown.sh")
    assert ended.code == 2
    goes, _, stays = ended.out.partition("left alone")
    assert "Microsoft.App/jobs/job-dev" in goes
    assert "Microsoft.Web/sites/somebody-elses" in stays
    assert ".nic." not in ended.out
    assert ended.called("delete|azd down") == []


def test_a_group_of_ours_with_something_of_somebody_else_in_it_is_not_left_to_azd(provisioned: Bench) -> None:
    provisioned.answer("resource list .*--tag", OURS)
    provisioned.answer("resource list", OURS + f"{DEV}/Microsoft.Web/sites/somebody-elses\n")
    provisioned.answer("group show", "dev\n")
    ended = provisioned.run("scripts/teardown.sh", "--yes", "--keep-rbac")
    assert ended.code == 0, ended.err
    assert [option(call, "--ids") for call in ended.called("resource delete")] == OURS.split()
    assert ended.called("azd down|group delete") == []


def test_what_azure_makes_beside_ours_is_nobody_elses(provisioned: Bench) -> None:
    provisioned.answer("resource list .*--tag", OURS)
    provisioned.answer("resource list", OURS + AZURES)
    ended = provisioned.run("scripts/teardown.sh", "--yes", "--keep-rbac")
    assert ended.calls[-1] == ["azd", "down", "--purge", "--force"], ended.out


def test_a_second_run_finds_the_group_gone_and_ends_well(in_shared_group: Bench) -> None:
    in_shared_group.answer("resource list .*--resource-group", **NOT_FOUND)
    ended = in_shared_group.run("scripts/teardown.sh", "--yes", "--keep-rbac")
    assert ended.code == 0, ended.err
    assert ended.called("delete|azd down") == []
