"""`scenejobs doctor`: settings, rights, reachability, clock, quota, versions, each with a remedy. Changes nothing."""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, fields
from datetime import UTC, datetime
from functools import partial
from importlib import metadata

from scenejobs.adapters.open import Storage
from scenejobs.commands.doctor import quota
from scenejobs.commands.doctor.line import Line, of_error
from scenejobs.commands.shell import version
from scenejobs.commands.shell.command import Answer, Shell
from scenejobs.commands.shell.command import command as made
from scenejobs.errors import Conflict, NotFound, SceneJobError
from scenejobs.ports import BlobStore, Containers
from scenejobs.state.executions import usage
from scenejobs.state.layout import PREFLIGHT_RECORD

MOST_SKEW_S = 300.0  # links and SAS begin a little before now
NEVER = "0x0"  # an ETag that no blob has
PACKAGES = ("click", "msgspec", "azure-storage-blob", "azure-identity")


@made(
    "doctor", "look whether this machine can do its work with the storage",
    section="For operators",
    more="Each line that is wrong names its remedy. Nothing is changed. A line with ? could not be looked at, and does "
    "not count as wrong. The quota of GPUs (of processors, for a job without one) is looked at where the job is named "
    "(AZURE_SUBSCRIPTION_ID, AZURE_RESOURCE_GROUP, RUNNER_JOB_NAME) and whoever asks may read it (Reader on the "
    "subscription). Whether a job can run: video-splat preflight.",
)  # fmt: skip
def command(shell: Shell) -> Answer:
    """0, or 1 where something is wrong."""
    lines = list(looked_at(shell))
    for line in lines:
        for text in line.text().split("\n"):
            shell.say(text)
    wrong = [line for line in lines if not line.is_right]
    unknown = sum(line.unknown for line in lines)
    found = f"{len(wrong)} of {len(lines)} are wrong" if wrong else "nothing is wrong" if unknown else "all is right"
    shell.say(found + (f", {unknown} could not be looked at" if unknown else ""))
    return Answer({"right": not wrong, "lines": [asdict(line) for line in lines]}, 1 if wrong else 0)


def looked_at(shell: Shell) -> Iterator[Line]:
    yield Line("version", f"{version.version()}, Python {platform.python_version()} on {sys.platform}")
    yield Line("packages", ", ".join(_packages()))
    try:
        storage, settings = shell.open()
    except SceneJobError as exc:
        yield of_error("settings", exc)
        return
    yield Line("settings", f"{storage.means or 'storage account'}, quiet time {settings.quiet_s:g} s")
    yield from _storage(storage)
    yield _minutes(storage.containers.state, settings.max_gpu_minutes)
    if storage.is_azure:
        yield from quota.looked_at(shell.env, settings.max_parallel_jobs)


def _minutes(state: BlobStore, limit: float) -> Line:
    """What is left of the day's minutes of executions."""
    try:
        used = usage.minutes_on(state, state.now().date())
    except SceneJobError as exc:
        return of_error("minutes today", exc)
    found = f"{used:.0f} of {limit:g} (MAX_GPU_MINUTES_PER_DAY)" if limit else f"{used:.0f}, no limit is set here"
    spent = "nothing starts before tomorrow (UTC): raise MAX_GPU_MINUTES_PER_DAY" if limit and used >= limit else ""
    return Line("minutes today", found, spent)


def _packages() -> Iterator[str]:
    for name in PACKAGES:
        try:
            yield f"{name} {metadata.version(name)}"
        except metadata.PackageNotFoundError:
            yield f"{name} is not installed"


def _storage(storage: Storage) -> Iterator[Line]:
    containers = storage.containers
    try:
        skew_s = (containers.state.now() - datetime.now(UTC)).total_seconds()
    except SceneJobError as exc:
        yield of_error("reachable", exc)
        return
    yield Line("reachable", f"container {containers.state.name} answers")
    late = "" if abs(skew_s) <= MOST_SKEW_S else "set the clock of this machine (NTP): signatures go by it"
    yield Line("clock", f"{skew_s:+.0f} s against the service", late)
    for item in fields(Containers):
        store: BlobStore = getattr(containers, item.name)
        yield _asked(f"read {store.name}", partial(_first, store))
        yield _asked(f"write {store.name}", partial(_may_write, store))
    for name, queue in (("debounce", storage.queues.debounce), ("jobs", storage.queues.jobs)):
        yield _asked(f"queue {name}", queue.waiting)
    yield _asked("poison queue", storage.queues.poison.waiting, empty="look: scenejobs audit")


def _first(store: BlobStore) -> object:
    return next(iter(store.list()), None)


def _may_write(store: BlobStore) -> None:
    """A write under a condition that cannot hold: refused for the condition (412) by whoever may write."""
    try:
        store.write(PREFLIGHT_RECORD, b"{}", if_match=NEVER)
    except (Conflict, NotFound):
        return


def _asked(what: str, ask: Callable[[], object], empty: str = "") -> Line:
    try:
        found = ask()
    except SceneJobError as exc:
        return of_error(what, exc)
    if empty and found:
        return Line(what, f"{found} messages that nobody could act on", empty)
    return Line(what, "yes")
