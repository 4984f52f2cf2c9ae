"""What cannot be written is told before any work, and where numba would have looked."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from runner.commands import preflight
from runner.files import writable
from runner.sandbox import landlock
from scenejobs.errors import ConfigurationError
from scenejobs.settings.groups import RunnerSettings
from scenejobs.settings.pipeline import PipelineSettings
from scenejobs.settings.storage import FolderSettings, StorageSettings
from tests.folders import above

ROOT = Path(__file__).parents[4]
NUMBA = """
import json, os, sys
import numba
from kernels import one
for case in json.loads(sys.argv[1]):
    os.environ.update(case)
    numba.config.reload_config()
    try:
        print(numba.njit(cache=True)(one.add).stats.cache_path)
    except RuntimeError as exc:
        print(exc)
"""


def a_file(path: Path) -> Path:
    """Below a file nothing can be made, whoever asks: root too, and without Landlock."""
    path.write_text("")
    return path / "below"


def test_the_place_for_compiled_code_is_the_one_that_numba_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asked of numba itself, in each of its ways out; where it refuses we refuse, before it does."""
    kernels = tmp_path / "runner/raster/kernels"
    kernels.mkdir(parents=True)
    (kernels / "__init__.py").touch()
    (kernels / "one.py").write_text("def add(a, b):\n    return a + b\n")
    monkeypatch.setattr(writable, "ROOT", tmp_path)
    monkeypatch.setattr(writable, "KERNELS", ("raster",))
    refusing, writes = str(a_file(tmp_path / "file")), str(tmp_path / "writes")
    cases = [{"NUMBA_CACHE_DIR": named, "HOME": home} for named, home in (
        (writes, writes), (refusing, writes), (writes, refusing), (refusing, refusing), ("", writes), ("", refusing),
    )]  # fmt: skip
    command = [sys.executable, "-B", "-c", NUMBA, json.dumps(cases)]
    env = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(kernels.parent)}

    def both() -> list[tuple[str, str]]:
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
        return list(zip(done.stdout.splitlines(), map(ours, cases), strict=True))

    def ours(case: dict[str, str]) -> str:
        try:
            return str(writable.compiled_code(case))
        except ConfigurationError as exc:
            return str(exc)

    for numbas, named in both():
        assert numbas.startswith(named), "each has a place: beside the module where nothing else is"
    shutil.rmtree(kernels / "__pycache__")
    (kernels / "__pycache__").write_text("")  # a file in its place: as on a read-only root
    for (numbas, named), case in zip(both(), cases, strict=True):
        refused = writes not in case.values()
        assert ("cannot cache function" in numbas) == ("set NUMBA_CACHE_DIR" in named) == refused, (case, named)
        assert refused or numbas.startswith(named)


@pytest.mark.parametrize("module", ["runner", "watch"])
@pytest.mark.skipif(landlock.abi() == 0, reason="this kernel has no Landlock to close a folder with")
def test_a_program_that_could_not_compile_its_kernels_does_not_start(module: str, tmp_path: Path) -> None:
    """On a read-only root: it was found out after the poses of the first scene."""
    data, scratch, closed = (tmp_path / name for name in ("data", "scratch", "closed"))
    for folder in (*above(tmp_path), tmp_path, data, scratch, closed):
        folder.mkdir(exist_ok=True)
        folder.chmod(0o777)  # whoever nobody is
    env = {
        "PATH": "/usr/bin:/bin", "DATA_PATH": str(data), "TEMP_PATH": str(scratch), "TMPDIR": str(scratch),
        "HOME": str(closed), "NUMBA_CACHE_DIR": str(closed / "numba"), "PYTHONDONTWRITEBYTECODE": "1",
        "HEALTH_CHECK_ENABLED": "false", "METRICS_PORT": "0", "RUN_MODE": "queue", "LOG_FORMAT": "text",
    }  # fmt: skip
    command = [sys.executable, "-m", "tests.read_only_root", str(data), str(scratch), "--", sys.executable, "-m"]
    done = subprocess.run(
        [*command, module], cwd=ROOT, env=env, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 2, done
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"error: compiled code cannot be kept in {closed / 'numba'}: ")
    assert "set NUMBA_CACHE_DIR" in line


def test_a_workspace_that_is_there_and_cannot_be_written_is_named_with_its_remedy(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"below cannot be used.*TEMP_PATH"):
        writable.workspace(str(a_file(tmp_path / "file")))
    assert writable.workspace(str(tmp_path / "new" / "one")).is_dir()


def test_nothing_a_library_says_keeps_the_other_checks_from_being_told() -> None:
    def breaks(_: preflight.Settings) -> str:
        raise RuntimeError("cannot cache function\n'exp_minus'")

    checks = {"device": breaks, "disk": lambda _: "fine"}
    read = preflight.Settings(
        RunnerSettings(),
        PipelineSettings(),
        StorageSettings(),
        FolderSettings(),
    )
    results = preflight.run(read, checks)
    assert [(each.passed, each.detail) for each in results] == [
        (False, "RuntimeError: cannot cache function 'exp_minus'"), (True, "fine"),
    ]  # fmt: skip
    assert preflight.exit_code(results) == 3
