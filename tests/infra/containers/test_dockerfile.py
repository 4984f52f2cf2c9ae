"""The Dockerfiles of the runner without Docker: pinned, locked, small, unprivileged, and no stage is built in vain."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.infra.containers.images import DOCKERFILES, ROOT, TARGETS, ancestry, arguments, stages

TEXT, CODE, CPU, BLOBFUSE = (DOCKERFILES[name].read_text() for name in ("gpu", "code", "cpu", "blobfuse"))
IMAGE = ROOT / "runner" / "image"
PINNED = re.compile(r"^[\w./:-]+@sha256:[0-9a-f]{64}$")


def unpinned(text: str) -> list[str]:
    """Images that a build takes from a registry by a name that can be moved."""
    known = arguments(text)
    sources = [
        re.sub(r"\$\{(\w+)\}", lambda m: known.get(m[1], m[0]), s) for s in re.findall(r"^FROM (\S+)", text, re.M)
    ]
    own = set(re.findall(r"^FROM \S+ AS (\S+)", text, re.MULTILINE))
    return [source for source in sources if source not in own and not PINNED.match(source)]


def names(lock: Path) -> set[str]:
    return set(re.findall(r"^([\w.-]+)==", lock.read_text(), re.MULTILINE))


@pytest.mark.parametrize("text", [TEXT, CPU], ids=["gpu", "cpu"])
def test_every_base_image_is_named_by_its_digest(text: str) -> None:
    assert unpinned(text) == []


@pytest.mark.parametrize("base", ["python:3.11-slim", "python:3.11-slim@sha256:abc", "latest"])
def test_a_build_from_a_name_that_can_be_moved_is_noticed(base: str) -> None:
    assert unpinned(re.sub(r"^ARG BASE=.*$", f"ARG BASE={base}", TEXT, flags=re.MULTILINE)) != []


def test_blobfuse_is_built_on_what_is_said_and_nothing_else() -> None:
    assert re.findall(r"^FROM (\S+)", BLOBFUSE, re.MULTILINE) == ["${RUNNER}"]
    assert "RUNNER" not in arguments(BLOBFUSE), "a default could be a name that is moved"


@pytest.mark.parametrize("image", ["gpu", "cpu"])
def test_no_stage_before_an_image_is_built_in_vain(image: str) -> None:
    """azd's remote build names no target, and a builder without BuildKit builds every stage up to the target."""
    found = stages(DOCKERFILES[image].read_text())
    before = list(found)[: list(found).index(image) + 1]
    needed, waiting = set[str](), [image]
    while waiting:
        stage = waiting.pop()
        needed.add(stage)
        used = re.findall(r"^FROM (\S+)|--from=(\S+)", found[stage], re.MULTILINE)
        waiting += [name for names in used for name in names if name in found]
    assert set(before) == needed


def test_the_gpu_image_is_what_is_built_when_no_target_is_named() -> None:
    assert list(stages(TEXT))[-1] == "gpu"


def test_what_azure_builds_is_the_last_stage_of_the_whole_image() -> None:
    """Nothing else is in that file: the registry's builder builds every stage it meets, the kernels too."""
    assert stages(CODE)["gpu"].split("\n", 1)[1] == stages(TEXT)["gpu"].split("\n", 1)[1]
    assert re.findall(r"^FROM (\S+)", CODE, re.MULTILINE) == ["${KERNELS}"]
    assert "KERNELS" not in arguments(CODE), "a default could be a name that is moved"
    assert stages(TEXT)["gpu"].split()[1] == "kernels"


def test_a_change_of_our_code_changes_no_layer_of_the_packages() -> None:
    """Our code is copied into no stage but the last, where no command runs: all below it is what was pulled before."""
    found = stages(TEXT)
    assert not re.search(r"^(RUN|ADD)", found["gpu"], re.MULTILINE)
    for name, text in found.items():
        if name != "gpu":
            assert not re.findall(r"^COPY (?!--from|runner/image/)", text, re.MULTILINE), name


