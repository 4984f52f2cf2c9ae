"""Templates as trees, and the parameters they declare."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tree_sitter_bicep
from tree_sitter import Language, Node, Parser

_PARSER = Parser(Language(tree_sitter_bicep.language()))


class BicepError(Exception):
    """The template is wrong, or beyond what is understood here."""


@dataclass(frozen=True)
class Param:
    """A declared parameter."""

    name: str
    type: str
    required: bool
    allowed: tuple[Any, ...]
    default: Node | None


@functools.cache
def root(path: Path) -> Node:
    tree = _PARSER.parse(path.read_bytes()).root_node
    wrong = [node for node in walk(tree) if node.type == "ERROR" or node.is_missing]
    if wrong:
        raise BicepError(f"{path.name}:{wrong[0].start_point[0] + 1}: cannot be read: {text(wrong[0])[:80]}")
    return tree


def walk(node: Node) -> Iterator[Node]:
    yield node
    for child in node.children:
        yield from walk(child)


def text(node: Node) -> str:
    assert node.text is not None
    return node.text.decode()


def named(node: Node) -> list[Node]:
    return [child for child in node.named_children if child.type != "comment"]


@functools.cache
def parameters(path: Path) -> dict[str, Param]:
    """The parameters that a template declares, in order."""
    found: dict[str, Param] = {}
    decorators: list[Node] = []
    for node in named(root(path)):
        if node.type == "decorators":
            decorators = named(node)
            continue
        if node.type == "parameter_declaration":
            name, kind, *rest = named(node)
            calls = {text(call.named_children[0].named_children[0]): call.named_children[0] for call in decorators}
            allowed = ()
            if "allowed" in calls:
                (values,) = named(named(calls["allowed"])[1])
                allowed = tuple(text(item).strip("'") for item in named(values))
            default = rest[0] if rest else None
            found[text(name)] = Param(text(name), text(kind), default is None, allowed, default)
        decorators = []
    return found
