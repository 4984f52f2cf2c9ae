"""The login that `az login` left in a folder, used without the Azure CLI: for an image with that folder mounted.

What the CLI 2.30 and newer writes (azure-cli-core, `_profile.py` and `auth/identity.py`), here only read:

    azureProfile.json               who is logged in, in which tenant of which cloud
    msal_token_cache.json           a person's tokens, in the format of MSAL, which reads them here as there
    service_principal_entries.json  a service principal's secret

Access tokens that are made from them are kept in memory. The folder may be mounted read-only: a refresh token stays
valid when it has been used.
"""

from __future__ import annotations

import json
import os
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from azure.core.credentials import AccessToken
from azure.core.exceptions import ClientAuthenticationError, ServiceRequestError
from azure.identity import AzureAuthorityHosts, ClientSecretCredential
from requests import RequestException

from scenejobs.errors import AccessDenied
from scenejobs.logs.redact import remember

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential

FOLDER_VARIABLE = "AZURE_CONFIG_DIR"  # of the CLI
AUTHORITY_VARIABLE = "AZURE_AUTHORITY_HOST"  # of the identity library
CLIENT_ID = "04b07795-8ddb-461a-bbee-02f9e1bf7b46"  # of the CLI (azure-cli-core, `auth/constants.py`)
PROFILE = "azureProfile.json"
TOKENS = "msal_token_cache.json"
SECRETS = "service_principal_entries.json"
AUTHORITIES = {
    "AzureCloud": AzureAuthorityHosts.AZURE_PUBLIC_CLOUD,
    "AzureChinaCloud": AzureAuthorityHosts.AZURE_CHINA,
    "AzureUSGovernment": AzureAuthorityHosts.AZURE_GOVERNMENT,
}
KNOWN = frozenset(AUTHORITIES.values())
AGAIN = "run `az login` where the folder comes from"
PLAIN = (
    "there run `az config set core.encrypt_token_cache=false` and `az login`, or use another way to sign in: "
    "a service principal, a SAS"
)


def folder() -> Path:
    """Where the CLI has its files."""
    return Path(os.environ.get(FOLDER_VARIABLE, "").strip() or Path.home() / ".azure")


def is_there() -> bool:
    """Whether somebody has ever logged in with the CLI and the folder is here. The CLI writes a profile without
    subscriptions when it is first started."""
    try:
        return b'"subscriptions"' in (folder() / PROFILE).read_bytes()
    except FileNotFoundError:
        return False
    except OSError:  # it is there, and whoever reads it says what is wrong
        return True


def credential(tenant_id: str = "") -> TokenCredential:
    """Of whoever is logged in. tenant_id: of the storage account, where it is not the one of the subscription.

    Raises AccessDenied, which names the file and the remedy.
    """
    where = folder()
    account = _account(where)
    name, kind = str(account["user"]["name"]), account["user"].get("type")
    tenant = tenant_id or str(account["tenantId"])
    authority = _authority(str(account.get("environmentName", "AzureCloud")))
    if kind == "servicePrincipal" and not account["user"].get("assignedIdentityInfo"):
        secret = _secret_of(where, name, tenant)
        remember(secret)
        return ClientSecretCredential(tenant, name, secret, authority=authority)
    if kind != "user":
        raise AccessDenied(f"{where / PROFILE}: {name} is a managed identity", advice="set AZURE_USE_MANAGED_IDENTITY")
    return PersonCredential(name, f"https://{authority}/{tenant}", _read(where, TOKENS), known=authority in KNOWN)


