"""One failure after the other: a run that meets it, the next with its cause gone, and what must be true of both."""

from __future__ import annotations

import functools
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.deployment_simulation.failures import Failure
from tests.deployment_simulation.world import FUNCTIONS, Step, World, fresh, order
from tests.infra.azd.dry_run import AZURE
from tests.infra.scripts.scripted import AZ, ROOT

CAUSES = (
    "signed_in",
    "faults",
    "provision_error",
    "may_build",
    "gpu_limit",
    "second_limit",
    "build_ends",
    "cold_s",
    "code_build_s",
    "zip_build_s",
    "cut",
)
OF_PEOPLE = {"AZURE_ENV_NAME", "AZURE_LOCATION", "AZURE_SUBSCRIPTION_ID"}


@dataclass(frozen=True)
class Outcome:
    """What both runs said, and what is wrong with it ([]: survived)."""

    failure: Failure
    first: Step
    second: Step | None
    faults: list[str]


# ---- the worlds right before each step -------------------------------------------------------------------------------


@functools.cache
def before(two_jobs: bool = False) -> dict[tuple[str, str], dict[str, Any]]:
    """(Failure.world, step) -> the state right before. Raises AssertionError where a run fails by itself."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder))
        if two_jobs:
            world.state["env"]["GPU_PROFILE_FALLBACK"] = "Consumption-GPU-NC24-A100"
        for kind in ("two jobs",) if two_jobs else ("first", "working"):
            for name in order():
                found[kind, name] = world.copy()
                step = world.one(name)
                assert step.code == 0, step
            assert ready(world.state) == []
            world.state.update(code=2, now=world.state["now"] + 86400)
            world.state["blobs"].append("output/my-scene/my-scene.splat")
    return found


# ---- the rules -------------------------------------------------------------------------------------------------------


def named(failure: Failure, said: str) -> bool:
    hook = AZURE["hooks"].get(failure.step)
    return (Path(hook["run"]).name if hook else failure.step) in said


def remedies(said: str) -> list[str]:
    """Commands and settings in a message that exist: of azd, of az, a script, a variable that is read."""
    found = [text for text in re.findall(r"\bazd (?:up|provision|deploy|auth login|hooks run \w+)", said)]
    for words in re.findall(r"(?<![`\w])az ((?:[a-z-]+ ?)+)|'az ([a-z -]+)'", said):
        line = (words[0] or words[1]).split()
        found += [f"az {' '.join(line[:end])}" for end in range(len(line), 0, -1) if " ".join(line[:end]) in AZ][:1]
    found += [path for path in re.findall(r"\bscripts/[\w/-]+\.sh", said) if (ROOT / path).exists()]
    known = (ROOT / "infra/main.parameters.json").read_text() + (ROOT / "scripts/lib.sh").read_text()
    known += "".join(path.read_text() for path in (ROOT / "scripts/hooks").glob("*.sh"))
    settings = re.findall(r"\bazd env set (\w+)|raise ([A-Z_]+)", said)
    found += [name for either in settings for name in either if name and name in known]
    return found


@functools.cache
def troubleshooting() -> list[list[str]]:
    text = (
        (ROOT / "docs/deployment.md").read_text().partition("### Before and while deploying")[2].partition("\n### ")[0]
    )
    return [
        [cell.strip() for cell in line.strip("|").split(" | ")] for line in text.splitlines() if line.startswith("| ")
    ][2:]


def advised(said: str) -> list[str]:
    """What the page of troubles says to the codes and words of azd's own message, which no file of ours writes."""
    return [
        row[2] for row in troubleshooting() for shown in re.findall(r"`([^`]+)`", row[0]) if shown.strip(". ") in said
    ]


