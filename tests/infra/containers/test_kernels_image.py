"""The image that the runner's code is put on: built once in the registry, outside of azd's 20 minutes, found again."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.infra.containers.kernels import tag, there
from tests.infra.scripts.scripted import FORBIDDEN, ROOT, Bench, option

HOOK = "scripts/hooks/predeploy.sh"
HASHED = ("runner/image/gpu-cuda13.lock", "runner/image/build-cuda13.lock", "runner/image/kernels.lock",
          "runner/image/nvcc.sh", "runner/image/build_kernels.sh")  # fmt: skip


def image(name: str | None = None) -> str:
    return f"crdev.azurecr.io/kernels:{name or tag()}"


def build(bench: Bench, *states: str) -> Bench:
    """A registry without the image, in which a build goes through these states."""
    bench.answer("acr build", "cb7\n")
    for state in states[:-1]:
        bench.answer("acr task show-run", f"{state}\n", times=1)
    bench.answer("acr task show-run", f"{states[-1]}\n")
    log = "Step 7/23 : RUN ./build_kernels.sh\n[12/41] nvcc\n"  # of a build that runs it has no end: the call is ended
    bench.answer("acr task logs", log, code=0 if states[-1] == "Failed" else 124)
    return bench


def test_a_first_deployment_builds_it_and_waits(provisioned: Bench) -> None:
    ended = build(provisioned, "Queued", "Running", "Succeeded").run(HOOK)
    assert ended.code == 0, ended.err
    (started,) = ended.called("acr build")
    assert (option(started, "--target"), option(started, "--image")) == ("kernels", f"kernels:{tag()}")
    assert "--no-wait" in started, "what is cut off here must not end there"
    assert option(started, "--file").endswith("/Dockerfile.runner")
    assert ended.called("azd env set") == [
        ["azd", "env", "set", "RUNNER_KERNELS_RUN", f"{tag()}/"],  # before the call, whose answer may be lost
        ["azd", "env", "set", "RUNNER_KERNELS_RUN", f"{tag()}/cb7"],
        ["azd", "env", "set", "RUNNER_KERNELS_IMAGE", image()],
    ]
    assert "[12/41]" in ended.err, "how far it is"


def test_where_the_image_is_there_nothing_is_built(provisioned: Bench) -> None:
    there(provisioned)
    ended = provisioned.run(HOOK)
    assert (ended.code, ended.called("acr build|acr task")) == (0, [])
    assert ended.called("azd env set") == [["azd", "env", "set", "RUNNER_KERNELS_IMAGE", image()]]


def test_a_build_that_goes_on_is_waited_for_and_not_started_again(provisioned: Bench) -> None:
    provisioned.values["RUNNER_KERNELS_RUN"] = f"{tag()}/cb3"
    ended = build(provisioned, "Running", "Running", "Succeeded").run(HOOK)
    assert (ended.code, ended.called("acr build")) == (0, [])
    assert {option(call, "--run-id") for call in ended.called("show-run")} == {"cb3"}


@pytest.mark.parametrize("state", ["Failed", "Canceled", "Timeout", "Succeeded"])
def test_a_build_that_ended_without_an_image_is_started_again(state: str, provisioned: Bench) -> None:
    """Succeeded, too: somebody deleted the image since."""
    provisioned.values["RUNNER_KERNELS_RUN"] = f"{tag()}/cb3"
    provisioned.answer("show-run .*cb3", f"{state}\n")
    ended = build(provisioned, "Succeeded").run(HOOK)
    assert ended.code == 0, ended.err
    assert len(ended.called("acr build")) == 1


@pytest.mark.parametrize("reused", ["", "crshared"], ids=["own registry", "reused registry"])
def test_a_build_whose_answer_was_lost_is_found_and_not_started_again(reused: str, provisioned: Bench) -> None:
    """Ctrl-C or a dropped connection during `az acr build`: nobody wrote the run's id down."""
    provisioned.values |= {"RUNNER_KERNELS_RUN": f"{tag()}/", "EXISTING_ACR_NAME": reused}
    provisioned.answer("acr repository list", "", times=1)
    there(provisioned)
    provisioned.answer("acr task list-runs", "cb3\n")
    ended = build(provisioned, "Running", "Succeeded").run(HOOK)
    assert (ended.code, ended.called("acr build")) == (0, []), ended.err
    assert {option(call, "--run-id") for call in ended.called("show-run")} == {"cb3"}
    assert ["azd", "env", "set", "RUNNER_KERNELS_RUN", f"{tag()}/cb3"] in ended.calls, "cut off again, it is known"


