"""Settings stop the program at its start, and the message names every variable that is wrong."""

from __future__ import annotations

from dataclasses import MISSING, fields, is_dataclass

import pytest

from scenejobs.errors import Code, ConfigurationError
from scenejobs.settings.groups import GROUPS, ComputeSettings, DispatchSettings, LogSettings, Row, RunnerSettings, table
from scenejobs.settings.pipeline import PipelineSettings
from scenejobs.settings.reader import read, read_all
from scenejobs.settings.storage import StorageSettings

REQUIRED = {"AZURE_SUBSCRIPTION_ID": "sub", "AZURE_RESOURCE_GROUP": "rg", "RUNNER_JOB_NAME": "job"}


@pytest.mark.parametrize("group", GROUPS)
def test_an_empty_environment_gives_the_defaults(group: type) -> None:
    value = read(group, REQUIRED)
    assert is_dataclass(value)
    for item in fields(value):
        if item.metadata["variable"] not in REQUIRED:
            assert getattr(value, item.name) == item.default


@pytest.mark.parametrize("group", GROUPS)
def test_every_default_is_a_value_that_would_be_accepted(group: type) -> None:
    """Written into the environment as text, it reads as itself."""
    value = read(group, REQUIRED)
    env = {item.metadata["variable"]: str(getattr(value, item.name)) for item in fields(value)}
    assert read(group, env) == value


def test_settings_are_frozen() -> None:
    with pytest.raises(AttributeError):
        read(LogSettings, {}).level = "DEBUG"  # type: ignore[misc]


def test_every_missing_and_every_wrong_variable_is_named() -> None:
    env = {"QUIET_SECONDS": "soon", "MAX_PARALLEL_JOBS": "-1", "RUN_MODE": "forever", "AZURE_RESOURCE_GROUP": "rg"}
    with pytest.raises(ConfigurationError) as error:
        read_all((DispatchSettings, ComputeSettings, RunnerSettings), env)
    for part in ("AZURE_SUBSCRIPTION_ID is not set", "RUNNER_JOB_NAME is not set", "QUIET_SECONDS='soon'",
                 "MAX_PARALLEL_JOBS='-1'", "RUN_MODE='forever'", "queue, batch"):  # fmt: skip
        assert part in error.value.cause
    assert "AZURE_RESOURCE_GROUP" not in error.value.cause
    assert error.value.code is Code.INVALID_SETTING


def test_only_missing_variables_are_missing_settings() -> None:
    with pytest.raises(ConfigurationError) as error:
        read(ComputeSettings, {})
    assert error.value.code is Code.MISSING_SETTING


def test_a_variable_of_two_groups_is_named_once() -> None:
    with pytest.raises(ConfigurationError) as error:
        read_all((DispatchSettings, RunnerSettings), {"SCENE_PREFIX_DEPTH": "0"})
    assert error.value.cause.count("SCENE_PREFIX_DEPTH") == 1


def test_an_empty_variable_counts_as_not_set() -> None:
    assert read(DispatchSettings, {"QUIET_SECONDS": "  "}).quiet_s == 60
    with pytest.raises(ConfigurationError, match="AZURE_SUBSCRIPTION_ID is not set"):
        read(ComputeSettings, {**REQUIRED, "AZURE_SUBSCRIPTION_ID": " "})


@pytest.mark.parametrize(
    ("text", "value"), [("true", True), ("1", True), ("YES", True), ("off", False), ("False", False)]
)
def test_true_and_false_in_the_usual_spellings(text: str, value: bool) -> None:
    assert read(PipelineSettings, {"FORCE_CPU_BACKEND": text}).force_cpu is value


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("QUIET_SECONDS", "nan"), ("QUIET_SECONDS", "inf"), ("QUIET_SECONDS", "-1"), ("QUIET_SECONDS", "1,5"),
        ("MAX_PARALLEL_JOBS", "1.5"), ("MAX_PARALLEL_JOBS", "-1"), ("MAX_PARALLEL_JOBS", "9" * 5000),
        ("SCENE_PREFIX_DEPTH", "0"),
    ],
)  # fmt: skip
def test_numbers_are_finite_and_in_range(variable: str, text: str) -> None:
    with pytest.raises(ConfigurationError, match=variable):
        read(DispatchSettings, {variable: text})


@pytest.mark.parametrize("group", GROUPS)
def test_a_time_behind_the_end_of_the_calendar_is_refused_at_the_start(group: type) -> None:
    """RETENTION_DAYS=1000000 ended the watch with a traceback at its first look."""
    for item in fields(group):
        variable = item.metadata["variable"]
        if variable.endswith(("_DAYS", "_SECS", "_SECONDS")):
            too_much, most = ("1000000", "36500") if variable.endswith("_DAYS") else ("1000000000000", "3153600000")
            with pytest.raises(ConfigurationError, match=rf"{variable}.*100 years"):
                read(group, {variable: too_much})
            assert getattr(read(group, {**REQUIRED, variable: most}), item.name) == float(most)


def test_choices_do_not_care_for_case() -> None:
    assert read(LogSettings, {"LOG_LEVEL": "debug"}).level == "DEBUG"
    assert read(PipelineSettings, {"BACKEND": "GSPLAT"}).backend == "gsplat"


def test_secrets_are_not_quoted_and_not_printed() -> None:
    """Settings are shown in errors and in tracebacks."""
    env = {
        "AZURE_STORAGE_SAS_TOKEN": "sig=canary",
        "AZURE_CLIENT_SECRET": "canary",
        "AZURE_STORAGE_CONNECTION_STRING": "canary",
    }
    assert "canary" not in repr(read(StorageSettings, env))


def test_the_table_has_every_setting_once_per_group_with_a_meaning() -> None:
    rows = list(table())
    assert len({(row.group, row.variable) for row in rows}) == len(rows)
    assert all(row.doc and row.kind for row in rows)
    assert sum(len(fields(group)) for group in GROUPS) == len(rows)


def test_a_variable_that_two_groups_share_means_the_same() -> None:
    """One default and one kind, or the documentation could not say what it does."""
    seen: dict[str, tuple[object, str]] = {}
    for row in table():
        assert seen.setdefault(row.variable, (row.default, row.kind)) == (row.default, row.kind)


def test_a_variable_used_by_two_groups_means_the_same_in_both() -> None:
    seen: dict[str, Row] = {}
    for row in table():
        other = seen.setdefault(row.variable, row)
        assert (other.default, other.kind) == (row.default, row.kind) or row.default is MISSING, row.variable
