"""Which options each command of the real `az` has: what the scripts and documents call is compared with it.

    AZ=/path/to/az python -m tests.infra.az_commands      writes az_commands.json beside this file

The real az (PyPI's azure-cli, 700 MB installed) is too large for every test run, so its answer is kept. A command
that is missing in COMMANDS or an option that az does not know fails in the tests.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

TABLE = Path(__file__).with_name("az_commands.json")
COMMANDS = (
    "account list",
    "account show", "acr build", "acr list", "acr login", "acr repository list", "acr repository show",
    "acr repository show-tags", "acr show", "acr task logs", "acr task show-run", "ad signed-in-user show",
    "ad sp show", "aks nodepool add", "aks update", "container create", "container logs", "containerapp env list",
    "containerapp env show", "containerapp job execution list", "containerapp job execution show",
    "containerapp job show", "containerapp job start", "containerapp job update",
    "deployment group create", "functionapp function list", "eventgrid system-topic event-subscription delete",
    "eventgrid system-topic event-subscription list", "eventgrid system-topic list", "eventgrid system-topic show",
    "eventgrid system-topic update", "group create", "group delete", "group exists", "group list", "group show",
    "identity show", "login", "monitor log-analytics workspace list", "monitor log-analytics workspace show",
    "provider list", "provider register", "resource delete", "resource list", "resource show",
    "role assignment create", "role assignment delete", "role assignment list", "storage account create",
    "storage account keys list", "storage account list", "storage account network-rule add", "storage account show",
    "storage blob delete-batch", "storage blob list", "storage blob undelete", "storage blob upload-batch",
    "storage container create", "storage container generate-sas", "storage container list", "storage message clear",
    "storage message put", "storage queue create", "vm create", "vm extension set", "vm show",
)  # fmt: skip
# Of the extension `containerapp`, which az installs when it is first used; from its documentation, not from az's help.
OF_EXTENSIONS = {
    "containerapp job logs show": ["--container", "--execution", "--follow", "--format", "--name", "--replica",
                                   "--resource-group", "--tail"],
}  # fmt: skip


def options(az: str, command: str) -> list[str]:
    """Every option of one command, short ones too."""
    text = subprocess.run([az, *command.split(), "--help"], capture_output=True, text=True, check=True).stdout
    return sorted({option for line in re.findall(r"^ {4}(-[^:\[]*)", text, re.MULTILINE) for option in line.split()})


def main() -> int:
    az = os.environ.get("AZ", "az")
    version = json.loads(subprocess.run([az, "version", "-o", "json"], capture_output=True, check=True).stdout)
    with ThreadPoolExecutor(2) as pool:
        found = dict(zip(COMMANDS, pool.map(lambda command: options(az, command), COMMANDS), strict=True))
    table = {"azure-cli": version["azure-cli"], "commands": {**found, **OF_EXTENSIONS}}
    TABLE.write_text(json.dumps(table, indent=1, sort_keys=True) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
