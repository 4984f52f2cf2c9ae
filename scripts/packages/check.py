"""Installs every lock of what is deployed as it is deployed: by hash, from wheels alone: `make locks-check`.

    python scripts/packages/check.py [--gpu] [--python PROGRAM ...]

requirements.txt on Python 3.11 and 3.12 (or what --python names), then `pip check` and the index of the functions;
runner/image/cpu.lock on 3.11, with --gpu the GPU's too. A Python that is not there is said, and makes the exit code 3.
TORCH_CPU_INDEX: as for the image, or a folder that has the wheel.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PYTHONS = ("python3.11", "python3.12")
INDEX = "import functions_entry; print(sorted(f.get_function_name() for f in functions_entry.app.get_functions()))"
TORCH_CPU_INDEX = "https://download.pytorch.org/whl/cpu"


def check(python: str, lock: str, folder: Path, *options: str) -> Path:
    """A new environment with a lock in it. Raises CalledProcessError."""
    print(f"{lock} on {python}", flush=True)
    subprocess.run([python, "-m", "venv", str(folder)], check=True)
    made = folder / "bin/python"
    strict = ["--require-hashes", "--only-binary", ":all:"]
    subprocess.run([made, "-m", "pip", "install", "--quiet", *options, *strict, "-r", str(ROOT / lock)], check=True)
    subprocess.run([made, "-m", "pip", "check"], check=True)
    return made


def works(python: str) -> bool:
    """Whether it is there, and is more than the name of one that a version manager could install."""
    found = shutil.which(python)
    return found is not None and subprocess.run([found, "-c", ""], capture_output=True, check=False).returncode == 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gpu", action="store_true", help="also the GPU image's, 3 GB to download")
    parser.add_argument("--python", action="append", help="one to install the function app on; may be given again")
    options = parser.parse_args()
    source = os.environ.get("TORCH_CPU_INDEX", TORCH_CPU_INDEX)
    place = "--find-links" if Path(source).is_dir() else "--extra-index-url"
    wanted = options.python or PYTHONS
    missing = [python for python in wanted if not works(python)]
    with tempfile.TemporaryDirectory() as temporary:
        for number, python in enumerate(set(wanted) - set(missing)):
            made = check(python, "requirements.txt", Path(temporary, f"function-{number}"))
            subprocess.run([made, "-B", "-c", INDEX], cwd=ROOT, check=True)
        if not options.python and PYTHONS[0] not in missing:
            check(PYTHONS[0], "runner/image/cpu.lock", Path(temporary, "cpu"), place, source)
            if options.gpu:
                check(PYTHONS[0], "runner/image/gpu-cuda13.lock", Path(temporary, "gpu"))
    for python in missing:
        print(f"{python} is not here: not checked", file=sys.stderr)
    return 3 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
