"""`scenejobs open SCENE`: the viewer in the browser. `scenejobs share SCENE`: a link for somebody else.

A link is a shared access signature for reading one file. It cannot be taken back alone: see docs/operations.md.
"""

from __future__ import annotations

import sys
import webbrowser
from datetime import UTC, datetime, timedelta

import click

from scenejobs.adapters.links import MOST_DAYS, Kind, link, place_of
from scenejobs.commands.shell.command import Answer, Shell
from scenejobs.commands.shell.command import command as made
from scenejobs.commands.storage import check_scene
from scenejobs.errors import Code, InputError
from scenejobs.settings.reader import read_all
from scenejobs.settings.storage import FolderSettings, StorageSettings
from scenejobs.state import previews, records
from scenejobs.state.layout import published_name
from scenejobs.state.overview.published import files_of
from scenejobs.state.record import Phase

VIEWER = "viewer.html"
LOOK = timedelta(hours=1)  # a link of `open`: long enough to look around
SKEW = timedelta(minutes=5)  # between this clock and the service's
FILE = click.option("--file", "name", default=VIEWER, show_default=True, help="Another file of the result.")


@made(
    "open", "look at a result in the browser",
    click.argument("scene"), FILE,
    click.option("--preview", is_flag=True, help="The first look at a scene that is being made."),
    click.option("--print", "only_print", is_flag=True, help="Print the link, start no browser."),
    section="Scenes", more="The link works for an hour, for whoever has it.",
)  # fmt: skip
def opened(shell: Shell, scene: str, name: str, preview: bool, only_print: bool) -> Answer:
    """Raises InputError where there is no such file, ConfigurationError, and the errors of storage."""
    if preview:
        return Answer(_show_preview(shell, scene, name, only_print=only_print))
    return Answer(show(shell, scene, name, only_print=only_print))


def show(shell: Shell, scene: str, name: str = VIEWER, *, only_print: bool = False) -> dict[str, str]:
    """Prints the link and starts a browser where a person sits at a terminal. Returns the document for --json."""
    _check(shell, scene, name)
    return _shown(shell, scene, name, published_name(scene, name), "output", only_print=only_print)


def _show_preview(shell: Shell, scene: str, name: str, *, only_print: bool) -> dict[str, str]:
    """The first look of the run that goes on. Raises InputError where there is none."""
    check_scene(scene)
    state = shell.open()[0].containers.state
    stored = records.load(state, scene)
    run = stored.record.run if stored and stored.record.phase is Phase.RUNNING else ""
    found = previews.of_run(state, scene, run) if run else {}
    if name not in found:
        cause = f"there is no first look at scene {scene}" + (f" called {name}" if found else "")
        advice = f"it has {', '.join(sorted(found))}" if found else f"see: scenejobs status {scene}"
        raise InputError(cause, code=Code.NO_SCENE, advice=advice)
    return _shown(shell, scene, name, found[name], "state", only_print=only_print)


def _shown(shell: Shell, scene: str, name: str, blob: str, kind: Kind, *, only_print: bool) -> dict[str, str]:
    (folders,) = read_all((FolderSettings,), shell.env)
    path = place_of(folders, blob, kind)
    url, until = (path.as_uri(), None) if path else _link(shell, blob, LOOK, kind)
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
    url, until = _link(shell, published_name(scene, name), timedelta(days=days))
    shell.say(url)
    shell.warn(f"works until {until:%Y-%m-%d %H:%M} UTC for whoever has it")
    return Answer({"scene": scene, "file": name, "url": url, "until": until.isoformat()})


def _check(shell: Shell, scene: str, name: str) -> None:
    files = files_of(shell.open()[0].containers, scene)
    if name not in files:
        known = ", ".join(sorted(files)[:12])
        cause = f"the result of scene {scene} has no file {name}"
        raise InputError(cause, code=Code.NO_SCENE, advice=f"it has {known}")


def _link(shell: Shell, blob: str, lasting: timedelta, kind: Kind = "output") -> tuple[str, datetime]:
    folders, account = read_all((FolderSettings, StorageSettings), shell.env)
    start = datetime.now(UTC) - SKEW
    until = min(start + SKEW + lasting, start + timedelta(days=MOST_DAYS))
    return link(folders, account, blob, start, until, kind), until
