"""Who may import whom: one table over every package, lazy imports included; no circles; light parents."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OURS = frozenset({
    "function_app", "functions_entry", "runner", "scenejobs", "serve", "watch", "local", "video_splat", "tests",
})  # fmt: skip
HEAVY = ("numpy", "torch", "av", "pycolmap", "cv2", "numba", "scipy", "PIL", "gsplat")
STORAGE_SDK = ("azure.storage", "azure.mgmt", "azure.identity", "azure.core")

BASE = frozenset({
    "scenejobs.errors", "scenejobs.filming", "scenejobs.stages", "scenejobs.names", "scenejobs.parallel",
    "scenejobs.loopback", "scenejobs.logs", "scenejobs.settings", "scenejobs.estimate", "scenejobs.wording",
    "runner.paths",
})  # fmt: skip
"""Free for all, with the order among themselves in `MAY_IMPORT`."""

VALUES = frozenset({"runner.process", "runner.files", "runner.scene"})
STAGES = frozenset(
    f"runner.{stage}" for stage in ("media", "poses", "dataset", "training", "postprocess", "export", "report")
)
STATE = frozenset({"scenejobs.state", "scenejobs.ports"})
WATCHED = frozenset({"runner.cli", "runner.worker", "runner.pipeline", "runner.process", "runner.files"})

MAY_IMPORT: Mapping[str, frozenset[str]] = {
    # scenejobs: commands -> audit -> {state, adapters} -> logs -> settings -> errors, names, ports -> filming
    "scenejobs.filming": frozenset(),
    "scenejobs.stages": frozenset(),
    "scenejobs.wording": frozenset(),
    "scenejobs.errors": frozenset({"scenejobs.filming"}),
    "scenejobs.names": frozenset({"scenejobs.errors"}),
    "scenejobs.loopback": frozenset(),
    "scenejobs.ports": frozenset({"scenejobs.errors", "scenejobs.names"}),
    "scenejobs.parallel": frozenset({"scenejobs.errors"}),
    "scenejobs.settings": frozenset({"scenejobs.errors", "scenejobs.names"}),
    "scenejobs.estimate": frozenset({"scenejobs.errors", "scenejobs.names"}),
    "scenejobs.logs": frozenset({"scenejobs.errors", "scenejobs.names", "scenejobs.settings"}),
    "scenejobs.state": BASE | {"scenejobs.ports"},
    "scenejobs.adapters": BASE | {"scenejobs.ports"},
    "scenejobs.audit": BASE | STATE,
    "scenejobs.commands": BASE | STATE | {"scenejobs.audit", "scenejobs.adapters"},
    "scenejobs.__main__": frozenset({"scenejobs.commands"}),
    # runner: what a person starts -> worker -> job -> pipeline -> stages -> their tools -> ground
    "runner.paths": frozenset(),
    "runner.process": BASE,
    "runner.scene": BASE,
    "runner.files": BASE,
    "runner.sandbox": BASE | {"runner.process"},
    "runner.cache": BASE | {"runner.files"},
    "runner.context": frozenset({"runner.cache", "runner.scene"}),
    "runner.raster": BASE | {"runner.scene", "runner.process"},
    "runner.quality": BASE | {"runner.scene", "runner.raster"},
    "runner.media": BASE | {"runner.context"} | VALUES | {"runner.cache", "runner.sandbox"},
    "runner.poses": BASE | {"runner.context"} | VALUES | {"runner.cache", "runner.sandbox"},
    "runner.dataset": BASE | {"runner.context"} | {"runner.files", "runner.scene", "runner.poses"},
    "runner.training": BASE
    | {"scenejobs.filming"}
    | {"runner.context"}
    | {"runner.files", "runner.scene", "runner.raster", "runner.quality"},
    "runner.postprocess": BASE
    | {"runner.context"}
    | {"runner.files", "runner.scene", "runner.raster", "runner.quality"},
    "runner.export": BASE | {"runner.context"} | {"runner.files", "runner.scene", "runner.raster", "runner.quality"},
    "runner.report": BASE | {"runner.context"} | {"runner.files", "runner.scene", "runner.raster", "runner.quality"},
    "runner.pipeline": BASE
    | {"runner.context"}
    | STAGES
    | {"runner.quality", "runner.raster", "runner.cache", "runner.files", "runner.scene", "runner.process"},
    "runner.job": BASE | VALUES | {"runner.pipeline", "runner.cache"},
    "runner.worker": BASE | VALUES | STATE | {"runner.job", "runner.pipeline", "runner.media", "runner.cache"},
    "runner.commands": BASE
    | VALUES
    | STAGES
    | STATE
    | {"runner.worker", "runner.job", "runner.pipeline", "runner.cache", "runner.sandbox", "runner.raster"}
    | {"runner.quality", "scenejobs.adapters"},
    "runner.cli": BASE | {"runner.commands", "runner.process"},
    "runner.__main__": frozenset({"runner.cli", "runner.process"}),
    # the hosts
    "function_app": BASE | STATE | {"scenejobs.adapters"},
    "watch": BASE | STATE | WATCHED | {"function_app", "scenejobs.adapters"},
    "serve": BASE | STATE | WATCHED | {"function_app", "scenejobs.adapters", "watch"},
    "local": BASE | STATE | {"function_app", "functions_entry", "scenejobs.adapters", "scenejobs.commands"},
    "video_splat": frozenset(
        {"scenejobs.commands", "scenejobs.errors", "runner.cli", "serve", "watch", "function_app", "local"}
    ),
}
"""Package -> packages that it may import, itself not named. A row is the whole truth about a package's arrows."""

