"""Imports point down, and the function app stays light enough for a small instance that starts from cold."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OURS = frozenset({"function_app", "functions_entry", "runner", "scenejobs", "watch", "local", "tests"})
MAY_IMPORT = {
    "scenejobs": {"scenejobs"},
    "function_app": {"function_app", "scenejobs"},
    "runner": {"runner", "scenejobs"},
    "watch": {"watch", "function_app", "runner", "scenejobs"},
    "local": {"local", "function_app", "runner", "scenejobs", "functions_entry"},
}
HEAVY = ("numpy", "torch", "av", "pycolmap", "numba", "scipy", "PIL", "gsplat", "runner", "local")
STORAGE_SDK = ("azure.storage", "azure.mgmt", "azure.identity", "azure.core")


def imports_of(path: Path, root: Path = ROOT) -> Iterator[str]:
    """Full names of everything a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text(), str(path))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                yield str(path.relative_to(root).parts[0])  # relative: within the package
            else:
                yield node.module or ""
                yield from (f"{node.module}.{alias.name}" for alias in node.names)


def files_of(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


@pytest.mark.parametrize("package", sorted(MAY_IMPORT))
def test_packages_import_only_what_lies_below_them(package: str) -> None:
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in files_of(package)
        for name in imports_of(path)
        if name.split(".")[0] in OURS - MAY_IMPORT[package]
    ]
    assert wrong == []


@pytest.mark.parametrize("package", ["scenejobs", "function_app", "runner", "watch"])
def test_only_the_azure_adapters_know_the_storage_and_management_sdk(package: str) -> None:
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in files_of(package)
        if "scenejobs/azure/" not in path.as_posix()
        for name in imports_of(path)
        if name.startswith(STORAGE_SDK)
    ]
    assert wrong == []


def test_the_function_app_imports_the_standard_library_the_functions_sdk_and_scenejobs_only() -> None:
    allowed = {*sys.stdlib_module_names, "azure", "azurefunctions", "function_app", "scenejobs"}
    paths = [*files_of("function_app"), ROOT / "functions_entry.py"]
    names = {name for path in paths for name in imports_of(path)}
    assert {name for name in names if name.split(".")[0] not in allowed} == set()
    assert {name for name in names if name.startswith("azure.") and not name.startswith("azure.functions")} == set()


def test_the_function_app_starts_without_anything_heavy() -> None:
    """The whole path of a trigger: indexing, and the adapters that are opened at the first event."""
    program = (
        "import sys\n"
        f"sys.modules.update(dict.fromkeys({HEAVY!r}))\n"  # importing one of these raises
        "import functions_entry, function_app.wiring\n"
        "import scenejobs.azure.clients, scenejobs.azure.compute\n"
        "assert len(functions_entry.app.get_functions()) == 5\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
