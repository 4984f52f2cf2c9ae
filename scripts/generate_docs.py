"""Writes what the documents repeat of the code: settings, presets, error and exit codes, costs, answers to `--help`.

    python -m scripts.generate_docs [--check]

A block begins with `<!-- generated: KIND ARGUMENT... -->` and ends with `<!-- end -->`. --check writes nothing, names
the documents that differ, and ends with 1 if there are any.
"""

from __future__ import annotations

import argparse
import inspect
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import MISSING
from pathlib import Path

import click

from runner.pipeline.presets import PRESETS
from scenejobs import errors, filming
from scenejobs.commands.cli import scenejobs
from scenejobs.commands.shell import failing
from scenejobs.settings import groups, modes, older
from scripts import costs

ROOT = Path(__file__).resolve().parents[1]
BLOCK = re.compile(r"(<!-- generated: (.+?) -->\n)(.*?)(<!-- end -->)", re.DOTALL)
EXITS: Mapping[type[errors.SceneJobError], str] = {
    errors.InputError: "never retried; inputs go to `error` with the reason",
    errors.ConfigurationError: "the program stops, nothing is touched",
    errors.InfrastructureError: "retried with backoff, then dead-lettered",
    errors.LeaseLost: "nothing is settled; whoever owns the scene goes on",
    errors.Interrupted: "the attempt is given back",
}
BATCH_EXITS: Mapping[int, str] = {
    0: "the result is published, the inputs are in `processed`; or nothing was left to do",
    1: "the scene was given up: its inputs are in `error`, with the reason in `error/<scene>/error.json`. The files "
    "cannot work, or `MAX_RETRIES` attempts failed, whatever the cause (disk, memory, time, a crash). Also where the "
    "prefix holds nothing",
    2: "settings, sign-in, rights, no GPU for `BACKEND=gsplat`: nothing was touched",
    3: "storage failed for longer than it is tried, or a daily limit postpones the scene: the inputs stay, try later",
    75: "another runner works on the scene: the inputs are its own",
    143: "told to stop (SIGTERM): the inputs stay, and the same command goes on from the saved work",
}


