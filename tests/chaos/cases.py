"""Many cases at a time, one world each, and a table of what came of them."""

from __future__ import annotations

import argparse
import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from scenejobs.errors import LeaseLost, SceneJobError
from tests.chaos.crashing import Point
from tests.chaos.scenarios import Scenario
from tests.chaos.world import NotSettled, World, Worlds

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results"
RUNS = 3  # of an undisturbed scenario, as long as the machine itself disturbs it
PARALLEL = 10  # they wait for leases to end, more than they compute
T = TypeVar("T")


@dataclass(frozen=True)
class Case:
    """One point of one scenario. `request`: what the clean run sent there."""

    scenario: Scenario
    point: Point
    request: str = ""

    def __str__(self) -> str:
        return f"{self.scenario.name} {self.point} {self.request}".strip()


@dataclass(frozen=True)
class Result:
    """`reached`: the program came as far as the point. `problems`: empty when everything is as it must be."""

    case: Case
    reached: bool
    problems: tuple[str, ...]
    runners: int  # processes that were started
    attempts: int  # times the work was begun
    seconds: float
    note: str = ""


# Returns whether the point was reached, what is wrong, and a note.
Strike = Callable[[World, Case], tuple[bool, list[str], str]]


def learn(worlds: Worlds, scenario: Scenario, look: Callable[[World], T]) -> tuple[list[str], T]:
    """The requests of an undisturbed run, which must end well, and what `look` sees in the end.

    A run whose lease ran out because the machine was too busy to answer was disturbed: it is done again."""
    for _ in range(RUNS):
        with worlds.new() as world:
            scenario.prepare(world)
            process = scenario.start(world, "")
            code = process.wait()
            if code == LeaseLost.exit_code:
                continue
            world.settle(sweep_every_s=scenario.sweep_every_s)
            problems = [*world.problems(), *scenario.ending.wrong(world)]
            if code or problems:
                raise AssertionError(f"{scenario.name} ends wrong undisturbed: {code} {problems}\n{process.output()}")
            return process.trace(), look(world)
    raise AssertionError(f"{scenario.name}: the machine is too busy: {RUNS} runs lost their lease")


def requests(worlds: Worlds, scenario: Scenario) -> list[str]:
    """Of an undisturbed run, as its trace tells them."""
    return learn(worlds, scenario, lambda _: None)[0]


def what(line: str) -> str:
    """A line of a trace without what differs from world to world."""
    _, method, rest = line.split(" ", 2)
    path, _, more = rest.partition("?")
    short = re.sub(r"-[0-9a-f]{10}|/devstoreaccount1|/subscriptions.*/jobs", "", path)
    short = re.sub(r"\d{8}T\d{6}Z-[0-9a-f]{8}", "RUN", re.sub(r"messages/.*", "messages/ID", short))
    return f"{method} {short} {more.rpartition(' ')[2] if ' ' in more else ''}".strip()


