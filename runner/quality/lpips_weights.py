"""The two published files that LPIPS is computed with, and whether a folder holds them.

Nothing is ever downloaded: the user puts them there (docs/configuration.md). They are known by their SHA-256, because
other weights of the same shapes (alex.pth of version 0.0 lies beside that of 0.1) would give numbers that no paper has.
Light: asked before any work begins.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from scenejobs.errors import Code, ConfigurationError


@dataclass(frozen=True)
class Published:
    """A file as its authors published it."""

    name: str
    sha256: str  # the hexadecimal digits it begins with
    source: str  # where it comes from, for messages


BACKBONE = Published(
    "alexnet-owt-7be5be79.pth", "7be5be79",  # torchvision puts the first eight digits into the name, and no more
    "https://download.pytorch.org/models/alexnet-owt-7be5be79.pth",
)  # fmt: skip
LINEAR = Published(  # the same file in the packages 0.1 and 0.1.4 and in richzhang/PerceptualSimilarity
    "alex.pth", "df73285e35b22355a2df87cdb6b70b343713b667eddbda73e1977e0c860835c0",
    "lpips/weights/v0.1/alex.pth in the Python package lpips",
)  # fmt: skip


@dataclass(frozen=True)
class Weights:
    """Where the files are, and which they have to be."""

    folder: Path
    backbone: Published = BACKBONE
    linear: Published = LINEAR

    def check(self) -> None:
        """Reads both files (244 MB). Raises ConfigurationError, which names every one that is missing or another."""
        found = [(file, _problem(self.folder / file.name, file)) for file in (self.backbone, self.linear)]
        wrong = [(file, problem) for file, problem in found if problem]
        if wrong:
            sources = " and ".join(file.source for file, _ in wrong)
            raise self.refused("; ".join(problem for _, problem in wrong), f"put there {sources}")

    def refused(self, cause: str, advice: str = "put the published files there") -> ConfigurationError:
        return ConfigurationError(
            f"LPIPS_WEIGHTS={self.folder}: {cause}",
            code=Code.INVALID_SETTING,
            advice=f"{advice} (docs/configuration.md), or unset it: LPIPS is then left out",
            stage="configuration",
        )


def _problem(path: Path, expected: Published) -> str:
    """Empty when it is the file."""
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as exc:
        return f"{expected.name} cannot be read ({exc.strerror})"
    if not digest.startswith(expected.sha256):
        return f"{expected.name} is not the published file (SHA-256 {digest[:8]}..., not {expected.sha256[:8]}...)"
    return ""
