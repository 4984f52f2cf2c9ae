"""compose.yaml run by Compose itself: watch mode from its first start to a kill, and the emulated cloud."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

from scripts.images_real.build import AZURITE, CLOUD, CPU
from scripts.images_real.runs import LIGHT, USER
from scripts.images_real.steps import Failed, Steps, timed
from scripts.images_real.tools import ROOT

PROJECT = "video-splat-real"
HEALTH, METRICS = 18080, 19090
SCENE_S = 1200.0
TERMINAL = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")  # control sequences
OURS = ("watch-cpu", "cloud", "azurite")
CONNECTION = (
    "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey=Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFs"
    "uFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==;BlobEndpoint=http://127.0.0.1:10000/devstoreaccount1;"
    "QueueEndpoint=http://127.0.0.1:10001/devstoreaccount1;"
)


class Composed:
    """`docker compose` on the repository's file, with what this machine lacks taken out by an override file."""

    def __init__(self, command: list[str], steps: Steps, work: Path, bridge: bool, settings: dict[str, str]) -> None:
        work.mkdir(parents=True, exist_ok=True)
        self.steps = steps
        override, env = work / "override.yaml", work / "settings.env"
        override.write_text(json.dumps(_override(bridge)).replace('"!reset []"', "!reset []"))
        given = {"HEALTH_PORT": str(HEALTH), "PROMETHEUS_PORT": str(METRICS), **settings}
        env.write_text("".join(f"{name}={value}\n" for name, value in given.items()))
        files = ["--env-file", str(env), "--file", str(ROOT / "compose.yaml"), "--file", str(override)]
        project = ["--project-name", PROJECT, "--project-directory", str(ROOT)]
        self._command = [*command, "--ansi=never", *project, *files, "--profile", "cpu", "--profile", "cloud"]

    def __call__(self, *words: str, code: int | None = 0) -> str:
        return self.steps.run([*self._command, *words], code=code)

    def logs(self, service: str) -> str:
        """Lines as the service wrote them: Compose 2.26 clears each line first, whatever --ansi says."""
        return TERMINAL.sub("", self("logs", "--no-log-prefix", service))


def _override(bridge: bool) -> dict[str, object]:
    """Images that were built already, and where there is no bridge the host's network, on ports of its own."""
    services: dict[str, dict[str, object]] = {
        name: {"build": "!reset []"} for name in ("watch-cpu", "prepare-cpu", "cloud")
    }
    services["azurite"] = {"image": AZURITE, "healthcheck": {"start_period": "30s"}}
    services |= {"watch-cpu": {**services["watch-cpu"], "image": CPU}, "cloud": {**services["cloud"], "image": CLOUD}}
    services["prepare-cpu"]["image"] = CPU
    services["cloud"]["environment"] = {"BACKEND": "mock"}  # the scene's way is looked at here; what it is, in `scene`
    if not bridge:
        for name in OURS:
            services[name] |= {"network_mode": "host", "ports": "!reset []"}
        services["cloud"]["extra_hosts"] = ["azurite:127.0.0.1"]
        services["watch-cpu"]["environment"] = {"HEALTH_CHECK_PORT": str(HEALTH), "METRICS_PORT": str(METRICS),
                                                "LISTEN_ADDRESS": "127.0.0.1"}  # fmt: skip
    return {"services": services}


@contextmanager
def taken_down(composed: Composed) -> Iterator[None]:
    """Whatever happens, nothing of the project is left: containers, volumes, networks."""
    try:
        yield
    except BaseException:
        print(composed("logs", "--tail", "60", code=None), file=sys.stderr)
        raise
    finally:
        composed("down", "--volumes", "--timeout", "60", code=None)


def wait(what: str, is_so: Callable[[], bool], timeout_s: float) -> None:
    end = time.monotonic() + timeout_s
    while not is_so():
        if time.monotonic() > end:
            raise Failed(f"not within {timeout_s:.0f} s: {what}")
        time.sleep(1)


