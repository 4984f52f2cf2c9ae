"""Every command of the guides can be typed as it stands there; every name in them exists; nothing is left out."""

from __future__ import annotations

import json
import re
from dataclasses import fields

import pytest
import yaml

from function_app.sweep import SweepReport
from scenejobs.errors import Code
from scenejobs.logs.alerts import Alert
from scenejobs.logs.setup import JsonFormatter, context
from scenejobs.settings import older
from scenejobs.settings.groups import table
from tests.infra.docs.documents import DOCUMENTS, Command, commands, text
from tests.infra.scripts.scripted import ROOT
from tests.infra.templates.deployed import PARAMETERS, deploy, source

GUIDE = text("docs/deployment.md")
SHOWN = [command for document in DOCUMENTS for command in commands(document)]
AZURE = yaml.safe_load((ROOT / "azure.yaml").read_text())
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())
HOOK_VARIABLES = {"FORCE_DELETE", "SKIP_REGION_CHECK", "SKIP_QUOTA_CHECK", "RUNNER_CUDA", "RUNNER_CUDA_ARCHITECTURES"}
SET_BY_HOOKS = {"RUNNER_KERNELS_IMAGE", "RUNNER_KERNELS_RUN"}
AZD = ("auth login", "init", "env set", "env get-values", "env new", "up", "provision", "deploy", "down", "hooks run")


def of(tool: str) -> list[Command]:
    found = [command for command in SHOWN if command.words[0] == tool or command.words[0].startswith(f"{tool}/")]
    assert found, f"no document shows {tool}"
    return found


# ---- commands --------------------------------------------------------------------------------------------------------


def test_every_script_exists_and_knows_the_options_that_are_shown() -> None:
    shown = of("scripts") + of("infra")
    assert len(shown) >= 20
    for command in shown:
        script = (ROOT / command.words[0]).read_text()
        for option in command.options:
            assert re.search(rf"(^|[\s|]){option}( \||\))", script, re.MULTILINE), command


def test_the_table_of_scripts_has_each_of_them_with_options_that_it_knows() -> None:
    section = GUIDE[GUIDE.index("| script |") : GUIDE.index("## Roles by somebody else")]
    cells = [line.split("|")[1].replace("\\", "") for line in section.splitlines()[2:] if line.startswith("|")]
    shown = [span.split() for cell in cells for span in re.findall(r"`([^`]+)`", cell)]
    scripts = {path.name for path in (ROOT / "scripts").glob("*.sh") if not path.name.startswith("lib")}
    assert sorted(words[0] for words in shown) == sorted(scripts), "each once"
    for name, *words in shown:
        script = (ROOT / "scripts" / name).read_text()
        for option in re.findall(r"--[\w-]+", " ".join(words)):
            assert re.search(rf"(^|[\s|]){option}( \||\))", script, re.MULTILINE), f"{name} {option}"


def test_every_azd_command_is_one_with_things_that_azure_yaml_names() -> None:
    for command in of("azd"):
        words = " ".join(command.words[1:])
        assert any(words == name or words.startswith(f"{name} ") for name in AZD), command
        if command.words[1] == "hooks":
            assert command.words[3] in AZURE["hooks"], command
        if command.words[1] == "deploy" and len(command.words) > 2:
            assert command.words[2] in AZURE["services"], command


def test_every_python_module_is_there_and_knows_its_words_and_options() -> None:
    for command in of("python"):
        if command.words[1] != "-m":
            assert (ROOT / command.words[1]).is_file(), command
            continue
        module = ROOT / command.words[2].replace(".", "/")
        files = [path for path in (*module.rglob("*.py"), module.with_suffix(".py")) if path.is_file()]
        assert files, command
        code = "".join(path.read_text() for path in files)
        for option in command.options:
            assert f'"{option}"' in code, command
        if len(command.words) > 3 and re.fullmatch(r"[a-z]+", command.words[3]):
            assert f'"{command.words[3]}"' in code, command


def test_every_make_target_is_in_the_makefile() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for command in of("make"):
        for word in command.words[1:]:
            name, equals, _ = word.partition("=")
            assert re.search(rf"\$\((?:if \$\(|or \$\()?{name}\)" if equals else rf"^{name}:", makefile, re.M), command


def test_docker_and_kubectl_are_told_of_files_services_and_stages_that_are_there() -> None:
    profiles = {name for service in COMPOSE["services"].values() for name in service.get("profiles", ())}
    for command in of("docker"):
        words = command.words
        if words[1] == "compose":
            values = [words[i + 1] for i, word in enumerate(words[:-1]) if word == "--profile"]
            assert set(values) <= profiles, command
            verb = next(i for i, word in enumerate(words) if word in ("up", "exec", "down", "logs"))
            rest = [word for word in words[verb + 1 :] if not word.startswith("-")]
            named = rest[:1] if words[verb] == "exec" else rest
            assert set(named) <= COMPOSE["services"].keys(), command
        if words[1] == "build":
            file = (ROOT / words[words.index("-f") + 1]).read_text()
            stage = words[words.index("--target") + 1] if "--target" in words else ""
            assert re.search(rf"^FROM .* AS {stage}$" if stage else "^FROM ", file, re.MULTILINE), command
    for command in of("kubectl"):
        words = command.words
        if words[1] == "apply":
            assert (ROOT / words[words.index("-k") + 1] / "kustomization.yaml").is_file(), command
        for word in words:
            if word.startswith("deployment/"):
                assert f"name: {word.partition('/')[2]}" in (ROOT / "k8s/deployment.yaml").read_text(), command


