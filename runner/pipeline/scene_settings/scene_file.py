"""scene.yaml beside the uploads: what their uploader asks for. A small mapping of known keys, or a refusal by line.

It comes from somebody who is not trusted: no aliases, no tags, no nesting, and a limit of bytes, so that reading it
costs nothing. Values are checked as the variables of the same names are (scenejobs/settings/knobs.py). What it may ask
for: limits.py.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, get_type_hints

import msgspec

from runner.pipeline.presets import PRESETS
from scenejobs.errors import REMEDIES, Code, ConfigurationError, InputError
from scenejobs.logs.setup import printable
from scenejobs.names import SCENE_FILE
from scenejobs.settings.knobs import Knobs, problems
from scenejobs.settings.notices import instead_of, named_targets
from scenejobs.settings.pipeline import PipelineSettings
from scenejobs.settings.reader import parsed
from scenejobs.wording import listed

MOST_BYTES = 16 * 1024
MOST_TARGETS, MOST_CHARS = 10, 200  # of `notify`; of one value
MOST_DEPTH = 3  # the keys, a list, and one more that is refused by its key
TOLD = 8  # problems in a message
MORE = ("PRESET", "FRAME_COUNT", "FRAME_RATE", "COLMAP_MAX_NUM_FEATURES", "POSES_BUDGET_SECS", "SEED")
OF_VARIABLE = {item.metadata["variable"]: item for item in fields(PipelineSettings)}
KNOWN = {name.lower(): OF_VARIABLE[name] for name in (*(i.metadata["variable"] for i in fields(Knobs)), *MORE)}
NOTIFY = "notify"
LISTS = ("export_formats", NOTIFY)


class Asked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a scene.yaml asks for."""

    values: dict[str, int | float | str] = {}  # by key, as PipelineSettings has them
    notify: tuple[str, ...] = ()  # targets, as they are written there


def read(data: bytes) -> Asked:
    """Raises InputError BAD_SETTINGS, which names every line and key that is wrong."""
    if len(data) > MOST_BYTES:
        raise refused(f"it has more than {MOST_BYTES // 1024} KiB")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        raise refused("it is no text (UTF-8)") from exc
    found: list[str] = []
    values: dict[str, Any] = {}
    for line, key, texts in _entries(text):
        where = f"line {line}: "
        if key in values:
            found.append(f"{where}{_shown(key)} is there twice")
        elif key not in KNOWN and key != NOTIFY:
            found.append(f"{where}{_shown(key)} is not known{_hint(key)}")
        else:
            values[key] = ""
            try:
                values[key] = _value(key, texts)
            except ValueError as exc:
                found.append(f"{where}{key}: {exc}")
    notify = values.pop(NOTIFY, ())
    if not found:
        found += problems(Knobs(**{KNOWN[key].name: value for key, value in values.items() if _is_knob(key)}))
    if found:
        raise refused(listed(found, TOLD, "; "))
    return Asked(values, notify)


def refused(why: str) -> InputError:
    """The file as a whole is refused: a part of it would give a scene that nobody asked for."""
    return InputError(
        f"{SCENE_FILE}: {why}", code=Code.BAD_SETTINGS, advice=REMEDIES[Code.BAD_SETTINGS], stage="validation",
        files=(SCENE_FILE,),
    )  # fmt: skip


def _entries(text: str) -> Iterator[tuple[int, str, list[str]]]:
    """Line, key and texts of each entry; one text but for a list."""
    import yaml  # needed only where there is such a file

    try:
        depth = documents = 0
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            documents += isinstance(event, yaml.DocumentStartEvent)
            _require_plain(event, depth, documents)
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, ValueError, RecursionError) as exc:
        mark = getattr(exc, "problem_mark", None)
        where = f"line {mark.line + 1}: " if mark else ""
        raise refused(f"{where}it is no YAML: {getattr(exc, 'problem', None) or _shown(str(exc))}") from exc
    if node is None:
        return
    if not isinstance(node, yaml.MappingNode):
        raise refused("line 1: it holds no keys; write each as `train_steps: 5000`")
    for key, value in node.value:
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode):
            raise refused(f"line {line}: a key is a word")
        if isinstance(value, yaml.ScalarNode):
            yield line, key.value, [value.value]
        elif isinstance(value, yaml.SequenceNode) and all(isinstance(each, yaml.ScalarNode) for each in value.value):
            yield line, key.value, ["", *(each.value for each in value.value)]
        else:
            kinds = "each value is a word, a number or a list"
            raise refused(f"line {line}: {_shown(key.value)} holds further keys; {kinds}")