ONLY = {
    # package -> the modules of it that a package above may use, where the rest of it is not for everybody
    ("runner.worker", "runner.pipeline"): {
        "runner.pipeline.scene_settings.scene_file",
        "runner.pipeline.settings",
        "runner.pipeline.estimate",
        "runner.pipeline.more_time",
    },
    ("runner.worker", "runner.media"): {"runner.media.settings", "runner.media.too_many"},
    ("runner.dataset", "runner.poses"): {"runner.poses.colmap.client", "runner.poses.colmap.requests"},
}

ADAPTERS = {
    "function_app/wiring.py", "function_app/__main__.py", "function_app/web/wiring.py",
    "local/cloud.py", "local/desk.py",
}  # fmt: skip
"""Of the function app and the local cloud, what may open storage."""


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


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


TOPS = ("scenejobs", "runner", "function_app", "serve", "watch", "local", "video_splat")
MODULES = {module_of(path): path for top in TOPS for path in files_of(top)}


def package_of(module: str) -> str:
    """`runner.media.video.reader` -> `runner.media`; the hosts are one package each."""
    parts = module.split(".")
    return ".".join(parts[:2]) if parts[0] in ("runner", "scenejobs") else parts[0]


def arrows(path: Path) -> set[str]:
    """Modules of ours that a file imports."""
    names = {name for name in imports_of(path) if name.split(".")[0] in OURS}
    found = {name for name in names if name in MODULES}
    inside = {name.rpartition(".")[0] for name in names - found}
    deepest = found | {name for name in inside if name in MODULES}
    return {name for name in deepest if not any(other.startswith(f"{name}.") for other in found)}


def test_the_table_names_every_package_and_no_other() -> None:
    assert {package_of(module) for module in MODULES} - {"runner", "scenejobs"} == set(MAY_IMPORT)


@pytest.mark.parametrize("package", sorted(MAY_IMPORT))
def test_packages_import_only_what_lies_below_them(package: str) -> None:
    wrong = []
    for module, path in MODULES.items():
        if package_of(module) != package:
            continue
        for name in sorted(arrows(path)):
            target = package_of(name)
            allowed = target in MAY_IMPORT[package] and name in ONLY.get((package, target), {name})
            if target != package and not allowed:
                wrong.append(f"{module} imports {name}")
    assert wrong == []


