"""The function app installs what is locked, all of it, by hash; every way to install it takes that file alone."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from itertools import pairwise
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from scripts.packages.locks import LOCKS, ROOT, node_packages, python_packages

LOCKED = (ROOT / "requirements.txt").read_text()
BLOCKS = re.split(r"^(?=[\w.-]+==)", LOCKED, flags=re.MULTILINE)[1:]


def test_what_the_function_app_asks_for_is_locked_at_that_version_and_every_file_has_a_hash() -> None:
    wanted = python_packages((ROOT / "requirements.in").read_text())
    assert wanted
    assert set(wanted) <= set(python_packages(LOCKED)), "run make lock"
    for block in BLOCKS:
        assert re.fullmatch(r"[^\n]+ \\\n(    --hash=sha256:[0-9a-f]{64}( \\)?\n)+", block), block


@pytest.mark.parametrize("python", ["3.11", "3.12"])
def test_every_package_behind_a_locked_one_is_locked_too(python: str) -> None:
    """By what the installed packages say of themselves; pip refuses a file with hashes that lacks one."""
    locked = {package.name for package in python_packages(LOCKED)}
    place = {"python_version": python, "python_full_version": f"{python}.0", "platform_system": "Linux"}
    for name in locked:
        for line in metadata.requires(name) or []:
            wanted = Requirement(line)
            if wanted.marker is None or wanted.marker.evaluate({**place, "sys_platform": "linux", "extra": ""}):
                assert canonicalize_name(wanted.name) in locked, f"{name} needs {wanted.name}: run make lock"


def test_the_function_app_and_the_runner_meet_in_the_emulated_cloud_with_the_same_versions() -> None:
    runner = {
        package.name: package.version for package in python_packages((ROOT / "runner/image/cpu.lock").read_text())
    }
    for package in python_packages(LOCKED):
        assert runner.get(package.name, package.version) == package.version, f"{package}: run make lock"


def files() -> Iterator[Path]:
    """Of the repository, without what is installed or made in it."""
    for top in ROOT.iterdir():
        if top.name[0] != "." and top.name not in ("out", "shared", "data"):
            yield from (path for path in (top, *top.rglob("*")) if path.is_file() and "node_modules" not in path.parts)


def installs() -> Iterator[tuple[str, list[str]]]:
    """Every `pip install` of the repository's scripts, Dockerfiles and of make, with where it stands."""
    made = subprocess.run(
        ["make", "--always-make", "--dry-run", "setup", f"PYTHON={sys.executable}"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    places = {"make setup": made.stdout}
    for path in files():
        if path.name.startswith("Dockerfile") or path.suffix == ".sh":
            places[str(path.relative_to(ROOT))] = path.read_text()
    for place, text in places.items():
        for line in re.sub(r"\\\n", " ", text).splitlines():
            for call in re.split(r"&&|;", line):
                if "pip" in call and " install " in call and not call.lstrip().startswith("#"):
                    yield place, shlex.split(call.strip(), comments=True)


def test_the_locked_file_has_a_call_of_pip_of_its_own_that_wants_hashes() -> None:
    """One file with hashes makes pip want them for all, so that a second one beside it installs nothing."""
    seen = set()
    for place, words in installs():
        named = [name for option, name in pairwise(words) if option == "-r"]
        if any(name in ("requirements.txt", "/build/function.txt") for name in named):
            seen.add(place)
            assert len(named) == 1, f"{place}: {words}"
            assert "--require-hashes" in words, f"{place}: {words}"
            assert not [word for word in words if "==" in word], f"{place}: {words}"
    assert seen == {"make setup", "runner/image/Dockerfile.cpu", "benchmarks/gpu.sh"}


def test_every_lock_in_the_repository_is_known_here() -> None:
    lists = re.compile(r"(requirements\.txt|\.lock|package-lock\.json)$")
    found = {str(path.relative_to(ROOT)) for path in files() if lists.search(path.name)}
    assert found == {lock.path for lock in LOCKS}
    for lock in LOCKS:
        assert lock.packages(), lock.path
        assert not lock.whole or lock.path.endswith((".lock", ".json")) or "--hash" in (ROOT / lock.path).read_text()


def test_a_list_without_exact_versions_is_refused() -> None:
    assert [p.name for p in python_packages("a.B_c==1.0 \\\n    --hash=sha256:ab\nd==2 ; python_version < '3'\n")] == [
        "a-b-c",
        "d",
    ]
    for line in ("numpy", "numpy>=2", "-r other.txt", "git+https://example.com/x"):
        with pytest.raises(ValueError, match="exact version"):
            python_packages(line)
    assert (
        node_packages('{"packages": {"": {}, "node_modules/a/node_modules/@b/c": {"version": "1"}}}')[0].name == "@b/c"
    )


def test_pip_itself_takes_the_file_in_its_strict_mode(tmp_path: Path) -> None:
    """Offline, an empty folder as the only source: it accepts the file before it misses the first package."""
    pip = [sys.executable, "-m", "pip", "install", "--dry-run", "--no-index", "--find-links", str(tmp_path)]
    done = subprocess.run(
        [*pip, "--target", str(tmp_path), "--require-hashes", "--only-binary", ":all:", "-r", "requirements.txt"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "No matching distribution found for azure-core==" in done.stderr, done.stderr
