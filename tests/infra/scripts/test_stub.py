"""The stub for az answers as `re.search` would choose, and costs little."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest

from tests.infra.azcli.lines import ANY, of_documents, of_programs, of_scripts
from tests.infra.scripts.scripted import AZ, ROOT, STUB
from tests.infra.scripts.stub import fits, refusal

CALLS = ["az storage account show --name stdev --query id", "azd env get-values", "curl --silent https://a.b/"]
PATTERNS = [
    "storage account show", "^az ", "^azd env", "^env", "show .*stdev", "show .*sthost", "--query .*show", "curl|azd",
    "x|y", "acr show|account show .*id", "^curl|^azd", "name=(a|b)", "a.b", "sho[wx]", "", "^", "stdev$",
    "account (show|list)", "^storage account .*id",
]  # fmt: skip


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_pattern_fits_as_a_regular_expression_does(pattern: str) -> None:
    for call in CALLS:
        assert fits(pattern, call) == bool(re.search(pattern, call)), call


def test_a_call_imports_nothing_that_takes_time() -> None:
    code = f"import sys; sys.path.insert(0, {str(STUB.parent)!r}); import stub; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True)
    assert not {"re", "json", "pathlib", "enum"} & set(done.stdout.split())


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("containerapp job logs show --name x", "no command"),  # of an extension
        ("group exists --nam x", "unrecognized"),
        ("group exists", "required"),
        ("group exists --name", "expected a value"),
        ("storage message put --queue-name q --content c --account-name a --auth-mode both", "none of"),
        ("acr repository show-tags --name x --repository y --top many", "no whole number"),
        ("containerapp job show --query id", "or --ids"),
        ("group exists --name x y", "unrecognized words"),
        ("resource list --tag a=b --resource-type T/x", "you cannot use '--tag'"),
        ("resource list -g rg --tag a=b", "you cannot use '--tag'"),
    ],
)
def test_what_the_real_az_refuses_is_refused(line: str, why: str) -> None:
    """The refusals of azure-cli 2.91.0's own parser; it let all of these but the first two pass."""
    assert why in refusal(line.split(), AZ)


@pytest.mark.parametrize(
    "line", ["group exists --name x --subscription s", "containerapp job show --ids /a", "group exists -n=x"]
)
def test_what_the_real_az_takes_is_taken(line: str) -> None:
    assert refusal(line.split(), AZ) == ""


def test_every_line_of_scripts_documents_and_messages_is_one_that_the_table_knows() -> None:
    """Else `make cli-check` was not run after the last change."""
    for line in (*of_scripts(), *of_documents(), *of_programs()):
        reason = refusal(list(line.words), AZ)
        if line.whole or not reason.startswith("required"):
            assert not reason or f": {ANY} is" in reason, line.where


def test_the_table_is_of_the_version_that_is_locked() -> None:
    version = json.loads((ROOT / "tests/infra/azcli/table.json").read_text())["azure-cli"]
    assert f"azure-cli=={version}" in (ROOT / "tests/infra/azcli/requirements.lock").read_text()
