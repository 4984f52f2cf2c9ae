"""Every KQL query parses and fits the published columns, by Kusto's own language service."""

from __future__ import annotations

import json

import pytest

from scenejobs.errors import ConfigurationError
from tests.infra.kusto import queries


@pytest.fixture(scope="module")
def service() -> None:
    try:
        queries.node()
    except ConfigurationError:
        pytest.skip("Node is not installed: make setup")
    if not queries.LANGUAGE_SERVICE.is_installed:
        pytest.skip("python -m tests.infra.kusto.queries install")


def test_every_query_of_templates_scripts_and_documents_parses_with_right_types(service: None) -> None:
    texts = queries.queries()
    assert len([name for name in texts if "alerts.bicep" in name]) == 4
    assert len(texts) >= 15
    assert {name: found for name, found in queries.check(texts).items() if found} == {}


def test_what_was_wrong_before_is_found(service: None) -> None:
    """A status code is a text, `last` is reserved, and a column or table that nobody publishes is none."""
    found = queries.check(
        {
            "text": 'StorageQueueLogs | where OperationName == "PutMessage" and StatusCode < 300',
            "reserved": "AppTraces | summarize last = max(TimeGenerated) by Message",
            "column": "ContainerAppConsoleLogs | where Log_s == 'a'",
            "table": "ContainerAppConsoleLogs_CL | count",
            "right": "StorageQueueLogs | where toint(StatusCode) < 300",
        }
    )
    assert {name: [item.split()[2] for item in items] for name, items in found.items()} == {
        "text": ["KS106:"], "reserved": ["KS228:"], "column": ["KS142:"], "table": ["KS204:"], "right": [],
    }  # fmt: skip


def test_no_column_is_called_unseen_that_is_not_there() -> None:
    published = json.loads((queries.LOCKED / "tables.json").read_text())
    columns = {f"{table}.{column}" for table, found in published["tables"].items() for column in found}
    assert set(published["unseen"]) <= columns
