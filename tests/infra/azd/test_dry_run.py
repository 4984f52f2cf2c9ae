"""docs/azd-dry-run.md is what azure.yaml, the hooks and the templates amount to today."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.infra.azd import dry_run
from tests.infra.scripts.scripted import ROOT
from tests.infra.templates import bicep_tree
from tests.infra.templates.deployed import MAIN, deploy


def test_the_transcript_is_current() -> None:
    assert (ROOT / "docs/azd-dry-run.md").read_text() == dry_run.page(), (
        "python -m tests.infra.azd.dry_run > docs/azd-dry-run.md"
    )


def test_the_function_app_is_packaged_with_its_own_code_and_nothing_else() -> None:
    assert dry_run.packaged() == ["function_app", "functions_entry.py", "host.json", "requirements.txt", "scenejobs"]


def test_roles_come_after_what_they_are_given_on_and_the_group_before_all() -> None:
    order = dry_run.waves(MAIN, {"newGroup", *deploy().modules})
    assert order[0] == ["newGroup"]
    assert dry_run.needs(MAIN)["roles"] >= {"containers", "hostContainers", "registry", "identities", "events"}
    assert dry_run.needs(MAIN)["job"] >= {"identities", "environmentOfJobs"}, "by their outputs alone"
    assert "hostAccount" not in dry_run.needs(MAIN)["job"]


def test_templates_that_wait_for_each_other_are_an_error(tmp_path: Path) -> None:
    template = tmp_path / "circle.bicep"
    template.write_text(
        "resource a 'A.B/c@2024-01-01' = {\n  name: 'a'\n  tags: { b: through }\n}\n"
        "resource b 'A.B/c@2024-01-01' = {\n  name: 'b'\n  dependsOn: [a]\n}\n"
        "resource reader 'A.B/c@2024-01-01' = {\n  name: 'c'\n  tags: { a: 1 }\n}\n"
        "var through = b.id\n"
    )
    assert dry_run.needs(template) == {"a": {"b"}, "b": {"a"}, "reader": set()}, "keys and members are no names"
    with pytest.raises(bicep_tree.BicepError, match="wait for each other"):
        dry_run.waves(template, {"a", "b", "reader"})
