"""Pages that are run as printed: a shell script that types what stands there, and what must be so afterwards."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.installed import Installed
from tests.shown import Line, lines

QUICK = {  # said in the log: nothing of it changes what is typed
    "BACKEND": "mock", "QUIET_SECONDS": "1", "MIN_DISK_SPACE_GB": "0", "QUEUE_IDLE_POLLS": "1",
    "POLL_INTERVAL_SECS": "1", "UPLOAD_STALLED_SECS": "0",
}  # fmt: skip


@dataclass(frozen=True)
class Page:
    """sections: whose blocks are typed, in the order of the document.

    leaves: files that must be there afterwards, and what each must contain.
    skipped: beginnings of lines that are not typed, each with its reason in test_shown_commands.REASONS.
    env: of the shells, over QUICK. clone: typed in a copy of the repository, else in an empty folder.
    ends: typed behind the page, by whoever looks at what it left.
    """

    document: str
    sections: tuple[str, ...]
    leaves: dict[str, str]
    skipped: tuple[str, ...] = ("pip install", "az ")
    env: dict[str, str] = field(default_factory=dict)
    clone: bool = False
    ends: str = ""

    @property
    def name(self) -> str:
        return Path(self.document).stem


PAGES = (
    Page(
        "README.md",
        ("Use",),
        {"lobby/lobby.ply": "", "out/lobby/manifest.json": "view2.mp4"},
        skipped=("pip install", "az ", "scenejobs share"),  # the mock makes no viewer; WITH_FILMS does
    ),
    Page("docs/watch.md", ("Without Docker",), {"data/output/lobby/manifest.json": "view2.mp4"}),
    Page("docs/core-tools.md", ("Functions Core Tools on this machine",), {"local.settings.json": "10010"}, clone=True),
    Page("docs/batch.md", ("On the emulator",), {"out/lobby/manifest.json": "my-job-123"}),
)

# The README to a shared link, of real films: minutes of training. Another person opens the link that was printed.
WITH_FILMS = Page(
    "README.md", ("Use",), {"out/lobby/viewer.html": "<html", "shared.html": "<html"},
    skipped=("pip install", "az ", "video-splat scene"),
    env={"BACKEND": "cpu", "PRESET": "smoke", "QUIET_SECONDS": "10"},
    ends="grep -om1 'http.*/lobby/viewer.html?[^ ]*' log.txt | xargs curl -sf -o shared.html",
)  # fmt: skip

HEAD = """
set -um
stays=()
ended() { code=$?; trap - EXIT; for number in "${stays[@]}"; do kill -INT -- -$number; done; wait; exit $code; }
trap ended EXIT
trap 'exit 143' TERM INT
failed() { echo "exit code $1"; tail -n 20 terminal-*.log; exit 1; }
"""
STAYS = """
echo '[another terminal] $ '{quoted}
env --ignore-environment {fresh} bash --noprofile --norc -c {quoted} >terminal-{number}.log 2>&1 &
stays+=($!)
for _ in $(seq 600); do
  grep -qE 'running|watching|functions:' terminal-{number}.log && break
  kill -0 $! 2>/dev/null || break
  sleep 0.1
done
grep -E 'running|watching|functions:' terminal-{number}.log || failed 'none: it did not start'
"""
TYPED = """
echo '$ '{quoted}
begun=$SECONDS
{text}
code=$?; [[ $code == 0 ]] || failed $code
echo "($((SECONDS - begun)) s)"
"""


def typed(page: Page) -> Iterator[Line]:
    """Every line that is run, in order."""
    for line in lines(page.document):
        if line.section in page.sections and not line.text.startswith(page.skipped):
            yield line


def script(page: Page, installed: Installed) -> str:
    """Whoever sits there has one terminal, and another one for each program that stays. Ctrl-C ends those at last."""
    env = {**installed.env, **QUICK, **page.env}
    fresh = " ".join(shlex.quote(f"{name}={text}") for name, text in env.items())
    parts = [HEAD]
    for number, line in enumerate(typed(page)):
        form = STAYS if line.stays else TYPED
        parts.append(form.format(quoted=shlex.quote(line.text), text=line.text, fresh=fresh, number=number))
    if page.ends:
        parts.append(TYPED.format(quoted=shlex.quote(page.ends), text=page.ends))
    return "".join(parts)
