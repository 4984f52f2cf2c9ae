"""Builds the images, and says what they weigh: layers, and which of them a change of our code changes."""

from __future__ import annotations

import contextlib
import functools
import http.server
import json
import os
import re
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from scripts.images_real.steps import Steps, timed
from scripts.images_real.tools import ROOT, unpack

BASE = "video-splat-base:bookworm"
CPU, CLOUD, AZURITE = "video-splat-runner:cpu", "video-splat-local:cpu", "video-splat-azurite:local"
INDEX_PORT = 8311  # always the same: it is in a build argument, and so in the cache's key
MIRROR = "http://deb.debian.org/debian"
PYTHON = "ca-certificates,python3.11,libpython3.11-stdlib"
PYTHON_BUILDS = ("python3.11-venv", "python3.11-dev")


def base(docker: list[str], steps: Steps, work: Path, named: str) -> str:
    """The base image: as the Dockerfile names it where a registry answers, else Debian 12 with its own Python."""
    if named:
        return named
    (pinned,) = [line.partition("=")[2] for line in (ROOT / "Dockerfile.runner").read_text().splitlines()
                 if line.startswith("ARG BASE=")]  # fmt: skip
    start = time.monotonic()
    if subprocess.run([*docker, "pull", pinned], capture_output=True, check=False).returncode == 0:
        steps.row("base", "pulled by its digest", timed(start))
        return pinned
    if subprocess.run([*docker, "image", "inspect", BASE], capture_output=True, check=False).returncode != 0:
        imported(docker, steps, work / "base")
        steps.row("base", "not pulled: no registry answers; Debian 12 by debootstrap, imported", timed(start))
    return BASE


def imported(docker: list[str], steps: Steps, folder: Path) -> None:
    """Bookworm's minimal system with python3, venv, headers, certificates and a link to python."""
    shutil.rmtree(folder, ignore_errors=True)
    program, env = debootstrap(folder.parent)
    steps.run([*program, "--variant=minbase", f"--include={PYTHON}", "bookworm", str(folder), MIRROR], env=env)
    shutil.copyfile("/etc/resolv.conf", folder / "etc/resolv.conf")
    steps.run(["chroot", str(folder), "apt-get", "install", "--yes", "--no-install-recommends", *PYTHON_BUILDS])
    steps.run(["chroot", str(folder), "apt-get", "clean"])
    (folder / "usr/bin/python").symlink_to("python3.11")
    certificates = Path("/etc/ssl/certs/ca-certificates.crt")  # of this machine, whose mirror may have one of its own
    if certificates.is_file():
        shutil.copyfile(certificates, folder / certificates.relative_to("/"))
    archive = folder.with_suffix(".tar")
    steps.run(["tar", "--create", "--file", str(archive), "--directory", str(folder), "."])
    steps.run([*docker, "import", "--change", f"ENV PIP_CERT={certificates}", str(archive), BASE])
    archive.unlink()
    shutil.rmtree(folder)


def debootstrap(work: Path) -> tuple[list[str], dict[str, str]]:
    """The command and its environment: the machine's, else Debian's package, unpacked."""
    if shutil.which("debootstrap"):
        return ["debootstrap"], dict(os.environ)
    found = work / "debootstrap" / "usr"
    if not found.is_dir():
        unpack(work / "debootstrap", ["debootstrap"], None)
    return ["sh", str(found / "sbin/debootstrap")], {**os.environ, "DEBOOTSTRAP_DIR": str(found / "share/debootstrap")}


