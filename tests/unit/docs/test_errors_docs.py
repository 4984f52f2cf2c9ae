"""docs/errors.md lists every code with the meaning the code gives it; the exit codes are those of the tree."""

import inspect
import re
from pathlib import Path

from scenejobs import errors

DOCUMENT = Path(__file__).parents[3] / "docs" / "errors.md"


def meanings() -> dict[str, str]:
    return dict(re.findall(r"^    ([A-Z_]+) = \"\1\"  # (.*)$", inspect.getsource(errors.Code), re.MULTILINE))


def test_every_code_has_a_meaning() -> None:
    assert meanings().keys() == set(errors.Code)


def test_every_code_is_documented_with_its_meaning() -> None:
    rows = dict(re.findall(r"^\| `([A-Z_]+)` \| (.*?) \| .*? \|$", DOCUMENT.read_text(), re.MULTILINE))
    assert rows == meanings()


def test_the_documented_exit_codes_are_those_of_the_error_tree() -> None:
    rows = dict(re.findall(r"^\| (\d+) \| `(\w+)`", DOCUMENT.read_text(), re.MULTILINE))
    assert rows == {
        str(error.exit_code): error.__name__
        for error in (
            errors.InputError,
            errors.ConfigurationError,
            errors.InfrastructureError,
            errors.LeaseLost,
            errors.Interrupted,
        )
    }
