"""The templates keep to the part of Bicep that compiles without a warning, as far as our rules can tell.

The compiler is not here (`make infra-check` runs it where it is). Each rule stands for a warning that Bicep 0.49.2
gave, or for a fault that it calls an error; infra/checks.md lists them.
"""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path
from typing import Any

import pytest
from tree_sitter import Node

from tests.infra import check
from tests.infra.templates import bicep, bicep_tree
from tests.infra.templates.bicep_tree import named, parameters, root, text, walk
from tests.infra.templates.deployed import INFRA, MAIN

TEMPLATES = sorted(INFRA.rglob("*.bicep"))
DECLARED = ("variable_declaration", "resource_declaration", "module_declaration")
KNOWN_AT_START = ("id", "name", "type", "apiVersion")  # of a resource, whether it is there or not
PAGE = (INFRA / "checks.md").read_text()
each_template = pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)


def declarations(path: Path) -> dict[str, Node]:
    return {text(named(node)[0]): node for node in named(root(path)) if node.type in DECLARED}


def conditional(node: Node) -> bool:
    return named(node)[-1].type == "if_statement"


@each_template
def test_nothing_is_read_from_what_may_not_be_there(path: Path) -> None:
    """BCP318: a member of a conditional resource or module, but for what is known without it. `?:` is no help."""
    maybe = {name for name, node in declarations(path).items() if conditional(node)}
    for node in walk(root(path)):
        if node.type == "member_expression":
            whole, member = named(node)
            assert text(whole) not in maybe or text(member) in KNOWN_AT_START, text(node)
    assert not re.search(r"[\w)\]]!(?:[.\s)]|$)|\.\?", path.read_text()), (
        "neither `!` nor `.?` hides that something may be null"
    )


@each_template
def test_everything_that_is_declared_is_used(path: Path) -> None:
    source = re.sub(r"(?<!:)//.*", "", path.read_text())
    for name in [*parameters(path), *(key for key, node in declarations(path).items() if used_by_name(node))]:
        assert len(re.findall(rf"\b{name}\b", source)) > 1, name


def used_by_name(node: Node) -> bool:
    existing = any(child.type == "existing" for child in node.children)
    return node.type == "variable_declaration" or existing


@each_template
def test_nothing_makes_the_compiler_write_existing_resources_into_the_template(path: Path) -> None:
    """Functions, imports, types and `existing` with dependsOn do (EmitterSettings.EnableSymbolicNames): each is then
    asked for when the deployment begins, and one that is only about to be made stops it."""
    kinds = {node.type for node in walk(root(path))}
    assert not kinds & {"user_defined_function", "import_statement", "import_functionality", "type_declaration"}
    for node in declarations(path).values():
        if any(child.type == "existing" for child in node.children):
            assert "dependsOn" not in text(node)


@each_template
def test_a_length_is_not_subtracted_from(path: Path) -> None:
    """BCP329: the result could be negative."""
    assert not re.search(r"length\([^()]*\) *-", path.read_text())


@each_template
def test_a_resource_whose_name_chooses_its_properties_has_a_literal_name(path: Path) -> None:
    """BCP225: sites/config and sites/basicPublishingCredentialsPolicies are checked by their name."""
    for node in walk(root(path)):
        if node.type == "resource_declaration" and re.search(
            r"sites/(?:config|basicPublishing\w+)@", text(named(node)[1])
        ):
            body = named(node)[-1]
            body = named(body)[-1] if body.type == "if_statement" else body
            assert body.type == "object"
            (name,) = [text(named(item)[1]) for item in named(body) if text(named(item)[0]) == "name"]
            assert re.fullmatch(r"'\w+'", name)


def test_changes_of_the_site_follow_each_other() -> None:
    """409 otherwise."""
    found = declarations(INFRA / "modules/function-app.bicep")
    order = ["appSettings", "noPasswordsByFtp", "noPasswordsByScm", "signIn"]
    children = [name for name, node in found.items() if "parent: app" in text(node)]
    assert children == order
    for before, after in itertools.pairwise(order):
        assert f"dependsOn: [{before}]" in text(found[after])


