"""Each of our commands that a document shows exists, with the words and options that are shown with it; `python -m` is
shown for nobody who uses the programs; what is typed and not run as printed has a reason.
"""

from __future__ import annotations

import json
import re

from tests.acceptance.package.pages import PAGES, typed
from tests.infra.containers.images import ROOT
from tests.installed import Installed
from tests.shown import OURS, documents, lines, our_calls, spoken

HELP = """
import contextlib, importlib.metadata, io, json, sys
found = {}
commands = {entry.name: entry.load() for entry in importlib.metadata.entry_points(group="console_scripts")
            if entry.name in ("video-splat", "scenejobs")}
for words in json.loads(sys.stdin.read()):
    told, complained = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(told), contextlib.redirect_stderr(complained):
        try:
            code = commands[words[0]]([*words[1:], "--help"])
        except SystemExit as exc:
            code = exc.code
    found[" ".join(words)] = [code, told.getvalue() + complained.getvalue()]
print(json.dumps(found))
"""

REASONS = {
    # what is typed and not run as printed (the beginning of the line): why
    "az ": "needs Azure; each line is held against the published parser (make cli-check)",
    "azd ": "needs Azure; names are held against azure.yaml and the templates (tests/infra)",
    "for ": "needs Azure",
    "until=": "of a SAS: needs Azure",
    "AZURE_STORAGE_SAS_TOKEN": "needs Azure",
    "export AZURE_STORAGE_": "names an account, on pages that are for Azure",
    "scripts/": "needs Azure; run with a model of it (tests/infra, tests/deployment_simulation)",
    "infra/": "needs Azure; run with a model of it (tests/infra)",
    "docker ": "needs Docker and images (make images-real)",
    "sudo ": "changes the machine",
    "cloud-init ": "on a virtual machine of Azure",
    "kubectl ": "needs a cluster; the manifests are built by tests/infra",
    "cp -r lobby data/input": "between commands of Docker",
    "mkdir -p data/input": "between commands of Docker",
    "echo ": "between commands of Docker",
    "make ": "this is one of its tests, or takes minutes to hours",
    "export DATA_PATH=/data": "names a folder; on one of its own in tests/acceptance/test_backup.py",
    "python -m scripts.backup": "on storage of its own in tests/acceptance/test_backup.py",
    "pip install": "the same wheel is installed by tests/installed.py; pip would fetch gigabytes",
    "python3 -m venv": "as pip",
    "pip download": "fetches weights",
    "curl ": "fetches weights",
    "mkdir weights": "for weights that are fetched",
    "LPIPS_WEIGHTS=": "needs weights",
    "VIEWER=supersplat": "needs a package of npm; opened by make readers-check",
    "scenejobs ": "its words and options are looked up; most are run on other pages",
    "video-splat ": "its words and options are looked up; most are run on other pages",
}


def test_each_command_exists_with_the_options_that_are_shown(installed: Installed) -> None:
    calls = our_calls()
    assert len(calls) > 60
    shown = {}
    for call in calls:
        words = [call.words[0]]
        for word in call.words[1 : 3 if call.words[1:2] == ["desk"] else 2]:
            words.append(word)
        shown[call] = words if re.fullmatch(r"[a-z-]+", words[-1]) and not words[-1].startswith("-") else words[:1]
    wanted = [list(words) for words in dict.fromkeys(tuple(words) for words in shown.values())]
    command = f"python -c '{HELP.replace(chr(39), chr(34))}' <<< '{json.dumps(wanted)}'"
    done = installed.shell(command)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    wrong = []
    for call, words in shown.items():
        code, text = told[" ".join(words)]
        known = set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", text))
        options = [re.split(r"[=\]]", word.strip("[]"))[0] for word in call.words if word.lstrip("[").startswith("-")]
        if code or [option for option in options if option not in known]:
            wrong.append(f"{call.document}: {call.text}")
    assert wrong == []


def test_a_command_or_an_option_that_is_not_there_is_answered_with_2(installed: Installed) -> None:
    """What the lookup above relies on."""
    calls = ("scenejobs prove", "video-splat watch --forever", "video-splat desk stop")
    text = "; ".join(f"{call} 2>/dev/null && echo there || echo $?" for call in calls)
    assert installed.shell(text).stdout.split() == ["2", "2", "2"]


def test_python_m_is_shown_to_those_alone_who_change_the_code() -> None:
    """And there the page says which environment it is."""
    modules = re.compile(r"python3? -m ([\w.]+)")
    wrong = []
    for document in documents():
        text = "\n".join([line.text for line in lines(document)] + re.findall(r"`([^`]+)`", document_text(document)))
        named = {name for name in modules.findall(text) if name not in ("venv",)}
        developers = {name for name in named if name.split(".")[0] in ("tests", "benchmarks", "scripts", "pytest")}
        in_images = {"runner", "watch", *re.findall(r"(?:docker|kubectl) .*python -m (scenejobs)", text)}
        wrong += [f"{document}: {name}" for name in named - developers - in_images]
        if developers and not re.search(r"`\. \.venv/bin/activate`|\(CONTRIBUTING\.md\)", document_text(document)):
            wrong.append(f"{document}: does not say `. .venv/bin/activate`, nor where that is said")
    assert wrong == []


def document_text(document: str) -> str:
    return (ROOT / document).read_text()


def test_what_is_typed_is_run_as_printed_or_has_a_reason() -> None:
    run = {line for page in PAGES for line in typed(page)}
    rest = [line for document in documents() for line in lines(document) if line not in run]
    unexplained = [f"{line.document}: {line.text}" for line in rest if not line.text.startswith(tuple(REASONS))]
    assert unexplained == []
    assert [why for why in REASONS if not any(line.text.startswith(why) for line in rest)] == [], "nothing needs it"
    assert len(run) > 20
    assert any(spoken(document) for document in documents())
    assert set(OURS) <= {line.words[0] for line in run}
