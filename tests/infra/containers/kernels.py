"""The image of everything but our code, in a registry that only answers."""

from __future__ import annotations

import subprocess

from tests.infra.scripts.scripted import ROOT, Bench


def tag(**env: str) -> str:
    """What runner/image/kernels_tag.sh says of this checkout."""
    done = subprocess.run(
        ["bash", str(ROOT / "runner/image/kernels_tag.sh")],
        env={"PATH": "/usr/bin:/bin", **env}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout.strip()


def there(bench: Bench) -> None:
    """The registry has the image that this checkout needs."""
    bench.answer("acr repository list", "kernels\n")
    bench.answer(f"acr repository show-tags .*{tag()}", f"{tag()}\n")
