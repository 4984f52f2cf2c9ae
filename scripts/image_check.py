"""What the images and the function app would install, installed: `make image-check`.

    python scripts/image_check.py [--gpu] [--keep DIR]

Makes clean environments without Docker, with hashes where the image uses them: requirements.txt (function app),
runner/image/cpu.lock, on top of it what the emulated cloud needs, and with --gpu runner/image/gpu-cuda13.lock (3 GB to
download). Starts each entry point and sums the sizes. Exit code 1 when something does not install or start, or the GPU
image would pass its size budget.
TORCH_CPU_INDEX: as for the image, or a folder that has the wheel.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import venv
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
IMAGE = ROOT / "runner" / "image"
BUDGET_GB = 8.0  # an image above it loses its console log on Container Apps
SYSTEM_GB = 0.4  # base image, our code and gsplat's kernels, rounded up
TORCH_CPU_INDEX = "https://download.pytorch.org/whl/cpu"
INDEX_FUNCTIONS = (
    "import functions_entry; names = sorted(f.get_function_name() for f in functions_entry.app.get_functions()); "
    "print(names); assert len(names) >= 3"
)


def install(folder: Path, *arguments: str) -> Path:
    """A new environment with these requirements; returns its Python."""
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", *arguments], check=True)
    return python


def sizes(folder: Path) -> Counter[str]:
    """MB installed by top folder of site-packages, CUDA's libraries by their own."""
    packages = next(folder.glob("lib/python*/site-packages"))
    found: Counter[str] = Counter()
    for path in packages.rglob("*"):
        if path.is_file() and not path.is_symlink():
            parts = path.relative_to(packages).parts
            found["/".join(parts[: 2 if parts[0] == "nvidia" else 1])] += path.stat().st_size
    return Counter({name: round(count / 1e6) for name, count in found.items()})


def report(title: str, found: Counter[str]) -> float:
    """Prints the largest; returns GB in all."""
    total = sum(found.values()) / 1e3
    print(f"\n{title}: {total:.2f} GB in all")
    for name, megabytes in found.most_common(14):
        print(f"  {megabytes:6,} MB  {name}")
    return total


def run(python: Path, *arguments: str) -> None:
    print("$ python", " ".join(arguments), flush=True)
    subprocess.run([python, *arguments], cwd=ROOT, env={**os.environ, "BACKEND": "auto"}, check=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gpu", action="store_true", help="also the GPU packages")
    parser.add_argument("--keep", type=Path, help="folder for the environments; default: temporary")
    options = parser.parse_args()
    source = os.environ.get("TORCH_CPU_INDEX", TORCH_CPU_INDEX)
    locked = ["--require-hashes", "--only-binary", ":all:", "-r"]
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.keep or Path(temporary)
        python = install(folder / "function", *locked, str(ROOT / "requirements.txt"))
        run(python, "-c", INDEX_FUNCTIONS)
        report("function app", sizes(folder / "function"))

        place = "--find-links" if Path(source).is_dir() else "--extra-index-url"
        python = install(folder / "cpu", place, source, *locked, str(IMAGE / "cpu.lock"))
        run(python, "-m", "runner", "preflight", "--no-storage")
        run(python, "-m", "watch", "health", "--if-watching")
        report("runner, CPU image", sizes(folder / "cpu"))
        pip = [str(python), "-m", "pip", "install", "--quiet"]
        subprocess.run([*pip, *locked, str(ROOT / "requirements.txt")], check=True)
        subprocess.run([*pip, "-r", str(ROOT / "local/requirements.txt")], check=True)
        run(python, "-c", f"import local.cloud, local.functions_host, local.jobs_api.server; {INDEX_FUNCTIONS}")
        report("emulated cloud", sizes(folder / "cpu"))
        if not options.gpu:
            return 0
        python = install(folder / "gpu", *locked, str(IMAGE / "gpu-cuda13.lock"))
        run(python, "-c", "import torch; assert torch.version.cuda, 'no CUDA'; print(torch.__version__)")
        total = SYSTEM_GB + report("runner, GPU image", sizes(folder / "gpu"))
        print(f"\nGPU image: about {total:.1f} GB of {BUDGET_GB:g}")
        return 0 if total < BUDGET_GB else 1


if __name__ == "__main__":
    sys.exit(main())
