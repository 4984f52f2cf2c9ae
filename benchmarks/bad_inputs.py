"""Every bad upload of tests/bad_inputs.py: its answer, time and memory: `python -m benchmarks.bad_inputs > FILE`.

Each runs in a process of its own that does what the job's process does: it starts the decoder and checks what comes
back. Its peak is "main"; the largest of its children, which read the video, is "decoder".
"""

from __future__ import annotations

import json
import platform
import resource
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
MIB = 1024  # of what Linux counts in KiB


def one(path: Path, workspace: Path) -> dict[str, Any]:
    """In the process that is measured: no tests, no PyAV."""
    from runner.context import StageContext
    from runner.media.extract import extract_frames
    from runner.media.settings import FrameSettings, Limits
    from runner.scene.frames import Clip
    from runner.scene.progress import SILENT
    from scenejobs.errors import SceneJobError

    limits = Limits(min_long_side=64, min_short_side=48, max_decoded_frames=100, max_duration_s=60)
    settings = FrameSettings(budget=20, long_side=120, limits=limits)
    start = time.monotonic()
    try:
        result = extract_frames([Clip(path.name, path)], StageContext(workspace, SILENT), settings)
        warnings = result.clips[0].warnings
        answer, says = (
            "accepted",
            f"{result.clips[0].frame_count} frames{': ' if warnings else ''}{'; '.join(warnings)}",
        )
    except SceneJobError as exc:
        answer, says = str(exc.code), exc.cause
    seconds = time.monotonic() - start
    # Not ru_maxrss of this process: that begins with the memory of the one that started it.
    status = Path("/proc/self/status").read_text()
    main = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
    decoder = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return {"answer": answer, "says": says, "seconds": seconds, "main": main // MIB, "decoder": decoder // MIB}


def main() -> None:
    from tests.bad_input_files import good
    from tests.bad_inputs import ANYTHING, CASES, write

    print("# Bad inputs\n")
    print(f"`python -m benchmarks.bad_inputs`, Linux {platform.release()}, Python {platform.python_version()}.")
    print(
        "A canary server on 127.0.0.1 stands behind every URL; the folder of the upload is compared before and after.\n"
    )
    print("| upload | what | expected | answer | s | main, MiB | decoder, MiB |")
    print("| --- | --- | --- | --- | ---: | ---: | ---: |")
    rows: list[dict[str, Any]] = []
    hits = outside = wrong = 0
    with tempfile.TemporaryDirectory() as base, socket.create_server(("127.0.0.1", 0)) as canary:
        canary.setblocking(False)
        for case in CASES.values():
            folder = Path(tempfile.mkdtemp(dir=base))
            (folder / "neighbour.mp4").write_bytes(good())
            path = write(case, folder, canary.getsockname()[1])
            (folder / "workspace").mkdir()
            before = sorted(folder.iterdir())
            command = [sys.executable, "-m", "benchmarks.bad_inputs", str(path), str(folder / "workspace")]
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
            row = json.loads(done.stdout)
            rows.append(row)
            right = row["answer"] == case.expected or (case.expected == ANYTHING and row["answer"] != "BUG")
            wrong += not right
            outside += sorted(folder.iterdir()) != before
            hits += was_reached(canary)
            print(
                f"| `{case.name}` | {case.what} | {case.expected} | {row['answer']}{'' if right else ' **WRONG**'} "
                f"| {row['seconds']:.1f} | {row['main']} | {row['decoder']} |",
                flush=True,
            )
    print(
        f"\n{len(rows)} uploads, {wrong} with another answer than expected, {hits} connections to the canary, "
        f"{outside} with files outside of the job's folder. Longest {max(row['seconds'] for row in rows):.1f} s; "
        f"peak of the main process {max(row['main'] for row in rows)} MiB, "
        f"of a decoder {max(row['decoder'] for row in rows)} MiB."
    )


def was_reached(canary: socket.socket) -> bool:
    try:
        canary.accept()[0].close()
    except BlockingIOError:
        return False
    return True


if __name__ == "__main__":
    if len(sys.argv) == 3:
        print(json.dumps(one(Path(sys.argv[1]), Path(sys.argv[2]))))
    else:
        main()