@contextlib.contextmanager
def index(wheels: Path | None) -> Iterator[dict[str, str]]:
    """Build arguments for torch's index: of one package on loopback where `wheels` has torch's, else the usual one."""
    if wheels is None:
        yield {}
        return
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "torch").mkdir()
        for wheel in wheels.glob("torch-*.whl"):
            (Path(folder) / "torch" / wheel.name).symlink_to(wheel)

        class Quiet(http.server.SimpleHTTPRequestHandler):
            def log_message(self, *_: object) -> None:
                pass

        handler = functools.partial(Quiet, directory=folder)
        server = http.server.ThreadingHTTPServer(("127.0.0.1", INDEX_PORT), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield {"TORCH_CPU_INDEX": f"http://127.0.0.1:{server.server_port}"}
        finally:
            server.shutdown()
            server.server_close()


def images(docker: list[str], steps: Steps, base_image: str, arguments: dict[str, str], host: bool) -> None:
    """Both CPU images, from the Dockerfile as it is."""
    given = {"BASE": base_image, **arguments}
    options = [f"--build-arg={name}={value}" for name, value in given.items()] + ["--network=host"] * host
    for target, tag in (("cpu", CPU), ("cloud", CLOUD)):
        start = time.monotonic()
        _build(docker, steps, ROOT, target, tag, options)
        steps.row(f"build `{target}`", size(docker, steps, tag), timed(start))
    for bytes_, made_by in layers(docker, steps, CLOUD):
        steps.row(f"layer {made_by}", f"{bytes_ / 1e6:,.1f} MB")
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        desk = copy_of_context(Path(folder))
        with (desk / "runner" / "paths.py").open("a") as file:
            file.write(f"\n# changed at {time.time()}\n")
        _build(docker, steps, desk, "cpu", "video-splat-runner:changed", options)
    before, after = (inspected(docker, steps, tag)["RootFS"]["Layers"] for tag in (CPU, "video-splat-runner:changed"))
    same = sum(1 for one, other in zip(before, after, strict=True) if one == other)
    moved = layers(docker, steps, "video-splat-runner:changed")[-(len(after) - same) :]
    seen = f"{len(after) - same} of {len(after)} layers, {sum(bytes_ for bytes_, _ in moved) / 1e6:.1f} MB, are pushed"
    steps.row("a changed line of `runner`", seen, timed(start))
    steps.run([*docker, "image", "rm", "video-splat-runner:changed"])


def _build(docker: list[str], steps: Steps, context: Path, target: str, tag: str, options: Sequence[str]) -> None:
    file = context / "runner/image/Dockerfile.cpu"
    steps.run([*docker, "build", "-f", str(file), "--target", target, *options, "-t", tag, str(context)])


def azurite(docker: list[str], steps: Steps, base_image: str) -> None:
    """The emulator's image: pulled as compose.yaml names it, else the one of `make setup` in the same base."""
    from local.azurite import INSTALLED, install, node

    (named,) = [
        line.split()[-1]
        for line in (ROOT / "compose.yaml").read_text().splitlines()
        if "/azure-storage/azurite:" in line
    ]
    start = time.monotonic()
    if subprocess.run([*docker, "pull", named], capture_output=True, check=False).returncode == 0:
        steps.run([*docker, "tag", named, AZURITE])
        steps.row("emulator", f"{named}, pulled", timed(start))
        return
    install()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copyfile(node(), folder / "node")
        shutil.copytree(INSTALLED / "node_modules", folder / "node_modules", symlinks=True)
        (folder / "azurite").write_text('#!/bin/sh\nexec node /azurite/node_modules/azurite/dist/src/azurite.js "$@"\n')
        for program in ("node", "azurite"):
            (folder / program).chmod(0o755)
        (folder / "Dockerfile").write_text(
            f"FROM {base_image}\nCOPY node azurite /usr/local/bin/\nCOPY node_modules /azurite/node_modules\n"
        )
        steps.run([*docker, "build", "-t", AZURITE, str(folder)])
    steps.row("emulator", "not pulled: Azurite of `make setup`, the same version, on the base", timed(start))


def copy_of_context(folder: Path) -> Path:
    """What a clone of this working tree gets."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    for name in subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines():
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    return folder


def inspected(docker: list[str], steps: Steps, image: str) -> dict[str, dict[str, list[str]]]:
    (found,) = json.loads(steps.run([*docker, "image", "inspect", image]))
    assert isinstance(found, dict)
    return found


def size(docker: list[str], steps: Steps, image: str) -> str:
    found = inspected(docker, steps, image)
    return f"{int(str(found['Size'])) / 1e9:.2f} GB in {len(found['RootFS']['Layers'])} layers"


def layers(docker: list[str], steps: Steps, image: str) -> list[tuple[int, str]]:
    """(bytes, what made it), lowest first, of those that hold anything."""
    text = steps.run([*docker, "history", "--no-trunc", "--human=false", "--format={{.Size}}\t{{.CreatedBy}}", image])
    found = []
    for line in reversed(text.splitlines()):
        bytes_, _, made_by = line.partition("\t")
        if int(bytes_):
            words = (
                re.sub(r"^RUN \|\d+ (?:\w+=\S* )*", "RUN ", made_by.replace("/bin/sh -c ", "")).split(" # ")[0].split()
            )
            found.append((int(bytes_), f"`{' '.join(words)[:60]}`" if words else "base"))
    return found
