"""Builds the CPU images from their Dockerfile and runs them and compose.yaml for real: `make images-real`.

    python -m scripts.images_real [PART...] [--work DIR] [--base IMAGE] [--wheels DIR] [--clips FILE...]

Parts, in this order; without any all of them: build, preflight, scene, first-start, watch, emulator, cloud. Needs a
Docker engine, or root on Debian (then it takes Debian's, starts it without bridge networks, and stops it).
Where there is none it says so and ends with 0: nothing else depends on it. What was seen goes to
benchmarks/results/images.md.
Exit codes: 0 all as expected, or no engine; 1 something was not.
"""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path

from scripts.images_real import build, composed, runs, steps, tools

PARTS = ("build", "preflight", "scene", "first-start", "watch", "emulator", "cloud")
TABLE = tools.ROOT / "benchmarks" / "results" / "images.md"


def main() -> int:
    parser = argparse.ArgumentParser(description="Builds the CPU images and runs them and compose.yaml for real.")
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--work", type=Path, default=tools.WORK, help="folder of the engine and of what is made")
    parser.add_argument("--base", default="", help="base image, instead of pulling or making one")
    parser.add_argument("--wheels", type=Path, help="folder with torch's wheel for the CPU, instead of its index")
    parser.add_argument("--clips", type=Path, nargs="+", help="clips of one place, instead of the demo's")
    options = parser.parse_args()
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    work = options.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    try:
        with tools.engine(work) as (docker, bridge):
            compose = tools.compose(work)
            for part in options.parts or PARTS:
                _run(part, docker, compose, bridge, work, options)
    except tools.NoEngine as exc:
        print(f"images-real is left out: {exc}", file=sys.stderr)
        return 0
    except steps.Failed as exc:
        print(f"error: {exc}", file=sys.stderr)
        return 1
    TABLE.write_text(table(steps.read(work / "rows.json")))
    print(f"written: {TABLE.relative_to(tools.ROOT)}")
    return 0


def _run(
    part: str, docker: list[str], compose: list[str], bridge: bool, work: Path, options: argparse.Namespace
) -> None:
    kept = steps.Steps(work / "rows.json", part)
    if part == "build":
        version = kept.run([*docker, "version", "--format", "{{.Server.Version}}"]).strip()
        kept.row("engine", f"Docker {version}" + ("" if bridge else ", started by hand, host networking"))
        kept.row("commit", kept.run(["git", "describe", "--always", "--dirty"], cwd=tools.ROOT).strip())
        kept.row("compose", kept.run([*compose, "version", "--short"]).strip())
        base = build.base(docker, kept, work, options.base)
        with build.index(options.wheels) as arguments:
            build.images(docker, kept, base, arguments, not bridge)
    elif part == "emulator":
        build.azurite(docker, kept, build.base(docker, kept, work, options.base))
    elif part == "preflight":
        runs.preflight(docker, kept)
    elif part == "scene":
        runs.scene(docker, kept, _clips(options), work)
    elif part == "first-start":
        composed.first_start(compose, kept, work, bridge)
    elif part == "watch":
        composed.watch(compose, kept, work, bridge, _clips(options))
    else:
        composed.cloud(compose, kept, work, bridge, _clips(options))


def _clips(options: argparse.Namespace) -> list[Path]:
    if options.clips:
        return list(options.clips)
    from local.footage.film import make_demo_footage

    return list(make_demo_footage(tools.ROOT / ".local" / "footage"))


def table(rows: list[steps.Row]) -> str:
    """The page: what was run, in order of the parts."""
    lines = [
        "# The CPU images and compose.yaml, built and run",
        "",
        f"`make images-real`, {datetime.now(UTC):%d %B %Y}: built from the Dockerfile as it is, run read-only,",
        "without capabilities, new privileges and, where none is needed, network. Seconds: of a shared machine.",
        "",
        "| part | what | seen | s |",
        "| --- | --- | --- | --- |",
    ]
    for row in sorted(rows, key=lambda row: PARTS.index(row.part)):
        seconds = f"{row.seconds:.0f}" if row.seconds else ""
        lines.append(f"| {row.part} | {row.what} | {row.seen} | {seconds} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
