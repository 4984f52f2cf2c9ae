"""infra/vm: a service with no rights, settings that the code reads, scripts that may be run again."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from scenejobs.settings import modes
from tests.deployment import KEPT, ROOT, USER, check_environment
from tests.infra.scripts.scripted import FORBIDDEN, SUBSCRIPTION, Bench

FOLDER = ROOT / "infra/vm"
UNIT = (FOLDER / "video-splat.service").read_text()
SERVE = (FOLDER / "video-splat-serve.service").read_text()


@pytest.fixture(autouse=True)
def one_subscription(bench: Bench) -> None:
    bench.env["AZURE_SUBSCRIPTION_ID"] = SUBSCRIPTION


def setup(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(FOLDER / "setup.sh"), "--root", str(root), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def values(text: str) -> dict[str, str]:
    return dict(re.findall(r"^([A-Z0-9_]+)=(.*)$", text, re.MULTILINE))


@pytest.mark.parametrize(("unit", "file"), [(UNIT, "env.example"), (SERVE, "env-serve.example")])
def test_the_settings_are_those_that_the_code_reads(unit: str, file: str) -> None:
    example = values((FOLDER / file).read_text())
    assert example.pop("IMAGE")
    environment = example | dict(re.findall(r"--env ([A-Z0-9_]+)=(\S+)", unit))
    check_environment(environment)
    mode = environment["RUN_MODE"]
    assert example.keys() >= {name for name in KEPT if mode == "watch" or name != "RETENTION_DAYS"}
    assert not environment.keys() & modes.not_read_by(mode)
    assert list(modes.problems(environment)) == []


@pytest.mark.parametrize("UNIT", [UNIT, SERVE])
def test_the_container_has_no_rights_and_is_open_to_this_machine_alone(UNIT: str) -> None:
    for option in ("--read-only", f"--user {USER}:{USER}", "--cap-drop ALL", "no-new-privileges:true", "--tmpfs /tmp:"):
        assert option in UNIT
    assert "--privileged" not in UNIT
    assert "--cap-add" not in UNIT
    assert re.findall(r"--publish (\S+)", UNIT) == ["127.0.0.1:8080:8080", "127.0.0.1:9090:9090"]


@pytest.mark.parametrize("UNIT", [UNIT, SERVE])
def test_it_is_given_time_to_give_its_scene_back(UNIT: str) -> None:
    from scenejobs.settings.groups import WatchSettings

    asked, given = (
        re.search(r"docker stop --time (\d+)", UNIT),
        re.search(r"^TimeoutStopSec=(\d+)$", UNIT, re.MULTILINE),
    )
    assert asked is not None
    assert given is not None
    assert int(given[1]) > int(asked[1]) > WatchSettings().stop_s + 10


def test_setting_it_up_twice_keeps_what_a_person_changed(tmp_path: Path) -> None:
    assert setup(tmp_path, "--image", "reg/runner:1", "--data", "/mnt/disk").returncode == 0
    settings = tmp_path / "etc/video-splat/env"
    settings.write_text(settings.read_text() + "PRESET=high\n")
    assert setup(tmp_path, "--image", "reg/runner:2", "--data", "/mnt/disk").returncode == 0
    assert values(settings.read_text())["IMAGE"] == "reg/runner:2"
    assert values(settings.read_text())["PRESET"] == "high"
    assert settings.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "etc/fstab").read_text().count("/mnt/disk /srv/video-splat") == 1
    folders = {path.name for path in (tmp_path / "srv/video-splat").iterdir()}
    assert folders == {"input", "output", "processed", "error", "state"}
    assert (tmp_path / "etc/systemd/system/video-splat.service").read_text() == UNIT


def test_one_machine_serves_an_account_or_watches_folders_as_it_was_set_up_last(tmp_path: Path) -> None:
    settings, unit = tmp_path / "etc/video-splat/env", tmp_path / "etc/systemd/system/video-splat.service"
    assert setup(tmp_path, "--image", "reg/runner:1", "--serve", "shop").returncode == 0
    assert unit.read_text() == SERVE
    assert not (tmp_path / "srv").exists(), "there are no folders to fill by mistake"
    found = values(settings.read_text())
    assert (found["AZURE_STORAGE_ACCOUNT"], found["AZURE_USE_MANAGED_IDENTITY"]) == ("shop", "true")
    assert setup(tmp_path, "--image", "reg/runner:1").returncode == 0
    assert unit.read_text() == UNIT
    assert "AZURE_STORAGE_ACCOUNT" not in values(settings.read_text()), "watch mode refuses it"
    assert setup(tmp_path, "--image", "reg/runner:1", "--serve", "other").returncode == 0
    assert values(settings.read_text())["AZURE_STORAGE_ACCOUNT"] == "other"


@pytest.mark.parametrize("unit", [UNIT, SERVE])
def test_the_image_is_pulled_by_root_with_the_identity_of_the_machine(unit: str, tmp_path: Path) -> None:
    """A person's log-in to the registry is in that person's home, and ends after three hours."""
    assert setup(tmp_path, "--image", "reg.azurecr.io/runner:1").returncode == 0
    (program,) = re.findall(r"^ExecStartPre=(/\S+)$", unit, re.MULTILINE)
    assert unit.index(program) < unit.index("ExecStart=/usr/bin/docker run")
    assert " --pull never " in unit
    bin_, log = tmp_path / "bin", tmp_path / "log"
    bin_.mkdir()

    def pulled(**failing: str) -> tuple[int, list[str]]:
        log.unlink(missing_ok=True)
        for name in ("az", "docker"):
            (bin_ / name).write_text(
                f'#!/bin/sh\necho {name} "$@" >>{log}\ncase "$*" in {failing.get(name, "-")}) exit 1;; esac\n'
            )
            (bin_ / name).chmod(0o755)
        env = {"PATH": f"{bin_}:/usr/bin:/bin", "IMAGE": "reg.azurecr.io/runner:1"}
        done = subprocess.run([f"{tmp_path}{program}"], env=env, capture_output=True, text=True, check=False)
        return done.returncode, [" ".join(line.split()[:3]) for line in log.read_text().splitlines()]

    assert pulled() == (0, ["az login --identity", "az acr login", "docker pull --quiet"])
    without = ["az login --identity", "docker image inspect"]
    assert pulled(az="login*") == (0, without), "an image that is there is started"
    assert pulled(az="login*", docker="image*") == (1, without)


def test_the_machine_installs_itself_what_the_service_needs(bench: Bench) -> None:
    """cloud-init runs a script without arguments, as root, at the first start."""
    script = (FOLDER / "prepare.sh").read_text()
    assert script.startswith("#!"), "else cloud-init takes it for another format"
    for needed in (
        "docker.io",
        "nvidia-container-toolkit",
        "azure-cli",
        "nvidia-ctk runtime configure --runtime=docker",
    ):
        assert needed in script
    dry = bench.run("infra/vm/create-vm.sh", "--resource-group", "rg", "--registry", "reg", "--dry-run")
    assert f"--custom-data {FOLDER / 'prepare.sh'} " in dry.out
    assert len(script.encode()) < 65_536, "Azure takes no more"


def test_without_a_gpu_none_is_asked_for(tmp_path: Path) -> None:
    setup(tmp_path, "--image", "reg/runner:1", "--cpu")
    assert (tmp_path / "etc/systemd/system/video-splat.service").read_text() == UNIT.replace(" --gpus all", "")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "--image REGISTRY/REPOSITORY:TAG is needed"),
        (["--image", "a b"], "--image REGISTRY/REPOSITORY:TAG is needed"),
        (["--image", "a/b:c", "--data", "disk"], "--data is an absolute path"),
        (["--image"], "--image needs a value"),
        (["--image", "a/b:c", "--serve", "My_Account"], "--serve is the name of a storage account"),
        (["--image", "a/b:c", "--serve", "shop", "--data", "/mnt"], "--data is of watch mode"),
        (["--gpu"], "unknown argument --gpu"),
    ],
)
def test_wrong_arguments_are_exit_2_and_write_nothing(tmp_path: Path, arguments: list[str], words: str) -> None:
    done = setup(tmp_path, *arguments)
    assert (done.returncode, words in done.stderr) == (2, True), done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_machine_is_created_with_an_identity_that_may_pull_and_nothing_else(bench: Bench) -> None:
    command = ["infra/vm/create-vm.sh", "--resource-group", "rg", "--registry", "reg"]
    bench.answer("vm show", "id-of-vm\n")
    bench.answer("acr show", "id-of-acr\n")
    calls = [" ".join(call[1:]) for call in bench.run(*command).calls]
    assert [" ".join(call.split()[:2]) for call in calls] == [
        "vm create", "vm extension", "vm show", "acr show", "role assignment",
    ]  # fmt: skip
    assert "--assignee-object-id id-of-vm " in calls[-1]
    assert "--role 7f951dda-4ed3-4680-a7ca-43fe172d538d --scope id-of-acr " in calls[-1], "AcrPull"


def test_a_machine_that_serves_an_account_may_use_its_blobs_and_queues(bench: Bench) -> None:
    command = ["infra/vm/create-vm.sh", "--resource-group", "rg", "--registry", "reg", "--account", "shop"]
    bench.answer("vm show", "id-of-vm\n")
    bench.answer("acr show", "id-of-acr\n")
    bench.answer("storage account show", "id-of-shop\n")
    done = bench.run(*command)
    granted = [" ".join(call[1:]) for call in done.calls if call[1:3] == ["role", "assignment"]]
    roles = [
        ("ba92f5b4-2d11-453d-a403-e96b0029c9fe", "id-of-shop"), ("974c5e8b-45b9-4653-ba55-5f855dd0fb88", "id-of-shop"),
    ]  # fmt: skip
    for role, scope in roles:
        assert any(f"--role {role} --scope {scope} " in call for call in granted)
    assert len(granted) == 3
    assert "--serve shop" in done.out


def test_a_machine_that_azure_refuses_ends_the_script(bench: Bench) -> None:
    bench.answer("vm create", **FORBIDDEN)
    done = bench.run("infra/vm/create-vm.sh", "--resource-group", "rg", "--registry", "reg")
    assert (done.code, len(done.calls)) == (2, 1)
    dry = bench.run("infra/vm/create-vm.sh", "--resource-group", "rg", "--registry", "reg", "--dry-run")
    assert (dry.code, len(dry.calls)) == (0, 1), "nothing more was asked"
    assert dry.out.startswith("az vm create --resource-group rg ")


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd-analyze")
def test_systemd_understands_the_unit() -> None:
    """Docker and blobfuse2 may be missing here: their absence is all that may be said."""
    for unit in sorted(FOLDER.glob("*.service")):
        command = ["systemd-analyze", "verify", str(unit)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        missing = r"docker|/usr/bin/(blobfuse2|fusermount3) is not executable"
        assert [line for line in done.stderr.splitlines() if line.strip() and not re.search(missing, line)] == []


def test_a_mount_is_what_the_guide_makes_it(tmp_path: Path) -> None:
    """The unit mounts where the guide looks, with the file that the guide writes; nothing can be written to."""
    unit = (FOLDER / "blobfuse-output.service").read_text()
    guide = (ROOT / "docs/watch.md").read_text()
    config = re.search(r"--config-file=(\S+)", unit)
    assert config is not None
    assert f"--out {config[1]} " in guide
    assert "install -d /mnt/output" in guide
    assert unit.count("/mnt/output") == 2
    assert "--writable" not in guide[guide.index("blobfuse output --out") :].split("```")[0]
