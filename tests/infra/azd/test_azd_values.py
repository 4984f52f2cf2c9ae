"""What azd keeps over `azd down`, and what it makes of it at the next `azd up`.

A model of azd's part, after its source of August 2026: `Manager.Destroy` deletes every output from the environment;
`marshallDotEnv` and godotenv 1.5.1 write and read the file; `loadParameters` takes an object's text as JSON.
"""

from __future__ import annotations

import json
import re

import pytest

from tests.infra.templates.bicep_tree import parameters
from tests.infra.templates.deployed import MAIN, PARAMETERS, RENAMED, deploy, job_env, source

SETTINGS = '{"PRESET": "high", "FILM_NOTES": "say \\"go\\" for $5!", "PATH_TO": "a\\\\b"}'


def written(values: dict[str, str]) -> str:
    """godotenv.Marshal: numbers bare, all else quoted, with a backslash before what is special."""
    lines = []
    for name, value in sorted(values.items()):
        number = re.fullmatch(r"-?\d+", value)
        escaped = re.sub(r'[\\"!$`]', lambda found: "\\" + found[0], value).replace("\n", "\\n").replace("\r", "\\r")
        lines.append(f"{name}={value}" if number else f'{name}="{escaped}"')
    return "\n".join(lines)


def read(text: str) -> dict[str, str]:
    """godotenv.Parse of such lines: the closing quote is the first without a backslash before it."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        name, _, value = line.partition("=")
        if value.startswith('"'):
            end = re.search(r'(?<!\\)"', value[1:])
            assert end, line
            value = re.sub(r"\\([^$])", r"\1", value[1 : end.start() + 1]).replace("\\$", "$")
        found[name] = value
    return found


def down(values: dict[str, str]) -> dict[str, str]:
    """The environment after `azd up` and `azd down`."""
    outputs = {name: str(value) for name, value in deploy().outputs.items()}
    up = read(written(values | outputs))
    return read(written({name: value for name, value in up.items() if name not in outputs}))


def test_what_somebody_set_is_there_after_azd_down() -> None:
    chosen = {source(name)[0]: f"set-{name}" for name in PARAMETERS} | RENAMED
    assert down(chosen) == chosen


def test_objects_are_json_for_the_next_up() -> None:
    chosen = {"RUNNER_SETTINGS": SETTINGS, "DISPATCHER_SETTINGS": '{"MAX_WAIT_SECONDS": "60"}'}
    left = down(chosen)
    assert json.loads(left["RUNNER_SETTINGS"]) == json.loads(SETTINGS)
    assert job_env(deploy(left))["FILM_NOTES"] == 'say "go" for $5!'


@pytest.mark.parametrize("name", [name for name, param in parameters(MAIN).items() if param.type == "object"])
def test_an_object_comes_from_one_variable_and_nothing_else(name: str) -> None:
    """azd parses the text of an object's variable; with a default in braces the braces would stay behind the value."""
    assert re.fullmatch(r"\$\{[A-Z_]+\}", PARAMETERS[name]["value"])
