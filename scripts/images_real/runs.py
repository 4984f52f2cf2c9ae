"""The images run as the documents say: read-only, without rights, without a network where none is needed."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path

from scripts.images_real.build import CPU
from scripts.images_real.steps import Steps, timed

LOCKED = ("run", "--rm", "--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges:true", "--network=none")
USER = 10001
LIGHT = {"PRESET": "smoke", "FRAME_COUNT": "24", "COLMAP_MAX_NUM_FEATURES": "1024"}


def preflight(docker: list[str], steps: Steps) -> None:
    run = [*docker, *LOCKED]
    start = time.monotonic()
    told = steps.run([*run, f"--tmpfs=/scratch:uid={USER}", CPU, "preflight", "--no-storage"])
    steps.expect(told.count("ok  ") == 4, "four checks pass", told)
    sandbox = next(line for line in told.splitlines() if "sandbox" in line)
    steps.row("preflight", f"passes; {' '.join(sandbox.split()[1:])}", timed(start))

    told = steps.run([*run, "--user=1234:1234", "--tmpfs=/scratch:uid=1234", CPU, "preflight", "--no-storage"])
    steps.expect(told.count("ok  ") == 4, "another user than the image's", told)
    steps.row("preflight as user 1234", "passes")

    told = steps.run([*run, "--tmpfs=/scratch", CPU, "preflight", "--no-storage"], code=2)
    steps.expect("Traceback" not in told and "NUMBA_CACHE_DIR" in told and "TEMP_PATH" in told, "told by name", told)
    steps.row("preflight where /scratch is root's", "exit code 2, folder and remedy named, the other checks told")

    told = steps.run([*run, "--env=RUN_MODE=watch", "--tmpfs=/data:uid=10001", "--tmpfs=/scratch:uid=10001",
                      "--env=NUMBA_CACHE_DIR=/nowhere", "--env=HOME=/nowhere", CPU], code=2)  # fmt: skip
    steps.expect(all(isinstance(json.loads(line), dict) for line in told.splitlines()), "JSON to the last line", told)
    steps.expect("NUMBA_CACHE_DIR" in told, "named at the start", told)
    steps.row("watch with an unwritable NUMBA_CACHE_DIR", "does not start: exit code 2, one line of JSON")


def scene(docker: list[str], steps: Steps, clips: list[Path], work: Path) -> None:
    """One scene from files to files."""
    out = work / "scene"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    os.chown(out, USER, USER)
    mounts = [f"--volume={clip.resolve()}:/in/{clip.name}:ro" for clip in clips] + [f"--volume={out}:/out"]
    given = [f"--env={name}={value}" for name, value in LIGHT.items()]
    names = [f"/in/{clip.name}" for clip in clips]
    start = time.monotonic()
    told = steps.run([*docker, *LOCKED, *mounts, *given, f"--tmpfs=/scratch:uid={USER},exec", CPU, "scene", *names,
                      "--out", "/out/lobby", "--quiet"])  # fmt: skip
    metrics = json.loads((out / "lobby/metrics.json").read_text())
    steps.expect((out / "lobby/lobby.ply").is_file(), "a result", told)
    seen = (
        f"{metrics['images_registered']} of {metrics['images_total']} frames, {metrics['psnr_heldout']:.1f} dB held out"
    )
    if metrics["training"]["stopped"] == "budget":
        seen += "; the training was cut by its time, on a busy machine"
    steps.row("one scene, preset smoke, 24 frames", seen, timed(start))