def test_the_commands_are_found_wherever_they_stand() -> None:
    """So that the tests above do not pass because nothing was looked at."""
    shown = {str(command) for command in SHOWN}
    assert "docs/deployment.md: az login" in shown
    assert "docs/deployment.md: azd env set UPLOADS_QUEUE " in shown  # in a sentence
    assert "docs/watch.md: infra/vm/setup.sh --image ACR.azurecr.io/video-splat-runner:gpu --data /mnt/disk" in shown
    assert any(
        item.startswith("docs/watch.md: az aks nodepool add --subscription ID --resource-group RG") for item in shown
    )
    assert "README.md: make demo" in shown


# ---- names -----------------------------------------------------------------------------------------------------------


def test_every_variable_is_read_by_the_templates_or_a_hook() -> None:
    named = {
        command.words[3] for command in of("azd") if command.words[1:3] == ("env", "set") and len(command.words) > 3
    }
    named |= set(re.findall(r"`([A-Z_]+_[A-Z_]+)=\w+`", GUIDE[GUIDE.index("## Switches") : GUIDE.index("### Events")]))
    assert len(named) > 15
    assert named - {source(name)[0] for name in PARAMETERS} - {"NAME"} <= HOOK_VARIABLES | SET_BY_HOOKS | {
        "DEPLOYER_PRINCIPAL_ID",
        "AZURE_SUBSCRIPTION_ID",
    }


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_file_and_place_that_is_named_exists(document: str) -> None:
    whole = text(document)
    folder = (ROOT / document).parent
    named = set(re.findall(r"(?<![\w/.])(?:scripts|infra|tests|docs|k8s)/[\w/-]+(?:\.\w+)+", whole))
    assert {name for name in named if not (ROOT / name).exists() and not name.startswith("docs/images/")} == set()
    for path, place in re.findall(r"\]\(([\w./-]*)(#[\w-]+)?\)", whole):
        target = folder / path if path else ROOT / document
        assert target.exists(), path
        if place and target.suffix == ".md":
            assert place[1:] in headings(target.read_text()), f"{path}{place}"


