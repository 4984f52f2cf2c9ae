"""The hook before azd down with stubs for az and azd: what was reused is guarded, and our traces on it go first."""

from __future__ import annotations

import pytest

from tests.infra.scripts.scripted import FORBIDDEN, NOT_FOUND, ROOT, Bench
from tests.infra.templates.deployed import PARAMETERS, REUSED, deploy, source

DOWN = "scripts/hooks/predown.sh"


@pytest.fixture
def reusing(deployed: Bench) -> Bench:
    """After a deployment onto somebody else's topic."""
    deployed.values |= {
        "EXISTING_EVENT_GRID_TOPIC_NAME": "evgt-shared", "EVENT_GRID_TOPIC_NAME": "evgt-shared",
        "EVENT_GRID_TOPIC_RESOURCE_GROUP": "rg-shared",
    }  # fmt: skip
    deployed.answer("event-subscription list", f"somebody-elses\n{deployed.values['EVENT_GRID_SUBSCRIPTION_NAME']}\n")
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
    assert call[call.index("--name") + 1] == reusing.values["EVENT_GRID_SUBSCRIPTION_NAME"]
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


HERE = "/subscriptions/s/resourceGroups/rg-dev/providers"


def test_what_azd_is_about_to_delete_is_listed_and_somebody_elses_in_it_stops_it(bench: Bench) -> None:
    bench.values = {"AZURE_ENV_NAME": "dev", "AZURE_RESOURCE_GROUP": "rg-dev"}
    bench.answer("resource list .*--tag", f"{HERE}/Microsoft.App/jobs/job-dev\n")
    bench.answer("resource list", f"{HERE}/Microsoft.App/jobs/job-dev\n", times=1)
    bench.answer("resource list", f"{HERE}/Microsoft.App/jobs/job-dev\n{HERE}/Microsoft.Web/sites/theirs\n")
    ended = bench.run(DOWN)
    assert ended.code == 0, ended.err
    assert "Microsoft.App/jobs/job-dev" in ended.out
    ended = bench.run(DOWN)
    assert ended.code == 2
    assert "Microsoft.Web/sites/theirs" in ended.err
    bench.values["FORCE_DELETE"] = "true"
    assert bench.run(DOWN).code == 0


def test_a_group_that_cannot_be_looked_into_is_not_taken_for_an_empty_one(bench: Bench) -> None:
    bench.values = {"AZURE_ENV_NAME": "dev", "AZURE_RESOURCE_GROUP": "rg-dev"}
    bench.answer("resource list", **FORBIDDEN)
    assert bench.run(DOWN).code == 2
    bench.answers = []
    bench.answer("resource list .*--resource-group", **NOT_FOUND)
    assert bench.run(DOWN).code == 0, "gone already"
