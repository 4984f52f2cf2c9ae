"""Docker's engine and Compose 2: the machine's, else Debian's packages unpacked into a folder and started by hand."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WORK = ROOT / ".local" / "images-real"
PLUGIN = "compose/usr/libexec/docker/cli-plugins/docker-compose"
ENGINE_PACKAGES = ("docker.io", "containerd", "runc", "libdevmapper1.02.1")
COMPOSE_SUITE = "trixie"  # Debian 12 has Compose 1.29, which refuses `name:`
KEYS = "/usr/share/keyrings/debian-archive-keyring.gpg"
START_S = 30.0
BUILDX_SINCE = 23  # versions of the client before have BuildKit in them


class NoEngine(Exception):
    """There is no engine, and none can be started: said, and nothing else fails."""


def found_compose(work: Path = WORK) -> list[str] | None:
    """The command of Docker Compose 2, where there is one."""
    for command in (["docker", "compose"], [str(work / PLUGIN)]):
        with contextlib.suppress(OSError):
            done = subprocess.run([*command, "version", "--short"], capture_output=True, text=True, check=False)
            if done.returncode == 0 and done.stdout.strip().removeprefix("v").split(".")[0].isdecimal():
                return command
    return None


def compose(work: Path) -> list[str]:
    """The same, taken from Debian where there is none. Raises NoEngine."""
    found = found_compose(work)
    if found is None:
        unpack(work / "compose", ["docker-compose"], COMPOSE_SUITE)
        found = found_compose(work)
    if found is None:
        raise NoEngine("there is no Docker Compose 2, and Debian's could not be taken: install the plugin")
    return found


@contextlib.contextmanager
def engine(work: Path) -> Iterator[tuple[list[str], bool]]:
    """(the `docker` command, whether it has bridge networks); ends what it started. Raises NoEngine."""
    os.environ["DOCKER_BUILDKIT"] = "1"  # an engine before 23 would build every layer anew beside its cache
    if _answers(["docker"]):
        yield [client()], True
        return
    run = work / "run"
    socket = f"unix://{run / 'docker.sock'}"
    found = work / "engine" / "usr"
    libraries = (found / "lib/x86_64-linux-gnu", found.parent / "lib/x86_64-linux-gnu")
    paths = {
        "PATH": f"{found}/bin:{found}/sbin:{os.environ['PATH']}",
        "LD_LIBRARY_PATH": ":".join(map(str, libraries)),
    }
    os.environ |= {**paths, "DOCKER_HOST": socket}
    if _answers(["docker"]):  # of a run before this one
        yield [client()], False
        return
    if os.getuid() != 0:
        raise NoEngine("no Docker engine answers; one is started by root only")
    if shutil.which("dockerd") is None:
        unpack(work / "engine", ENGINE_PACKAGES, None)
    daemon = _start(run, socket)
    try:
        yield [client()], False
    finally:
        daemon.send_signal(signal.SIGTERM)
        daemon.wait(60)


def client() -> str:
    """The first `docker` of PATH that builds with BuildKit: from 23 on it needs a plugin. Raises NoEngine."""
    found = [name for folder in os.environ["PATH"].split(os.pathsep) if (name := shutil.which("docker", path=folder))]
    for name in found:
        told = subprocess.run(
            [name, "version", "--format", "{{.Client.Version}}"], capture_output=True, text=True, check=False
        ).stdout  # the exit code is that of the engine's answer
        major = told.strip().split(".")[0]
        if major.isdecimal() and int(major) < BUILDX_SINCE:
            return name
        if subprocess.run([name, "buildx", "version"], capture_output=True, check=False).returncode == 0:
            return name
    raise NoEngine(f"{', '.join(found) or 'docker'}: without BuildKit; install docker-buildx")


def _start(run: Path, socket: str) -> subprocess.Popen[bytes]:
    """By hand: what a bare machine allows, without bridge and filter tables, with every path of its own."""
    run.mkdir(parents=True, exist_ok=True)
    command = [
        "dockerd", "--storage-driver=overlay2", "--iptables=false", "--bridge=none", "--ip-forward=false",
        "--ip-masq=false", f"--data-root={run / 'data'}", f"--exec-root={run / 'exec'}",
        f"--pidfile={run / 'docker.pid'}", f"--host={socket}",
    ]  # fmt: skip
    with (run / "dockerd.log").open("wb") as log:
        daemon = subprocess.Popen(command, stdout=log, stderr=log)
    end = time.monotonic() + START_S
    while time.monotonic() < end and daemon.poll() is None:
        if _answers(["docker"]):
            return daemon
        time.sleep(0.5)
    daemon.terminate()
    raise NoEngine(f"the engine did not start: {run / 'dockerd.log'}")


def _answers(docker: list[str]) -> bool:
    with contextlib.suppress(OSError):
        return subprocess.run([*docker, "info"], capture_output=True, check=False).returncode == 0
    return False


def unpack(folder: Path, packages: Sequence[str], suite: str | None) -> None:
    """Debian's packages, downloaded by apt and not installed. suite: of another release than this machine's."""
    if shutil.which("apt-get") is None:
        raise NoEngine(f"{' '.join(packages)}: not here, and there is no apt-get to take them with")
    folder.mkdir(parents=True, exist_ok=True)
    options: list[str] = []
    if suite:
        lists = folder / "apt"
        for name in ("lists/partial", "cache/archives/partial"):
            (lists / name).mkdir(parents=True, exist_ok=True)
        (lists / "sources.list").write_text(f"deb [signed-by={KEYS}] http://deb.debian.org/debian {suite} main\n")
        values = {"Dir::Etc::sourcelist": lists / "sources.list", "Dir::Etc::sourceparts": "/dev/null",
                  "Dir::State::lists": lists / "lists", "Dir::Cache": lists / "cache"}  # fmt: skip
        options = [f"-o{name}={value}" for name, value in values.items()]
    for command in (["apt-get", *options, "update"], ["apt-get", *options, "download", *packages]):
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise NoEngine(f"{' '.join(command[-len(packages) :])}: {done.stderr.strip().splitlines()[-1]}")
    for archive in folder.glob("*.deb"):
        subprocess.run(["dpkg-deb", "--extract", archive, folder], check=True)
        archive.unlink()
