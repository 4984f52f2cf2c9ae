"""Walks one upload, or frames, through a checkout and writes down every file in the order of its first call.

    python -m tests.golden.journey upload [--repo DIR]
    python -m tests.golden.journey frames CLIP... [--repo DIR]

A file is visited when something in it is called; its package is the folder it lies in. A return is a visit to a package
that was left before. Sandboxed processes are traced as the others, so the decoder runs without its sandbox here.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

HERE = Path(__file__).resolve().parent
UPLOAD = """
import sys, tempfile
from pathlib import Path
sys.path.insert(0, {here!r})
import cloud
with tempfile.TemporaryDirectory() as folder:
    one = cloud.Cloud(Path(folder))
    one.upload("lobby/a.mp4")
    one.settle()
"""


def visited(repo: Path, command: Sequence[str], **variables: str) -> list[str]:
    """Files of the checkout in the order of their visits, the processes one after the other as they began."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        env = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(HERE / "traced"), str(repo)]),
            "JOURNEY_LOG": str(log),
            "JOURNEY_ROOT": str(repo),
            **variables,
        }
        os.mkfifo(log)  # no file: the decoder may write small ones only
        lines: list[str] = []
        kept_open = os.open(log, os.O_RDWR)  # so that the reader sees no end between two processes
        reader = threading.Thread(target=lambda: lines.extend(log.read_text().splitlines()))
        reader.start()
        try:
            subprocess.run(command, cwd=repo, env=env, stdout=subprocess.DEVNULL, check=True)
        finally:
            os.close(kept_open)
            reader.join()
    return [line.split(" ", 1)[1] for line in lines]


def package(path: str) -> str:
    return str(Path(path).parent)


def table(visits: Sequence[str]) -> Iterator[str]:
    """First visits in order, one line a package, then the numbers."""
    first = list(dict.fromkeys(visits))
    for number, (folder, files) in enumerate(groupby(first, package), 1):
        yield f"{number}. `{folder}`: {', '.join(f'`{Path(file).name}`' for file in files)}"
    stays = [folder for folder, _ in groupby(map(package, visits))]
    yield ""
    rooms = len(set(stays))
    yield f"{len(first)} files in {rooms} packages; {len(stays)} stays, {len(stays) - rooms} returns"


def main() -> int:
    parser = argparse.ArgumentParser(description="Every file that an upload or a frame passes.")
    parser.add_argument("what", choices=("upload", "frames"))
    parser.add_argument("clips", nargs="*", type=Path)
    parser.add_argument("--repo", type=Path, default=HERE.parents[1])
    options = parser.parse_args()
    repo = options.repo.resolve()
    if options.what == "upload":
        command = [sys.executable, "-c", UPLOAD.format(here=str(HERE))]
        visits = visited(repo, command, GOLDEN_NOW="2026-01-02T03:04:05+00:00")
    else:
        with tempfile.TemporaryDirectory() as out:
            clips = [str(clip.resolve()) for clip in options.clips]
            command = [sys.executable, "-m", "runner", "scene", *clips, "--out", out, "--preset", "smoke", "--quiet"]
            visits = visited(repo, command, SANDBOX="off")
    print("\n".join(table(visits)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
