"""`make demo`: uploads videos into the emulated cloud, waits as a user would, shows what came out.

    video-splat demo [VIDEO ...] [--preset laptop] [--scene demo] [--out out]

Without videos it makes its own footage: a rendered walk with known cameras (local/footage/film.py). Only the
uploads are made here; the rest is the event-driven system itself.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from local import places
from local.azurite import install_once
from local.cloud import PAGE, PAGE_PORT, LocalCloud
from local.footage.film import make_demo_footage
from scenejobs.commands.download import download
from scenejobs.commands.status import ENDED
from scenejobs.commands.upload import upload
from scenejobs.errors import ConfigurationError, Interrupted, NotFound, SceneJobError
from scenejobs.ports import Containers
from scenejobs.stages import in_words
from scenejobs.state import layout
from scenejobs.state.overview.status import SceneStatus, State, scene_status

QUIET_S = 6  # a demo need not wait for a minute
LOG_EVERY_S = 20.0


class Screen:
    """The live view: one line that is rewritten on a terminal; in a log, a line per step and every LOG_EVERY_S."""

    def __init__(self) -> None:
        self._live = sys.stdout.isatty()
        self._begin = time.monotonic()
        self._last: tuple[object, ...] = ()
        self._printed = 0.0

    def show(self, status: SceneStatus) -> None:
        now = time.monotonic() - self._begin
        line = f"[{now:5.0f} s] {status.line()}"
        step = (status.state, status.stage, status.attempt)
        if self._live:
            width = shutil.get_terminal_size().columns - 1
            end = "\n" if step != self._last and self._last else ""
            print(f"{end}\r\x1b[K{line[:width]}", end="", flush=True)
        elif step != self._last or now - self._printed >= LOG_EVERY_S:
            print(line, flush=True)
            self._printed = now
        self._last = step

    def end(self) -> None:
        if self._live:
            print()


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="video-splat demo", description="Upload videos, wait, get a splat.")
    parser.add_argument("videos", nargs="*", type=Path, help="your own clips of one scene; default: rendered footage")
    parser.add_argument("--preset", default="laptop", help="see docs/presets.md")
    parser.add_argument("--scene", default="demo", help="name of the scene")
    parser.add_argument("--out", type=Path, default=Path("out"), help="where the result is copied to")
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        return _demo(options.videos, options.preset, options.scene, options.out)
    except KeyboardInterrupt:
        print("\nstopped")
        return Interrupted.exit_code
    except SceneJobError as exc:
        print(f"\n{exc}", file=sys.stderr)
        return exc.exit_code


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def footage() -> list[Path]:
    """The clips that are rendered where nobody has any."""
    folder = places.kept() / "footage"
    print(f"making the demo footage in {places.shown(folder)}", flush=True)
    return make_demo_footage(folder)


def _demo(videos: Sequence[Path], preset: str, scene: str, out: Path) -> int:
    for video in videos:
        if not video.is_file():
            raise ConfigurationError(f"{video} is not a file", advice='use make demo VIDEOS="a.mp4 b.mp4"')
    videos = videos or footage()
    folder = places.kept() / "demo"
    shutil.rmtree(folder, ignore_errors=True)
    env = {"PRESET": preset, "QUIET_SECONDS": str(QUIET_S), "TEMP_PATH": str(folder / "work")}
    install_once()
    with LocalCloud(folder, env) as cloud:
        for name in upload(cloud.containers, scene, list(videos)):
            print(f"uploaded input/{name}", flush=True)
        code = follow(cloud.containers, scene, out / scene, folder, lambda _: cloud.check())
    shown = folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder
    print(f"the scene in a page: video-splat cloud {shown}, then http://127.0.0.1:{PAGE_PORT}{PAGE}")
    return code


def follow(containers: Containers, scene: str, target: Path, logs: Path, check: Callable[[SceneStatus], None]) -> int:
    """Shows where a scene stands until it has ended, and fetches the result to `target`. 1 when it failed.

    logs:  folder that is named where nothing else is known
    check: called with each status, may raise
    """
    if _wait(containers, scene, check).state is State.FAILED:
        return _explain(containers, scene, logs)
    shutil.rmtree(target, ignore_errors=True)
    download(containers, scene, target)
    summarise(target, scene, [blob.name for blob in containers.processed.list(f"{scene}/")])
    return 0


def _wait(containers: Containers, scene: str, check: Callable[[SceneStatus], None]) -> SceneStatus:
    screen = Screen()
    try:
        while True:
            status = scene_status(containers, scene)
            check(status)
            screen.show(status)
            if status.state in ENDED:
                return status
            time.sleep(0.5)
    finally:
        screen.end()


def _explain(containers: Containers, scene: str, folder: Path) -> int:
    """Prints what the user would find in the error container."""
    try:
        error = json.loads(containers.error.read(f"{scene}/{layout.ERROR_DOCUMENT}")[0])
    except NotFound:
        error = {"code": "?", "cause": "no error.json was written", "advice": f"see the logs in {folder}"}
    print(f"failed: {error['code']}: {error['cause']}\nadvice: {error['advice']}", file=sys.stderr)
    for blob in containers.error.list(f"{scene}/"):
        print(f"  error/{blob.name}", file=sys.stderr)
    return 1


def summarise(target: Path, scene: str, archived: Sequence[str]) -> None:
    """Prints the numbers of a result and its files; scores only where there were held-out views."""
    metrics = json.loads((target / "metrics.json").read_text())
    print(f"\nscene {scene}: {metrics['images_registered']} of {metrics['images_total']} frames registered, ", end="")
    print(f"{metrics['n_gaussians']:,} Gaussians")
    if metrics["psnr_heldout"] is not None and metrics["ssim_heldout"] is not None:
        print(f"held-out PSNR {metrics['psnr_heldout']:.2f} dB, SSIM {metrics['ssim_heldout']:.3f}")
    if metrics.get("suspect"):
        print(f"doubtful ({metrics['doubt']['code']}): {'; '.join(metrics['doubt']['reasons'])}")
    for warning in metrics.get("warnings", ()):
        print(f"note: {warning}")
    print("seconds per stage: ", end="")
    took = {in_words(stage): seconds for stage, seconds in metrics["stage_seconds"].items() if seconds >= 0.5}
    print(", ".join(f"{stage} {seconds:.0f}" for stage, seconds in took.items()))
    print(f"inputs archived: {', '.join(f'processed/{name}' for name in archived)}")
    print("results:")
    first = [f"{scene}.ply", f"{scene}.splat", "viewer.html", "manifest.json", "metrics.json"]
    rest = sorted(path.name for path in target.iterdir() if path.is_file() and path.name not in first)
    for name in [*first, *rest]:
        if (target / name).is_file():
            print(f"  {(target / name).stat().st_size / 1e6:8.2f} MB  {target / name}")
    if (target / "viewer.html").is_file():
        print(f"open {target / 'viewer.html'} in a browser to look around")


if __name__ == "__main__":
    sys.exit(main())