def test_builds_of_others_that_make_another_image_end_with_a_build_of_ours(provisioned: Bench) -> None:
    provisioned.values["RUNNER_KERNELS_RUN"] = f"{tag()}/"
    provisioned.answer("acr task list-runs", "cb3\ncb4\n")
    ended = build(provisioned, "Succeeded").run(HOOK)
    assert ended.code == 0, ended.err
    assert [option(call, "--run-id") for call in ended.called("show-run")] == ["cb3", "cb4", "cb7"]
    assert len(ended.called("acr build")) == 1


def test_in_a_reused_registry_nobody_waits_for_the_builds_of_others(provisioned: Bench) -> None:
    provisioned.values["EXISTING_ACR_NAME"] = "crshared"
    ended = build(provisioned, "Succeeded").run(HOOK)
    assert (ended.code, ended.called("list-runs")) == (0, [])


def test_a_build_of_another_version_is_not_waited_for(provisioned: Bench) -> None:
    provisioned.values["RUNNER_KERNELS_RUN"] = "cuda13-0000000000000000/cb3"
    provisioned.answer("acr task list-runs", "cb3\n")
    ended = build(provisioned, "Succeeded").run(HOOK)
    assert len(ended.called("acr build")) == 1
    assert ended.called("cb3") == []


def test_a_failed_build_ends_the_deployment_with_the_end_of_its_log(provisioned: Bench) -> None:
    ended = build(provisioned, "Running", "Failed").run(HOOK)
    assert ended.code == 1
    assert "nvcc" in ended.err
    assert "az acr task logs --registry crdev --run-id cb7" in ended.err
    assert ended.called("RUNNER_KERNELS_IMAGE") == []


def test_some_failed_looks_do_not_end_the_waiting(provisioned: Bench) -> None:
    provisioned.answer("show-run", err="ERROR: connection reset\n", code=1, times=2)
    assert build(provisioned, "Succeeded").run(HOOK).code == 0


def test_a_subscription_that_may_not_build_is_told_the_way_out(provisioned: Bench) -> None:
    provisioned.answer(
        "acr build", err="ERROR: (TasksOperationsNotAllowed) ACR Tasks requests are not permitted.\n", code=1
    )
    ended = provisioned.run(HOOK)
    assert ended.code == 2
    assert f"docker push {image()}" in ended.err
    assert "docker build -f Dockerfile.runner --target kernels" in ended.err
    # azd would have the registry build our code too
    assert "docker push crdev.azurecr.io/runner:by-hand" in ended.err
    assert f"--build-arg KERNELS={image()}" in ended.err
    assert "azd deploy dispatcher && scripts/deploy-job.sh --skip-build" in ended.err


def test_a_registry_that_cannot_be_read_is_not_taken_for_an_empty_one(provisioned: Bench) -> None:
    provisioned.answer("acr repository list", err=FORBIDDEN["err"], code=1)
    ended = provisioned.run(HOOK)
    assert (ended.code, ended.called("acr build")) == (2, [])


def test_one_variable_makes_the_image_for_older_drivers(provisioned: Bench) -> None:
    provisioned.values["RUNNER_CUDA"] = "12"
    ended = build(provisioned, "Succeeded").run(HOOK)
    (started,) = ended.called("acr build")
    assert option(started, "--build-arg") == "CUDA=12"
    assert option(started, "--image").startswith("kernels:cuda12-")
    provisioned.values["RUNNER_CUDA"] = "11"
    assert provisioned.run(HOOK).code == 2


# ---- its name --------------------------------------------------------------------------------------------------------


def copied(folder: Path) -> Path:
    for name in ("Dockerfile.runner", "runner/image/kernels_tag.sh", *HASHED):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, folder / name)
    return folder


def tag_of(tree: Path, **env: str) -> str:
    done = subprocess.run(
        ["bash", str(tree / "runner/image/kernels_tag.sh")],
        env={"PATH": "/usr/bin:/bin", **env}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout


def test_what_it_is_made_of_names_it(tmp_path: Path) -> None:
    tree = copied(tmp_path)
    seen = {tag_of(tree), tag_of(tree, TORCH_CUDA_ARCH_LIST="8.0")}
    for name in HASHED:
        with (tree / name).open("a") as file:
            file.write("#\n")
        seen.add(tag_of(tree))
    dockerfile = tree / "Dockerfile.runner"
    dockerfile.write_text(dockerfile.read_text().replace("g++=4:12.2.0-3", "g++=4:12.2.0-4"))
    seen.add(tag_of(tree))
    assert len(seen) == 3 + len(HASHED)


def test_our_code_and_words_do_not_name_it(tmp_path: Path) -> None:
    tree = copied(tmp_path)
    before = tag_of(tree)
    dockerfile = tree / "Dockerfile.runner"
    changed = dockerfile.read_text().replace("COPY watch ./watch\n", "COPY watch ./watch\nCOPY more ./more\n")
    dockerfile.write_text("# Other words.\n" + changed)
    assert tag_of(tree) == before
