"""What `azd up` does, in order, told from azure.yaml, the hooks and the templates: docs/azd-dry-run.md.

    python -m tests.infra.azd.dry_run > docs/azd-dry-run.md

Hooks run for real, with stubs in the place of az, azd and curl; templates are worked out by bicep.py of
tests/infra/templates. azd's own part (order of its steps, how it finds what to deploy to) is from its source.
"""

from __future__ import annotations

import re
import shlex
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import yaml
from tree_sitter import Node

from tests.infra.scripts.scripted import ROOT, SUBSCRIPTION, Bench, Ended
from tests.infra.templates import bicep, bicep_tree
from tests.infra.templates.bicep_tree import named, root, text
from tests.infra.templates.deployed import BASE, INFRA, MAIN, PARAMETERS, app_settings, deploy, job_container

HASH = r"\b(cuda\d+-)[0-9a-f]{16}\b"  # of what an image is made of
STEPS = ("package", "provision", "deploy")  # of `azd up`, each with hooks before and after it
AZURE: dict[str, Any] = yaml.safe_load((ROOT / "azure.yaml").read_text())
SIGNED_IN = [  # what somebody's subscription answers before the first deployment
    ("account show .*user.type", "user\n"),
    ("ad signed-in-user show", "11111111-0000-0000-0000-000000000003\n"), ("role assignment list", "Owner\n"),
    ("provider list", "Microsoft.Storage\nMicrosoft.Web\n"), ("acr build", "cb1\n"),
    ("acr task show-run", "Succeeded\n"), ("resource show", "func-dev.azurewebsites.net\n"),
    ("containerapp job show", "crdev.azurecr.io/runner:azd-deploy-1\n"),
    ("functionapp function list", "f/on_upload\nf/on_upload_poison\nf/on_quiet\nf/on_quiet_poison\nf/sweep\n"),
]  # fmt: skip


# ---- in which order ARM makes the modules ----------------------------------------------------------------------------


def mentioned(node: Node) -> Iterator[str]:
    """Names that stand for something: not the keys of objects, not members."""
    if node.type == "identifier":
        yield text(node)
    children = named(node)
    if node.type == "object_property":
        children = children[1:]
    elif node.type == "member_expression":
        children = children[:1]
    for child in children:
        yield from mentioned(child)


def needs(path: Path) -> dict[str, set[str]]:
    """Module or resource -> those of the template that must be there first: by name, variable or dependsOn."""
    nodes = {
        text(named(node)[0]): node
        for node in named(root(path))
        if node.type in ("variable_declaration", "resource_declaration", "module_declaration")
    }
    direct = {
        symbol: {name for child in named(node)[1:] for name in mentioned(child)} & nodes.keys() - {symbol}
        for symbol, node in nodes.items()
    }
    refers_only = {symbol for symbol, node in nodes.items() if any(part.type == "existing" for part in node.children)}

    def through(symbol: str) -> set[str]:
        node = nodes[symbol]
        if node.type == "variable_declaration" or symbol in refers_only:
            return {found for name in direct[symbol] for found in through(name)}
        return {symbol}

    made = nodes.keys() - refers_only
    return {
        symbol: {found for name in direct[symbol] for found in through(name)}
        for symbol in nodes
        if symbol in made and nodes[symbol].type != "variable_declaration"
    }


def waves(path: Path, deployed: set[str]) -> list[list[str]]:
    """What can be made at the same time, one list after the other, each in the order of the template."""
    left = {symbol: found & deployed for symbol, found in needs(path).items() if symbol in deployed}
    order: list[list[str]] = []
    while left:
        ready = [symbol for symbol, found in left.items() if not found & left.keys()]
        if not ready:
            raise bicep_tree.BicepError(f"{path.name}: {sorted(left)} wait for each other")
        order.append(ready)
        left = {symbol: found for symbol, found in left.items() if symbol not in ready}
    return order


# ---- the parts of the page -------------------------------------------------------------------------------------------


def kinds(resources: list[bicep.Resource]) -> str:
    count = Counter(item.type for item in resources if item.deployed and not item.existing)
    return ", ".join(f"{number} x `{type}`" if number > 1 else f"`{type}`" for type, number in count.items()) or "-"