def table(heads: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """A table of Markdown."""
    heads = list(heads)
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join(f"| {' | '.join(map(str, cells))} |\n" for cells in lines)


def settings(group: str) -> str:
    """Variables of one group with default, kind and meaning."""
    rows = [
        (f"`{row.variable}`", shown(row.default), row.kind.replace("|", "\\|"), row.doc)
        for row in groups.table()
        if row.group == group
    ]
    if not rows:
        raise ValueError(f"there is no group of settings called {group}")
    return table(("variable", "default", "kind", "meaning"), rows)


def run_modes() -> str:
    """Every mode with what it does and needs."""
    rows = [(f"`{name}`", does, needs) for name, (does, needs) in modes.MODES.items()]
    return table(("`RUN_MODE`", "does", "needs"), rows)


def older_settings() -> str:
    """What the older guide sets, variables and keys of its file, and what becomes of it here."""
    rows = [(f"`{name}`", _but(name, instead)) for name, instead in older.VARIABLES.items()]
    rows += [(f"`BACKEND={name}`", instead) for name, instead in older.TRAINERS.items() if "_" not in name]
    for key, instead in older.KEYS.items():
        rows.append((f"`{key}` of its file", f"read as `{instead}`" if key in older.TWINS else f"nothing: {instead}"))
    return table(("setting", "instead"), rows)


def _but(name: str, instead: str) -> str:
    taken = sorted(older.TAKEN.get(name, ()))
    return f"{instead} ({', '.join(f'`{text}`' for text in taken)}: taken)" if taken else instead


def shown(default: object) -> str:
    """A default as a person types it."""
    if default is MISSING:
        return "required"
    if default == "":
        return ""
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    return f"`{default:g}`" if isinstance(default, float) else f"`{default}`"


def meanings() -> dict[str, str]:
    """What is written beside each code. Raises ValueError where a code has no meaning or no remedy."""
    found = dict(re.findall(r"^    ([A-Z_]+) = \"\1\"  # (.*)$", inspect.getsource(errors.Code), re.MULTILINE))
    lacking = {code.value for code in errors.Code} - (found.keys() & {code.value for code in errors.REMEDIES})
    if lacking:
        raise ValueError(f"without meaning or remedy: {', '.join(sorted(lacking))}")
    return found


def error_codes() -> str:
    """All codes with meaning and remedy."""
    rows = [(f"`{code}`", meaning, _remedy(code)) for code, meaning in meanings().items()]
    return table(("code", "meaning", "what to do"), rows)


def _remedy(code: str) -> str:
    """With a link to the section of docs/filming.md, where there is one."""
    text, where = errors.REMEDIES[errors.Code(code)], filming.see(code).removeprefix("docs/")
    return f"{text} ([how to film]({where}))" if where else text


def exit_codes() -> str:
    """Exit codes of the error tree."""
    rows = [(kind.exit_code, f"`{kind.__name__}`", what) for kind, what in EXITS.items()]
    return table(("code", "raised as", "what happens next"), rows)


def batch_exit_codes() -> str:
    """Exit codes of batch mode, and where the inputs are then."""
    return table(("exit code", "means"), BATCH_EXITS.items())


def presets() -> str:
    """Numbers of each preset."""
    heads = (
        "preset", "for", "frames", "features", "long side px", "steps", "strategy", "most Gaussians", "SH degree",
        "training budget s",
    )  # fmt: skip
    rows = [
        (
            f"`{name}`", chosen.description, chosen.frames.budget, chosen.poses.features, chosen.train.long_side,
            f"{chosen.train.iterations:,}", chosen.train.strategy, f"{chosen.train.cap:,}", chosen.train.sh_degree,
            f"{chosen.train.budget_s:.0f}",
        )
        for name, chosen in PRESETS.items()
    ]  # fmt: skip
    return table(heads, rows)


def command_help(command: str, *arguments: str) -> str:
    """What a command prints for --help, 100 columns wide."""
    program = [sys.executable, "-m", command.replace("-", "_"), *arguments, "--help"]
    env = {**os.environ, "COLUMNS": "100", "NO_COLOR": "1"}
    done = subprocess.run(program, cwd=ROOT, env=env, capture_output=True, text=True, check=True)
    return f"```\n{done.stdout.strip()}\n```\n"


def command_pages(program: str) -> str:
    """Every command of a program of click: its help, under the headings that the program's own help has."""
    whole = {"scenejobs": scenejobs}[program]
    parts: list[str] = [_help_of(whole, program)]
    section = ""
    for name, command in whole.commands.items():
        if (now := getattr(command, "section", "")) != section:
            section = now
            parts.append(f"### {section}\n")
        parts.append(f"**`{program} {name}`**\n\n{_help_of(command, f'{program} {name}')}")
    return "\n".join(parts)


def _help_of(command: click.Command, path: str) -> str:
    context = command.make_context(path, [], resilient_parsing=True, terminal_width=100)
    return f"```\n{command.get_help(context).strip()}\n```\n"


def command_exit_codes() -> str:
    """Exit codes of `scenejobs`."""
    return table(("exit code", "means"), failing.EXITS.items())


def cost_table(which: str) -> str:
    """One table of docs/cost.md."""
    return table(*costs.rows(which))


KINDS: Mapping[str, Callable[..., str]] = {
    "settings": settings,
    "modes": run_modes,
    "older settings": older_settings,
    "error codes": error_codes,
    "exit codes": exit_codes,
    "batch exit codes": batch_exit_codes,
    "presets": presets,
    "help": command_help,
    "commands": command_pages,
    "command exit codes": command_exit_codes,
    "costs": cost_table,
}


def made(block: str) -> str:
    """The text of a block. Raises ValueError for a kind that is not known."""
    for kind, make in KINDS.items():
        if block == kind or block.startswith(f"{kind} "):
            return make(*block[len(kind) :].split())
    raise ValueError(f"nothing generates {block!r}")


def generated(text: str) -> str:
    """A document with its blocks as the code has them now."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        texts = iter(list(pool.map(made, [block for _, block, _, _ in BLOCK.findall(text)])))
    return BLOCK.sub(lambda found: found[1] + next(texts) + found[4], text)


def main() -> int:
    parser = argparse.ArgumentParser(description="Write what the documents repeat of the code.")
    parser.add_argument("--check", action="store_true", help="write nothing; 1 where a document differs")
    check = parser.parse_args().check
    differing = []
    for path in sorted((ROOT / "docs").rglob("*.md")):
        text = path.read_text(encoding="utf-8")
        new = generated(text)
        if new == text:
            continue
        differing.append(path.relative_to(ROOT).as_posix())
        if not check:
            path.write_text(new, encoding="utf-8")
    for name in differing:
        print(f"{name} {'differs: run make docs' if check else 'written'}")
    return int(check and bool(differing))


if __name__ == "__main__":
    sys.exit(main())
