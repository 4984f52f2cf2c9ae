"""The older service's `config.yaml`: what has a variable here is read as that variable, the rest is named once.

The file is looked for where that service's guide mounts it, or where CONFIG_PATH says. A variable that is set goes
first.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scenejobs.errors import Code, ConfigurationError
from scenejobs.settings import older

MOST_BYTES = 1 << 16


@dataclass(frozen=True)
class ConfigFile:
    """What was found. `env`: the environment with what the file adds; children of this process read no file again."""

    env: Mapping[str, str]
    path: str = ""  # "": there is none
    taken: tuple[str, ...] = ()  # "FRAME_RATE=2"
    ignored: tuple[str, ...] = ()  # one sentence a key

    def tell(self, log: logging.Logger) -> None:
        """One line for what was taken, and a warning for each key that does nothing."""
        if self.path:
            log.info("%s: %s", self.path, ", ".join(self.taken) or "nothing is taken from it")
        for sentence in self.ignored:
            log.warning("%s: %s", self.path, sentence)


def read(env: Mapping[str, str]) -> ConfigFile:
    """Raises ConfigurationError for a file that was named and is not there, cannot be read, or is no such file."""
    named = env.get(older.FILE_VARIABLE, "").strip()
    if named == os.devnull:
        return ConfigFile(env)
    for path in [named] if named else older.FILES:
        text = _text(path, wanted=bool(named))
        if text is None:
            continue
        keys = dict(_leaves(_document(path, text)))
        if not named and not keys.keys() & older.KEYS.keys():
            continue  # somebody else's
        return _found(env, path, keys)
    return ConfigFile(env)


def _found(env: Mapping[str, str], path: str, keys: Mapping[str, Any]) -> ConfigFile:
    added: dict[str, str] = {}
    ignored = []
    for key, value in keys.items():
        if key not in older.KEYS:
            ignored.append(f"{key} is not known")
        elif key not in older.TWINS:
            ignored.append(f"{key} does nothing here: {older.KEYS[key]}")
        elif isinstance(value, (str, int, float)) and not isinstance(value, bool):
            variable = older.TWINS[key]
            if not env.get(variable, "").strip():
                added[variable] = str(value)
            else:
                ignored.append(f"{key} gives way to {variable} of the environment")
        elif value is not None:
            raise _wrong(path, f"{key} is neither a word nor a number")
    whole = {**env, **added, older.FILE_VARIABLE: os.devnull}
    return ConfigFile(whole, path, tuple(f"{name}={text}" for name, text in added.items()), tuple(ignored))


def _text(path: str, *, wanted: bool) -> str | None:
    """The text of a file. wanted: its absence is an error."""
    try:
        with Path(path).open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except FileNotFoundError as exc:
        if wanted:
            raise _wrong(path, "it is not there") from exc
        return None
    except (OSError, ValueError) as exc:
        raise _wrong(path, f"it cannot be read: {getattr(exc, 'strerror', None) or exc}") from exc
    if len(data) > MOST_BYTES:
        raise _wrong(path, f"it is larger than {MOST_BYTES} bytes")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        raise _wrong(path, "it is no text") from exc


def _document(path: str, text: str) -> Any:
    import yaml  # needed only where there is such a file

    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as exc:  # a day that is none; brackets without end
        raise _wrong(path, f"it is no YAML: {' '.join(str(exc).split())}") from exc


def _leaves(value: Any, above: str = "") -> Iterator[tuple[str, Any]]:
    """Keys of nested mappings, joined with dots, two levels deep as in the guide's file."""
    if not isinstance(value, dict):
        return
    for key, below in value.items():
        name = f"{above}{key}"
        if isinstance(below, dict) and not above:
            yield from _leaves(below, f"{name}.")
        else:
            yield name, below


def _wrong(path: str, why: str) -> ConfigurationError:
    return ConfigurationError(
        f"{path}: {why}",
        code=Code.INVALID_SETTING,
        advice=f"mend the file, take it away, or correct {older.FILE_VARIABLE} (docs/migration.md)",
        stage="configuration",
    )