def shown(call: list[str]) -> str:
    words = [re.sub(HASH, r"\1HASH", word).replace(f"{ROOT}/", "") for word in call]
    line = shlex.join("." if word == str(ROOT) else word for word in words)
    line = re.sub(r"^(az .*?) --output (?:tsv|none) --only-show-errors$", r"\1", line)  # how, not what
    return line.replace(f" --subscription {SUBSCRIPTION}", "")  # every call names it


def run_hook(name: str, values: dict[str, str]) -> Ended:
    """Runs it, and keeps what it set."""
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder))
        bench.values = values
        for call, out in SIGNED_IN:
            bench.answer(call, out)
        ended = bench.run(AZURE["hooks"][name]["run"])
    if ended.code:
        raise RuntimeError(f"{name} ended with {ended.code}: {ended.err}")
    values.update({call[3]: call[4] for call in ended.called("^azd env set")})
    return ended


def hook(name: str, values: dict[str, str]) -> Iterator[str]:
    if name not in AZURE["hooks"]:
        yield f"## hook `{name}`: there is none\n"
        return
    path = AZURE["hooks"][name]["run"]
    script = (ROOT / path).read_text()
    listed = " ".join(re.findall(r"^need_all ((?:[\w ]|\\\n)+)$", script, re.MULTILINE)).replace("\\\n", " ")
    required = sorted({*re.findall(r"\$\(need (\w+)", script), *listed.split()})
    read = sorted(set(re.findall(r"\$\(value (\w+)", script)) - set(required))
    ended = run_hook(name, values)
    yield f"## hook `{name}`: `{path}`\n"
    yield f"{first_comment(script)}\n"
    yield f"- needs: {words(required) if required else 'nothing that must be set'}"
    yield f"- reads, where set: {words(read) if read else '-'}\n"
    calls = [shown(call) for call in ended.calls if call[:3] != ["azd", "env", "get-values"]]
    if calls:
        yield "calls, in order (each of `az` names `--subscription`, but for those of Entra ID):\n"
        yield "\n".join(["```", *calls, "```", ""])
    for call in ended.called("deployment group create"):
        yield from subscription(call)
    if ended.out:
        yield "says:\n"
        yield "\n".join(["```", re.sub(HASH, r"\1HASH", ended.out.rstrip()), "```", ""])


def subscription(call: list[str]) -> Iterator[str]:
    """What the deployment of that call makes."""
    given = dict(word.split("=", 1) for word in call[call.index("--parameters") + 1 :] if re.match(r"\w+=", word))
    made = bicep.deploy(Path(call[call.index("--template-file") + 1]), given, call[call.index("--resource-group") + 1])
    (item,) = made.of("Microsoft.EventGrid/systemTopics/eventSubscriptions")
    properties = item.body["properties"]
    (operations,) = properties["filter"]["advancedFilters"]
    address = properties["destination"]["properties"]["endpointUrl"].partition("&code=")[0]
    dead = properties["deadLetterWithResourceIdentity"]["deadLetterDestination"]["properties"]["blobContainerName"]
    retry = properties["retryPolicy"]
    yield f"makes the event subscription `{item.name}`:\n"
    yield f"- {words(properties['filter']['includedEventTypes'])} by {words(operations['values'])}"
    yield f"- of what begins with `{properties['filter']['subjectBeginsWith']}`"
    yield f"- to the {properties['destination']['endpointType']} `{address}`, with the key that the template reads"
    tries, minutes = retry["maxDeliveryAttempts"], retry["eventTimeToLiveInMinutes"]
    yield f"- {tries} tries within {minutes} minutes, then into `{dead}`\n"


def first_comment(script: str) -> str:
    return script.splitlines()[1].removeprefix("# ")


