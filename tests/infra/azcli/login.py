"""The published azure-cli against what this project makes of its files and its SAS, without Azure.

    python -m tests.infra.azcli.login [--az AZ]

`az login` runs as it is, as a person and as a service principal, against tests/microsoft.py; then the programs sign in
with the folder that it left, as another user than its owner as well. `az storage account generate-sas` runs as
docs/batch.md shows it, with the emulator's key, and batch mode turns a scene around with that SAS. `--write` puts the
files of the login to tests/azure_folder, which the tests read.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from local.azurite import ACCOUNT, KEY, Azurite
from scenejobs.adapters.azure.clients import create_all
from scenejobs.settings.storage import StorageSettings
from tests.microsoft import TENANT, microsoft

ROOT = Path(__file__).parents[3]
APP = "44444444-4444-4444-4444-444444444444"
LOGINS = {
    "person": ("--use-device-code",),
    "application": ("--service-principal", "--username", APP, "--password=secret-of-app"),
}
KEPT = ("azureProfile.json", "msal_token_cache.json", "service_principal_entries.json")
NOBODY = 65534


def logins(az: str, folder: Path, *, write: bool) -> None:
    """Raises AssertionError."""
    with microsoft(folder) as services:
        for who, arguments in LOGINS.items():
            config = folder / who
            config.mkdir()
            env = {"PATH": os.defpath, "HOME": str(folder), "AZURE_CONFIG_DIR": str(config), **services.env}
            login = [az, "login", "--tenant", TENANT, *arguments, "--output", "none"]
            _run(login, {**env, "AZURE_CORE_COLLECT_TELEMETRY": "no", "AZURE_CORE_LOGIN_EXPERIENCE_V2": "off"})
            services.bearers.clear()
            program = [sys.executable, "-m", "scenejobs", "status"]
            told = _run(program, {**env, "AZURE_STORAGE_ACCOUNT": "shop"}, 2)
            assert "lacks a role" in told, told
            assert services.bearers
            assert all("storage.azure.com" in token for token in services.bearers)
            print(f"az login, {who}: a token for the storage without az, from {', '.join(_kept(config))}")
            if write:
                target = ROOT / "tests/azure_folder" / who
                target.mkdir(parents=True, exist_ok=True)
                for name in _kept(config):
                    shutil.copy(config / name, target)
        if os.getuid() == 0:
            _as_another_user(folder / "person")


def _as_another_user(config: Path) -> None:
    """The CLI's files are 0600: who may not read them is told so, and how to run instead."""
    folder = config.parent
    while folder != Path(tempfile.gettempdir()):
        folder.chmod(0o755)
        folder = folder.parent
    config.chmod(0o755)
    code = (
        "import os\nimport encodings.utf_8_sig\nfrom scenejobs.adapters.azure import cli_login\n"
        f"os.setuid({NOBODY})\nos.environ['AZURE_CONFIG_DIR'] = {str(config)!r}\ncli_login.credential()"
    )
    told = _run([sys.executable, "-c", code], {"PATH": os.defpath, "HOME": "/"}, 1)
    assert "--user $(id -u)" in told, told
    print("a folder of another user: told, with the option that helps")


def sas(az: str, folder: Path) -> None:
    """Raises AssertionError."""
    page = (ROOT / "docs/batch.md").read_text()
    shown = re.search(r"^(until=.*)\nAZURE_STORAGE_SAS_TOKEN=\$\((az storage account generate-sas .*)\)$", page, re.M)
    assert shown, "docs/batch.md shows no SAS"
    made = shown[2].replace("az ", f"{az} ", 1).replace("ACCOUNT", ACCOUNT) + f" --account-key {KEY}"
    env = {"PATH": os.defpath, "HOME": str(folder), "AZURE_CONFIG_DIR": str(folder / "none")}
    token = _run(["bash", "-c", f"{shown[1]}\n{made}"], env, streams="stdout").strip()
    assert re.search(r"sp=\w+&.*sig=", token), token
    (folder / "view1.mp4").write_bytes(b"video")
    with Azurite(folder / "azurite") as azurite:
        create_all(StorageSettings(connection_string=azurite.connection_string))
        env |= {
            "AZURE_STORAGE_ENDPOINT": azurite.blob_endpoint, "AZURE_STORAGE_QUEUE_ENDPOINT": azurite.queue_endpoint,
            "AZURE_STORAGE_SAS_TOKEN": token, "RUN_MODE": "batch", "BATCH_INPUT_PREFIX": "lobby", "BACKEND": "mock",
            "TEMP_PATH": str(folder), "MIN_DISK_SPACE_GB": "0",
        }  # fmt: skip
        if "spr=https&" in f"{token}&":  # the emulator has no certificate here
            env["AZURE_STORAGE_SAS_TOKEN"] = _run(
                ["bash", "-c", f"{shown[1]}\n{made.replace(' --https-only', '')}"], env, streams="stdout"
            ).strip()
        connection = {"AZURE_STORAGE_CONNECTION_STRING": azurite.connection_string, "PATH": os.defpath}
        _run([sys.executable, "-m", "scenejobs", "upload", "lobby", str(folder / "view1.mp4")], connection)
        _run([sys.executable, "-m", "runner"], env)
    print(f"the SAS of docs/batch.md ({re.sub('sig=.*', 'sig=...', token)}): a scene from input to processed")


def _kept(config: Path) -> list[str]:
    return [name for name in KEPT if (config / name).exists()]


def _run(command: list[str], env: dict[str, str], code: int = 0, streams: str = "both") -> str:
    ended = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=300, check=False)
    assert ended.returncode == code, f"{command[:4]}: {ended.returncode}\n{ended.stdout}{ended.stderr}"
    return ended.stdout if streams == "stdout" else ended.stdout + ended.stderr


def main() -> int:
    parser = argparse.ArgumentParser(description="az login and az storage account generate-sas, the real ones.")
    parser.add_argument("--az", default=str(ROOT / ".local/azure-cli/bin/az"))
    parser.add_argument("--write", action="store_true", help="keep the files of the login for the tests")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        logins(options.az, Path(folder), write=options.write)
        sas(options.az, Path(folder))
    return 0


if __name__ == "__main__":
    sys.exit(main())