def test_both_images_stand_on_the_same_ground() -> None:
    assert stages(TEXT)["base"].split("# ----")[0] == stages(CPU)["base"].split("# ----")[0]
    assert arguments(TEXT)["BASE"] == arguments(CPU)["BASE"]


@pytest.mark.parametrize("target", TARGETS)
def test_no_compiler_is_in_an_image(target: str) -> None:
    for text in ancestry(target):
        assert not re.search(r"\bg\+\+|\bgcc\b|build-essential|devel|build\.lock", text)


@pytest.mark.parametrize("target", TARGETS)
def test_an_image_runs_as_an_unprivileged_user_and_starts_the_runner(target: str) -> None:
    whole = "\n".join(reversed(ancestry(target)))
    assert re.findall(r"^USER (\S+)", whole, re.MULTILINE)[-1] == "10001:10001"
    started = {"cloud": '["python", "-m", "local.cloud", "/scratch/cloud"]'}.get(target, '["python", "-m", "runner"]')
    assert re.findall(r"^ENTRYPOINT (.+)", whole, re.MULTILINE)[-1] == started
    for folder in ("input", "output", "processed", "error", "state"):
        assert f"/data/{folder}" in whole
    assert re.search(r"TMPDIR=/scratch.*NUMBA_CACHE_DIR=/scratch/", whole, re.DOTALL), "the root may be read-only"