def words(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def packaged() -> list[str]:
    """What .funcignore leaves of the project's folder."""
    lines = (ROOT / ".funcignore").read_text().splitlines()
    patterns = [".funcignore", *(line for line in lines if line and line[0] != "#")]  # azd leaves its own list out

    def ignored(path: Path) -> bool:
        return any(
            fnmatch(path.name, pattern.rstrip("/")) for pattern in patterns if pattern[-1] != "/" or path.is_dir()
        )

    return sorted(path.name for path in ROOT.iterdir() if not ignored(path))


def package(_: dict[str, str]) -> Iterator[str]:
    yield "## azd: package\n"
    for name, service in AZURE["services"].items():
        if service["host"] == "function":
            yield f"- `{name}`: zips `{service['project']}` without what `.funcignore` lists: {words(packaged())}"
        else:
            yield f"- `{name}`: nothing; with `remoteBuild` the registry builds the image when it is deployed"
    yield ""


def provision(values: dict[str, str]) -> Iterator[str]:
    deployment = deploy({name: value for name, value in values.items() if value})
    top = [item for item in deployment.resources if item.deployed and item.type == "Microsoft.Resources/resourceGroups"]
    deployed = {"newGroup", *deployment.modules}
    yield f"## azd: provision `{MAIN.relative_to(ROOT)}`\n"
    yield "- needs: Contributor on the subscription; with `INCLUDE_RBAC=true` a role that may assign roles"
    yield f"- {len(PARAMETERS)} parameters by `infra/main.parameters.json`, without default: {words(sorted(BASE))}"
    before = {symbol: sorted(found) for symbol, found in needs(MAIN).items()}
    without = sorted(before.keys() - deployed)
    yield f"- not for these variables: {words(without)}\n"
    yield "What is in one wave is made at the same time; each waits for what it names, and for nothing else:\n"
    yield "| wave | module | waits for | into | makes |\n| --- | --- | --- | --- | --- |"
    for number, wave in enumerate(waves(MAIN, deployed), 1):
        for symbol in wave:
            if symbol == "newGroup":
                yield f"| {number} | `newGroup`, `main.bicep` | - | the subscription | {kinds(top)} |"
                continue
            made = deployment.modules[symbol]
            path = made.path.resolve().relative_to(INFRA)
            waits = words([name for name in before[symbol] if name in deployed])
            yield f"| {number} | `{symbol}`, `{path}` | {waits} | `{made.scope}` | {kinds(made.resources)} |"
    values.update({name: str(value) for name, value in deployment.outputs.items()})
    yield f"\nleaves in the azd environment: {words(sorted(deployment.outputs))}\n"


def deploy_services(values: dict[str, str]) -> Iterator[str]:
    deployment = deploy()
    yield "## azd: deploy\n"
    for name, service in AZURE["services"].items():
        (target,) = [
            item
            for item in deployment.resources
            if item.deployed and not item.existing and item.body.get("tags", {}).get("azd-service-name") == name
        ]
        yield f"- `{name}` goes to the `{target.type}` with the tag `azd-service-name: {name}`"
        if service["host"] == "function":
            count = len(app_settings(deployment))
            yield f"  - needs: the zip; {count} application settings, all set by the template; the dispatcher's role"
            yield "    Storage Blob Data Owner on the function's own account, where the package is kept"
            yield "  - does: remote build of `requirements.txt`, one deploy; starting, the host makes the webhook's key"
        else:
            docker = service["docker"]
            yield "  - needs: `AZURE_CONTAINER_REGISTRY_ENDPOINT`; the right to build there; `AcrPull` of the runner"
            yield f"  - does: builds `{docker['path']}` ({docker['platform']}) in the registry, in azd's 20 minutes;"
            yield f"    gives the job the image in the place of `{job_container(deployment)['image']}`"
            yield "  - leaves: `SERVICE_RUNNER_IMAGE_NAME` in the azd environment"
    values["SERVICE_RUNNER_IMAGE_NAME"] = "crdev.azurecr.io/runner:azd-deploy-1"
    yield ""


BODIES = {"package": package, "provision": provision, "deploy": deploy_services}


INTRODUCTION = """\
# A dry run of `azd up`

Written by `python -m tests.infra.azd.dry_run > docs/azd-dry-run.md` ([in a clone](CONTRIBUTING.md)); a test keeps
it current. **Nothing ran on Azure**:
the hooks ran for real with stubs in the place of `az`, `azd` and `curl`, for a person who is Owner and deploys for the
first time; the templates were worked out as ARM would; what azd does itself is told from its source. What happens when
a step fails is in [deployment.md](deployment.md#what-azd-does-in-order).
"""
END = """\
## What is then true

An upload to the input container raises an event, the event calls the function app, and the rest follows without a
person ([protocol](protocol.md)). `scripts/azure-test.sh --deployed` uploads a scene and waits."""


def page() -> str:
    values = {name: value for name, value in BASE.items() if name != "DEPLOYER_PRINCIPAL_ID"}
    lines = [INTRODUCTION, f"azd's steps: {', then '.join(STEPS)}. Set at the start: {words(sorted(values))}.\n"]
    for step in STEPS:
        for part in (hook(f"pre{step}", values), BODIES[step](values), hook(f"post{step}", values)):
            lines += part
    lines.append(END)
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(page())