def _require_plain(event: Any, depth: int, documents: int) -> None:
    """Raises InputError for what makes a small file large, or more than data."""
    import yaml

    line = event.start_mark.line + 1
    if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
        raise refused(f"line {line}: anchors and aliases (& and *) are not read")
    if getattr(event, "tag", None):
        raise refused(f"line {line}: tags (!) are not read")
    if documents > 1:
        raise refused(f"line {line}: one document is read; take the line out")
    if depth > MOST_DEPTH:
        raise refused(f"line {line}: lists and keys within each other are not read")


def _value(key: str, texts: list[str]) -> Any:
    """Raises ValueError."""
    if any(len(text) > MOST_CHARS for text in texts):
        raise ValueError(f"a value has {MOST_CHARS} characters at most")
    if key in LISTS:
        named = [text.strip() for each in texts for text in each.split(",") if text.strip()]
        if key == NOTIFY and len(named) > MOST_TARGETS:
            raise ValueError(f"{MOST_TARGETS} targets at most")
        return tuple(dict.fromkeys(named)) if key == NOTIFY else ",".join(named) or "all"
    if len(texts) > 1:
        raise ValueError("one value, not a list")
    if not texts[0].strip():
        raise ValueError("it has no value")
    item = KNOWN[key]
    if key == "preset" and texts[0] not in PRESETS:
        raise ValueError(f"use one of {', '.join(PRESETS)}")
    return parsed(item, get_type_hints(PipelineSettings)[item.name], texts[0].strip())


def _is_knob(key: str) -> bool:
    return any(item.name == KNOWN[key].name for item in fields(Knobs))


def _hint(key: str) -> str:
    plain = key.lower().replace("-", "_").replace(" ", "_")
    near = difflib.get_close_matches(plain, [*KNOWN, NOTIFY], n=1, cutoff=0.5)
    return f": did you mean {near[0]}?" if near else ": docs/scene-yaml.md lists the keys"


def _shown(text: str) -> str:
    plain = printable(text)
    return plain if len(plain) <= 40 else f"{plain[:40]}..."


def as_settings(asked: Asked) -> Mapping[str, Any]:
    """By the names of PipelineSettings' fields; without the preset."""
    return {KNOWN[key].name: value for key, value in asked.values.items() if key != "preset"}


def asked_for(path: Path | None, allowed: str) -> tuple[Asked | None, tuple[str, ...]]:
    """What the file asks for, and what is told of targets that are not allowed.

    allowed: NOTIFY_TARGETS. Raises InputError BAD_SETTINGS, ConfigurationError.
    """
    if path is None:
        return None, ()
    with path.open("rb") as file:
        asked = read(file.read(MOST_BYTES + 1))
    try:
        targets = tuple(each.name for each in named_targets(allowed))
    except ValueError as exc:
        advice = "use NOTIFY_TARGETS=name,other"
        raise ConfigurationError(f"NOTIFY_TARGETS: {exc}", code=Code.INVALID_SETTING, advice=advice) from exc
    told = tuple(
        f"{SCENE_FILE} asks to notify {_shown(target)}: NOTIFY_TARGETS does not allow it, {instead_of(target, targets)}"
        for target in asked.notify if target not in targets
    )  # fmt: skip
    return msgspec.structs.replace(asked, notify=tuple(each for each in asked.notify if each in targets)), told
