"""A deployment on a model of Azure: the real hooks, in azd's order, with azd's own steps told by the real templates.

A World is a folder with one state file; `one(step)` runs a step of `order()`, in which azd goes through them.
"""

from __future__ import annotations

import json
import marshal
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from function_app import triggers
from tests.deployment_simulation import azd
from tests.infra.azd.dry_run import AZURE, STEPS
from tests.infra.scripts.scripted import AZ, ROOT, SUBSCRIPTION

COMMANDS = ("az", "azd", "curl", "docker", "sleep")
FUNCTIONS = [builder._function.get_function_name() for part in (triggers.blueprint, triggers.by_webhook)
             for builder in part._function_builders]  # fmt: skip
NEEDED_OF_CHECKOUT = ("scripts", "infra", "runner/image", "Dockerfile.runner", "azure.yaml")


@dataclass(frozen=True)
class Step:
    """One step of `azd up` that was run: its name, its exit code, what it said."""

    name: str
    code: int
    said: str


def order() -> list[str]:
    """Steps and hooks as azd goes through them; the services as azure.yaml lists them."""
    names: list[str] = []
    for step in STEPS:
        bodies = [f"deploy {service}" for service in AZURE["services"]] if step == "deploy" else [step]
        names += [hook for hook in (f"pre{step}",) if hook in AZURE["hooks"]]
        names += bodies
        names += [hook for hook in (f"post{step}",) if hook in AZURE["hooks"]]
    return names


class World:
    """The folder; `root`: a checkout, or a copy of one with a hook that was broken on purpose."""

    def __init__(self, folder: Path, root: Path = ROOT) -> None:
        self.folder, self.root = folder, root
        (folder / "bin").mkdir(parents=True, exist_ok=True)
        (folder / "bin/real").mkdir(exist_ok=True)
        for name in COMMANDS:
            real = folder / "bin/real" / name
            if not real.exists():
                real.symlink_to(Path(__file__).with_name("cloud.py"))
                (folder / "bin" / name).write_text(f'#!/bin/sh\nexec {sys.executable} -I -S {real} "$@"\n')
                (folder / "bin" / name).chmod(0o755)
        (folder / "table").write_bytes(marshal.dumps(AZ))
        self.state: dict[str, Any] = fresh()

    # ---- the state file ----------------------------------------------------------------------------------------------

    def save(self) -> None:
        (self.folder / "state.json").write_text(json.dumps(self.state))

    def load(self) -> None:
        self.state = json.loads((self.folder / "state.json").read_text())

    def copy(self) -> dict[str, Any]:
        return json.loads(json.dumps(self.state))  # type: ignore[no-any-return]

    # ---- azd's steps -------------------------------------------------------------------------------------------------

    def one(self, name: str) -> Step:
        self.state["step"] = name
        return self.hook(name) if name in AZURE["hooks"] else self.body(name)

    def body(self, name: str) -> Step:
        try:
            said = azd.run(name, self.state)
        except azd.StepFailed as failed:
            return Step(name, 1, str(failed))
        return Step(name, 0, said)

    def hook(self, name: str) -> Step:
        self.save()
        env = {
            "PATH": f"{self.folder}/bin:/usr/local/bin:/usr/bin:/bin", "HOME": str(self.folder), "LC_ALL": "C.UTF-8",
            "CLOUD": str(self.folder), "CLOUD_STUB": str(ROOT / "tests/infra/scripts"), "TMPDIR": str(self.folder),
            "POLL_S": "600",
            **{key: value for key, value in self.state["env"].items() if value},  # azd gives every value to its hooks
        }  # fmt: skip
        run = subprocess.Popen(
            [os.environ.get("TEST_BASH", "bash"), "-c", 'CLOUD_GROUP=$$ exec "$0" "$1"',
             os.environ.get("TEST_BASH", "bash"), str(self.root / AZURE["hooks"][name]["run"])],
            cwd=self.root, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )  # fmt: skip
        try:
            said, _ = run.communicate(timeout=900)
        except subprocess.TimeoutExpired:
            os.killpg(run.pid, signal.SIGKILL)
            said, _ = run.communicate()
            said += "\n[still ran after 15 minutes]"
        self.load()
        return Step(name, run.returncode, said)


def fresh() -> dict[str, Any]:
    """A person's subscription before the first `azd up`, with another one selected in az."""
    return {
        "now": 0.0, "step": "", "calls": [], "unknown": [], "wrong_subscription": [], "doubled": [],
        "hits": 0, "slept_s": 0.0,
        "env": {"AZURE_ENV_NAME": "dev", "AZURE_LOCATION": "swedencentral", "AZURE_SUBSCRIPTION_ID": SUBSCRIPTION},
        "subscription": SUBSCRIPTION, "signed_in": True, "providers": ["Microsoft.Storage", "Microsoft.Web"],
        "resources": {}, "images": [], "blobs": [], "runs": {}, "faults": [],
        "app": {"code": 0, "woken": False, "warm_from": 1e18, "listed_from": 1e18, "functions": FUNCTIONS},
        "roles_from": 0.0, "role_delay_s": 0.0, "may_build": True, "gpu_limit": "1", "second_limit": "1",
        "build_ends": "Succeeded", "cold_s": 0.0,
        "code": 1, "code_build_s": 240.0, "zip_build_s": 120.0, "provision_error": [], "cut": "",
        "deploying_until": 0.0,
    }  # fmt: skip


def checkout(folder: Path, path: str, before: str, after: str) -> Path:
    """A copy of what hooks read, with one text of one file replaced. Raises ValueError where it is not there once."""
    for name in NEEDED_OF_CHECKOUT:
        source, target = ROOT / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, symlinks=True)
        else:
            shutil.copy2(source, target)
    text = (folder / path).read_text()
    if text.count(before) != 1:
        raise ValueError(f"{path} has {before!r} {text.count(before)} times")
    (folder / path).write_text(text.replace(before, after))
    return folder