def choose(items: Sequence[T], count: int | None) -> list[T]:
    """`count` of them, spread evenly; all when there are fewer, or when `count` is None."""
    if count is None or count >= len(items):
        return list(items)
    return [items[index * len(items) // count] for index in range(count)]


def run(worlds: Worlds, case: Case, strike: Strike) -> Result:
    """One case in a world of its own."""
    began = time.monotonic()
    with worlds.new() as world:
        try:
            reached, problems, note = strike(world, case)
        except (
            NotSettled,
            TimeoutError,
            subprocess.TimeoutExpired,
            SceneJobError,
        ) as exc:
            reached, problems, note = True, [f"{type(exc).__name__}: {exc}"], ""
        if problems and (folder := os.environ.get("CHAOS_KEEP")):
            _keep(world, Path(folder) / f"{case.scenario.name} {case.point}".replace(" ", "_"))
        return Result(
            case, reached, tuple(problems), world.runs(), world.attempts(), time.monotonic() - began, note
        )  # fmt: skip


def run_all(
    worlds: Worlds,
    cases: Iterable[Case],
    strike: Strike,
    *,
    parallel: int = PARALLEL,
    show: Callable[[Result], None] = lambda _: None,
) -> list[Result]:
    def one(case: Case) -> Result:
        result = run(worlds, case, strike)
        show(result)
        return result

    with ThreadPoolExecutor(parallel) as pool:
        return list(pool.map(one, cases))


def _keep(world: World, folder: Path) -> None:
    """For whoever looks for the cause: every log and trace."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in [*world.folder.glob("*.log"), *world.folder.glob("*.trace"), *world.folder.glob("executions/*.log")]:
        (folder / file.name).write_bytes(file.read_bytes())


# ---- the command line and the report ------------------------------------------------------------


def arguments(name: str, doc: str, argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog=f"python -m tests.chaos.{name}", description=doc.splitlines()[0])
    parser.add_argument("--points", type=int, help="points of each scenario, spread evenly; default: all")
    parser.add_argument("--scenario", action="append", help="only these, by name")
    parser.add_argument("--parallel", type=int, default=PARALLEL, help="cases at the same time")
    parser.add_argument("--no-report", action="store_true", help="write no file to benchmarks/results")
    return parser.parse_args(argv)


def show(result: Result) -> None:
    word = "ok" if not result.problems else "WRONG"
    print(f"{word:5} {result.seconds:5.0f} s  {result.case}  {result.note}", flush=True)
    for problem in result.problems:
        print(f"      {problem}", flush=True)


def machine() -> str:
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        names = [line.partition(":")[2].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        model = names[0] if names else model
    return f"{os.cpu_count()} cores of {model}, shared with other work"


def report(name: str, title: str, text: str, results: Sequence[Result], seconds: float) -> None:
    """`benchmarks/results/chaos_<name>.md`. Rows of scenarios that did not run this time are kept."""
    rows = _rows_of(_path(name)) | _rows(results, seconds)
    totals = [sum(int(row[column]) for row in rows.values()) for column in range(1, 5)]
    last = _line(["**all**", *map(str, totals), "", "", ""])
    write(name, title, text, [*HEADING, *map(_line, rows.values()), last])


def write(name: str, title: str, text: str, table: Sequence[str]) -> None:
    head = f"`python -m tests.chaos.{name}`, {machine()}."
    _path(name).write_text("\n".join([f"# {title}", "", head, "", text.strip(), "", *table]) + "\n")
    print("\n".join(table), flush=True)


def _path(name: str) -> Path:
    return RESULTS / f"chaos_{name}.md"


HEADING = (
    "| scenario | points | good | runners started | work begun | slowest point, s | all points, s | when |",
    "| --- | ---: | ---: | ---: | ---: | ---: | ---: | --- |",
)


def _rows(results: Sequence[Result], seconds: float) -> dict[str, list[str]]:
    """One per scenario. The seconds of a run over several scenarios are shared out by their points."""
    rows = {}
    for name in dict.fromkeys(result.case.scenario.name for result in results):
        group = [item for item in results if item.case.scenario.name == name and item.reached]
        good = sum(not item.problems for item in group)
        runners, attempts = sum(item.runners for item in group), sum(item.attempts for item in group)
        slowest = max((item.seconds for item in group), default=0)
        share = seconds * len(group) / max(1, sum(item.reached for item in results))
        numbers = [len(group), good, runners, attempts, round(slowest), round(share)]
        rows[name] = [name, *map(str, numbers), str(datetime.now(UTC).date())]
    return rows


def _rows_of(path: Path) -> dict[str, list[str]]:
    if not path.is_file():
        return {}
    lines = [line for line in path.read_text().splitlines() if line.startswith("| ")][len(HEADING) :]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {row[0]: row for row in rows if row[0] != "**all**"}


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def verdict(results: Sequence[Result]) -> int:
    """Prints what is wrong; the exit code."""
    wrong = failures(results)
    for line in wrong:
        print(line, file=sys.stderr)
    return 1 if wrong else 0


def failures(results: Sequence[Result]) -> list[str]:
    return [f"{result.case}: {problem}" for result in results for problem in result.problems]


def took(began: float) -> str:
    """For the text of a report: the day, and how long it was. `began` is of the monotonic clock."""
    return f"{datetime.now(UTC).date()}, {time.monotonic() - began:.0f} s in all."
