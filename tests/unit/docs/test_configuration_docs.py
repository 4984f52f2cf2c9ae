"""docs/configuration.md and the settings in the code are the same list."""

import re
from dataclasses import MISSING
from pathlib import Path

from scenejobs.settings import groups

ROOT = Path(__file__).parents[3]
ROW = re.compile(r"^\| `([A-Z0-9_]+)` \| (.*?) \| (.*?) \| (.*?) \|$", re.MULTILINE)


def documented() -> dict[str, tuple[str, str, str]]:
    text = (ROOT / "docs" / "configuration.md").read_text()
    return {name: (default, kind, doc) for name, default, kind, doc in ROW.findall(text)}


def shown(default: object) -> str:
    if default is MISSING:
        return "required"
    if default == "":
        return ""
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    return f"`{default:g}`" if isinstance(default, float) else f"`{default}`"


def expected() -> dict[str, tuple[str, str, str]]:
    return {row.variable: (shown(row.default), row.kind.replace("|", "\\|"), row.doc) for row in groups.table()}


def test_every_setting_is_documented_with_its_default_kind_and_meaning() -> None:
    for variable, row in expected().items():
        assert documented().get(variable) == row, f"| `{variable}` | {' | '.join(row)} |"


def test_nothing_is_documented_that_the_code_does_not_read() -> None:
    assert documented().keys() - expected().keys() == set()


def test_a_variable_used_by_two_groups_means_the_same_in_both() -> None:
    seen: dict[str, groups.Row] = {}
    for row in groups.table():
        other = seen.setdefault(row.variable, row)
        assert (other.default, other.kind) == (row.default, row.kind) or row.default is MISSING, row.variable