def lost(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    gone = [
        f"{kind} {name} is gone"
        for kind in ("resources", "images", "blobs")
        for name in old[kind]
        if name not in new[kind]
    ]
    for id, item in old["resources"].items():
        image = item.get("image", "")
        if (
            image
            and "quickstart" not in image
            and "quickstart" in new["resources"].get(id, {}).get("image", "quickstart")
        ):
            gone.append("a job that worked is back at the placeholder")
    return gone


def ready(state: dict[str, Any]) -> list[str]:
    """What a deployment that ended well lacks."""
    wrong = []
    jobs = [item["image"] for item in state["resources"].values() if item["type"] == "Microsoft.App/jobs"]
    count = 2 if state["env"].get("GPU_PROFILE_FALLBACK") else 1
    wanted = f"{state['env'].get('AZURE_CONTAINER_REGISTRY_ENDPOINT')}/runner:azd-deploy-{state['code']}"
    if jobs != [wanted] * count or state["env"].get("SERVICE_RUNNER_IMAGE_NAME") != wanted:
        wrong.append(f"the jobs have {jobs}, not {wanted}")
    if not any(item["type"].endswith("/eventSubscriptions") for item in state["resources"].values()):
        wrong.append("nobody is subscribed to uploads")
    if state["app"]["code"] != state["code"] or state["app"]["functions"] != FUNCTIONS:
        wrong.append("the functions are not there")
    return wrong


def always(state: dict[str, Any]) -> list[str]:
    wrong = [f"unknown to the model: {call}" for call in state["unknown"]]
    return wrong + [f"asked another subscription: {call}" for call in state["wrong_subscription"]]


# ---- one failure -----------------------------------------------------------------------------------------------------


def cured(state: dict[str, Any]) -> None:
    """The cause is gone, and ten minutes later somebody tries again."""
    blank = fresh()
    state.update({name: blank[name] for name in CAUSES})
    state["env"]["AZURE_LOCATION"] = blank["env"]["AZURE_LOCATION"]
    state["env"].pop("GPU_PROFILE_FALLBACK_LOCATION", None)
    state["app"]["functions"] = FUNCTIONS
    state["now"] += 600
    if state["app"]["woken"]:
        state["app"]["warm_from"] = min(state["app"]["warm_from"], state["now"])


def play(failure: Failure, root: Path = ROOT) -> Outcome:
    """Both runs. From the state right before the step; every run after it is whole."""
    wrong: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder), root)
        world.state = before(failure.two_jobs)[failure.world, failure.step]
        world.state = world.copy()
        world.state.update(step=failure.step, hits=0)
        old = world.copy()
        failure.cause(world.state)
        first = watched_up(world, failure.step, wrong) if failure.survived else world.one(failure.step)
        wrong += lost(old, world.state) + always(world.state)
        if failure.survived:
            wrong += [] if first.code == 0 else [f"{first.name} ended with {first.code}"]
            wrong += ready(world.state)
        else:
            wrong += [] if first.code else ["the first run ended well"]
            wrong += [] if named(failure, first.said) else ["the message does not name the step"]
            if "Ctrl-C" in failure.name:
                wrong += after_ctrl_c(world.state, old)
                wrong += ["the call went on after Ctrl-C"] if (world.folder / "outlived").exists() else []
            else:
                advice = remedies(first.said) if failure.step in AZURE["hooks"] else advised(first.said)
                wrong += [] if advice else ["the message has no remedy"]
        cured(world.state)
        second = watched_up(world, "package", wrong)
        if second.code:
            wrong.append(f"the second run ended with {second.code} at {second.name}: {second.said[-300:]}")
        wrong += always(world.state) + ready(world.state)
        if world.state["doubled"]:
            wrong.append("the same image was built twice at once")
    return Outcome(failure, first, second, list(dict.fromkeys(wrong)))


def watched_up(world: World, start: str, wrong: list[str]) -> Step:
    """`azd up`; what any step loses is added to `wrong`, also where a later one would bring it back."""
    for name in order()[order().index(start) :]:
        old = world.copy()
        step = world.one(name)
        wrong += [f"{name}: {text}" for text in lost(old, world.state)]
        if step.code:
            break
    return step


def after_ctrl_c(state: dict[str, Any], old: dict[str, Any]) -> list[str]:
    """Nothing is called any more."""
    calls = state["calls"][len(old["calls"]) :]
    cut = state.get("cut_at", len(state["calls"]))
    return [f"went on after Ctrl-C: {text}" for _, text in state["calls"][cut:]] if calls else []
