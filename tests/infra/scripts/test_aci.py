"""infra/aci: the files that are created hold only settings that the code reads, and no secret lies about."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from tests.deployment import check_environment
from tests.infra.scripts.scripted import FORBIDDEN, SUBSCRIPTION, Bench, Ended

SCRIPT = "infra/aci/create.sh"
COMMON = ["--resource-group", "rg", "--image", "reg.azurecr.io/runner:cpu", "--identity", "me", "--account", "shop"]
KINDS = {
    "identity": ["--scene", "lobby"], "sas": ["--scene", "lobby/day1"], "serve": [], "files": ["--share", "scenes"],
}  # fmt: skip
MODES = {"identity": "batch", "sas": "batch", "serve": "serve", "files": "watch"}
SUBNET = "/subscriptions/s/resourceGroups/rg/providers/Microsoft.Network/virtualNetworks/v/subnets/aci"
SAS = "?sv=2024-11-04&ss=b&srt=sco&sp=rwdlc&sig=canary%3D"


@pytest.fixture
def azure(bench: Bench) -> Bench:
    bench.env = {
        "AZURE_SUBSCRIPTION_ID": SUBSCRIPTION,
        "AZURE_STORAGE_SAS_TOKEN": SAS,
        "TMPDIR": str(bench.folder / "tmp"),
    }
    (bench.folder / "tmp").mkdir()
    bench.answer("identity show .*clientId", "client-1\n")
    bench.answer("identity show", "/subscriptions/s/identities/me\n")
    bench.answer("group show", "westeurope\n")
    bench.answer("storage account keys list", "key-canary\n")
    return bench


def create(bench: Bench, *arguments: str) -> Ended:
    return bench.run(SCRIPT, *arguments)


def created(bench: Bench) -> Any:
    return yaml.safe_load((bench.folder / "sent-group.yaml").read_text())


def environment(group: Any) -> dict[str, str]:
    (container,) = group["properties"]["containers"]
    return {
        item["name"]: item.get("value", item.get("secureValue"))
        for item in container["properties"]["environmentVariables"]
    }


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_created_sets_what_the_code_reads(azure: Bench, kind: str) -> None:
    done = create(azure, kind, *COMMON, *KINDS[kind])
    assert done.code == 0, done.err
    group = created(azure)
    assert "${" not in json.dumps(group)
    check_environment(environment(group))
    assert environment(group)["RUN_MODE"] == MODES[kind]
    assert group["location"] == "westeurope"
    assert group["properties"]["imageRegistryCredentials"] == [
        {"server": "reg.azurecr.io", "identity": "/subscriptions/s/identities/me"}
    ]
    mounts = {mount["name"] for mount in group["properties"]["containers"][0]["properties"]["volumeMounts"]}
    assert mounts == {volume["name"] for volume in group["properties"]["volumes"]}


@pytest.mark.parametrize(
    ("kind", "means"), [("identity", "managed identity"), ("serve", "managed identity"), ("sas", "SAS token")]
)
def test_the_storage_is_asked_as_the_name_says(azure: Bench, kind: str, means: str) -> None:
    from scenejobs.adapters.azure.credentials import access
    from scenejobs.settings.reader import read
    from scenejobs.settings.storage import StorageSettings

    create(azure, kind, *COMMON, *KINDS[kind])
    assert access(read(StorageSettings, environment(created(azure)))).means == means


@pytest.mark.parametrize("kind", ["serve", "files"])
@pytest.mark.parametrize(
    ("option", "address", "subnets"),
    [([], None, None), (["--public-ip"], "Public", None), (["--subnet", SUBNET], "Private", [{"id": SUBNET}])],
)
def test_health_is_told_at_the_address_of_the_instance_where_it_is_asked_for(
    azure: Bench, kind: str, option: list[str], address: str | None, subnets: object
) -> None:
    """On port 8080, and nowhere where it is not: there is no log-in."""
    done = create(azure, kind, *COMMON, *KINDS[kind], *option)
    assert done.code == 0, done.err
    properties = created(azure)["properties"]
    (container,) = properties["containers"]
    ports = [{"protocol": "TCP", "port": 8080}]
    assert properties.get("ipAddress") == ({"type": address, "ports": ports} if address else None)
    assert properties.get("subnetIds") == subnets
    assert container["properties"].get("ports") == (ports if address else None)
    assert environment(created(azure))["LISTEN_ADDRESS"] == ("0.0.0.0" if address else "127.0.0.1")
    assert ("http://ADDRESS:8080/health" in done.out) is (address == "Public")


def test_a_serving_instance_is_restarted_for_what_a_restart_cures(azure: Bench) -> None:
    from serve import cli

    create(azure, "serve", *COMMON)
    group = created(azure)
    (container,) = group["properties"]["containers"]
    python, _, program, *arguments = container["properties"]["livenessProbe"]["exec"]["command"]
    assert (python, program, arguments[-1]) == ("python", cli.__name__.partition(".")[0], "--live")
    assert cli.main(arguments, {"HEALTH_CHECK_PORT": "1"}) == 1, "it is understood, and nobody is there"
    assert group["properties"]["restartPolicy"] == "Always"


@pytest.mark.parametrize("kind", ["identity", "sas"])
def test_an_instance_for_one_scene_ends_with_it(azure: Bench, kind: str) -> None:
    """OnFailure would pay for a scene that cannot work once more; what may work is tried again inside."""
    create(azure, kind, *COMMON, *KINDS[kind])
    assert created(azure)["properties"]["restartPolicy"] == "Never"


@pytest.mark.parametrize("kind", KINDS)
def test_a_secret_is_in_the_file_alone_which_is_private_and_goes(azure: Bench, kind: str) -> None:
    done = create(azure, kind, *COMMON, *KINDS[kind])
    assert (azure.folder / "sent-group.yaml").stat().st_mode & 0o777 == 0o600
    assert not list((azure.folder / "tmp").iterdir()), "the file is removed"
    assert "canary" not in done.out + done.err + json.dumps(done.calls)
    (container,) = created(azure)["properties"]["containers"]
    shown = [item.get("value", "") for item in container["properties"]["environmentVariables"]]
    assert not any("canary" in value for value in shown), "a secret is a secureValue, which nobody can read back"
    dry = create(azure, kind, *COMMON, *KINDS[kind], "--dry-run")
    assert dry.code == 0
    assert "canary" not in dry.out
    assert len(dry.called("container create")) == 1, "the first run's"
    yaml.safe_load(dry.out)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["batch"], "use identity, sas, serve or files"),
        (["identity", *COMMON], "--scene are needed"),
        (["files", *COMMON], "--share are needed"),
        (["identity", "--scene"], "--scene needs a value"),
        (["identity", "--gpu", "1"], "unknown argument --gpu"),
        (["identity", *COMMON, "--scene", 'x"}, {name: EVIL'], "use letters, digits"),
        (["identity", *COMMON, "--scene", "a", "--public-ip"], "a job has no health"),
        (["serve", *COMMON, "--public-ip", "--subnet", SUBNET], "use --public-ip or --subnet"),
        (["serve", *COMMON, "--subnet", "a\nb"], "use letters, digits"),
        (["identity", *COMMON, "--image", "runner", "--scene", "a"], "--image is"),
    ],
)
def test_wrong_arguments_are_exit_2_before_anything_is_asked(azure: Bench, arguments: list[str], words: str) -> None:
    done = create(azure, *arguments)
    assert (done.code, words in done.err, done.calls) == (2, True, []), done.err


def test_a_failure_of_azure_has_the_code_of_every_script_and_leaves_no_file(azure: Bench) -> None:
    azure.answer("container create", **FORBIDDEN)
    done = create(azure, "sas", *COMMON, "--scene", "a")
    assert (done.code, "refused (403)" in done.err) == (2, True), done.err
    assert not list((azure.folder / "tmp").iterdir())
