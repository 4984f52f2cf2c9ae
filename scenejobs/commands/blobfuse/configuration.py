"""A configuration of blobfuse2 that mounts one container as a folder, for people who want to look at files.

Keys and their meaning: setup/baseConfig.yaml and setup/advancedConfig.yaml of https://github.com/Azure/azure-storage-fuse.
It signs in as the programs do, by the same settings in the same order. Watch mode must not work on such a mount
(scenejobs/adapters/folder/__init__.py says what a folder has to promise).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scenejobs.adapters.azure.credentials import access, with_secrets_of_files
from scenejobs.errors import Code, ConfigurationError
from scenejobs.settings.storage import MountSettings, StorageSettings

# Streaming keeps blocks in memory, and blobfuse2 refuses to start with less than it fetches ahead.
BLOCK_MB, BLOCKS_AHEAD = 16, 11

Document = dict[str, Any]


def configuration(
    account: StorageSettings, mount: MountSettings, container: str, cache: Path, *, writable: bool = False
) -> Document:
    """The document that blobfuse2 reads. It holds the secret where we sign in with one.

    cache: a folder of this mount alone. Raises ConfigurationError, for the emulator too.
    """
    pieces: Document = _in_memory(mount) if mount.streaming else _on_disk(mount, cache / "files", writable)
    return {
        "read-only": not writable,
        # Runners and uploads change blobs beside this mount: the kernel would go on with old sizes.
        "disable-kernel-cache": True,
        "logging": {"type": "base", "level": "log_warning", "file-path": str(cache / "blobfuse2.log")},
        "components": ["libfuse", *pieces, "attr_cache", "azstorage"],
        **pieces,
        "attr_cache": {"timeout-sec": mount.attributes_s},
        "azstorage": _storage(account, container),
    }


def to_yaml(document: Mapping[str, Any]) -> str:
    """Two levels of keys; values as JSON writes them, which YAML reads as the same."""
    lines = []
    for name, value in document.items():
        if isinstance(value, dict):
            lines += [f"{name}:", *(f"  {key}: {json.dumps(inner)}" for key, inner in value.items())]
        else:
            lines.append(f"{name}: {json.dumps(value)}")
    return "\n".join(lines) + "\n"


def _on_disk(mount: MountSettings, folder: Path, writable: bool) -> Document:
    # Files of a killed mount: those of a writable one may not be uploaded yet.
    leftovers = {"allow-non-empty-temp": True} if writable else {"cleanup-on-start": True}
    return {
        "file_cache": {"path": str(folder), "timeout-sec": mount.files_s, "max-size-mb": mount.cache_mb, **leftovers}
    }


def _in_memory(mount: MountSettings) -> Document:
    least_mb = BLOCK_MB * BLOCKS_AHEAD
    if mount.cache_mb < least_mb:
        raise ConfigurationError(
            f"BLOBFUSE_CACHE_SIZE_MB={mount.cache_mb} is too little for streaming",
            code=Code.INVALID_SETTING,
            advice=f"set it to {least_mb} or more, or unset BLOBFUSE_ENABLE_STREAMING",
        )
    return {"block_cache": {"block-size-mb": BLOCK_MB, "mem-size-mb": mount.cache_mb, "prefetch": BLOCKS_AHEAD}}


def _storage(account: StorageSettings, container: str) -> Document:
    account = with_secrets_of_files(account)
    opened = access(account)  # raises for what is missing or not allowed
    match opened.means:
        case "SAS token":
            sign_in = {"mode": "sas", "sas": account.sas_token.strip().lstrip("?")}
        case "managed identity":
            sign_in = {"mode": "msi", **({"appid": account.client_id} if account.client_id else {})}
        case "service principal":
            sign_in = {"mode": "spn", **_principal(account), "clientsecret": account.client_secret}
        case "workload identity":
            sign_in = {"mode": "spn", **_principal(account), "oauth-token-path": account.federated_token_file}
        case "Azure CLI":
            sign_in = {"mode": "azcli"}
        case _:
            raise ConfigurationError(
                f"a mount cannot sign in with the {opened.means}",
                code=Code.INVALID_SETTING,
                advice="unset AZURE_STORAGE_CONNECTION_STRING, and set AZURE_STORAGE_ACCOUNT",
            )
    name = account.account or opened.blob_url.partition("//")[2].partition(".")[0]
    return {
        "type": "block", "account-name": name, "container": container, "endpoint": opened.blob_url, **sign_in,
    }  # fmt: skip


def _principal(account: StorageSettings) -> Document:
    return {"tenantid": account.tenant_id, "clientid": account.client_id}