def is_well() -> bool:
    try:
        with urlopen(f"http://127.0.0.1:{HEALTH}/health", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def first_start(command: list[str], steps: Steps, work: Path, bridge: bool) -> None:
    """`docker compose up` on a machine where nothing was made ready."""
    data = work / "first" / "data"
    for name, make, settings, code, word in (
        ("no data folder: it is made, user 10001's", None, {}, 0, ""),
        ("a data folder of user 1000: `up` ends with the two ways out", 1000, {}, 1, "DATA_USER=1000:1000"),
        ("the same with DATA_USER=1000:1000", 1000, {"DATA_USER": "1000:1000"}, 0, ""),
        ("a wrong setting in .env: `up` ends with its name", None, {"PRESET": "nonsense"}, 1, "nonsense"),
    ):
        shutil.rmtree(data.parent, ignore_errors=True)
        data.parent.mkdir(parents=True)
        if make:
            data.mkdir()
            os.chown(data, make, make)
        composed = Composed(command, steps, work / "first", bridge, {"DATA_DIR": str(data), **settings})
        with taken_down(composed):
            start = time.monotonic()
            composed("up", "--detach", "--no-build", "watch-cpu", code=code)
            if code:
                told = composed.logs("prepare-cpu")
                steps.expect(word in told and "Traceback" not in told, name, told)
                steps.expect("watch-cpu" not in composed("ps", "--services"), "the watch was not started")
            else:
                wait("healthy", is_well, 120)
                owner = make or USER
                steps.expect(
                    {path.stat().st_uid for path in data.iterdir()} == {owner}, "folders of the user", str(data)
                )
            steps.row(name, "so", timed(start))


def watch(command: list[str], steps: Steps, work: Path, bridge: bool, clips: list[Path]) -> None:
    """A scene, stopped in its middle, started again, killed in its middle, and finished; the log, the audit."""
    data = work / "watch" / "data"
    shutil.rmtree(data.parent, ignore_errors=True)
    data.parent.mkdir(parents=True)
    settings = {**LIGHT, "DATA_DIR": str(data), "UPLOAD_STABILITY_TIMEOUT_SECS": "5", "POLL_INTERVAL_SECS": "2",
                "MIN_DISK_SPACE_GB": "2", "CHECKPOINT_INTERVAL_SECS": "5"}  # fmt: skip
    composed = Composed(command, steps, work / "watch", bridge, settings)
    with taken_down(composed):
        composed("up", "--detach", "--no-build", "watch-cpu")
        wait("healthy", is_well, 120)
        time.sleep(12)
        told = composed.logs("watch-cpu")
        steps.expect(len(told.splitlines()) <= 3, "six looks at an empty folder write no line each", told)
        steps.row("log of an idle watch, six looks", f"{len(told.splitlines())} lines")
        scene = data / "input/lobby"
        scene.mkdir()
        for clip in clips:
            shutil.copyfile(clip, scene / clip.name)
        for path in (scene, *scene.iterdir()):
            os.chown(path, USER, USER)

        def is_worked_on() -> bool:
            return " running" in composed(
                "exec", "-T", "watch-cpu", "python", "-m", "scenejobs", "status", "lobby", code=None
            )

        start = time.monotonic()
        wait("begun", is_worked_on, 300)
        time.sleep(20)
        composed("stop", "watch-cpu")
        code = _exit_code(composed)
        steps.expect(code == 0, f"exit code {code} on stop")
        steps.row("docker compose stop, in the middle of a scene", "exit code 0", timed(start))
        composed("start", "watch-cpu")
        wait("healthy", is_well, 120)
        wait("begun again", is_worked_on, 300)
        time.sleep(20)
        composed("kill", "watch-cpu")
        composed("start", "watch-cpu")
        wait("published", lambda: (data / "output/lobby/manifest.json").is_file(), SCENE_S)
        wait("archived", lambda: not scene.exists() or not list(scene.iterdir()), 120)
        steps.row("started again, killed, started again: published and archived", "so", timed(start))
        told = composed.logs("watch-cpu")
        plain = [line for line in told.splitlines() if not line.startswith("{")]
        steps.expect(not plain, "every line is JSON", "\n".join(plain))
        steps.row("its whole log", f"{len(told.splitlines())} lines, each of them JSON")
        told = composed("exec", "-T", "watch-cpu", "python", "-m", "scenejobs", "audit")
        steps.row("audit", told.strip().splitlines()[-1])


def _exit_code(composed: Composed) -> int:
    rows = [json.loads(line) for line in composed("ps", "--all", "--format", "json").splitlines()]
    return next(int(row["ExitCode"]) for row in rows if row["Service"] == "watch-cpu")


def cloud(command: list[str], steps: Steps, work: Path, bridge: bool, clips: list[Path]) -> None:
    """The whole cloud, emulated: from an upload of this machine to a result and an audit."""
    settings = {"PRESET": "smoke", "QUIET_SECONDS": "5"}
    composed = Composed(command, steps, work / "cloud", bridge, settings)
    env = {**os.environ, "AZURE_STORAGE_CONNECTION_STRING": CONNECTION}
    ours = [sys.executable, "-m", "scenejobs"]
    with taken_down(composed):
        start = time.monotonic()
        composed("up", "--detach", "--no-build", "azurite", "cloud")
        steps.row("azurite and cloud are up", "so", timed(start))
        wait(
            "containers", lambda: not subprocess.run([*ours, "status"], cwd=ROOT, env=env, check=False).returncode, 120
        )
        start = time.monotonic()
        steps.run([*ours, "upload", "lobby", *map(str, clips)], cwd=ROOT, env=env)
        steps.run([*ours, "status", "lobby", "--wait"], cwd=ROOT, env=env, timeout=SCENE_S)
        steps.row("upload to result, backend mock", "so", timed(start))
        told = steps.run([*ours, "audit"], cwd=ROOT, env=env)
        steps.row("audit", told.strip().splitlines()[-1])
