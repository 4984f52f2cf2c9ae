"""1000 uploads over 100 scenes, their events in any order, none to three times, a tenth lost (target 5).

    python -m tests.chaos.thousand [--scenes 100] [--videos 10] [--runners 3] [--seed 1] [--no-report]

The whole emulated cloud as processes: storage emulator, host of the function app with its queue trigger and its timer,
jobs API, runner executions with the mock backend. Only the blob trigger is switched off in the host: its events are
delivered here, to the same code, as unreliably as the task asks for. Twice: with such events, and with perfect ones, to
count messages.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from function_app.dispatcher import Dispatcher
from function_app.starter import Starter
from local.cloud import LocalCloud
from scenejobs.adapters.memory import MemoryCompute
from scenejobs.settings.groups import DispatchSettings
from scenejobs.state import records
from scenejobs.state.incoming import batches
from scenejobs.state.record import Outcome
from tests.chaos import cases
from tests.chaos.rest import Upload, at_rest

QUIET_S = 30.0  # longer than all uploads take: a scene whose uploads pause for this long is rightly taken for complete
SWEEP_S = 15.0
LIMIT_S = 900.0
THREADS = 8


@dataclass(frozen=True)
class Events:
    """How well the events are delivered."""

    name: str
    times: tuple[int, int]  # each event so often, from, to
    lost: float  # share of the deliveries that come to nothing


FAULTY = Events("0 to 3 times, 10 % lost", (0, 3), 0.1)
PERFECT = Events("once", (1, 1), 0.0)


@dataclass(frozen=True)
class Day:
    """What came of it."""

    events: Events
    scenes: int
    uploads: int
    delivered: int  # events
    unheard: int  # uploads none of whose events was delivered
    uploading_s: float
    seconds: float  # from the last upload to rest
    committed: int
    processed: int
    messages: int  # job messages sent
    executions: int
    problems: tuple[str, ...]


def run(folder: Path, events: Events, *, scenes: int, videos: int, runners: int, seed: int) -> Day:
    chance = random.Random(seed)
    env = {
        "QUIET_SECONDS": str(QUIET_S),
        "MAX_PARALLEL_JOBS": str(runners),
        "LOCAL_SWEEP_SECONDS": str(SWEEP_S),
        "AzureWebJobs.on_upload.Disabled": "true",
        "BACKEND": "mock",
        "MIN_DISK_SPACE_GB": "0",
        "TEMP_PATH": str(folder / "work"),
        "QUEUE_IDLE_POLLS": "2",
        "QUEUE_IDLE_WAIT_SECS": "1",
    }
    names = [f"scene_{scene}/view {video}.mp4" for scene in range(scenes) for video in range(videos)]
    chance.shuffle(names)
    with LocalCloud(folder / "cloud", env) as cloud:
        began = time.monotonic()
        with ThreadPoolExecutor(THREADS) as pool:
            uploads = list(pool.map(lambda name: _upload(cloud, name), names))
        uploaded_at = time.monotonic()
        heard = [name for name in names for _ in range(chance.randint(*events.times)) if chance.random() >= events.lost]
        chance.shuffle(heard)
        _deliver(cloud, heard)
        sends: dict[str, int] = {}
        problems = _rest(cloud, sends)
        seconds = time.monotonic() - uploaded_at
        problems += at_rest(cloud.containers, cloud.queues, uploads)
        committed, more = _look(cloud, scenes, videos)
        return Day(
            events, scenes, len(names), len(heard), len(set(names) - set(heard)), uploaded_at - began, seconds,
            committed, sum(1 for _ in cloud.containers.processed.list()), sum(sends.values()),
            len(list((folder / "cloud" / "executions").glob("*.log"))), (*problems, *more),
        )  # fmt: skip


def _upload(cloud: LocalCloud, name: str) -> Upload:
    data = f"video {name}".encode()
    return Upload(name, cloud.containers.input.write(name, data), data)


def _deliver(cloud: LocalCloud, names: Sequence[str]) -> None:
    starter = Starter(cloud.containers.state, cloud.queues.jobs, MemoryCompute(), 0)
    dispatcher = Dispatcher(cloud.containers, cloud.queues, DispatchSettings(quiet_s=QUIET_S), starter)
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(lambda name: dispatcher.on_upload(name, datetime.now(UTC)), names))


def _rest(cloud: LocalCloud, sends: dict[str, int]) -> list[str]:
    """Until nothing is left to do; what is wrong when that takes too long.

    sends: messages sent, by batch, as they were seen: a batch goes with its generation.
    """
    deadline = time.monotonic() + LIMIT_S
    while (
        any(True for _ in cloud.containers.input.list()) or cloud.queues.jobs.total() or cloud.queues.debounce.total()
    ):
        cloud.check()
        for item in batches.listed(cloud.containers.state):
            sends[item.info.name] = max(sends.get(item.info.name, 0), item.sends if item.queued_at else 0)
        if time.monotonic() > deadline:
            return [f"not at rest after {LIMIT_S:.0f} s"]
        time.sleep(0.5)
    return []


def _look(cloud: LocalCloud, scenes: int, videos: int) -> tuple[int, list[str]]:
    """Committed runs, and what is wrong with them."""
    committed, problems = 0, []
    for scene in (f"scene_{number}" for number in range(scenes)):
        stored = records.load(cloud.containers.state, scene)
        ending = stored.record.ending if stored else None
        if ending is None or (ending.generation, ending.outcome, len(ending.archived)) != (
            1,
            Outcome.SUCCEEDED,
            videos,
        ):
            problems.append(f"{scene} ended with {ending}")
        committed += len({blob.name.split("/")[2] for blob in cloud.containers.output.list(f"{scene}/runs/")})
    if committed != scenes:
        problems.append(f"{committed} runs uploaded a result, {scenes} scenes were there")
    return committed, problems


def problems_of(day: Day) -> list[str]:
    found = list(day.problems)
    if day.processed != day.uploads:
        found.append(f"{day.processed} of {day.uploads} uploads lie in processed")
    if day.events is PERFECT and day.messages > day.scenes:
        found.append(f"{day.messages} job messages for {day.scenes} scenes")
    return found


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.thousand")
    parser.add_argument("--scenes", type=int, default=100)
    parser.add_argument("--videos", type=int, default=10, help="of each scene")
    parser.add_argument("--runners", type=int, default=3, help="at the same time")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--no-report", action="store_true", help="write no file to benchmarks/results")
    options = parser.parse_args(argv)
    began = time.monotonic()
    days = []
    for events in (FAULTY, PERFECT):
        with tempfile.TemporaryDirectory(prefix="thousand-") as folder:
            days.append(run(Path(folder), events, scenes=options.scenes, videos=options.videos,
                            runners=options.runners, seed=options.seed))  # fmt: skip
        print("\n".join(table(days[-1:])), *problems_of(days[-1]), sep="\n", flush=True)
    if not options.no_report:
        text = "Two runs of the whole emulated cloud. Every invariant is checked at the end, from the blobs alone."
        cases.write(
            "thousand", "A thousand uploads of a hundred scenes", f"{text.strip()}\n\n{cases.took(began)}", table(days)
        )
    return 1 if any(problems_of(day) for day in days) else 0


def table(days: Sequence[Day]) -> list[str]:
    facts = {
        "scenes": lambda day: day.scenes,
        "uploads": lambda day: day.uploads,
        "events delivered": lambda day: day.delivered,
        "uploads of which no event was heard": lambda day: day.unheard,
        "runs that uploaded a result": lambda day: day.committed,
        "uploads in processed": lambda day: day.processed,
        "job messages": lambda day: day.messages,
        "runner executions": lambda day: day.executions,
        "uploading, s": lambda day: f"{day.uploading_s:.0f}",
        "from the last upload to rest, s": lambda day: f"{day.seconds:.0f}",
        "violations": lambda day: len(problems_of(day)),
    }
    rows = ["| each event | " + " | ".join(day.events.name for day in days) + " |", "| --- |" + " ---: |" * len(days)]
    return rows + [f"| {what} | " + " | ".join(str(fact(day)) for day in days) + " |" for what, fact in facts.items()]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