@pytest.mark.parametrize("command", ["scenejobs", "video-splat"])
def test_the_commands_that_messages_name_are_in_every_image(command: str, tmp_path: Path) -> None:
    """As they are copied, from a folder that is not ours; /app is this checkout."""
    script = IMAGE / "commands" / command
    assert os.access(script, os.X_OK)
    assert script.read_text().startswith("#!/opt/venv/bin/python -P\n")
    for text in (TEXT, CODE, CPU):
        assert "COPY runner/image/commands /usr/local/bin\n" in text
        assert "COPY video_splat ./video_splat\n" in text
    (tmp_path / command).write_text(script.read_text().replace("/app", str(ROOT)))
    done = subprocess.run(
        [sys.executable, "-P", str(tmp_path / command), "--help"], cwd=tmp_path, env={}, capture_output=True, text=True,
        check=False, timeout=120,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert f"Usage: {command}" in done.stdout


@pytest.mark.parametrize("name", DOCKERFILES)
def test_the_classic_builder_of_the_registry_understands_it(name: str) -> None:
    assert not re.search(r"--mount=|^COPY .*--chmod|<<", DOCKERFILES[name].read_text(), re.MULTILINE)


@pytest.mark.parametrize("lock", ["gpu-cuda13", "gpu-cuda12", "cpu", "build-cuda13", "build-cuda12", "kernels"])
def test_every_locked_requirement_has_a_version_and_a_hash(lock: str) -> None:
    text = (IMAGE / f"{lock}.lock").read_text()
    blocks = re.split(r"^(?=[\w.-]+==)", text, flags=re.MULTILINE)[1:]
    assert blocks
    for block in blocks:
        assert re.match(r"[\w.-]+==[\w.+]+ \\\n", block)
        assert re.search(r"--hash=sha256:[0-9a-f]{64}\b", block)
    for install in re.findall(r"pip install [^\n]*(?:\\\n[^\n]*)*", TEXT + stages(CPU)["cpu"]):
        assert "--require-hashes" in install or "--no-index" in install


@pytest.mark.parametrize("lock", ["gpu-cuda13", "gpu-cuda12", "cpu"])
def test_the_locks_are_those_of_the_requirements(lock: str) -> None:
    text = (IMAGE / f"{lock}.lock").read_text() + (IMAGE / "kernels.lock").read_text()
    (older,) = re.findall(r"^torch_cuda12=(.+)$", (IMAGE / "lock.sh").read_text(), re.MULTILINE)
    for line in (ROOT / "runner" / "requirements.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            wanted = line
            if line.startswith("torch=="):
                wanted = {"cpu": f"{line}+cpu", "gpu-cuda12": f"torch=={older}"}.get(lock, line)
            assert re.search(rf"^{re.escape(wanted)} \\", text, re.MULTILINE), f"{wanted}: run runner/image/lock.sh"


@pytest.mark.parametrize("cuda", [12, 13])
def test_an_image_holds_libraries_of_one_cuda_version(cuda: int) -> None:
    found = names(IMAGE / f"gpu-cuda{cuda}.lock")
    assert f"nvidia-cudnn-cu{cuda}" in found
    assert not [name for name in found if name.endswith(f"-cu{25 - cuda}")]
    (major,) = re.findall(r"^cuda-bindings==(\d+)", (IMAGE / f"gpu-cuda{cuda}.lock").read_text(), re.MULTILINE)
    assert int(major) == cuda


def test_no_cuda_is_in_the_cpu_image_and_the_kernels_come_from_source() -> None:
    assert not [name for name in names(IMAGE / "cpu.lock") if name.startswith("nvidia") or name == "triton"]
    for cuda in (12, 13):
        assert "gsplat" not in names(IMAGE / f"gpu-cuda{cuda}.lock"), "its wheel would compile itself at run time"
    assert (IMAGE / "kernels.lock").read_text().count("--hash") == 1


def test_the_kernels_are_built_for_the_gpus_of_container_apps() -> None:
    for text in (TEXT, (IMAGE / "build_kernels.sh").read_text()):
        (built,) = re.findall(r'"(7\.5[^"]*)"', text)
        assert {"7.5", "8.0"} <= set(built.split(";")), "T4 and A100"
        assert built == "7.5;8.0;9.0+PTX"


def test_the_kernels_are_compiled_with_the_ninja_of_the_environment(tmp_path: Path) -> None:
    """torch looks for it on PATH alone, and else compiles one file after the other, whatever MAX_JOBS says."""
    tools, packages = tmp_path / "bin", tmp_path / "lib"
    toolkit = packages / "nvidia/cu13"
    for folder in (tools, toolkit / "bin", toolkit / "nvvm", toolkit / "include", toolkit / "lib"):
        folder.mkdir(parents=True)
    (toolkit / "lib/libcudart.so.13").touch()
    programs = {
        tools / "python": f'#!/bin/sh\n[ "$1" = -c ] && echo {packages} && exit\ncommand -v ninja; command -v nvcc\n',
        tools / "ninja": "#!/bin/sh\n", toolkit / "bin/nvcc": "#!/bin/sh\n",
    }  # fmt: skip
    for path, text in programs.items():
        path.write_text(text)
        path.chmod(0o755)
    done = subprocess.run(
        ["bash", str(IMAGE / "build_kernels.sh"), "bin/python", str(tmp_path / "wheels")],
        cwd=tmp_path, env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    ninja, nvcc = done.stdout.split()[-2:]
    assert ninja == str(tools / "ninja")
    assert nvcc.endswith("/bin/nvcc")


@pytest.mark.parametrize(("machine", "code"), [("x86_64", 0), ("aarch64", 1)])
def test_on_another_processor_the_build_says_why_it_ends(machine: str, code: int, tmp_path: Path) -> None:
    """pip would say that no version of pycolmap satisfies the requirement. The Dockerfile's own words, run."""
    (first,) = re.findall(r"^RUN (if .*?fi) ", stages(CPU)["cpu"], re.MULTILINE | re.DOTALL)
    (tmp_path / "uname").write_text(f"#!/bin/sh\necho {machine}\n")
    (tmp_path / "uname").chmod(0o755)
    script = first.replace("\\\n", "\n")
    env = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    done = subprocess.run(["sh", "-c", script], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == code
    assert ("no image for aarch64: pycolmap" in done.stderr) == (code != 0)


def test_every_document_gives_the_scratch_folder_to_the_user_of_the_image() -> None:
    """Docker's tmpfs is root's: preflight ended in a traceback where the command was copied."""
    for path in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]:
        for options in re.findall(r"--tmpfs[ =]/scratch(\S*)", path.read_text()):
            assert "uid=10001" in options or "mode=1777" in options, path


def test_hadolint_finds_nothing() -> None:
    tool = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([tool, *DOCKERFILES.values()], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")
