"""What a program cannot begin without although each variable alone may be left out: it depends on the others.

Each function gives texts for `reader.read_all(missing=...)`, which names them beside all other problems.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from scenejobs.settings.reader import is_on

# any of these says where the blobs are
PLACES = (
    "DATA_PATH", "AZURE_STORAGE_ACCOUNT", "AZURE_STORAGE_ENDPOINT", "AZURE_STORAGE_CONNECTION_STRING",
    "AZURE_STORAGE_CONNECTION_STRING_FILE",
)  # fmt: skip
# these need the tenant and the client beside them
CREDENTIALS = ("AZURE_CLIENT_SECRET", "AZURE_CLIENT_SECRET_FILE", "AZURE_FEDERATED_TOKEN_FILE")


def of_job(env: Mapping[str, str]) -> Iterator[str]:
    """What queue and batch mode need."""
    if _text(env, "RUN_MODE").lower() == "batch" and not _text(env, "BATCH_INPUT_PREFIX"):
        yield _missing("BATCH_INPUT_PREFIX")
    yield from of_storage(env)


def of_storage(env: Mapping[str, str]) -> Iterator[str]:
    """Where the blobs are, and who asks."""
    if not any(_text(env, name) for name in PLACES):
        yield _missing("AZURE_STORAGE_ACCOUNT")
    if _asks_as_application(env):
        for name in ("AZURE_TENANT_ID", "AZURE_CLIENT_ID"):
            if not _text(env, name):
                yield _missing(name)


def _asks_as_application(env: Mapping[str, str]) -> bool:
    """Whether nothing goes before a service principal or a workload identity, in the order of `credentials.access`."""
    by_sas = _text(env, "AZURE_STORAGE_SAS_TOKEN") or _text(env, "AZURE_STORAGE_SAS_TOKEN_FILE")
    before = (
        by_sas and not is_on(_text(env, "AZURE_USE_AZURE_AD")),
        is_on(_text(env, "AZURE_USE_MANAGED_IDENTITY")),
        *(_text(env, name) for name in PLACES if name == "DATA_PATH" or "CONNECTION_STRING" in name),
    )
    return not any(before) and any(_text(env, name) for name in CREDENTIALS)


def _text(env: Mapping[str, str], name: str) -> str:
    return env.get(name, "").strip()


def _missing(name: str) -> str:
    return f"{name} is not set"
