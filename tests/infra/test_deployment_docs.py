"""docs/deployment.md: its commands, variables, files and alerts are those of the repository."""

from __future__ import annotations

import json
import re
from pathlib import Path

from tests.infra.deployed import PARAMETERS, deploy, source
from tests.infra.scripted import ROOT

TEXT = (ROOT / "docs/deployment.md").read_text()
COMMANDS = [line.strip().split(" #")[0].strip() for line in TEXT.splitlines() if line.startswith("    ")]
AZ = json.loads(Path(__file__).with_name("az_commands.json").read_text())["commands"]
HOOK_VARIABLES = {"FORCE_DELETE", "SKIP_REGION_CHECK"}


def test_every_script_exists_and_knows_the_options_that_are_shown() -> None:
    shown = [command.split() for command in COMMANDS if command.startswith("scripts/")]
    assert len(shown) >= 10
    for script, *words in shown:
        text = (ROOT / script).read_text()
        for option in (word for word in words if word.startswith("--")):
            assert re.search(rf"^\s+{option}\)", text, re.MULTILINE), f"{script} {option}"


def test_every_az_command_and_option_is_known_to_az() -> None:
    shown = [command.split()[1:] for command in COMMANDS if re.match(r"az (?!login)", command)]
    assert shown
    for words in shown:
        name = " ".join(words[: next(i for i, word in enumerate(words) if word.startswith("-"))])
        assert {word for word in words if word.startswith("--")} <= set(AZ[name]), name


def test_every_variable_is_read_by_the_templates_or_a_hook() -> None:
    named = set(re.findall(r"azd env set ([A-Z_]+)", TEXT)) | set(re.findall(r"`([A-Z_]+_[A-Z_]+)=\w+`", TEXT))
    assert len(named) > 10
    assert named - {source(name)[0] for name in PARAMETERS} <= HOOK_VARIABLES


def test_every_file_that_is_named_exists() -> None:
    named = set(re.findall(r"(?:scripts|infra|tests|docs)/[\w/-]+(?:\.\w+)+", TEXT))
    named |= {f"docs/{path}" for path in re.findall(r"\]\(([\w./-]+?)(?:#[\w-]+)?\)", TEXT)}
    assert {name for name in named if not (ROOT / name).exists()} == set()


def test_every_alert_is_explained() -> None:
    section = TEXT[TEXT.index("| alert |") : TEXT.index("Queries for the workspace")]
    cells = [line.split("|")[1] for line in section.splitlines()[2:] if line.startswith("|")]
    explained = {name for cell in cells for name in re.findall(r"`([\w-]+)`", cell)}
    deployment = deploy()
    alerts = deployment.of("Microsoft.Insights/scheduledQueryRules") + deployment.of("Microsoft.Insights/metricAlerts")
    assert explained == {item.name.removesuffix("-dev") for item in alerts}
