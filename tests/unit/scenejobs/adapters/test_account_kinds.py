"""Which kind an account is, and which are refused by name; uncommitted blobs where an account does not list them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError

from scenejobs.adapters.azure import clients
from scenejobs.adapters.azure.listing import everything
from scenejobs.errors import ConfigurationError
from scenejobs.settings.storage import StorageSettings

ACCOUNT = StorageSettings(account="account", sas_token="sv=1&sig=x")


def told(monkeypatch: pytest.MonkeyPatch, answer: Any) -> str:
    def information() -> Any:
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(clients, "blob_service", lambda *_: SimpleNamespace(get_account_information=information))
    return clients.namespace(ACCOUNT)


def test_flat_and_hierarchical_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (
        told(monkeypatch, {"account_kind": "StorageV2", "is_hns_enabled": True}) == "StorageV2, hierarchical namespace"
    )
    assert told(monkeypatch, {"account_kind": "StorageV2", "is_hns_enabled": False}) == "StorageV2, flat namespace"


def test_an_identity_that_may_not_ask_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    assert told(monkeypatch, HttpResponseError("403")) == ""


@pytest.mark.parametrize("kind", list(clients.NOT_SUPPORTED))
def test_what_uploads_cannot_work_in_is_refused_by_name(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match=f"kind {kind}:"):
        told(monkeypatch, {"account_kind": kind, "is_hns_enabled": False})


def refused(status: int, code: str) -> HttpResponseError:
    response: Any = SimpleNamespace(status_code=status, reason="", headers={"x-ms-error-code": code})
    return HttpResponseError("refused", response=response)


@pytest.mark.parametrize(
    ("error", "served"),
    [
        (refused(400, "InvalidQueryParameterValue"), True),
        (refused(409, "FeatureNotSupportedForAccount"), True),
        (refused(503, "ServerBusy"), False),
        (refused(404, "ContainerNotFound"), False),
    ],
)
def test_an_account_that_lists_no_uncommitted_blobs_is_listed_all_the_same(
    error: HttpResponseError, served: bool
) -> None:
    def list_blobs(*, name_starts_with: str | None, include: list[str]) -> list[str]:
        if "uncommittedblobs" in include:
            raise error
        return ["a"]

    container: Any = SimpleNamespace(list_blobs=list_blobs)
    if served:
        assert list(everything(container, "")) == ["a"]
    else:
        with pytest.raises(HttpResponseError):
            list(everything(container, ""))