class PersonCredential:
    """A person's login: a TokenCredential that makes access tokens from the refresh token of the CLI."""

    def __init__(self, name: str, authority: str, tokens: str, *, known: bool = True) -> None:
        """tokens: the text of msal_token_cache.json. known: a cloud of Microsoft's, about which MSAL asks there."""
        self._name, self._authority, self._known = name, authority, known
        self._tokens = tokens
        self._app: Any = None
        self._lock = threading.Lock()

    def get_token(self, *scopes: str, claims: str | None = None, **_: Any) -> AccessToken:
        """A token for the scopes, from memory or the token service.

        Raises ClientAuthenticationError, and ServiceRequestError where the token service gives no answer.
        """
        try:
            with self._lock:
                result = self._silently(list(scopes), claims)
        except RequestException as exc:  # MSAL asks by `requests`, and lets its errors through
            raise ServiceRequestError(f"the login of {self._name} got no token: {exc}; is the network there?") from exc
        except ValueError:  # without its context, which holds the text with the tokens
            raise ClientAuthenticationError(
                f"the login of {self._name} gave no token: {TOKENS} cannot be understood; {AGAIN}"
            ) from None
        if "access_token" not in result:
            why = result.get("error_description") or result.get("error") or "no token of this person is in the cache"
            raise ClientAuthenticationError(f"the login of {self._name} gave no token: {why}; {AGAIN}")
        return AccessToken(result["access_token"], int(time.time()) + int(result["expires_in"]))

    def _silently(self, scopes: list[str], claims: str | None) -> dict[str, Any]:
        import msal  # heavy, and needed by nobody else

        if self._app is None:
            cache = msal.SerializableTokenCache()
            cache.deserialize(self._tokens)
            self._app = msal.PublicClientApplication(
                CLIENT_ID, authority=self._authority, token_cache=cache,
                instance_discovery=None if self._known else False, client_capabilities=["CP1"],
            )  # fmt: skip
        found = self._app.get_accounts(self._name)
        if len(found) != 1:
            return {"error": f"{len(found)} accounts of that name are in the token cache"}
        return self._app.acquire_token_silent_with_error(scopes, found[0], claims_challenge=claims) or {}


def _account(where: Path) -> dict[str, Any]:
    """The subscription that the CLI uses by default, with who asks for it."""
    try:
        subscriptions = json.loads(_read(where, PROFILE))["subscriptions"]
        chosen: dict[str, Any] = next(found for found in subscriptions if found.get("isDefault"))
        if not (chosen["user"]["name"] and chosen["tenantId"]):
            raise ValueError
    except (ValueError, KeyError, TypeError, StopIteration) as exc:
        raise AccessDenied(f"{where / PROFILE} names nobody who is logged in", advice=AGAIN) from exc
    return chosen


def _authority(cloud: str) -> str:
    """The host that gives tokens: as the identity library is told, else that of the cloud."""
    given = os.environ.get(AUTHORITY_VARIABLE, "").strip()
    if given:
        return urlsplit(given if "//" in given else f"//{given}").netloc
    if cloud not in AUTHORITIES:
        raise AccessDenied(
            f"the cloud {cloud} is not known", advice=f"set {AUTHORITY_VARIABLE} to the host of its login"
        )
    return AUTHORITIES[cloud]


def _secret_of(where: Path, client_id: str, tenant: str) -> str:
    """Of a service principal that logged in with a secret; the CLI keeps certificates elsewhere."""
    try:
        entries = [entry for entry in json.loads(_read(where, SECRETS)) if entry["client_id"] == client_id]
        of_tenant = [entry for entry in entries if entry["tenant"] == tenant] or entries
        return str(of_tenant[0]["client_secret"])
    except (ValueError, KeyError, TypeError, IndexError) as exc:
        raise AccessDenied(
            f"{where / SECRETS} holds no secret of service principal {client_id}",
            advice="set AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET or AZURE_FEDERATED_TOKEN_FILE",
        ) from exc


def _read(where: Path, name: str) -> str:
    path = where / name
    try:
        return path.read_text(encoding="utf-8-sig")  # the CLI writes its profile with a mark
    except FileNotFoundError as exc:
        if path.with_suffix(".bin").exists():
            raise AccessDenied(f"{path.with_suffix('.bin')} is encrypted for its machine", advice=PLAIN) from exc
        raise AccessDenied(f"{path} is not there", advice=f"{AGAIN}, and mount the whole folder") from exc
    except (OSError, UnicodeDecodeError) as exc:
        raise AccessDenied(
            f"{path} cannot be read: {getattr(exc, 'strerror', '') or exc}",
            advice="run the container as the user who owns it: `docker run --user $(id -u)`",
        ) from exc
