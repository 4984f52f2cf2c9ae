"""Where this program's own files are. Modules of every depth ask here, so that none counts its parents."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]  # holds the packages: `runner`, `scenejobs`, ...
RUNNER = ROOT / "runner"