@each_template
def test_dependson_repeats_nothing_that_a_value_says(path: Path) -> None:
    """no-unnecessary-dependson, for what the declaration itself mentions."""
    for name, node in declarations(path).items():
        explicit = [
            item for item in walk(node) if item.type == "object_property" and text(named(item)[0]) == "dependsOn"
        ]
        for item in explicit:
            others = text(node).replace(text(item), "")
            for symbol in named(named(item)[1]):
                assert not re.search(rf"\b{text(symbol)}\.", others), f"{name}: {text(symbol)}"


# ---- parameter files -------------------------------------------------------------------------------------------------


def given(path: Path) -> dict[str, Any]:
    """What a .bicepparam file sets; literals only."""
    source = path.read_text()
    assert re.match(r"using '\.\./main\.bicep'\n", source)
    found: dict[str, Any] = {}
    for name, value in re.findall(r"^param (\w+) = (.+)$", source, re.M):
        found[name] = json.loads(re.sub(r"(\w+):", r'"\1":', value).replace("'", '"'))
    return found


@pytest.mark.parametrize("path", sorted((INFRA / "check").glob("*.bicepparam")), ids=lambda path: path.stem)
def test_a_committed_parameter_file_works_out(path: Path) -> None:
    deployment = bicep.deploy(MAIN, given(path))
    assert len([item for item in deployment.resources if item.deployed and not item.existing]) > 50


def test_the_parameter_files_cover_every_switch_that_adds_resources() -> None:
    covered = {name for path in (INFRA / "check").glob("*.bicepparam") for name in given(path)}
    switches = {name for name, param in parameters(MAIN).items() if param.type == "bool"} - {
        "includeRbac",
        "useStorageKeys",
    }
    assert switches <= covered
    assert {name for name in parameters(MAIN) if name.startswith("existing")} - covered == {
        "existingResourcesGroupName", "existingStorageLocation",
    }  # fmt: skip


# ---- the page --------------------------------------------------------------------------------------------------------


def test_the_page_names_every_type_with_its_version_and_where_it_was_seen() -> None:
    rows = dict(
        re.findall(r"^\| `(Microsoft\.[\w/]+)` \| (\d{4}-\d\d-\d\d(?:-preview)?) \| `[\w./-]+` \|$", PAGE, re.M)
    )
    used = {
        tuple(found)
        for path in TEMPLATES
        for found in re.findall(r"'(Microsoft\.[\w/]+)@([\d-]+(?:preview)?)'", path.read_text())
    }
    assert used == set(rows.items()), "one version of each type"


def test_the_page_says_since_when_nothing_was_compiled() -> None:
    for part in check.COMPILED:
        assert part in PAGE


def test_every_warning_is_an_error_for_the_linter() -> None:
    rules = json.loads((INFRA / "bicepconfig.json").read_text())["analyzers"]["core"]["rules"]
    assert {rule["level"] for rule in rules.values()} == {"error"}
    assert len(rules) > 30


def test_what_the_compiler_says_is_a_failure_even_if_its_exit_code_is_none(tmp_path: Path) -> None:
    """A compiler's warning leaves its exit code at 0."""
    warns = tmp_path / "bicep"
    warns.write_text("#!/bin/sh\necho 'main.bicep(1,1) : Warning BCP318: may be null' >&2\n")
    warns.chmod(0o755)
    found = check.compile_all(str(warns))
    assert len(found) == 2 * len(check.TEMPLATES) + 2 * len(list((INFRA / "check").glob("*.bicepparam")))
    fails = tmp_path / "fails"
    fails.write_text("#!/bin/sh\nexit 3\n")
    fails.chmod(0o755)
    assert "ended with 3" in check.compile_all(str(fails))[0]
    assert bicep_tree.text  # the parser is another one than the compiler's
