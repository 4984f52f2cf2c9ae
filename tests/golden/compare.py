"""The same before and after: records what a checkout does, and compares two records.

    python tests/golden/compare.py record --repo BEFORE --inputs INPUTS --out A
    python tests/golden/compare.py record --repo AFTER --inputs INPUTS --out B
    python tests/golden/compare.py compare A B        # exit code 1 when anything differs

For changes that must change nothing, such as moving files. A checkout is driven by its commands, settings and blob
names, never by the places of its modules; where that cannot be avoided (`cloud.py`, IMPORTS), the places are a table.

    saved-workspace   one CPU training that goes on from a workspace with frames, poses and views. INPUTS holds the
                      workspace and the rendered clips: the first record makes them, all others reuse them.
    from-footage      the same clips to the end on one thread, where poses are the same to the last bit
    scene-mock, scene-refused   `python -m runner scene` with the mock, and with an empty video
    folder            upload, batch mode, status, audit and download over folders, one success and one dead letter
    cloud             dispatcher and runner over the twins in memory: every message, every version of every blob, log
    imports           heavy modules that a program has loaded when it is imported, each in a fresh interpreter

Time stands still and ids are counted (fixed/sitecustomize.py), in child processes too. IGNORED names what may differ.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
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
ABSENT = "(absent)"
BY_CHANCE = "state/progress/"  # over folders, written every two seconds of the real clock; `cloud` compares it
RESERVED = ".scenejobs/"  # in a folder: what is no blob
SPEND_DAY = re.compile(r"^state/spend/[0-9-]+/")
SHOWN = 40  # differences of a part
SHOWN_CHARS = 110  # of a value

# Paths are those of the flattened documents; an entry of a list is named by its "name" where it has one.
IGNORED = {
    "versions of Python and packages": r"/versions/[^/]+$",
    "seconds of stages, of attempts at poses, of trainings": (
        r"/(stage_seconds|attempt_seconds|attempt_s)/[^/]+(/[^/]+)?$|/(seconds|wall_s|eta_s|elapsed_s)$"
    ),
    "when an execution began: the time less the seconds it ran": r"/state/spend/.*/begun_at$",
    "how many blobs of state an audit saw, progress among them": r"/said/blobs/state$",
    "size and hash of documents that hold seconds or versions": (
        r"/(\[(metrics\.json|report\.html|\.checkpoint\.json|manifest\.json)\])/(size_bytes|sha256)$"
    ),
}

HEAVY = ("numpy", "torch", "av", "pycolmap", "numba", "scipy", "PIL", "gsplat", "azure.storage", "jinja2")
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


# ---- record ----------------------------------------------------------------------------------------------------------


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


# ---- compare ---------------------------------------------------------------------------------------------------------


def flat(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """(path, plain value) of everything; an empty list or object counts as a value."""
    if isinstance(value, Mapping) and value:
        for key in value:
            yield from flat(value[key], f"{path}/{key}")
    elif isinstance(value, list) and value:
        names = [entry.get("name") for entry in value if isinstance(entry, dict)]
        named = len(set(names)) == len(value) and None not in names
        for number, entry in enumerate(value):
            yield from flat(entry, f"{path}/[{names[number] if named else number}]")
        if named:
            yield f"{path}/(order)", names
    else:
        yield path, value


@dataclass(frozen=True)
class Compared:
    """One part of two records."""

    values: int
    ignored: int
    differences: list[tuple[str, Any, Any]]  # path, before, after


def compare_part(name: str, before: Any, after: Any) -> Compared:
    if name == "imports":  # fewer are meant; more are a fault
        more = {program: sorted(set(loaded) - set(before.get(program, HEAVY))) for program, loaded in after.items()}
        found = [(f"/{program}", before.get(program), after[program]) for program, extra in more.items() if extra]
        return Compared(len(before), 0, found)
    left, right = dict(flat(before)), dict(flat(after))
    may_differ = [re.compile(pattern) for pattern in IGNORED.values()]
    ignored, differences = 0, list[tuple[str, Any, Any]]()
    for path in dict.fromkeys([*left, *right]):
        one, other = left.get(path, ABSENT), right.get(path, ABSENT)
        if any(pattern.search(path) for pattern in may_differ) and ABSENT not in (one, other):
            ignored += 1
        elif one != other or type(one) is not type(other):
            differences.append((path, one, other))
    return Compared(len(left), ignored, differences)


def compare(before: Path, after: Path, parts: Sequence[str]) -> int:
    """Prints a table and what differs. Returns the exit code."""
    print("ignored, where both have it:")
    for why, pattern in IGNORED.items():
        print(f"  {why}: {pattern}")
    print("  fewer heavy imports than before (more are a difference)\n")
    print(f"{'part':16} {'values':>7} {'ignored':>8} {'different':>10}")
    found: dict[str, Compared] = {}
    for name in parts:
        documents = [folder / f"{name}.json" for folder in (before, after)]
        missing = [str(path) for path in documents if not path.is_file()]
        if missing:
            raise SystemExit(f"{', '.join(missing)} is missing: record it, or choose --parts")
        one, other = (json.loads(path.read_text(encoding="utf-8")) for path in documents)
        found[name] = compare_part(name, one, other)
        print(f"{name:16} {found[name].values:7} {found[name].ignored:8} {len(found[name].differences):10}")
    print()
    show_hashes(before, after, parts)
    for name, compared in found.items():
        for path, one, other in compared.differences[:SHOWN]:
            one, other = excerpts(one, other)
            print(f"{name}: {path}\n    before {one}\n    after  {other}")
        if len(compared.differences) > SHOWN:
            print(f"{name}: and {len(compared.differences) - SHOWN} more")
    equal = not any(compared.differences for compared in found.values())
    print("equal" if equal else "DIFFERENT")
    return 0 if equal else 1


def show_hashes(before: Path, after: Path, parts: Sequence[str]) -> None:
    """Of the scene files of the trainings, for people."""
    for name in parts:
        if name not in ("saved-workspace", "from-footage"):
            continue
        files = [
            json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))["files"] for folder in (before, after)
        ]
        for file in sorted(file for file in files[0] if file.startswith("demo.")):
            one, other = (each.get(file, {}).get("sha256", ABSENT) for each in files)
            print(f"{name:16} {file:20} {one[:16]} {other[:16]} {'same bytes' if one == other else 'OTHER BYTES'}")
    print()


def excerpts(before: Any, after: Any) -> list[str]:
    """Of both, from a little before where they begin to differ."""
    texts = [value if value == ABSENT else json.dumps(value) for value in (before, after)]
    same = next((at for at, (one, other) in enumerate(zip(*texts, strict=False)) if one != other), 0)
    begin = max(0, same - SHOWN_CHARS // 3)
    return [f"{'...' if begin else ''}{text[begin : begin + SHOWN_CHARS]}" for text in texts]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    recording = commands.add_parser("record", help="run everything in a checkout: four to six minutes on two cores")
    recording.add_argument("--repo", type=Path, required=True, help="the checkout")
    recording.add_argument("--inputs", type=Path, required=True, help="clips and workspace; made if missing")
    recording.add_argument("--out", type=Path, required=True, help="folder of the record")
    recording.add_argument("--python", default=sys.executable, help="default: the one that runs this")
    comparing = commands.add_parser("compare", help="compare two records")
    comparing.add_argument("before", type=Path)
    comparing.add_argument("after", type=Path)
    for each in (recording, comparing):
        each.add_argument(
            "--parts", nargs="+", choices=PARTS, default=list(PARTS), metavar="PART", help=", ".join(PARTS)
        )
    options = parser.parse_args()
    if options.command == "compare":
        return compare(options.before, options.after, options.parts)
    checkout = Checkout(options.repo.resolve(), options.inputs.resolve(), options.python)
    record(checkout, options.out, options.parts)
    return 0


if __name__ == "__main__":
    sys.exit(main())
