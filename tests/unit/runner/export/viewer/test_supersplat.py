"""VIEWER=supersplat without the package at hand; with it: tests/readers/test_supersplat_viewer.py."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from runner.export.viewer import package as known
from runner.export.viewer.package import Package
from runner.export.viewer.supersplat import write_supersplat
from runner.pipeline.settings import check
from scenejobs.errors import Code, ConfigurationError
from scenejobs.settings.pipeline import PipelineSettings
from tests.splats import some_gaussians
from tests.unit.runner.export.viewer.opened import landscape

FILES = {
    "index.html": """<head><title>SuperSplat Viewer</title><link rel="stylesheet" href="./index.css" />
<script type="application/json" id="sse-bootstrap">null</script></head><body>
<script type="module">import { createViewer } from './index.js'; createViewer();</script></body>""",
    "index.css": "body { margin: 0 }",
    "index.js": "const createViewer = () => '<body ./index.css';\n//# sourceMappingURL=index.js.map\n",
}


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Package:
    """Small files in the place of the published ones."""
    (tmp_path / "public").mkdir()
    for name, text in FILES.items():
        (tmp_path / "public" / name).write_text(text)
    monkeypatch.setattr(
        known, "FILES", {name: hashlib.sha256(text.encode()).hexdigest() for name, text in FILES.items()}
    )
    return Package(tmp_path)


def test_no_text_of_a_scene_becomes_a_part_of_the_page(package: Package, tmp_path: Path) -> None:
    hostile = "</script><script>alert(1)</script>__OUR_SCENE__"
    write_supersplat(
        some_gaussians(9), landscape(), tmp_path / "a.html", package=package, title=hostile, note=hostile, doubt=hostile
    )
    page = (tmp_path / "a.html").read_text()
    assert page.count("<script") == 2  # as published: the settings and the module
    assert "alert(1)</script>" not in page
    assert page.count("contentFilename") == 1
    assert list(tmp_path.glob(".*")) == []  # the file in between is gone


def test_another_version_is_refused_before_any_work(package: Package) -> None:
    settings = PipelineSettings(backend="cpu", viewer="supersplat", supersplat_viewer=str(package.folder))
    check(settings)
    (package.folder / "public/index.js").write_text("another")
    with pytest.raises(ConfigurationError, match=r"public/index\.js is not the one of @playcanvas") as caught:
        check(settings)
    assert caught.value.code is Code.INVALID_SETTING
    (package.folder / "public/index.js").unlink()
    with pytest.raises(ConfigurationError, match=r"public/index\.js cannot be read"):
        check(settings)


def test_without_a_folder_the_setting_that_is_missing_is_named() -> None:
    with pytest.raises(ConfigurationError, match="needs SUPERSPLAT_VIEWER") as caught:
        check(PipelineSettings(backend="cpu", viewer="supersplat"))
    assert "npm install" in caught.value.advice
