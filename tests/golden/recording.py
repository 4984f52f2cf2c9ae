"""Records what a checkout does, part by part: runs its programs under the fixed clock and keeps what they made."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from documents import contents, said, value_of

HERE = Path(__file__).parent
NOW = "2026-03-01T12:00:00+00:00"
PACE = "0.01"  # a busy machine does not bring a training to its budget of seconds, which would shorten its plan
TRAINING = ("--preset", "smoke", "--threads", "1", "--quiet")  # one thread: sums in the same order every time
SAVED = ("frames", "sparse")  # what a training from the saved workspace has to find
KEPT = ("frames", "frames.json", "images", "sparse", "sparse.json", "views.json")  # of the workspace
FOOTAGE = ("local/footage/film.py", "local/footage.py")  # newest first
BY_CHANCE = "state/progress/"  # over folders, written every two seconds of the real clock; `cloud` compares it
RESERVED = ".scenejobs/"  # in a folder: what is no blob
SPEND_DAY = re.compile(r"^state/spend/[0-9-]+/")
HEAVY = ("numpy", "torch", "av", "pycolmap", "cv2", "numba", "scipy", "PIL", "gsplat", "azure.storage", "jinja2")
IMPORTS = {  # program: its module, newest place first
    "the runner's commands": ("runner/cli.py",),
    "worker": ("runner/worker/loop.py", "runner/worker.py"),
    "attempt": ("runner/worker/attempt.py", "runner/scene_work.py"),
    "supervisor of the job": ("runner/job/supervise.py", "runner/job_process.py"),
    "settings of the pipeline": ("runner/pipeline/settings.py", "runner/job_settings.py"),
    "presets": ("runner/pipeline/presets.py", "runner/presets.py"),
    "settings": ("scenejobs/settings/groups.py", "scenejobs/settings.py"),
    "the users' commands": ("scenejobs/commands/cli.py", "scenejobs/cli.py"),
    "function app": ("functions_entry.py",),
    "watch": ("watch/cli.py",),
}


@dataclass(frozen=True)
class Checkout:
    """A checkout to run programs in."""

    repo: Path
    inputs: Path  # footage and workspace, the same for all checkouts
    python: str

    def run(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """A program of the checkout, under the fixed clock, with these variables and few others."""
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
        env = {
            **kept,
            "GOLDEN_NOW": NOW,
            "PYTHONPATH": os.pathsep.join([str(HERE / "fixed"), str(self.repo)]),
            "CACHE_MAX_MB": "0",
            "LOG_LEVEL": "ERROR",
            "COLUMNS": "200",
            **variables,
        }
        command = [self.python, *arguments]
        return subprocess.run(command, cwd=self.repo, env=env, capture_output=True, text=True, check=False)

    def must_run(self, *arguments: str, **variables: str) -> str:
        done = self.run(*arguments, **variables)
        if done.returncode:
            raise SystemExit(f"{' '.join(arguments)} in {self.repo}: exit code {done.returncode}\n{done.stderr}")
        return done.stdout

    def place(self, places: Sequence[str]) -> str:
        """The module that this checkout has, as `python -m` wants it."""
        found = [path for path in places if (self.repo / path).is_file()]
        if not found:
            raise SystemExit(
                f"{self.repo} has none of {', '.join(places)}: add the new place to the table in {__file__}"
            )
        return found[0].removesuffix(".py").replace("/", ".")

    def scene(self, out: Path, files: Sequence[Path], *options: str) -> subprocess.CompletedProcess[str]:
        """Kernels are compiled anew: taken from numba's cache, the same ones give a loss with other last digits.

        Seen on the same checkout; the Gaussians are the same to the last bit either way.
        """
        arguments = ("-m", "runner", "scene", *map(str, files), "--out", str(out), "--name", "demo", *options)
        return self.run(*arguments, GOLDEN_PACE=PACE, NUMBA_CACHE_DIR=str(out.with_name("numba")))


def make_inputs(checkout: Checkout) -> None:
    """Clips and, from them, a workspace with frames, poses and views: made once, the same for every record."""
    inputs = checkout.inputs
    inputs.mkdir(parents=True, exist_ok=True)
    if not (inputs / "footage").is_dir():
        part = inputs / "footage.part"
        checkout.must_run("-m", checkout.place(FOOTAGE), str(part))
        part.rename(inputs / "footage")
    if not (inputs / "workspace").is_dir():
        with tempfile.TemporaryDirectory(dir=inputs) as folder:
            done = checkout.scene(Path(folder) / "out", clips(inputs), *TRAINING, "--keep-workspace")
            if done.returncode:
                raise SystemExit(f"no workspace could be made: {done.stderr}")
            copied(Path(folder) / "out" / "workspace", inputs / "workspace")


def clips(inputs: Path) -> list[Path]:
    return sorted((inputs / "footage").glob("*.mp4"))


def copied(source: Path, target: Path) -> None:
    """The finished stages of a workspace."""
    part = target.with_name(f"{target.name}.part")
    for name in KEPT:
        path = source / name
        part.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            shutil.copytree(path, part / name)
        else:
            shutil.copy2(path, part / name)
    part.rename(target)


def saved_workspace(checkout: Checkout, folder: Path) -> dict[str, Any]:
    out = folder / "out"
    out.mkdir()
    copied(checkout.inputs / "workspace", out / "workspace")
    done = checkout.scene(out, clips(checkout.inputs), *TRAINING, "--keep-workspace")
    document = scene_result(done, out)
    found = (document["files"]["metrics.json"].get("resumed") or {}).get("found", [])
    if not set(SAVED) <= set(found):
        raise SystemExit(
            f"{checkout.repo} did not go on from the saved workspace (it found {found or 'nothing'}): the fingerprint "
            "in frames.json, sparse.json or views.json is made from something else than before, e.g. from the repr of "
            "a settings class with another name or other fields. Saved work of running attempts is lost the same way."
        )
    return require_plan(document)


def from_footage(checkout: Checkout, folder: Path) -> dict[str, Any]:
    out = folder / "out"
    done = checkout.scene(out, clips(checkout.inputs), *TRAINING)
    return require_plan(scene_result(done, out))


def scene_mock(checkout: Checkout, folder: Path) -> dict[str, Any]:
    return scene_result(checkout.scene(folder / "out", [media(folder, "a.mp4")], "--backend", "mock"), folder / "out")


def scene_refused(checkout: Checkout, folder: Path) -> dict[str, Any]:
    done = checkout.scene(folder / "out", [media(folder, "a.mp4", b"")], "--backend", "mock")
    return scene_result(done, folder / "out")


def media(folder: Path, name: str, data: bytes = b"the mock takes any bytes") -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def scene_result(done: subprocess.CompletedProcess[str], out: Path) -> dict[str, Any]:
    """How the command ended and what it left, but for the workspace."""
    shutil.rmtree(out / "workspace", ignore_errors=True)
    ended = {"exit": done.returncode, "said": said_by(done, out)}
    if done.returncode and not (out / "error.json").is_file():
        raise SystemExit(f"the runner ended with {done.returncode}: {done.stderr}")
    return without_paths({**ended, "files": contents(out)}, out.parent)


def require_plan(document: dict[str, Any]) -> dict[str, Any]:
    """The document of a training that was not cut short by the clock."""
    stopped = document["files"]["metrics.json"]["training"]["stopped"]
    if stopped != "plan":
        raise SystemExit(f"the training ended by its {stopped}, not by its plan: two of them cannot be compared")
    return document


def said_by(done: subprocess.CompletedProcess[str], folder: Path) -> list[Any]:
    lines = said((done.stdout + done.stderr).replace(str(folder), "OUT"))
    return [line for line in lines if "%" not in line]  # lines of progress come by the clock on the wall


def without_paths(value: dict[str, Any], folder: Path) -> dict[str, Any]:
    replaced: dict[str, Any] = json.loads(json.dumps(value).replace(str(folder), "FOLDER"))
    return replaced


def folder_storage(checkout: Checkout, folder: Path) -> dict[str, Any]:
    """What users and operators do, over folders in the place of containers."""
    data = folder / "data"
    for name in ("input", "output", "processed", "error", "state"):
        (data / name).mkdir(parents=True)
    common = {"DATA_PATH": str(data), "BACKEND": "mock", "MIN_DISK_SPACE_GB": "0", "CHECKPOINT_INTERVAL_SECS": "0"}
    good, empty = media(folder, "a.mp4"), media(folder, "b.mp4", b"")
    steps: list[Any] = []

    def step(*arguments: str, **variables: str) -> None:
        done = checkout.run(*arguments, **common, **variables)
        output = value_of(done.stdout) if "--json" in arguments else said_by(done, folder)
        steps.append({"command": " ".join(arguments), "exit": done.returncode, "said": output})

    step("-m", "scenejobs", "upload", "hall", str(good))
    step("-m", "scenejobs", "upload", "cellar", str(empty))
    step("-m", "scenejobs", "status")
    for scene in ("hall", "cellar", "nowhere"):
        step("-m", "runner", RUN_MODE="batch", BATCH_INPUT_PREFIX=scene, BATCH_JOB_ID=f"run-{scene}")
    step("-m", "scenejobs", "status")
    step("-m", "scenejobs", "status", "cellar")
    step("-m", "scenejobs", "download", "hall", str(folder / "downloaded"))
    step("-m", "scenejobs", "audit", "--json", "--deep")
    step("-m", "scenejobs", "redrive", "cellar")
    step("-m", "scenejobs", "nonsense")
    step("-m", "runner", RUN_MODE="nonsense", THREADS="-1")
    files = {
        SPEND_DAY.sub("state/spend/DAY/", name): value  # of the clock of the disk
        for name, value in contents(data).items()
        if not name.startswith(BY_CHANCE) and RESERVED not in name
    }
    return without_paths({"steps": steps, "files": files, "downloaded": contents(folder / "downloaded")}, folder)


def cloud(checkout: Checkout, folder: Path) -> dict[str, Any]:
    done = checkout.run(str(HERE / "cloud.py"), TMPDIR=str(folder))
    if done.returncode:
        raise SystemExit(f"the cloud in memory ended with {done.returncode}: {done.stderr}")
    return without_paths({**value_of(done.stdout), "log": said(done.stderr)}, folder)


def imports(checkout: Checkout, folder: Path) -> dict[str, Any]:
    """Which of the heavy modules each program has loaded."""
    loaded = {}
    for program, places in IMPORTS.items():
        code = f"import sys, {checkout.place(places)}; print(*[name for name in {HEAVY!r} if name in sys.modules])"
        loaded[program] = checkout.must_run("-c", code).split()
    return loaded


PARTS: dict[str, Callable[[Checkout, Path], dict[str, Any]]] = {
    "imports": imports,
    "scene-mock": scene_mock,
    "scene-refused": scene_refused,
    "folder": folder_storage,
    "cloud": cloud,
    "saved-workspace": saved_workspace,
    "from-footage": from_footage,
}


def record(checkout: Checkout, out: Path, parts: Sequence[str]) -> None:
    make_inputs(checkout)
    out.mkdir(parents=True, exist_ok=True)
    for name in parts:
        print(f"{name} ...", flush=True)
        with tempfile.TemporaryDirectory() as folder:
            document = PARTS[name](checkout, Path(folder).resolve())
        (out / f"{name}.json").write_text(json.dumps(document, indent=1, sort_keys=True) + "\n", encoding="utf-8")
