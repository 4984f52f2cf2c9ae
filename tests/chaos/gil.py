"""A C call holds the interpreter's lock in the job's process for a minute: the lease is renewed all the while (F43).

    python -m tests.chaos.gil [--seconds 60]

Real are the lease and the message on the emulator, `RecordLease`, `run_job` and the process it starts. That one calls
`sleep` of the C library without giving the lock away, as native code that forgets to does. Two witnesses: a thread in
the same process that wants to tick twice a second (where a heartbeat in the job's process would be), and a rival that
asks for the lease once a second.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from local.azurite import Azurite
from runner.job.request import Job
from runner.job.supervise import JobLimits, Supervision, run_job
from runner.scene.frames import Clip
from runner.worker.lease import RecordLease, Timing
from scenejobs.adapters.azure import retry
from scenejobs.adapters.azure.clients import open_containers, open_queues
from scenejobs.errors import Conflict, LeaseLost, StorageError
from scenejobs.ports import Lease
from scenejobs.settings.pipeline import PipelineSettings
from scenejobs.settings.storage import StorageSettings
from tests.azurite import fresh_settings
from tests.chaos import cases

LEASE_S = 15
NAME = "scenes/lobby.json"
TICK_S = 0.5

# The stand-in for the job: reports as the real one does, then nothing in it runs but the C call.
JOB = """
import ctypes, json, os, sys, threading, time
folder, pipe, seconds = os.path.dirname(sys.argv[2]), int(sys.argv[3]), int(sys.argv[1])
os.write(pipe, json.dumps({"stage": "training", "fraction": 0.5, "detail": "", "eta_s": None}).encode() + b"\\n")
ticks = []
def tick():
    while True:
        time.sleep(0.5)
        ticks.append(time.monotonic())
threading.Thread(target=tick, daemon=True).start()
time.sleep(1.2)
before = len(ticks)
begin = time.monotonic()
left = ctypes.PyDLL(None).sleep(seconds)
end = time.monotonic()
inside = [at for at in ticks if begin < at < end]
with open(os.path.join(folder, "part"), "w") as file:
    json.dump({"held_s": end - begin, "ticks_before": before, "ticks_inside": len(inside), "interrupted_s": left}, file)
os.rename(os.path.join(folder, "part"), os.path.join(folder, "result.json"))
os._exit(0)
"""


@dataclass
class Counted:
    """A lease that counts its renewals."""

    lease: Lease
    beats: list[float] = field(default_factory=list)
    lost: int = 0

    @property
    def id(self) -> str:
        return self.lease.id

    def renew(self) -> None:
        try:
            self.lease.renew()
        except (LeaseLost, StorageError):
            self.lost += 1
            raise
        self.beats.append(time.monotonic())

    def release(self) -> None:
        self.lease.release()


@dataclass(frozen=True)
class Held:
    """What came of it."""

    held_s: float
    ticks_before: int
    ticks_inside: int  # of the witness thread, while the lock was held
    beats: int  # renewals of the lease in that run
    beats_lost: int
    longest_silence_s: float  # between two renewals, and to the ends
    rival_refused: int
    rival_granted: int


def hold(settings: StorageSettings, folder: Path, seconds: int) -> Held:
    """Raises whatever `run_job` raises: LeaseLost would say that the scene was lost."""
    containers, queues = open_containers(settings), open_queues(settings)
    containers.state.write(NAME, b"{}")
    queues.jobs.send("work")
    timing = Timing(LEASE_S)
    message = queues.jobs.receive(timing.visibility_s)
    lease = Counted(open_containers(settings, retry.LEASING).state.lease(NAME, LEASE_S))
    over, answers = threading.Event(), {True: 0, False: 0}

    def rival() -> None:
        while not over.wait(1.0):
            try:
                containers.state.lease(NAME, LEASE_S)
            except Conflict:
                answers[False] += 1
            else:
                answers[True] += 1

    thread = threading.Thread(target=rival)
    video = folder / "0001.mp4"
    video.write_bytes(b"video")
    clips = (Clip("view1.mp4", video),)
    job = Job(clips, folder / "workspace", folder / "out", "lobby", "run-1", PipelineSettings(backend="mock"))
    began = time.monotonic()
    thread.start()
    try:
        with RecordLease(lease, queues.jobs, message, timing=timing) as held:
            told = run_job(
                job,
                Supervision(check_lease=held.check),
                JobLimits(),
                command=(sys.executable, "-I", "-S", "-c", JOB, str(seconds)),
            )
    finally:
        over.set()
        thread.join()
    ended = time.monotonic()
    lease.release()
    edges = [began, *lease.beats, ended]
    return Held(
        held_s=told["held_s"],
        ticks_before=told["ticks_before"],
        ticks_inside=told["ticks_inside"],
        beats=len(lease.beats),
        beats_lost=lease.lost,
        longest_silence_s=max(after - before for before, after in itertools.pairwise(edges)),
        rival_refused=answers[False],
        rival_granted=answers[True],
    )


def problems(held: Held, seconds: int) -> list[str]:
    timing = Timing(LEASE_S)
    checks = {
        f"the lock was held for {held.held_s:.1f} s, not {seconds}": held.held_s >= seconds - 0.1,
        "the witness did not tick even before": held.ticks_before >= 1,
        f"the lock was not held: the witness ticked {held.ticks_inside} times": held.ticks_inside <= 1,
        f"{held.beats_lost} renewals failed": held.beats_lost == 0,
        f"no renewal for {held.longest_silence_s:.1f} s": held.longest_silence_s < timing.patience_s,
        f"a rival was given the lease {held.rival_granted} times": held.rival_granted == 0,
        "the rival never asked": held.rival_refused > 0,
    }
    return [text for text, holds in checks.items() if not holds]


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.gil")
    parser.add_argument("--seconds", type=int, default=60)
    options = parser.parse_args(argv)
    began = time.monotonic()
    with Azurite() as azurite, tempfile.TemporaryDirectory() as folder:
        held = hold(fresh_settings(azurite), Path(folder), options.seconds)
    found = problems(held, options.seconds)
    rows = [
        ["lock held", f"{held.held_s:.1f} s"],
        ["lease", f"{LEASE_S} s"],
        ["renewals of the lease", f"{held.beats}, lost {held.beats_lost}"],
        ["longest time without a renewal", f"{held.longest_silence_s:.1f} s"],
        ["a rival asking for the lease", f"refused {held.rival_refused} times, granted {held.rival_granted} times"],
        ["ticks of a thread in the job's process", f"{held.ticks_inside} of {int(held.held_s / TICK_S)}"],
        ["problems", "; ".join(found) or "none"],
    ]
    table = ["| what | result |", "| --- | --- |", *(f"| {what} | {result} |" for what, result in rows)]
    text = "Target 10 of docs/reliability.md: no lease is lost while the job's process holds the lock."
    title = "The interpreter's lock held by a C call in the job's process"
    cases.write("gil", title, f"{text.strip()}\n\n{cases.took(began)}", table)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
