"""What users do: upload, upload again, delete, mark as ready; and what their scenes do to the jobs working on them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from runner.job.request import Job
from runner.job.supervise import Supervision
from runner.scene.progress import Report
from runner.scene.stages import RESUME_FILES
from runner.worker.context import RunJob
from scenejobs.errors import Code, ConfigurationError, InputError, Interrupted, ResourceError, RunnerError
from scenejobs.names import PREVIEW_FILES, PREVIEW_FOLDER, SCENE_FILE, is_video
from scenejobs.state.layout import MANIFEST
from scenejobs.state.messages import JobMessage
from tests.runner_world import echo_job
from tests.simulation.doubts import REASON
from tests.simulation.growth import BAD
from tests.simulation.hub import Killed, Process
from tests.simulation.sending import send

if TYPE_CHECKING:
    from tests.simulation.world import Simulation

NAMES = ("lobby", "lobby2", "attic")  # the first is a prefix of the second
FIRST_SAVED = RESUME_FILES["frame_extraction"][0]  # one file is enough to be saved and found
GAPS_S = (0.0, 1.0, 5.0, 15.0, 45.0, 90.0)
HOSTILE_NAMES = ("../lobby/a.mp4", "lobby/../attic/a.mp4", "lobby//a.mp4", "lobby/a\\..\\b.mp4", "lobby/a\n.mp4")
HOSTILE_TEXTS = (
    "",
    "not json",
    "[" * 3000,
    '{"v":2,"scene":"lobby"}',
    '{"v":1,"scene":"lobby"}',
    '{"v":1,"scene":"../state","batch":"","sent_at":"2026-01-01T00:00:00+00:00"}',
    "\u202e{}",
)


@dataclass(frozen=True)
class Scene:
    """What is special about a scene. Times in seconds."""

    name: str
    job_s: float = 40.0  # how long its job works
    fault: str = ""  # "bad input", "breaks", "kills", "unset"; "": its job always succeeds


def choose_scenes(sim: Simulation) -> tuple[Scene, ...]:
    draw, profile = sim.hub.random, sim.hub.profile
    scenes = []
    for name in NAMES[: draw.choice((1, 1, 2, 2, 3))]:
        fault, dice = "", draw.random()
        for kind in ("bad input", "breaks", "kills", "unset"):
            share = getattr(profile, kind.replace(" ", "_"))
            if 0 <= dice < share:
                fault = kind
            dice -= share
        long = (500.0,) if profile.mute else ()  # longer than a heartbeat may be silent
        scenes.append(Scene(name, draw.choice((2.0, 20.0, 60.0, 130.0, *long)), fault))
    return tuple(scenes)


def start_users(sim: Simulation, scenes: tuple[Scene, ...]) -> None:
    for scene in scenes:
        start(sim, f"user of {scene.name}", partial(_user, sim, scene))
    if sim.hub.random.random() < sim.hub.profile.hostile:
        start(sim, "stranger", lambda: _stranger(sim))


def start(sim: Simulation, name: str, body: Callable[[], None]) -> None:
    def done() -> None:
        sim.users -= 1

    sim.users += 1
    sim.hub.spawn(Process(name, on_end=done), name, body)


def _user(sim: Simulation, scene: Scene) -> None:
    draw, profile, hub = sim.hub.random, sim.hub.profile, sim.hub
    files = [
        f"{scene.name}/{name}"
        for name in ("a.mp4", "cam2/b.MOV", "c.webm", "notes.txt")[: draw.choice((1, 2, 2, 3, 4))]
    ]
    if draw.random() < profile.supplies_poses:
        files.insert(draw.choice((0, len(files))), f"{scene.name}/transforms.json")
    if profile.gives_settings and draw.random() < profile.gives_settings / 2:
        sim.upload(f"{scene.name}/{SCENE_FILE}", _settings(sim))
    if draw.random() < profile.root_upload:
        files.append(f"{scene.name}.mp4")
    for name in files:
        hub.sleep(draw.choice(GAPS_S[:4] if not profile.any_after and not profile.comes_late else GAPS_S))
        send(sim, name)
    if draw.random() < profile.marks_ready:
        sim.upload(f"{scene.name}/_READY")
    if draw.random() < profile.meddles:
        _meddle(sim, scene, files)
    changes: tuple[tuple[float, Callable[[], None]], ...] = (
        (profile.replaces, lambda: sim.upload(draw.choice(files))),
        (profile.comes_late, lambda: sim.upload(f"{scene.name}/late.mp4")),
        (profile.deletes, lambda: sim.remove(draw.choice(files))),
        (profile.replaces / 2, lambda: sim.upload(draw.choice(files))),
    )
    for share, act in changes:
        if draw.random() < share:
            hub.sleep(draw.choice((0.0, 20.0, 60.0, 110.0, 180.0, 300.0)) * (0.5 + draw.random()))
            act()
    for _ in range(2 if profile.gives_settings else 0):
        if draw.random() < profile.gives_settings:
            hub.sleep(draw.choice((0.0, 60.0, 180.0, 600.0)) * (0.5 + draw.random()))
            sim.upload(f"{scene.name}/{SCENE_FILE}", _settings(sim))


def _settings(sim: Simulation) -> bytes:
    """A scene.yaml like no other; one in four is wrong, and some name who is to be told."""
    number = len(sim.checker.versions)
    word = "train_steps" if sim.hub.random.random() < 0.75 else "train_stepps"
    notify = ("", "notify: [team]\n", "notify: [team, nobody]\n")[number % 3] if sim.profile.notices else ""
    return f"# {number}\n{word}: {100 + number}\n{notify}".encode()


def _meddle(sim: Simulation, scene: Scene, files: list[str]) -> None:
    """Waits until an attempt has taken its snapshot, and changes what it is about to read; or what is being moved."""
    when = sim.hub.random.choice(("running", "committed"))
    for _ in range(500):
        if sim.checker.phases().get(scene.name) == when:
            if when == "committed":
                sim.hub.sleep(sim.hub.random.random() * 10)
            sim.hub.random.choice((sim.upload, sim.remove))(sim.hub.random.choice(files))
            return
        sim.hub.sleep(0.5)


def _stranger(sim: Simulation) -> None:
    """Somebody who may write to the queues and the input container, and is no friend."""
    draw, hub = sim.hub.random, sim.hub
    for _ in range(draw.choice((1, 2, 3))):
        hub.sleep(draw.random() * 200)
        text = draw.choice(HOSTILE_TEXTS)
        sent, queue = draw.choice(((sim.stranger_jobs, sim.jobs), (sim.stranger_checks, sim.debounce)))
        sent.append(text)
        queue.queue.send(text)
        hub.note("hostile message", repr(text[:40]))
    forged = JobMessage(draw.choice((*NAMES, "ghost")), "", hub.clock())  # it can only cause a look at that scene
    sim.jobs.queue.send(forged.to_json())
    sim.upload_hostile(draw.choice(HOSTILE_NAMES))


def _leave_first_look(job: Job) -> None:
    folder = job.workspace / PREVIEW_FOLDER
    folder.mkdir(exist_ok=True)
    for name in PREVIEW_FILES:
        (folder / name).write_text(job.job_id)


def job_of(sim: Simulation, process: Process) -> RunJob:
    """The child process of a runner: it takes time, looks where it should, and ends as its scene wants."""

    def run(job: Job, supervision: Supervision) -> dict[str, Any]:
        hub = sim.hub
        scene = next(scene for scene in sim.scenes if scene.name == job.name)
        sim.jobs_run += 1
        sim.told.named[job.job_id] = job.asked is not None and "team" in job.asked.notify
        made_of = hashlib.sha256(b"".join(clip.path.read_bytes() for clip in job.clips)).hexdigest()
        state = job.workspace / FIRST_SAVED
        left_s = scene.job_s
        if state.is_file():
            saved = json.loads(state.read_text())
            sim.checker.goes_on(scene.name, made_of, saved)
            left_s = saved["left_s"]
        while left_s > 0:
            hub.sleep(min(10.0, left_s))
            _leave_first_look(job)
            left_s -= 10.0
            state.with_suffix(".new").write_text(json.dumps({"made_of": made_of, "left_s": left_s, "by": job.job_id}))
            state.with_suffix(".new").replace(state)
            hub.call("work", lambda: None)
            supervision.check_lease()
            sim.checker.works(process, scene.name)
            if supervision.stop_requested():
                raise Interrupted("told to stop", stage="training")
            supervision.on_progress(Report("training", 0.5, "", left_s))
        refused = tuple(clip.name for clip in job.clips if clip.path.read_bytes().startswith(BAD))
        if refused:
            raise InputError(f"{refused[0]} is no video", advice="film it", stage="frame_extraction", files=refused)
        if scene.fault == "bad input":
            raise InputError(f"{job.name} is no video", advice="upload a video", stage="frame_extraction")
        if scene.fault == "unset":
            raise ConfigurationError("no GPU", code=Code.NO_GPU, stage="training")
        if scene.fault == "kills":
            hub.note("out of memory", scene.name)
            hub.kill(process)
            raise Killed
        if scene.fault == "breaks" and hub.random.random() < 0.5:
            raise hub.random.choice(
                (
                    ResourceError("no space left", stage="training"),
                    RunnerError("KeyError", code=Code.BUG, stage="training"),
                )
            )
        summary = echo_job(job, supervision)
        if job.job_id.endswith("3"):  # now and then a run has one file more, which no later one writes
            _write_more(job)
        shown = [clip.name for clip in job.clips if is_video(clip.name)]
        if scene.name in sim.shows_less and len(shown) > 1:
            sim.shows_less.discard(scene.name)
            hub.note("shows less", f"{scene.name} {shown.pop(0)}")
        sim.checker.growth.clips[job.job_id] = frozenset(shown)
        if scene.name in sim.doubts:
            sim.doubts.discard(scene.name)
            hub.note("suspect", job.job_id)
            sim.checker.doubts.suspect.add(job.job_id)
            summary |= {"doubt": {"code": str(Code.POSES_SUSPECT), "reasons": [REASON], "advice": ""}}
        return {**summary, "clips_shown": shown}

    return run


def _write_more(job: Job) -> None:
    data = b"only this run writes it"
    (job.out / "more.txt").write_bytes(data)
    manifest = json.loads((job.out / MANIFEST).read_text())
    manifest["outputs"].append(
        {"name": "more.txt", "size_bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    )
    (job.out / MANIFEST).write_text(json.dumps(manifest))