def circles(graph: Mapping[str, set[str]]) -> list[list[str]]:
    """Strongly connected parts of more than one node (Tarjan 1972)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(node: str) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for to in graph.get(node, ()):
            if to not in index:
                visit(to)
                low[node] = min(low[node], low[to])
            elif to in stack:
                low[node] = min(low[node], index[to])
        if low[node] == index[node]:
            part = stack[stack.index(node) :]
            del stack[stack.index(node) :]
            if len(part) > 1:
                found.append(sorted(part))

    for node in graph:
        if node not in index:
            visit(node)
    return found


def test_no_files_import_each_other_in_a_circle() -> None:
    assert circles({module: arrows(path) - {module} for module, path in MODULES.items()}) == []


def test_no_packages_import_each_other_in_a_circle() -> None:
    graph: dict[str, set[str]] = {}
    for module, path in MODULES.items():
        graph.setdefault(package_of(module), set()).update(map(package_of, arrows(path)))
    assert circles({package: to - {package} for package, to in graph.items()}) == []


def test_a_circle_would_be_found() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == [["a", "b", "c"]]


def test_only_wiring_opens_storage() -> None:
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for top in ("function_app", "local")
        for path in files_of(top)
        if path.relative_to(ROOT).as_posix() not in ADAPTERS
        for name in arrows(path)
        if package_of(name) == "scenejobs.adapters"
    ]
    assert wrong == []


@pytest.mark.parametrize("package", ["scenejobs", "function_app", "runner", "serve", "watch"])
def test_only_the_azure_adapters_know_the_storage_and_management_sdk(package: str) -> None:
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in files_of(package)
        if "scenejobs/adapters/azure/" not in path.as_posix()
        for name in imports_of(path)
        if name.startswith(STORAGE_SDK)
    ]
    assert wrong == []


def test_the_function_app_imports_the_standard_library_the_functions_sdk_and_scenejobs_only() -> None:
    """And msgspec, of which the documents of its API are made."""
    allowed = {*sys.stdlib_module_names, "azure", "azurefunctions", "function_app", "scenejobs", "msgspec"}
    paths = [*files_of("function_app"), ROOT / "functions_entry.py"]
    names = {name for path in paths for name in imports_of(path)}
    assert {name for name in names if name.split(".")[0] not in allowed} == set()
    assert {name for name in names if name.startswith("azure.") and not name.startswith("azure.functions")} == set()


def test_the_function_app_starts_without_anything_heavy() -> None:
    """The whole path of a trigger: indexing, and the adapters that are opened at the first event."""
    program = (
        "import sys\n"
        f"sys.modules.update(dict.fromkeys({(*HEAVY, 'runner', 'local')!r}))\n"  # importing one of these raises
        "import functions_entry, function_app.wiring\n"
        "import scenejobs.adapters.azure.clients, scenejobs.adapters.azure.container_apps\n"
        "assert len(functions_entry.app.get_functions()) == 5\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def light_modules() -> list[str]:
    """The parent of a job and everything it loads before a child does the work, and every table of settings."""
    parents = ("runner.worker", "runner.job", "runner.process", "runner.files", "runner.cache")
    modules = [name for name in MODULES if package_of(name) in parents or name.endswith(".settings")]
    return sorted(
        {*modules, "runner.cli", "runner.commands.work", "runner.commands.parser", "serve.loop", "watch.loop"}
    )


def test_the_parent_of_a_job_loads_nothing_heavy() -> None:
    """Each module in a fresh interpreter of its own would take a minute; together they prove the same."""
    program = (
        "import importlib, sys\n"
        f"for name in {light_modules()!r}:\n"
        "    importlib.import_module(name)\n"
        f"    found = [heavy for heavy in {HEAVY!r} if heavy in sys.modules]\n"
        "    assert not found, f'{name} loads {found}'\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
