"""Dockerfile.runner without Docker: pinned, locked, small, unprivileged, and its parts exist."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from runner.image.health import healthy

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "Dockerfile.runner").read_text()
IMAGE = ROOT / "runner" / "image"
PINNED = re.compile(r"^[\w./:-]+@sha256:[0-9a-f]{64}$")


def stages(text: str = TEXT) -> dict[str, str]:
    """Name of each stage, in order, and its text."""
    parts = re.split(r"^FROM (\S+) AS (\S+)\n", text, flags=re.MULTILINE)
    return {name: f"FROM {source}\n{body}" for source, name, body in zip(*[iter(parts[1:])] * 3, strict=True)}


def unpinned(text: str) -> list[str]:
    """Images that a build takes from a registry by a name that can be moved."""
    arguments = dict(re.findall(r"^ARG (\w+)=(\S+)$", text, re.MULTILINE))
    sources = [
        re.sub(r"\$\{(\w+)\}", lambda m: arguments.get(m[1], m[0]), s) for s in re.findall(r"^FROM (\S+)", text, re.M)
    ]
    own = set(re.findall(r"^FROM \S+ AS (\S+)", text, re.MULTILINE))
    return [source for source in sources if source not in own and not PINNED.match(source)]


def names(lock: Path) -> set[str]:
    return set(re.findall(r"^([\w.-]+)==", lock.read_text(), re.MULTILINE))


def ancestry(stage: str) -> list[str]:
    """Texts of a stage and of those it is built on."""
    found = []
    while stage in stages():
        found.append(stages()[stage])
        stage = found[-1].split()[1]
    return found


def test_every_base_image_is_named_by_its_digest() -> None:
    assert unpinned(TEXT) == []


@pytest.mark.parametrize("base", ["python:3.11-slim", "python:3.11-slim@sha256:abc", "latest"])
def test_a_build_from_a_name_that_can_be_moved_is_noticed(base: str) -> None:
    assert unpinned(re.sub(r"^ARG BASE=.*$", f"ARG BASE={base}", TEXT, flags=re.MULTILINE)) != []


def test_the_default_is_the_gpu_image_and_the_targets_are_there() -> None:
    assert list(stages())[-1] == "gpu"
    assert {"gpu", "cpu", "blobfuse"} <= set(stages())


@pytest.mark.parametrize("target", ["gpu", "cpu", "blobfuse"])
def test_no_compiler_is_in_an_image(target: str) -> None:
    for text in ancestry(target):
        assert not re.search(r"\bg\+\+|\bgcc\b|build-essential|devel|build\.lock", text)


@pytest.mark.parametrize("target", ["gpu", "cpu", "blobfuse"])
def test_an_image_runs_as_an_unprivileged_user_and_starts_the_runner(target: str) -> None:
    whole = "\n".join(reversed(ancestry(target)))
    assert re.findall(r"^USER (\S+)", whole, re.MULTILINE)[-1] == "10001:10001"
    assert re.findall(r"^ENTRYPOINT (.+)", whole, re.MULTILINE) == ['["python", "-m", "runner"]']
    for folder in ("input", "output", "processed", "error", "state"):
        assert f"/data/{folder}" in whole
    assert re.search(r"TMPDIR=/scratch.*NUMBA_CACHE_DIR=/scratch/", whole, re.DOTALL), "the root may be read-only"


def test_the_classic_builder_of_the_registry_understands_it() -> None:
    assert not re.search(r"--mount=|^COPY .*--chmod|<<", TEXT, re.MULTILINE)


@pytest.mark.parametrize("target", ["gpu", "cpu"])
def test_what_is_copied_exists_passes_the_ignore_file_and_is_every_package_a_mode_runs(target: str) -> None:
    copied = {
        word for text in ancestry(target) for words in re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.MULTILINE)
        for word in words.split()
    }  # fmt: skip
    allowed = {
        line[1:] for line in (ROOT / "Dockerfile.runner.dockerignore").read_text().splitlines() if line[:1] == "!"
    }
    assert all((ROOT / path).exists() for path in copied)
    assert {path.split("/")[0] for path in copied} <= allowed
    packages = {
        name for name in ("scenejobs", "function_app", "runner", "watch") if (ROOT / name / "__init__.py").exists()
    }
    assert packages <= copied


@pytest.mark.parametrize("lock", ["gpu", "cpu", "build", "kernels"])
def test_every_locked_requirement_has_a_version_and_a_hash(lock: str) -> None:
    text = (IMAGE / f"{lock}.lock").read_text()
    blocks = re.split(r"^(?=[\w.-]+==)", text, flags=re.MULTILINE)[1:]
    assert blocks
    for block in blocks:
        assert re.match(r"[\w.-]+==[\w.+]+ \\\n", block)
        assert re.search(r"--hash=sha256:[0-9a-f]{64}\b", block)
    for install in re.findall(r"pip install [^\n]*(?:\\\n[^\n]*)*", TEXT):
        assert "--require-hashes" in install or "--no-index" in install


@pytest.mark.parametrize("lock", ["gpu", "cpu"])
def test_the_locks_are_those_of_the_requirements(lock: str) -> None:
    text = (IMAGE / f"{lock}.lock").read_text() + (IMAGE / "kernels.lock").read_text()
    for line in (ROOT / "runner" / "requirements.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            wanted = f"{line}+cpu" if line.startswith("torch==") and lock == "cpu" else line
            assert re.search(rf"^{re.escape(wanted)} \\", text, re.MULTILINE), f"{wanted}: run runner/image/lock.sh"


def test_no_cuda_is_in_the_cpu_image_and_the_kernels_come_from_source() -> None:
    assert not [name for name in names(IMAGE / "cpu.lock") if name.startswith("nvidia") or name == "triton"]
    assert "gsplat" not in names(IMAGE / "gpu.lock"), "its wheel would compile itself at run time"
    assert (IMAGE / "kernels.lock").read_text().count("--hash") == 1


def test_the_kernels_are_built_for_the_gpus_of_container_apps() -> None:
    for text in (TEXT, (IMAGE / "build_kernels.sh").read_text()):
        (built,) = re.findall(r'"(7\.5[^"]*)"', text)
        assert {"7.5", "8.0"} <= set(built.split(";")), "T4 and A100"
        assert built == "7.5;8.0;9.0+PTX"


@pytest.mark.parametrize("lint", [["hadolint", "Dockerfile.runner"]])
def test_linters_find_nothing(lint: list[str]) -> None:
    tool = Path(sys.executable).with_name(lint[0])
    done = subprocess.run([tool, *lint[1:]], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


# ---- health check ----------------------------------------------------------------------------------------------------


@pytest.fixture(params=[200, 503])
def service(request: pytest.FixtureRequest) -> Iterator[tuple[int, int]]:
    """Port and status of a service."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(request.param if self.path == "/health" else 404)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port, request.param
        server.shutdown()


def test_the_health_check_says_what_the_service_says(service: tuple[int, int]) -> None:
    port, status = service
    assert healthy({"RUN_MODE": "watch", "HEALTH_CHECK_PORT": str(port)}) == (status == 200)


def test_without_a_service_watch_mode_is_unwell_and_a_job_is_not() -> None:
    assert not healthy({"RUN_MODE": "watch", "HEALTH_CHECK_PORT": "1"})
    assert healthy({"RUN_MODE": "watch", "HEALTH_CHECK_PORT": "1", "HEALTH_CHECK_ENABLED": "false"})
    assert healthy({"RUN_MODE": "batch"})
    assert (
        subprocess.run(
            [sys.executable, "-m", "runner.image.health"], cwd=ROOT, env={**os.environ, "RUN_MODE": ""}
        ).returncode
        == 0
    )
