"""`scenejobs estimate SCENE`: what the uploads of a scene will take, before anything is started."""

from __future__ import annotations

from collections.abc import Mapping

import click

from scenejobs.commands.shell.command import Answer, Shell
from scenejobs.commands.shell.command import command as made
from scenejobs.commands.storage import check_scene
from scenejobs.errors import Code, ConfigurationError, InputError
from scenejobs.estimate import learned
from scenejobs.estimate.film_header import film_header, says
from scenejobs.estimate.fit import disk_needed_gb
from scenejobs.estimate.footage import File, Footage, of_sizes
from scenejobs.estimate.model import CORES, STAGES, Estimate, estimate
from scenejobs.estimate.plans import AUTO, PLANS
from scenejobs.estimate.prices import MACHINES, read_prices
from scenejobs.estimate.words import document, lines
from scenejobs.parallel import Crew
from scenejobs.ports import BlobStore, Containers
from scenejobs.state import contents, estimates, records
from scenejobs.state.incoming.uploads import look_at

MOST_FILMS = 100  # whose headers are read


@made(
    "estimate", "what a scene will take: time, memory, disk, money",
    click.argument("scene"),
    click.option("--preset", default="", metavar="PRESET", help="One preset.  [default: PRESET, or both of auto]"),
    section="Scenes",
    more="From its uploads: names, sizes, and the length that an MP4 or MOV states (1.5 MiB of it are read at most); "
    "and from what earlier scenes took. Files that are still on this machine: video-splat estimate FILE...",
)  # fmt: skip
def command(shell: Shell, scene: str, preset: str) -> Answer:
    """Raises InputError where there is nothing to look at, ConfigurationError, StorageError."""
    storage, dispatch = shell.open()
    check_scene(scene)
    footage = _footage(storage.containers, scene, dispatch.prefix_depth)
    names = presets(preset or shell.env.get("PRESET", "").strip() or "auto")
    finished, prices = estimates.load(storage.containers.state), read_prices()
    found = [_estimate(footage, name, finished) for name in names]
    for each in found:
        for line in lines(each, prices):
            shell.say(line)
    needed_gb = disk_needed_gb(footage.size_bytes, dispatch.min_free_gb)
    fits = not dispatch.job_disk_gb or needed_gb <= dispatch.job_disk_gb
    if not fits:
        shell.say(f"it needs {needed_gb:.1f} GB of disk; an execution has {dispatch.job_disk_gb:g} (JOB_DISK_GB)")
    files = {"files": len(footage.files), "size_bytes": footage.size_bytes}
    told = {"scene": scene, **files, "fits": fits, "estimates": [document(each, prices) for each in found]}
    return Answer(told, 0 if fits else 1)


def presets(name: str) -> tuple[str, ...]:
    """The presets that a word stands for. Raises ConfigurationError."""
    if name == "auto":
        return AUTO
    if name not in PLANS:
        advice = f"use one of auto, {', '.join(PLANS)}"
        raise ConfigurationError(f"preset {name!r} is unknown", code=Code.INVALID_SETTING, advice=advice)
    return (name,)


def _estimate(footage: Footage, name: str, finished: tuple[learned.Finished, ...]) -> Estimate:
    """On the machines that execute it: the smallest of them."""
    plan = PLANS[name]
    backend = "gsplat" if plan.gpu else "cpu"
    known = [each for each in finished if each.backend == backend]
    cores = known[-1].cores if known else min((m.vcpu for m in MACHINES.values() if m.gpu is plan.gpu), default=CORES)
    return estimate(footage, plan, cores, learned.ratios(finished, backend, STAGES))


def _footage(containers: Containers, scene: str, depth: int) -> Footage:
    """Of the uploads, and of what is archived where none wait."""
    waiting = look_at(containers.input, scene, depth).blobs
    sizes = {blob.name: blob.size_bytes for blob in waiting}
    places = {blob.name: f"input/{blob.name}" for blob in waiting}
    stored = records.load(containers.state, scene)
    if stored is not None:
        record = contents.of_history(containers.state, stored.record)
        sizes = {member.name: member.size_bytes for member in record.contents or ()} | sizes
        places = {member.name: member.place for member in record.contents or ()} | places
    footage = _with_headers(containers, of_sizes(sizes), places)
    if not footage.files:
        advice = f"upload some: scenejobs upload {scene} FILE..."
        raise InputError(f"scene {scene} holds no video and no photo", code=Code.NO_SCENE, advice=advice)
    return footage


def _with_headers(containers: Containers, footage: Footage, places: Mapping[str, str]) -> Footage:
    """What the headers of the films say, the largest first; of one that cannot be read (archive tier) its size alone.

    places: container kind and blob of each file.
    """

    def read(file: File) -> File:
        kind, _, name = places[file.name].partition("/")
        store: BlobStore = getattr(containers, kind)
        found = film_header(lambda begin, count: store.read_part(name, begin, count), file.size_bytes)
        if found is None:
            return file
        return File(file.name, file.size_bytes, found.duration_s, found.frames, found.width, found.height)

    films = sorted((file for file in footage.files if says(file.name)), key=lambda file: -file.size_bytes)
    known = {file.name: file for file in Crew().each(read, films[:MOST_FILMS]).results}
    return Footage(tuple(known.get(file.name, file) for file in footage.files))
