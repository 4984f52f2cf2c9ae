"""configure-existing-resources.sh: what of a subscription is chosen, by flags and by answers, and what does not fit."""

from __future__ import annotations

import pytest

from scenejobs.settings.storage import StorageSettings
from tests.infra.scripts.scripted import FORBIDDEN, NOT_FOUND, Bench, Ended, option
from tests.infra.templates.deployed import PARAMETERS, source

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


KIND = "storage account show .*isHnsEnabled"


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("StorageV2\tFalse\tNone\tNone", "stteam: flat namespace"),
        ("StorageV2\tTrue\tFalse\tFalse", "stteam: hierarchical namespace\n"),
        ("StorageV2\ttrue\ttrue\tfalse", "stteam: hierarchical namespace, SFTP\n"),
    ],
)
def test_which_kind_the_account_is_is_said(row: str, said: str, shared: Bench) -> None:
    shared.answers.insert(0, {"call": KIND, "out": f"{row}\n"})
    ended = shared.run(WIZARD, *BY_FLAGS)
    assert (ended.code, chosen(ended)) == (0, CHOSEN), ended.err
    assert said in ended.out
    assert ("UPLOADS_QUEUE" in ended.out) == ("hierarchical" in said), "renames come at once by the queue alone"


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("Storage\tNone\tNone\tNone", "general purpose v1"),
        ("BlockBlobStorage\tTrue\tNone\tNone", "kind BlockBlobStorage"),
        ("FileStorage\tNone\tNone\tNone", "kind FileStorage"),
        ("StorageV2\tTrue\tNone\tTrue", "NFS 3.0"),
    ],
)
def test_a_kind_that_uploads_cannot_work_in_is_refused_by_name(row: str, words: str, shared: Bench) -> None:
    shared.answers.insert(0, {"call": KIND, "out": f"{row}\n"})
    ended = shared.run(WIZARD, *BY_FLAGS)
    assert (ended.code, chosen(ended)) == (1, {})
    assert "stteam" in ended.err
    assert words in ended.err


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


@pytest.mark.parametrize(("answer", "code", "made"), [("y\n", 0, ["state"]), ("n\n", 1, []), ("", 1, [])])
def test_an_account_of_the_guide_gets_what_it_lacks_after_a_question(
    answer: str, code: int, made: list[str], shared: Bench
) -> None:
    """Four containers, as the deployment guide of the older service makes them."""
    shared.answers.insert(0, {"call": "container list", "out": "input\noutput\nprocessed\nerror\n"})
    shared.stdin, shared.env["ANSWERS_FROM_STDIN"] = f"2\n\n1\n1\n1\n{answer}", "1"
    ended = shared.run(WIZARD)
    assert ended.code == code, ended.err
    assert [option(call, "--name") for call in ended.called("container create")] == made
    assert bool(chosen(ended)) == (code == 0)


def test_making_containers_is_no_answer_to_the_other_questions(shared: Bench) -> None:
    shared.answers.insert(0, {"call": "container list", "out": "input\noutput\nprocessed\nerror\n"})
    shared.stdin, shared.env["ANSWERS_FROM_STDIN"] = "2\n\n1\n1\n1\n", "1"
    ended = shared.run(WIZARD, "--create-containers")
    assert chosen(ended) == CHOSEN, ended.err


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
