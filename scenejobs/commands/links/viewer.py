"""`scenejobs open SCENE`: the viewer in the browser. `scenejobs share SCENE`: a link for somebody else.

A link is a shared access signature for reading one file. It cannot be taken back alone: see docs/operations.md.
"""

from __future__ import annotations

import sys
import webbrowser
from datetime import UTC, datetime, timedelta

import click

from scenejobs.adapters.links import MOST_DAYS, link, place_of
from scenejobs.commands.shell.command import Answer, Shell
from scenejobs.commands.shell.command import command as made
from scenejobs.errors import Code, InputError
from scenejobs.settings.reader import read_all
from scenejobs.settings.storage import FolderSettings, StorageSettings
from scenejobs.state.layout import published_name
from scenejobs.state.overview.published import files_of

VIEWER = "viewer.html"
LOOK = timedelta(hours=1)  # a link of `open`: long enough to look around
SKEW = timedelta(minutes=5)  # between this clock and the service's
FILE = click.option("--file", "name", default=VIEWER, show_default=True, help="Another file of the result.")


@made(
    "open", "look at a result in the browser",
    click.argument("scene"), FILE,
    click.option("--print", "only_print", is_flag=True, help="Print the link, start no browser."),
    section="Scenes", more="The link works for an hour, for whoever has it.",
)  # fmt: skip
def opened(shell: Shell, scene: str, name: str, only_print: bool) -> Answer:
    """Raises InputError where there is no such file, ConfigurationError, and the errors of storage."""
    return Answer(show(shell, scene, name, only_print=only_print))


def show(shell: Shell, scene: str, name: str = VIEWER, *, only_print: bool = False) -> dict[str, str]:
    """Prints the link and starts a browser where a person sits at a terminal. Returns the document for --json."""
    _check(shell, scene, name)
    (folders,) = read_all((FolderSettings,), shell.env)
    path = place_of(folders, published_name(scene, name))
    url, until = (path.as_uri(), None) if path else _link(shell, scene, name, LOOK)
    shell.say(url)
    if not only_print and not shell.json and sys.stdout.isatty():
        webbrowser.open(url)
    return {"scene": scene, "file": name, "url": url, **({"until": until.isoformat()} if until else {})}


@made(
    "share", "make a link to a result for somebody else",
    click.argument("scene"), FILE,
    click.option(
        "--days", type=click.FloatRange(0, MOST_DAYS, min_open=True), default=1.0, show_default="1", metavar="DAYS",
        help=f"For so long it works; {MOST_DAYS} at most.",
    ),
    section="Scenes",
    more="Whoever has the link reads that one file until then. How to take one back: docs/operations.md.",
)  # fmt: skip
def share(shell: Shell, scene: str, name: str, days: float) -> Answer:
    """Raises InputError where there is no such file, ConfigurationError, and the errors of storage."""
    _check(shell, scene, name)
    url, until = _link(shell, scene, name, timedelta(days=days))
    shell.say(url)
    shell.warn(f"works until {until:%Y-%m-%d %H:%M} UTC for whoever has it")
    return Answer({"scene": scene, "file": name, "url": url, "until": until.isoformat()})


def _check(shell: Shell, scene: str, name: str) -> None:
    files = files_of(shell.open()[0].containers, scene)
    if name not in files:
        known = ", ".join(sorted(files)[:12])
        cause = f"the result of scene {scene} has no file {name}"
        raise InputError(cause, code=Code.NO_SCENE, advice=f"it has {known}")


def _link(shell: Shell, scene: str, name: str, lasting: timedelta) -> tuple[str, datetime]:
    folders, account = read_all((FolderSettings, StorageSettings), shell.env)
    start = datetime.now(UTC) - SKEW
    until = min(start + SKEW + lasting, start + timedelta(days=MOST_DAYS))
    return link(folders, account, published_name(scene, name), start, until), until