def headings(whole: str) -> set[str]:
    """Anchors, as GitHub makes them."""
    found = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```", "", whole, flags=re.MULTILINE | re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in found}


def test_every_alert_is_explained() -> None:
    section = GUIDE[GUIDE.index("| alert |") : GUIDE.index("Queries for the workspace")]
    cells = [line.split("|")[1] for line in section.splitlines()[2:] if line.startswith("|")]
    explained = {name for cell in cells for name in re.findall(r"`([\w-]+)`", cell)}
    deployment = deploy()
    alerts = deployment.of("Microsoft.Insights/scheduledQueryRules") + deployment.of("Microsoft.Insights/metricAlerts")
    assert explained == {item.name.removesuffix("-dev") for item in alerts}


def test_every_code_and_every_guard_that_somebody_can_meet_is_in_the_troubleshooting() -> None:
    section = GUIDE[GUIDE.index("## Troubleshooting") : GUIDE.index("## Taking it down")]
    table = section[section.index("### Codes") :]
    codes = [name for name in re.findall(r"`([A-Z_]+)`", table)]
    assert sorted(codes) == sorted(Code), "each once"
    assert set(re.findall(r"`(guard\.\w+)`", section)) == set(Alert)


def test_messages_that_are_quoted_are_those_of_the_scripts() -> None:
    section = GUIDE[GUIDE.index("### Before and while") : GUIDE.index("### Uploads that become nothing")]
    scripts = "".join(path.read_text() for path in (ROOT / "scripts").rglob("*.sh"))
    words = " ".join(scripts.replace('" \\\n', " ").split()).replace('" "', " ")
    rows = [line for line in section.splitlines() if line.startswith("| ")]
    quoted = [span for row in rows for span in re.findall(r"`([^`]+)`", row.split("|")[1])]
    assert len(quoted) > 8
    azures = {"AuthorizationFailed", "roleAssignments/write", "MANAGED_IDENTITY_PRINCIPAL_ID"}
    azures |= {
        "QuotaExceeded",
        "AKSCapacityHeavyUsage",
        "StorageAccountAlreadyTaken",
        "TooManyRequests",
        "UNAUTHORIZED",
    }
    azures |= {"DeploymentActive", "AuthorizationPermissionMismatch", "timed out after 1200 seconds"}
    for span in set(quoted) - azures:
        for part in re.split(r"\.\.\.", span):
            assert part.strip() in words, span


# As the older service's guide has them, in its tables of troubleshooting.
SYMPTOMS = (
    "`MANAGED_IDENTITY_PRINCIPAL_ID is not set`", "Image pull failure (no container logs)",
    "job execution fails immediately",
    "`Failed to download input blobs from Azure Blob Storage`", "Reconstruction quality too low", "ACR build timeout",
    "COLMAP matching timeout", "`EXISTING RESOURCES DETECTED`", "`AZURE_STORAGE_ACCOUNT is required`",
    "`No blobs found in container 'input' with prefix 'X'`", "403 Forbidden with Azure CLI auth",
    "403 Forbidden with SAS token", "401 Unauthorized with Managed Identity", "Process exits with code 1",
    "`Failed to create DeveloperToolsCredential`", "`AuthorizationFailed`",
    "`Key based authentication is not permitted on this storage account`",
    "`This request is not authorized to perform this operation`", "SAS token expired",
    "`Server failed to authenticate the request`", "`fusermount: command not found`", "FUSE device not found",
    "operation not permitted when mounting", "`blobfuse2: No such file or directory`",
    "Slow mount performance or timeouts", "`No space left on device`", "Container exits immediately",
    "processor crashes on startup", "Connection timeout", "`Unable to connect to Azure`",
    "DNS resolution failed for storage account", "Slow blob upload/download", "Concurrent operations throttled",
)  # fmt: skip
OF_THE_GUIDE = [
    [cell.strip() for cell in line.split("|")[1:-1]]
    for line in GUIDE[GUIDE.index("### Symptoms of the older guide") : GUIDE.index("### Codes")].splitlines()[4:]
    if line.startswith("|")
]


@pytest.mark.parametrize("symptom", SYMPTOMS)
def test_a_symptom_of_the_older_guide_is_found_by_its_words_and_leads_to_what_is_true_here(symptom: str) -> None:
    ((_, because, do),) = [row for row in OF_THE_GUIDE if symptom in re.split("[,;] ", row[0])]
    assert because
    assert do
    known = {row.variable for row in table()} | {source(name)[0] for name in PARAMETERS} | set(Code)
    named = set(re.findall(r"`([A-Z]+(?:_[A-Z]+)+|PRESET)`", f"{because} {do}"))
    refused = set(older.VARIABLES)  # may be named as what it is
    assert named - known - refused <= {"SYS_ADMIN"}
    assert not set(re.findall(r"`([A-Z_]+)`", do)) & refused
    for script in re.findall(r"`(scripts/[\w-]+\.sh)", f"{because} {do}"):
        assert (ROOT / script).is_file()


def test_the_checklist_of_the_first_run_quotes_what_scripts_print_and_ends_with_the_trial() -> None:
    cells = [line.split("|")[2:4] for line in text("docs/azd-first-run.md").splitlines() if line.startswith("| ")][1:]
    assert [command.strip() for command, _ in cells if command.strip()][-1] == "`scripts/azure-test.sh --deployed`"
    scripts = "".join(path.read_text() for path in (ROOT / "scripts").rglob("*.sh"))
    states = {"queued", "running", "splat-dev", "scripts/azure-test.sh"}
    for span in {span for _, seen in cells for span in re.findall(r"`([^`]+)`", seen)} - states:
        for part in re.split(r"\.\.\.", span):
            assert part.strip() in scripts or part.strip().rpartition(" ")[0] == "Deployer:", span


def test_each_row_of_the_older_guides_symptoms_is_of_the_guide() -> None:
    assert all(set(re.split("[,;] ", row[0])) <= set(SYMPTOMS) for row in OF_THE_GUIDE)


# ---- queries ---------------------------------------------------------------------------------------------------------

QUERIES = re.findall(r"```kusto\n(.*?)```", GUIDE, re.DOTALL)
CODE = "".join(
    path.read_text() for name in ("function_app", "runner", "scenejobs") for path in (ROOT / name).rglob("*.py")
)


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: query.splitlines()[0].removeprefix("// "))
def test_a_query_looks_for_texts_and_fields_that_the_programs_write(query: str) -> None:
    for wanted in re.findall(r'(?:startswith|contains) "([^"]+)"', query):
        assert wanted in ("my-scene", "-poison") or wanted in CODE, wanted
    for pattern in re.findall(r" with (\".*)$", query, re.MULTILINE):
        parts = [part for part in re.findall(r'"([^"]+)"', pattern) if part.strip() != ":"]
        assert all(part in CODE for part in parts), pattern
    report = {item.name for item in fields(SweepReport)}
    assert set(re.findall(r"\breport\.(\w+)", query)) <= report
    with context(job_id="my-scene", run_id="a run"):
        line = json.loads(JsonFormatter({}).format(_record()))
    assert set(re.findall(r"\bline\.(\w+)", query)) <= line.keys()
    assert set(re.findall(r'"(ERROR|WARNING|[A-Z]{4,})"', query)) <= {"ERROR", "WARNING"}


def _record() -> object:
    import logging

    found = {"name": "runner", "levelname": "INFO", "msg": "text", "scene": "my-scene", "run": "1"}
    return logging.makeLogRecord(found)


def test_the_queries_are_found() -> None:
    assert len(QUERIES) >= 10
