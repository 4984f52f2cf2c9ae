"""The stub for az answers as `re.search` would choose, and costs little."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tests.infra.scripted import STUB
from tests.infra.stub import fits

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
