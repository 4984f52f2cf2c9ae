"""A mutant: a rule of the protocol switched off, by putting something else in the place of a function.

A mutant that was written for code that has changed since dies of its own exception and proves nothing. So it is refused
as soon as it is made: what replaces a function has its signature, with the same names, defaults and types. The types
inside are for mypy. What is left, an exception nobody expects in the middle of a schedule, is no finding of an
invariant (`campaign.judge`).
"""

from __future__ import annotations

import functools
import inspect
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Any, get_args, get_origin
from unittest import mock

Replacement = Callable[..., object] | property


class MutantRefused(Exception):
    """The mutant does not fit what it replaces."""


@dataclass(frozen=True)
class Patch:
    """One function replaced. Raises MutantRefused where the new one has another signature."""

    owner: Any  # the module or class in which the name is looked up
    attribute: str
    new: Replacement

    def __post_init__(self) -> None:
        wanted, found = _shape(_original(self.owner, self.attribute)), _shape(self.new)
        if found != wanted:
            raise MutantRefused(f"{self.what} is {_told(wanted)}, what would replace it is {_told(found)}")

    @property
    def what(self) -> str:
        return f"{self.owner.__name__}.{self.attribute}"


@dataclass(frozen=True)
class Mutant:
    """One rule switched off."""

    name: str
    rule: str  # what is missing
    patches: tuple[Patch, ...]
    profile: str = "mixed"
    limit: int = 100  # schedules until it must have been noticed
    # A rule that hides the lack of this one is off as well; a schedule that is violated by that alone does not count.
    off: tuple[Patch, ...] = ()
    redundant: str = ""  # why nothing has to notice


def always(owner: Any, attribute: str, value: object) -> Patch:
    """The function does nothing but return the value, which its signature must allow."""
    original = _original(owner, attribute)
    signature = inspect.signature(_function(original), eval_str=True)
    if not _may_be(value, signature.return_annotation):
        raise MutantRefused(f"{owner.__name__}.{attribute}{signature} does not return {value!r}")

    def constant(*args: object, **kwargs: object) -> object:
        return value

    constant.__signature__ = signature  # type: ignore[attr-defined]
    return Patch(owner, attribute, property(constant) if isinstance(original, property) else constant)


def applied(mutant: Mutant | None) -> AbstractContextManager[Counter[str]]:
    """Switches the rule off inside the block. Counts the calls of what replaces it."""
    return patched((*mutant.patches, *mutant.off) if mutant else ())


@contextmanager
def patched(patches: Iterable[Patch]) -> Iterator[Counter[str]]:
    """The same for some functions."""
    calls: Counter[str] = Counter()
    with ExitStack() as stack:
        for patch in patches:
            stack.enter_context(mock.patch.object(patch.owner, patch.attribute, _counted(patch, calls)))
        yield calls


def _counted(patch: Patch, calls: Counter[str]) -> Replacement:
    function = _function(patch.new)

    @functools.wraps(function)
    def counted(*args: object, **kwargs: object) -> object:
        calls[patch.what] += 1
        return function(*args, **kwargs)

    return property(counted) if isinstance(patch.new, property) else counted


def _original(owner: Any, attribute: str) -> Replacement:
    found: Replacement | None = inspect.getattr_static(owner, attribute, None)
    if not callable(found) and not isinstance(found, property):
        raise MutantRefused(f"{owner.__name__} has no function {attribute}")
    return found


def _function(found: Replacement) -> Callable[..., object]:
    if not isinstance(found, property):
        return found
    assert found.fget is not None
    return found.fget


def _shape(found: Replacement) -> tuple[bool, bool, inspect.Signature]:
    """What has to be the same: property or function, decorated or not, the signature and, but for self, its types."""
    function = _function(found)
    signature = inspect.signature(function, eval_str=True)
    parameters = [
        parameter.replace(annotation=parameter.empty) if parameter.name == "self" else parameter
        for parameter in signature.parameters.values()
    ]
    return isinstance(found, property), hasattr(function, "__wrapped__"), signature.replace(parameters=parameters)


def _told(shape: tuple[bool, bool, inspect.Signature]) -> str:
    is_property, is_decorated, signature = shape
    return f"{'a property ' if is_property else ''}{'decorated ' if is_decorated else ''}{signature}"


def _may_be(value: object, annotation: Any) -> bool:
    kinds = get_args(annotation) if isinstance(annotation, UnionType) else (annotation,)
    return any(
        value is None if kind in (None, NoneType) else isinstance(value, get_origin(kind) or kind) for kind in kinds
    )
